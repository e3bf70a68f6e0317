//! A client for the terminal: sends lines as text, prints messages, closes at Ctrl-D.
//!
//! ```text
//! cargo run --example client -- [--deflate[=BITS]] ws://HOST[:PORT]/PATH?QUERY
//! cargo run --example client -- ws+unix:///SOCKET/PATH:/REQUEST/PATH
//! ```

use lexopt::prelude::*;
use mio::unix::SourceFd;
use mio::{Events, Poll, Token};
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use websocket_stream::{
    ClientOpening, ClientRequest, CloseCode, Closed, Config, Event, Message, Progress, Ready, Scratch, Wants,
    WebSocketStream,
};

#[path = "common/deflate.rs"]
mod deflate;
#[path = "common/socket.rs"]
mod socket;

use socket::Socket;

const USAGE: &str =
    "usage: client [--deflate[=BITS]] ws://HOST[:PORT]/PATH | ws+unix:///SOCKET/PATH:/REQUEST/PATH";
const SOCKET: Token = Token(0);
const STDIN: Token = Token(1);

fn main() -> ExitCode {
    match run() {
        Ok(end) if end.is_clean() => ExitCode::SUCCESS,
        Ok(end) => {
            eprintln!("client: {end}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Closed, Box<dyn Error>> {
    let (mut url, mut config) = (None, Arc::default());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("deflate") => {
                let bits = arguments.optional_value().map(|bits| bits.string()).transpose()?;
                config = deflate::config(bits.as_deref())?;
            }
            Value(value) if url.is_none() => url = Some(value.string()?),
            _ => return Err(USAGE.into()),
        }
    }
    Client::connect(&url.ok_or(USAGE)?, config)?.run()
}

/// Returns a connected socket and the request to send on it.
fn dial(url: &str) -> Result<(Socket, ClientRequest), Box<dyn Error>> {
    // "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be used on
    // these URIs" (RFC 6455, section 3).
    if url.contains('#') {
        return Err("a WebSocket's URL has no fragment".into());
    }
    if let Some(rest) = url.strip_prefix("ws+unix://") {
        let (path, target) = rest.split_once(':').unwrap_or((rest, "/"));
        let stream = mio::net::UnixStream::connect(path)?;
        return Ok((Socket::Unix(stream), ClientRequest::new("localhost", target)));
    }
    let rest = url.strip_prefix("ws://").ok_or(USAGE)?;
    let (host, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    // The colons of an IPv6 address are inside brackets.
    let has_port = host.rfind(':') > host.rfind(']');
    let address = if has_port { host.to_owned() } else { format!("{host}:80") };
    let stream = TcpStream::connect(address)?;
    stream.set_nonblocking(true)?;
    Ok((Socket::Tcp(mio::net::TcpStream::from_std(stream)), ClientRequest::new(host, &target)))
}

struct Client {
    poll: Poll,
    events: Events,
    stream: WebSocketStream<Socket>,
    scratch: Scratch,
    start: Instant,
    lines: Lines,
}

impl Client {
    fn connect(url: &str, config: Arc<Config>) -> Result<Self, Box<dyn Error>> {
        let (mut socket, request) = dial(url)?;
        let mut poll = Poll::new()?;
        let mut events = Events::with_capacity(4);
        poll.registry().register(&mut socket, SOCKET, socket::INTERESTS)?;
        let (mut scratch, start) = (Scratch::new(), Instant::now());
        let mut opening = ClientOpening::with_config(socket, request, config)?;
        while let Progress::Pending(_) = opening.advance(&mut scratch.at(since(start)))? {
            wait(&mut poll, &mut events, timeout(opening.next_deadline(since(start)), since(start)))?;
        }
        let lines = Lines::new(&poll)?;
        Ok(Self { stream: opening.into_stream()?, poll, events, scratch, start, lines })
    }

    /// Runs until the connection has ended.
    fn run(&mut self) -> Result<Closed, Box<dyn Error>> {
        let mut ready = Ready::NONE;
        let mut ended = None;
        loop {
            let now = since(self.start);
            let driven = self.stream.try_drive(&mut self.scratch.at(now), ready, |event, _| {
                match event {
                    Event::Message(Message::Text(text)) => writeln!(io::stdout(), "{text}")?,
                    Event::Message(Message::Binary(bytes)) => {
                        writeln!(io::stdout(), "{}", bytes.escape_ascii())?;
                    }
                    Event::Closed(end) => ended = Some(end),
                    _ => {}
                }
                Ok::<(), Box<dyn Error>>(())
            });
            let Wants { again, closed, .. } = match (driven, ended) {
                // The end has more information than the system error behind it.
                (Err(_), Some(end)) => return Ok(end),
                (driven, _) => driven?,
            };
            if let (true, Some(end)) = (closed, ended) {
                return Ok(end);
            }
            // Lines wait while the server does not take the bytes already sent.
            let read = self.lines.ready && self.stream.unsent() == 0;
            if read {
                self.lines.read(&self.poll, &mut self.stream, &mut self.scratch, now)?;
            }
            let limit = match again || read {
                true => Some(Duration::ZERO),
                false => timeout(self.stream.next_deadline(now), now),
            };
            wait(&mut self.poll, &mut self.events, limit)?;
            ready = if again { Ready::READABLE } else { Ready::NONE };
            for event in &self.events {
                if event.token() == STDIN {
                    self.lines.ready = !self.lines.ended;
                } else {
                    ready.readable |= event.is_readable();
                    ready.writable |= event.is_writable();
                    ready.closed |= event.is_read_closed() || event.is_error() || event.is_priority();
                }
            }
        }
    }
}

/// The standard input, line by line. It stays blocking, because other processes may share it, so it is read
/// once for each readiness event.
struct Lines {
    file: File,
    unfinished: Vec<u8>,
    polled: bool,
    ready: bool,
    ended: bool,
}

impl Lines {
    fn new(poll: &Poll) -> io::Result<Self> {
        let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let fd = file.as_raw_fd();
        let polled = match poll.registry().register(&mut SourceFd(&fd), STDIN, mio::Interest::READABLE) {
            Ok(()) => true,
            // Files and /dev/null are always ready; epoll does not accept them (EPERM).
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => false,
            Err(error) => return Err(error),
        };
        Ok(Self { file, unfinished: Vec::new(), polled, ready: !polled, ended: false })
    }

    /// Reads once and sends the lines. At the end of the input, begins to close.
    fn read(
        &mut self,
        poll: &Poll,
        stream: &mut WebSocketStream<Socket>,
        scratch: &mut Scratch,
        now: u64,
    ) -> Result<(), Box<dyn Error>> {
        let mut buffer = [0; 4096];
        let n = match self.file.read(&mut buffer) {
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                self.rearm(poll)?;
                return Ok(());
            }
            read => read?,
        };
        self.unfinished.extend_from_slice(&buffer[..n]);
        while let Some(end) = self.unfinished.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.unfinished.drain(..=end).collect();
            send(stream, scratch, now, &line[..end]);
        }
        if n > 0 {
            self.rearm(poll)?;
            return Ok(());
        }
        if !self.unfinished.is_empty() {
            send(stream, scratch, now, &self.unfinished);
        }
        (self.ended, self.ready) = (true, false);
        // If it is already closing, it continues to.
        let _ = stream.close(&mut scratch.at(now), CloseCode::NORMAL, "");
        Ok(())
    }

    /// Asks the edge-triggered poller whether there is more.
    fn rearm(&mut self, poll: &Poll) -> io::Result<()> {
        self.ready = !self.polled;
        if self.polled {
            let fd = self.file.as_raw_fd();
            poll.registry().reregister(&mut SourceFd(&fd), STDIN, mio::Interest::READABLE)?;
        }
        Ok(())
    }
}

fn send(stream: &mut WebSocketStream<Socket>, scratch: &mut Scratch, now: u64, line: &[u8]) {
    let sent = match std::str::from_utf8(line) {
        Ok(text) => stream.send(&mut scratch.at(now), text).map(drop).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(message) = sent {
        eprintln!("client: a line was not sent: {message}");
    }
}

fn since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn timeout(deadline: Option<u64>, now: u64) -> Option<Duration> {
    deadline.map(|at| Duration::from_millis(at.saturating_sub(now)))
}

fn wait(poll: &mut Poll, events: &mut Events, limit: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, limit) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        polled => polled,
    }
}
