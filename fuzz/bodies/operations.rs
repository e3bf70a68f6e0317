//! Any operations on a stream, over a transport with any faults. The stream receives what the peer sent, and
//! writes what it accepted (both are decoded by a naive reference), with and without compression, whatever
//! its transport takes, returns, refuses or breaks. Then it ends, once.

use super::reference::{CHUNK, Compression, Rules, Said, Stop, Together, read};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::Duration;
#[cfg(feature = "deflate")]
use websocket_stream::deflate::{Context, Deflate, DeflateParams, Deflaters, Window, WindowBits};
use websocket_stream::protocol::State;
use websocket_stream::transport::NonBlockingTransport;
use websocket_stream::{
    Cause, CloseCode, Closed, Config, Error, Event, Limits, Message, OpCode, Outgoing, PreparedMessage,
    ReadError, Ready, Role, Scratch, SendError, Sent, Timeouts, Wants, WebSocketStream, WriteError,
};

pub(crate) fn body(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    let mut world = World::new(input.next());
    while !input.0.is_empty() {
        world.operation(&mut input);
        world.check_sometimes();
    }
    world.finish();
}

/// The input, byte by byte, followed by zeros.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// Returns a length: usually small, sometimes beyond the size of a header, a buffer or a limit.
    fn length(&mut self) -> usize {
        let byte = usize::from(self.next());
        match byte {
            0..128 => byte,
            128..224 => (byte - 128) * 16,
            224..254 => (byte - 224) * 512,
            _ => 70_000,
        }
    }
}

/// What the peer and the system do, and what they received.
#[derive(Default)]
struct Wire {
    /// Bytes sent by the peer and not yet received.
    coming: VecDeque<u8>,
    received: Vec<u8>,
    taken: Vec<u8>,
    /// Whether the peer has ended its direction.
    ends: bool,
    /// The results of the next calls: 0 would block, 254 is interrupted, 255 breaks the transport, and any
    /// other value limits the bytes that move.
    moods: VecDeque<u8>,
    broken: bool,
    reported_end: bool,
    /// Whether a `recv` reported that the transport is broken.
    reported_broken: bool,
    shut: bool,
    refused: bool,
}

impl Wire {
    /// Returns the number of bytes that may move.
    fn mood(&mut self) -> io::Result<usize> {
        match self.moods.pop_front() {
            None => Ok(usize::MAX),
            Some(0) => Err(ErrorKind::WouldBlock.into()),
            Some(255) => {
                self.broken = true;
                Err(ErrorKind::ConnectionReset.into())
            }
            Some(254) => Err(ErrorKind::Interrupted.into()),
            Some(mood @ 1..=16) => Ok(usize::from(mood)),
            Some(mood) => Ok(usize::from(mood) * 97),
        }
    }
}

impl NonBlockingTransport for Wire {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!buffer.is_empty() && !self.reported_end && !self.reported_broken);
        // After a failed send, the stream may receive what the peer sent before; then it fails once more.
        let most = if self.broken { Err(ErrorKind::ConnectionReset.into()) } else { self.mood() };
        self.reported_broken = self.broken;
        let most = most?.min(buffer.len()).min(self.coming.len());
        if most == 0 {
            self.reported_end = self.ends;
            return if self.ends { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        for (to, from) in buffer.iter_mut().zip(self.coming.drain(..most)) {
            *to = from;
            self.received.push(from);
        }
        Ok(most)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(!self.broken, "sent on a broken transport");
        assert!(!self.shut, "sent after the end of its direction");
        assert!(!self.refused, "sent again after a refusal in this call");
        let most = match self.mood() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.refused = true;
                return Err(error);
            }
            mood => mood?.min(bytes.len()),
        };
        self.refused = most < bytes.len();
        self.taken.extend_from_slice(&bytes[..most]);
        Ok(most)
    }

    /// One call, not one for each piece: if the second one failed, the error could not be reported yet.
    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let pieces: Vec<&[u8]> = pieces.iter().map(|piece| &**piece).collect();
        self.send(&pieces.concat())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shut = true;
        Ok(())
    }
}

struct World {
    stream: WebSocketStream<Wire>,
    scratch: Scratch,
    role: Role,
    now: u64,
    /// The number of payloads made, which makes them distinct.
    made: u8,
    /// The payload bytes still allowed.
    left: usize,
    accepted: Vec<Said>,
    received: Vec<Said>,
    /// The message being received in chunks.
    together: Together,
    /// The fragments so far of a message being sent, with the opcode of the first one.
    fragments: Option<Said>,
    end: Option<Closed>,
    wants: Wants,
    keepalive: bool,
    compression: Option<Compression>,
    #[cfg(feature = "deflate")]
    peer: Peer,
    /// How much there was at the last full check.
    checked: usize,
}

/// An arbitrary start time.
const START: u64 = 1 << 40;
const UNSENT: usize = Limits::CONTROL_ROOM + 6000;

impl World {
    fn new(first: u8) -> Self {
        let role = if first & 1 == 0 { Role::Server } else { Role::Client };
        let limits = Limits::default()
            .frame(70_000)
            .message(80_000)
            .fragments(5)
            .unsent(if first & 2 == 0 { UNSENT } else { 200_000 })
            .call_bytes(if first & 4 == 0 { 64 } else { 1 << 18 })
            .call_events(if first & 8 == 0 { 3 } else { 4096 });
        let keepalive = first & 16 != 0;
        let timeouts = Timeouts::default()
            .ping_interval(keepalive.then_some(Duration::from_millis(100)))
            .idle(keepalive.then_some(Duration::from_secs(1)))
            .close(Duration::from_millis(500));
        let streaming = first & 128 != 0;
        let compression = (cfg!(feature = "deflate") && first & 32 != 0).then(|| Compression {
            window: (first & 64 != 0).then_some(if first & 4 != 0 { 15 } else { 9 }),
            chunk: if streaming { 0 } else { CHUNK },
        });
        let config = Config::default().limits(limits).timeouts(timeouts).streaming(streaming);
        let mut key = 0_u32;
        let keys = move || {
            key = key.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            key.to_be_bytes()
        };
        World {
            stream: stream(role, config, compression),
            scratch: Scratch::with_keys(Box::new(keys)),
            role,
            now: START,
            made: 0,
            left: 150_000,
            accepted: Vec::new(),
            received: Vec::new(),
            together: Together::default(),
            fragments: None,
            end: None,
            wants: Wants::READ,
            keepalive,
            compression,
            #[cfg(feature = "deflate")]
            peer: Peer::new(compression),
            checked: 0,
        }
    }

    fn rules(&self) -> Rules {
        let limits = &self.stream.config().limits;
        Rules {
            from_client: self.role == Role::Server,
            frame: limits.frame,
            message: limits.message as u64,
            fragments: limits.fragments,
            compression: self.compression,
        }
    }

    fn payload(&mut self, len: usize) -> Vec<u8> {
        self.made = self.made.wrapping_add(1);
        let len = len.min(self.left);
        self.left -= len;
        vec![b'a' + self.made % 26; len]
    }

    fn operation(&mut self, input: &mut Bytes<'_>) {
        self.stream.get_mut().refused = false;
        match input.next() % 13 {
            0 => self.peer_frame(input),
            1 => {
                for _ in 0..input.next() % 16 {
                    let byte = input.next();
                    self.peer_says(&[byte]);
                }
            }
            2 => self.stream.get_mut().ends = true,
            3 | 4 => self.drive(input),
            5 => {
                let payload = self.payload_for(input);
                let choice = input.next();
                let opcode = if choice & 1 == 0 { OpCode::Text } else { OpCode::Binary };
                match choice & 2 {
                    0 => self.send(|out, accepted| send(opcode, &payload, out, accepted)),
                    _ => self.send_prepared(opcode, &payload),
                }
            }
            6 => self.fragment(input),
            7 => {
                let mut payload = self.payload(usize::from(input.next() % 130));
                let pong = input.next() & 1 == 1;
                if pong {
                    // No ping of the peer has this payload, so no answer is mistaken for it.
                    payload.extend(b"unasked-for");
                }
                self.send(|out, accepted| {
                    let result = if pong { out.pong(&payload) } else { out.ping(&payload) };
                    assert!(payload.len() <= 125 || result.is_err());
                    result?;
                    accepted.push(if pong { Said::Pong(payload) } else { Said::Ping(payload) });
                    Ok(())
                });
            }
            8 => {
                let code = CloseCode::new(u16::from(input.next()) * 20);
                self.send(|out, accepted| {
                    out.close(code, "bye")?;
                    accepted.push(Said::Close(code.get(), "bye".into()));
                    Ok(())
                });
            }
            9 => {
                let result = self.stream.flush(&mut self.scratch.at(self.now));
                self.sent(result);
            }
            10 => {
                for _ in 0..input.next() % 16 {
                    let mood = input.next();
                    self.stream.get_mut().moods.push_back(mood);
                }
            }
            11 => self.now += u64::from(input.next()) * 8,
            _ => self.original(input),
        }
    }

    fn peer_says(&mut self, bytes: &[u8]) {
        let wire = self.stream.get_mut();
        if !wire.ends {
            wire.coming.extend(bytes);
        }
    }

    /// Adds a frame that is valid, except possibly for its first byte.
    fn peer_frame(&mut self, input: &mut Bytes<'_>) {
        let first = input.next();
        let len = input.length();
        let payload = self.payload(len);
        #[cfg(feature = "deflate")]
        let payload = self.peer.compressed(first, payload);
        let len = payload.len();
        let mask = if self.role == Role::Server { 0x80 } else { 0 };
        let mut frame = vec![first];
        match len {
            0..126 => frame.push(mask | u8::try_from(len).unwrap()),
            126..65_536 => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        if mask != 0 {
            frame.extend([1, 2, 3, self.made]);
            let key = [1, 2, 3, self.made];
            frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        } else {
            frame.extend(payload);
        }
        self.peer_says(&frame);
    }

    fn payload_for(&mut self, input: &mut Bytes<'_>) -> Vec<u8> {
        let len = input.length();
        self.payload(len)
    }

    fn drive(&mut self, input: &mut Bytes<'_>) {
        let byte = input.next();
        let ready = Ready { readable: byte & 1 != 0, writable: byte & 2 != 0, closed: byte & 4 != 0 };
        let whims = (byte >> 3) % 4;
        self.drive_with(ready, whims);
    }

    /// Whims: 0 only receives, 1 echoes, 2 fails at every event, 3 echoes and fails at every message.
    fn drive_with(&mut self, ready: Ready, whims: u8) {
        let World { stream, accepted, received, together, end, fragments, .. } = self;
        let was_closed = end.is_some();
        // Surely fits, with any header.
        let longest = stream.config().limits.unsent - Limits::CONTROL_ROOM - 14;
        let result = stream.drive(&mut self.scratch.at(self.now), ready, |event, out| {
            assert!(end.is_none(), "{event:?} after the end");
            record(event, received, together, end);
            if let (Event::Message(message), 1 | 3) = (event, whims)
                && fragments.is_none()
            {
                let result = send(message.opcode(), message.as_bytes(), out, accepted);
                match result {
                    Ok(()) | Err(SendError::Full | SendError::Closed) => {}
                    Err(SendError::TooLong) => assert!(message.as_bytes().len() > longest),
                    Err(error) => panic!("{error:?}"),
                }
            }
            match (whims, event) {
                (2, _) | (3, Event::Message(_) | Event::Chunk(_)) => Err(SendError::NotUtf8),
                _ => Ok(()),
            }
        });
        match result {
            Ok(wants) => {
                assert!(matches!(wants.refused, None | Some(SendError::NotUtf8)), "{wants:?}");
                assert!(wants.refused.is_none() || wants.again);
                self.wants = wants;
            }
            Err(_) => {
                assert!(!was_closed && matches!(self.end.map(|end| end.cause), Some(Cause::System(_))));
            }
        }
    }

    fn send(&mut self, f: impl FnOnce(&mut Outgoing<'_>, &mut Vec<Said>) -> Result<(), SendError>) {
        let World { stream, scratch, accepted, .. } = self;
        let result = stream.send_with(&mut scratch.at(self.now), |out| f(out, accepted));
        self.sent(result);
    }

    fn send_prepared(&mut self, opcode: OpCode, payload: &[u8]) {
        let message = message(opcode, payload);
        #[cfg(feature = "deflate")]
        let prepared = PreparedMessage::compressed(&mut self.scratch.at(self.now), message, &POLICY);
        #[cfg(not(feature = "deflate"))]
        let prepared = PreparedMessage::new(message);
        self.send(|out, accepted| {
            out.send_prepared(&prepared)?;
            accepted.push(said(message));
            Ok(())
        });
    }

    fn sent(&self, result: Result<Sent, Error>) {
        match result {
            Ok(Sent::Written) => assert_eq!(self.stream.unsent(), 0),
            Ok(Sent::Queued(n)) => assert_eq!(self.stream.unsent(), n),
            Err(Error::System(_)) => assert!(self.stream.get_ref().broken),
            Err(Error::Send(SendError::Closed)) => assert_ne!(self.stream.state(), State::Open),
            Err(_) => {}
        }
    }

    fn fragment(&mut self, input: &mut Bytes<'_>) {
        let payload = self.payload_for(input);
        let byte = input.next();
        let fin = byte & 1 != 0;
        let opcode = match &self.fragments {
            Some(_) => OpCode::Continuation,
            None if byte & 2 != 0 => OpCode::Text,
            None => OpCode::Binary,
        };
        let mut fragments = self.fragments.take();
        self.send(|out, accepted| {
            out.send_fragment(opcode, &payload, fin)?;
            match &mut fragments {
                None if opcode == OpCode::Text => {
                    fragments = Some(Said::Text(String::from_utf8(payload).unwrap()));
                }
                None => fragments = Some(Said::Binary(payload)),
                Some(Said::Text(text)) => text.push_str(std::str::from_utf8(&payload).unwrap()),
                Some(Said::Binary(bytes)) => bytes.extend(payload),
                Some(other) => panic!("{other:?}"),
            }
            if fin {
                accepted.extend(fragments.take());
            }
            Ok(())
        });
        self.fragments = fragments;
    }

    /// Uses the original `read` and `write`.
    fn original(&mut self, input: &mut Bytes<'_>) {
        if input.next() & 1 == 0 {
            // `read` does not report which chunk is the last.
            if self.stream.config().streaming {
                return self.drive_with(Ready::UNKNOWN, 0);
            }
            match self.stream.read() {
                Ok((opcode, payload)) => {
                    let text = || String::from_utf8(payload.clone()).unwrap();
                    self.received.push(match opcode {
                        OpCode::Text => Said::Text(text()),
                        OpCode::Binary => Said::Binary(payload),
                        OpCode::Ping => Said::Ping(payload),
                        OpCode::Pong => Said::Pong(payload),
                        OpCode::Close => match &payload[..] {
                            [] => Said::Close(1005, String::new()),
                            [high, low, reason @ ..] => {
                                let code = u16::from_be_bytes([*high, *low]);
                                Said::Close(code, String::from_utf8(reason.to_vec()).unwrap())
                            }
                            [_] => panic!("half a code"),
                        },
                        OpCode::Continuation => panic!("a fragment"),
                    });
                }
                Err(ReadError::System(_)) => assert!(self.stream.get_ref().broken),
                Err(ReadError::NoData) => assert_eq!(self.stream.partial(), None),
                Err(_) => {}
            }
            if let State::Closed(end) = self.stream.state() {
                assert!(self.end.is_none_or(|first| first == end));
                self.end = Some(end);
            }
        } else {
            let payload = self.payload_for(input);
            match self.stream.write(OpCode::Binary, &payload) {
                Ok(written) => {
                    assert!(written <= payload.len() + 14);
                    self.accepted.push(Said::Binary(payload));
                }
                Err(WriteError::System(_)) => assert!(self.stream.get_ref().broken),
                Err(_) => {}
            }
        }
    }

    /// Checks everything each time an eighth has been added, so that the total work is linear.
    fn check_sometimes(&mut self) {
        assert!(self.stream.unsent() <= self.stream.config().limits.unsent);
        let wire = self.stream.get_ref();
        let size = wire.received.len() + wire.taken.len() + self.received.len() + self.accepted.len();
        if size > self.checked + self.checked / 8 {
            self.checked = size;
            self.check();
        }
    }

    fn check(&self) {
        let wire = self.stream.get_ref();
        let (said, _) = read(&wire.received, self.rules());
        assert!(said.starts_with(&self.received), "received {:?} of {said:?}", self.received);

        let (written, stop) =
            read(&wire.taken, Rules::without_limits(self.role == Role::Client, self.compression));
        assert!(!matches!(stop, Stop::Wrong(_)), "invalid output: {stop:?}");
        let mut pings = self.received.iter().filter_map(|said| match said {
            Said::Ping(payload) => Some(payload),
            _ => None,
        });
        let mut accepted = self.accepted.iter();
        for said in &written {
            if accepted.as_slice().first() == Some(said) {
                accepted.next();
                continue;
            }
            match said {
                Said::Pong(payload) => {
                    assert!(pings.any(|ping| ping == payload), "an unsolicited pong: {payload:?}");
                }
                Said::Ping(payload) => assert!(self.keepalive && payload.is_empty()),
                // An answer, or a reported fault: the last frame, after everything that was accepted.
                Said::Close(_, reason) => {
                    assert!(reason.is_empty() && accepted.as_slice().is_empty(), "{:?}", accepted.as_slice());
                }
                other => panic!("{other:?} was never sent"),
            }
        }
    }

    /// From now on the transport has no faults, and the peer ends its direction, so the connection must end
    /// too.
    fn finish(mut self) {
        let wire = self.stream.get_mut();
        wire.moods.clear();
        wire.ends = true;
        self.wants = Wants::READ;
        self.wants.write = true;
        self.wants.again = true;
        let mut calls = 0;
        while !self.wants.closed {
            calls += 1;
            assert!(calls < 10_000, "no end: {:?}, {:?}", self.wants, self.stream.state());
            assert!(self.wants.read || self.wants.write || self.wants.again || self.end.is_none());
            self.stream.get_mut().refused = false;
            self.drive_with(Ready::UNKNOWN, 0);
            self.check_sometimes();
        }
        self.check();
        let end = self.end.expect("closed, but no end was reported");
        assert_eq!(self.stream.state(), State::Closed(end));
        let wire = self.stream.get_ref();
        let (said, stop) = read(&wire.received, self.rules());
        match end.cause {
            // It may have ended before the peer's last frames arrived.
            Cause::Timeout(_) => {}
            Cause::System(_) => assert!(wire.broken),
            cause => {
                assert_eq!(self.received, said, "{cause:?}");
                match (cause, stop) {
                    (Cause::Handshake, Stop::Closed) => {}
                    (Cause::Fault(fault), Stop::Wrong(code)) => assert_eq!(fault.close_code().get(), code),
                    (Cause::Fault(_) | Cause::EndOfStream, Stop::More { in_header: true }) => {}
                    (Cause::EndOfStream, Stop::More { .. }) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        // If no time has passed, no timeout can have passed.
        if !wire.broken && self.now == START {
            assert_eq!(self.stream.unsent(), 0);
            let (written, _) =
                read(&wire.taken, Rules::without_limits(self.role == Role::Client, self.compression));
            let missing = self.accepted.iter().filter(|said| !written.contains(said)).count();
            assert_eq!(missing, 0, "accepted, but never written");
        }
    }
}

fn send(
    opcode: OpCode,
    payload: &[u8],
    out: &mut Outgoing<'_>,
    accepted: &mut Vec<Said>,
) -> Result<(), SendError> {
    let message = message(opcode, payload);
    out.send(message)?;
    accepted.push(said(message));
    Ok(())
}

fn message(opcode: OpCode, payload: &[u8]) -> Message<'_> {
    match opcode {
        OpCode::Text => Message::Text(std::str::from_utf8(payload).unwrap()),
        _ => Message::Binary(payload),
    }
}

fn said(message: Message<'_>) -> Said {
    match message {
        Message::Text(text) => Said::Text(text.into()),
        Message::Binary(bytes) => Said::Binary(bytes.into()),
    }
}

#[cfg(feature = "deflate")]
const POLICY: Deflate = Deflate::DEFAULT.threshold(16);

#[cfg(feature = "deflate")]
fn stream(role: Role, config: Config, compression: Option<Compression>) -> WebSocketStream<Wire> {
    let config = Arc::new(config.deflate(Some(POLICY)));
    let stream = WebSocketStream::with_config(Wire::default(), role, config).unwrap();
    match compression {
        None => stream,
        Some(Compression { window, .. }) => {
            let bits = WindowBits::new(window.unwrap_or(15)).unwrap();
            let context = Context::new(bits, window.is_some());
            stream.with_deflate(DeflateParams { server: context, client: context })
        }
    }
}

#[cfg(not(feature = "deflate"))]
fn stream(role: Role, config: Config, _: Option<Compression>) -> WebSocketStream<Wire> {
    WebSocketStream::with_config(Wire::default(), role, Arc::new(config)).unwrap()
}

/// The state that the peer needs to compress.
#[cfg(feature = "deflate")]
struct Peer {
    deflaters: Deflaters,
    keeps_window: bool,
    sent: Window,
    /// Whether a compressed message of the peer is unfinished.
    fragmenting: bool,
}

#[cfg(feature = "deflate")]
impl Peer {
    fn new(compression: Option<Compression>) -> Self {
        let window = compression.and_then(|compression| compression.window);
        let sent = Window::new(WindowBits::new(window.unwrap_or(15)).unwrap());
        Self { deflaters: Deflaters::new(), keeps_window: window.is_some(), sent, fragmenting: false }
    }

    /// Returns the payload of a frame: compressed if its first byte asks for that and it gets smaller;
    /// otherwise possibly bytes that no compressor makes.
    fn compressed(&mut self, first: u8, payload: Vec<u8>) -> Vec<u8> {
        let fin = first & 128 != 0;
        let made = match first & 0x7F {
            0x41 | 0x42 if fin => self.deflaters.deflate_after(&payload, &mut self.sent, 5),
            0x41 | 0x42 => {
                let made = self.deflaters.deflate_first(&payload, &mut self.sent, 5);
                self.fragmenting = made.is_some();
                made
            }
            0 if self.fragmenting => {
                self.fragmenting = !fin;
                Some(self.deflaters.deflate_next(&payload, fin, &mut self.sent, 5))
            }
            _ => return payload,
        };
        let made = made.map(<[u8]>::to_vec);
        if fin && !self.keeps_window {
            self.sent = Window::new(self.sent.bits());
        }
        made.unwrap_or(payload)
    }
}

fn record(event: Event<'_>, received: &mut Vec<Said>, together: &mut Together, end: &mut Option<Closed>) {
    received.push(match event {
        Event::Message(Message::Text(text)) => Said::Text(text.into()),
        Event::Message(Message::Binary(bytes)) => Said::Binary(bytes.into()),
        Event::Chunk(chunk) => match together.add(chunk) {
            Some(message) => message,
            None => return,
        },
        Event::Ping(payload) => Said::Ping(payload.into()),
        Event::Pong(payload) => Said::Pong(payload.into()),
        Event::Close(frame) => Said::Close(frame.code.get(), frame.reason.into()),
        Event::Closed(closed) => {
            assert!(end.replace(closed).is_none(), "a second end");
            return;
        }
        other => panic!("{other:?}"),
    });
}
