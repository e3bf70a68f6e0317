//! The conversation: the standard input to the server, its messages to the standard output.

use crate::input::{self, Input};
use crate::report;
use crate::wait::wait;
use rustix::fd::AsFd;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::time::Instant;
use websocket_stream::client::Transport;
use websocket_stream::{CloseCode, Closed, Event, Message, Ready, Scratch, State, WebSocketStream};

/// The unsent bytes above which the input waits.
const UNSENT: usize = 256 << 10;

/// The bytes read from the input at once, and sent in a binary message.
const READ: usize = 64 << 10;

pub(crate) struct Session {
    stream: WebSocketStream<Transport>,
    scratch: Scratch,
    start: Instant,
    is_binary: bool,
    /// Bytes of a line whose end was not read yet.
    unfinished: Vec<u8>,
    input_ended: bool,
}

impl Session {
    pub(crate) fn new(stream: WebSocketStream<Transport>, is_binary: bool) -> Self {
        Self {
            stream,
            scratch: Scratch::new(),
            start: Instant::now(),
            is_binary,
            unfinished: Vec::new(),
            input_ended: false,
        }
    }

    /// Runs until the connection has ended.
    pub(crate) fn run(&mut self) -> io::Result<Closed> {
        let mut input = input::open()?;
        let mut ready = Ready::UNKNOWN;
        loop {
            let (mut again, end) = self.drive(ready)?;
            if let Some(end) = end {
                return Ok(end);
            }
            // The time for closing counts from the Close frame: it must not wait behind what is unsent.
            if self.is_open() && self.input_ended && self.stream.unsent() == 0 {
                self.close();
                again = true;
            }
            let reads = self.is_open() && !self.input_ended && self.stream.unsent() < UNSENT;
            let (socket, input_ready) = self.wait(&input, reads, again)?;
            ready = socket;
            if input_ready {
                self.read(&mut input)?;
            }
        }
    }

    /// Drives the stream. Returns whether it wants another call at once, and the end.
    fn drive(&mut self, ready: Ready) -> io::Result<(bool, Option<Closed>)> {
        let (mut end, mut written, is_binary) = (None, Ok(()), self.is_binary);
        let now = self.now();
        let mut output = io::stdout().lock();
        let driven = self.stream.drive(&mut self.scratch.at(now), ready, |event, _| {
            match event {
                Event::Message(message) if written.is_ok() => {
                    written = print(&mut output, message, is_binary);
                }
                Event::Closed(closed) => end = Some(closed),
                _ => {}
            }
            Ok(())
        });
        written.and_then(|()| output.flush())?;
        match (driven, end) {
            // The end has more information than the system's error after it.
            (_, Some(end)) => Ok((false, Some(end))),
            (Ok(wants), None) => Ok((wants.again, None)),
            (Err(error), None) => Err(error),
        }
    }

    /// Waits for the socket and, if `reads`, for the input. Returns what is ready.
    fn wait(&self, input: &Input, reads: bool, again: bool) -> io::Result<(Ready, bool)> {
        let now = self.now();
        let timeout = match again {
            true => Some(0),
            false => self.stream.next_deadline(now).map(|deadline| deadline.saturating_sub(now)),
        };
        let (mut ready, input_ready) = wait(&self.stream, reads.then(|| input.as_fd()), timeout)?;
        ready.readable |= again;
        Ok((ready, input_ready))
    }

    /// Reads the input once, and sends what it contains.
    fn read(&mut self, input: &mut Input) -> io::Result<()> {
        let mut buffer = vec![0; READ];
        let n = match input.read(&mut buffer) {
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {
                return Ok(());
            }
            read => read?,
        };
        if self.is_binary && n > 0 {
            self.send(Message::Binary(&buffer[..n]));
        } else {
            self.send_lines(&buffer[..n]);
        }
        if n == 0 {
            let last = mem::take(&mut self.unfinished);
            if !last.is_empty() {
                self.send_line(&last);
            }
            self.input_ended = true;
        }
        Ok(())
    }

    /// Begins to close.
    fn close(&mut self) {
        let now = self.now();
        // If the socket has failed, the end follows.
        let _ = self.stream.close(&mut self.scratch.at(now), CloseCode::NORMAL, "");
    }

    /// Returns whether messages can be sent.
    fn is_open(&self) -> bool {
        self.stream.state() == State::Open
    }

    /// Sends each line that ends in these bytes.
    fn send_lines(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.unfinished.extend_from_slice(&bytes[..end]);
            let line = mem::take(&mut self.unfinished);
            self.send_line(&line);
            bytes = &bytes[end + 1..];
        }
        self.unfinished.extend_from_slice(bytes);
    }

    fn send_line(&mut self, line: &[u8]) {
        match std::str::from_utf8(line) {
            Ok(line) => self.send(Message::Text(line)),
            Err(error) => {
                report(format_args!("a line was not sent (--binary sends any bytes): {error}"));
            }
        }
    }

    fn send(&mut self, message: Message<'_>) {
        let now = self.now();
        if let Err(error) = self.stream.send(&mut self.scratch.at(now), message) {
            report(format_args!("a message was not sent: {error}"));
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn print(output: &mut impl Write, message: Message<'_>, is_binary: bool) -> io::Result<()> {
    match message {
        message if is_binary => output.write_all(message.as_bytes()),
        Message::Text(text) => writeln!(output, "{text}"),
        Message::Binary(bytes) => writeln!(output, "{}", bytes.escape_ascii()),
    }
}
