//! tungstenite as the other end: the items that it sent and received.

use super::side::{Item, Record, Side};
use super::watched::Watched;
use super::{Plan, choose};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use tungstenite::protocol::frame::coding::CloseCode as TheirCode;
use tungstenite::protocol::{CloseFrame, Role as TheirRole, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};
use websocket_stream::protocol::State;
use websocket_stream::transport::NonBlockingTransport;
use websocket_stream::transport::testing::faulty::{Disaster, Faulty};
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{CloseCode, PauseReading, Ready, Role, Scratch, WebSocketStream};

/// The transport of tungstenite's end.
struct Wire(Faulty<MemoryStream>);

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Theirs {
    /// `None` once it is over.
    socket: Option<WebSocket<Wire>>,
    record: Record,
    /// Whether its read reported that both ends have closed; its own Close frame may still be unsent.
    closing: bool,
    clean: bool,
}

impl Theirs {
    /// Handles the result of a call. Returns its value if the call completed.
    fn after<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
            Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
            Err(Error::ConnectionClosed) => self.closing = true,
            // The connection is over for tungstenite too, but not cleanly.
            Err(Error::Io(_) | Error::Protocol(_)) => self.socket = None,
            Err(other) => panic!("{other}"),
        }
        None
    }

    fn say(&mut self, close: bool) {
        let Some(socket) = &mut self.socket else { return };
        self.record.left = self.record.left.saturating_sub(1);
        if !socket.can_write() {
            return;
        }
        let (item, result) = if close {
            let code = CloseCode::new(4000);
            self.record.closed = Some(code);
            let frame = CloseFrame { code: TheirCode::from(4000), reason: "enough".into() };
            (Item::Close(code, "enough".into()), socket.close(Some(frame)))
        } else if self.record.random.random_range(0..8) == 0 {
            let payload = self.record.small(b't');
            self.record.pings.push(payload.clone());
            (Item::Ping(payload.clone()), socket.write(Message::Ping(payload.into())))
        } else {
            let item = self.record.make();
            let message = match &item {
                Item::Text(text) => Message::text(text.as_str()),
                Item::Binary(bytes) => Message::binary(bytes.clone()),
                _ => unreachable!(),
            };
            (item, socket.write(message))
        };
        // tungstenite keeps bytes that would block and sends them at the next flush.
        self.record.accepted.push(item);
        self.after(result);
        self.flush();
    }

    fn flush(&mut self) {
        if let Some(socket) = &mut self.socket {
            let result = socket.flush();
            self.after(result);
        }
    }

    /// Reads everything available, and answers.
    fn pump(&mut self) {
        loop {
            self.flush();
            if self.closing {
                return self.finish();
            }
            let Some(socket) = &mut self.socket else { return };
            let result = socket.read();
            match self.after(result) {
                Some(message) => self.receive(message),
                None if self.closing => return self.finish(),
                None => return,
            }
        }
    }

    /// Both ends have closed: sends what is still in its buffer, then drops its transport.
    fn finish(&mut self) {
        let Some(socket) = &mut self.socket else { return };
        match socket.flush() {
            Ok(()) | Err(Error::ConnectionClosed) => (self.clean, self.socket) = (true, None),
            other => _ = self.after(other),
        }
    }

    fn receive(&mut self, message: Message) {
        assert!(!self.record.received_close, "{message:?} after Close");
        let record = &mut self.record;
        match message {
            Message::Text(text) => record.received.push(Item::Text(text.to_string())),
            Message::Binary(bytes) => record.received.push(Item::Binary(bytes.to_vec())),
            // Sent by the keepalive.
            Message::Ping(payload) if payload.is_empty() => {}
            Message::Ping(payload) => record.received.push(Item::Ping(payload.to_vec())),
            Message::Pong(payload) if record.pings.iter().any(|ping| ping[..] == payload[..]) => {
                record.pongs.push(payload.to_vec());
            }
            Message::Pong(payload) => record.received.push(Item::Pong(payload.to_vec())),
            Message::Close(frame) => {
                record.received_close = true;
                let frame = frame.expect("our Close frames have a code");
                let code = CloseCode::new(frame.code.into());
                record.received.push(Item::Close(code, frame.reason.to_string()));
            }
            other => panic!("{other:?}"),
        }
    }

    /// Returns whether a poller would report its socket now.
    fn wanted(&self) -> bool {
        let Some(socket) = &self.socket else { return false };
        let wire = &socket.get_ref().0;
        wire.happened() != Some(Disaster::Silence) && wire.get_ref().is_none_or(MemoryStream::is_readable)
    }
}

/// A conversation between one of our ends, in either role, and tungstenite's.
pub(crate) fn with_tungstenite(seed: u64, scratch: &mut Scratch) {
    let random = &mut StdRng::seed_from_u64(seed);
    let plan = Plan::draw(random);
    let capacity = if plan.large { &[5_000, 1 << 20][..] } else { &[7, 90, 3_000, 1 << 16][..] };
    let (a, b) = memory::pair(choose(random, capacity));
    let [mut ours, mut theirs] =
        [a, b].map(|inner| Faulty::new(inner, random.random()).weather(plan.weather(random)));
    if let Some(disaster) = plan.disaster {
        let after = random.random_range(0..150);
        let victim = if random.random() { &mut ours } else { &mut theirs };
        *victim = std::mem::replace(victim, Faulty::new(memory::pair(0).0, 0)).disaster(after, disaster);
    }
    let (role, their_role) = match random.random() {
        true => (Role::Server, TheirRole::Client),
        false => (Role::Client, TheirRole::Server),
    };
    let mut config = plan.config(random);
    // tungstenite may not read while it has something to write.
    config.limits.pause_reading = PauseReading::Never;
    let config = Arc::new(config);
    let stream = WebSocketStream::with_config(Watched::new(ours), role, config).unwrap();
    let (left, their_left) = match plan.large {
        true => (6, 6),
        false => (random.random_range(0..15), random.random_range(0..15)),
    };
    let limits = stream.config().limits.clone();
    let [own, their_own] = [(); 2].map(|()| StdRng::seed_from_u64(random.random()));
    let mut ours = Side::new(stream, plan.styles[0], own, left, plan.largest(), plan.misbehaves);
    // This buffer is cleared for each read: with the default of 128 KiB, clearing would dominate the run
    // time.
    let their_config = WebSocketConfig::default().read_buffer_size(4096);
    let record = Record::new(their_own, limits, their_left, plan.largest(), false);
    let mut theirs = Theirs {
        socket: Some(WebSocket::from_raw_socket(Wire(theirs), their_role, Some(their_config))),
        record,
        closing: false,
        clean: false,
    };
    let silence = plan.disaster == Some(Disaster::Silence);
    let mut now = 1_000;
    let mut steps = 0;
    while ours.stream.is_some() {
        steps += 1;
        assert!(steps < 500_000, "the conversation does not end");
        now += random.random_range(0..3);
        match random.random_range(0..10) {
            0 if ours.record.left > 0 => ours.say(scratch, now, random.random_range(0..30) == 0),
            1 if theirs.record.left > 0 => theirs.say(random.random_range(0..30) == 0),
            2 => ours.flush(scratch, now),
            3 => ours.drive(scratch, now, choose(random, &[Ready::UNKNOWN, Ready::NONE])),
            4..7 => theirs.pump(),
            _ => match ours.wanted() {
                Some(ready) => ours.drive(scratch, now, ready),
                None if theirs.wanted() || ours.record.left > 0 || theirs.record.left > 0 => {}
                None => {
                    theirs.pump();
                    if ours.wanted().is_some() {
                        continue;
                    }
                    // Neither end has anything to do: one of them closes, or time passes.
                    if theirs.socket.as_ref().is_some_and(|socket| socket.can_write()) && random.random() {
                        theirs.say(true);
                    } else if ours.state() == Some(State::Open) && !silence {
                        ours.say(scratch, now, true);
                    } else if let Some(due) = ours.next_deadline(now).filter(|_| silence) {
                        now = due.max(now);
                        ours.drive(scratch, now, Ready::NONE);
                    }
                }
            },
        }
        // A dropped socket of theirs sends nothing more.
        if theirs.socket.is_none() {
            theirs.record.left = 0;
        }
    }
    // tungstenite still reads our last frames and our end of stream, unless it cannot.
    while theirs.wanted() {
        steps += 1;
        assert!(steps < 500_000, "their conversation does not end");
        theirs.pump();
    }

    ours.check(&theirs.record, theirs.record.accepted.len());
    let received = theirs.record.check_received(&ours.record, ours.record.accepted.len());
    if plan.disaster.is_none() {
        assert_eq!(received, ours.record.accepted.len(), "tungstenite did not receive all of our items");
        let end = ours.record.end.unwrap();
        assert!(end.is_clean(), "{end}");
        assert!(theirs.clean, "our end is clean, but theirs is not");
    }
}
