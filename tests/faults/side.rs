//! One end of a conversation: the items that it sent and received, and whether they are consistent.

use super::watched::Watched;
use rand::RngExt;
use rand::rngs::StdRng;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use websocket_stream::protocol::State;
use websocket_stream::{
    Cause, CloseCode, Closed, Error, Event, Initiator, Limits, Message, OpCode, Outgoing, ReadError, Ready,
    Scratch, SendError, Sent, Wants, WebSocketStream,
};

/// An item that one end sends to the other, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(CloseCode, String),
}

/// How a program uses its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Style {
    Drive,
    TryDrive,
    /// `read` and `write`.
    Original,
}

/// All that a side received and did.
pub(crate) struct Record {
    pub(crate) random: StdRng,
    limits: Limits,
    /// The largest payload that it sends.
    largest: usize,
    /// How many more items it sends, unprompted or as answers.
    pub(crate) left: u32,
    pub(crate) misbehaves: bool,
    made: usize,
    pub(crate) accepted: Vec<Item>,
    pub(crate) received: Vec<Item>,
    pub(crate) pings: Vec<Vec<u8>>,
    pub(crate) pongs: Vec<Vec<u8>>,
    /// The fragments sent so far of an unfinished message.
    fragments: Option<Item>,
    pub(crate) closed: Option<CloseCode>,
    pub(crate) received_close: bool,
    pub(crate) system_error: bool,
    pub(crate) end: Option<Closed>,
}

pub(crate) struct Side {
    pub(crate) stream: Option<WebSocketStream<Watched>>,
    pub(crate) wants: Wants,
    style: Style,
    pub(crate) record: Record,
}

/// Why a handler failed.
#[derive(Debug)]
enum Whim {
    Own,
    Send(#[allow(dead_code, reason = "for the panic's message")] SendError),
    System,
}

impl From<std::io::Error> for Whim {
    fn from(_: std::io::Error) -> Self {
        Whim::System
    }
}

/// The value that a handler panics with.
struct Thrown;

impl Record {
    pub(crate) fn new(random: StdRng, limits: Limits, left: u32, largest: usize, misbehaves: bool) -> Self {
        Record {
            random,
            limits,
            largest,
            left,
            misbehaves,
            made: 0,
            accepted: Vec::new(),
            received: Vec::new(),
            pings: Vec::new(),
            pongs: Vec::new(),
            fragments: None,
            closed: None,
            received_close: false,
            system_error: false,
            end: None,
        }
    }

    /// Makes a distinct payload, so that a lost, repeated or exchanged one is noticed.
    pub(crate) fn make(&mut self) -> Item {
        self.made += 1;
        let n = self.made;
        let len = match self.random.random_range(0..10) {
            0 => 0,
            1..=6 => self.random.random_range(1..60),
            7 | 8 => self.random.random_range(100..700),
            _ => self.random.random_range(1..=self.largest),
        };
        if self.random.random() {
            let mut text = format!("{n} ");
            text.extend("aé€😀".chars().cycle().skip(n % 4).take(len / 3));
            Item::Text(text)
        } else {
            Item::Binary((0..len).map(|i| ((n * 31 + i * 7) % 251).to_le_bytes()[0]).collect())
        }
    }

    pub(crate) fn small(&mut self, kind: u8) -> Vec<u8> {
        self.made += 1;
        let mut payload = self.made.to_be_bytes().to_vec();
        payload[0] = kind;
        payload.resize(self.random.random_range(8..=125), 7);
        payload
    }

    /// Checks whether a send may have had this result.
    fn judge(&self, size: usize, unsent: usize, status: State, result: Result<(), SendError>) {
        match result {
            Ok(()) => assert!(self.closed.is_none() && self.end.is_none()),
            Err(SendError::Closed) => assert!(status != State::Open),
            Err(SendError::Full) => {
                let bound = self.limits.unsent.saturating_sub(Limits::CONTROL_ROOM);
                assert!(unsent + size + 14 > bound, "refused with {unsent} bytes unsent and {size} to send");
                assert!(size < bound, "{size} never fits");
            }
            Err(SendError::TooLong) => {
                let bound = self.limits.unsent.saturating_sub(Limits::CONTROL_ROOM);
                assert!(size + 14 > bound, "{size} bytes fit when fewer are unsent");
            }
            Err(SendError::MessageUnfinished | SendError::NoMessageBegun) => {
                assert!(self.fragments.is_some())
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Sends one random item.
    fn say(&mut self, out: &mut Outgoing<'_>) -> Result<(), SendError> {
        match self.random.random_range(0..20) {
            0 | 1 => {
                let payload = self.small(b'i');
                let result = out.ping(&payload);
                self.judge(125, out.unsent(), out.state(), result);
                self.accept(result, Item::Ping(payload))
            }
            2 => {
                let payload = self.small(b'o');
                let result = out.pong(&payload);
                self.judge(125, out.unsent(), out.state(), result);
                self.accept(result, Item::Pong(payload))
            }
            3..=6 => self.say_fragment(out),
            _ => {
                let item = self.make();
                let (unsent, status) = (out.unsent(), out.state());
                let (size, result) = match &item {
                    Item::Text(text) => (text.len(), out.send(&text[..])),
                    Item::Binary(bytes) => (bytes.len(), out.send(&bytes[..])),
                    _ => unreachable!(),
                };
                self.judge(size, unsent.max(out.unsent()), status, result);
                self.accept(result, item)
            }
        }
    }

    fn say_fragment(&mut self, out: &mut Outgoing<'_>) -> Result<(), SendError> {
        let piece = self.make();
        let (unsent, status) = (out.unsent(), out.state());
        let fin = self.random.random_range(0..3) == 0;
        let (opcode, bytes) = match (&self.fragments, &piece) {
            (None, Item::Text(text)) => (OpCode::Text, text.as_bytes()),
            (None, Item::Binary(bytes)) => (OpCode::Binary, &bytes[..]),
            // A text message continues with text, a binary message with either kind.
            (Some(Item::Text(_)), Item::Binary(_)) => return Ok(()),
            (Some(_), Item::Text(text)) => (OpCode::Continuation, text.as_bytes()),
            (Some(_), Item::Binary(bytes)) => (OpCode::Continuation, &bytes[..]),
            _ => unreachable!(),
        };
        let result = out.send_fragment(opcode, bytes, fin);
        self.judge(bytes.len(), unsent.max(out.unsent()), status, result);
        result?;
        let whole = match (self.fragments.take(), piece) {
            (None, piece) => piece,
            (Some(Item::Text(begun)), Item::Text(text)) => Item::Text(begun + &text),
            (Some(Item::Binary(begun)), Item::Binary(bytes)) => Item::Binary([begun, bytes].concat()),
            (Some(Item::Binary(begun)), Item::Text(text)) => {
                Item::Binary([begun, text.into_bytes()].concat())
            }
            _ => unreachable!(),
        };
        match fin {
            true => self.accepted.push(whole),
            false => self.fragments = Some(whole),
        }
        Ok(())
    }

    fn accept(&mut self, result: Result<(), SendError>, item: Item) -> Result<(), SendError> {
        if result.is_ok() {
            if let Item::Ping(payload) = &item {
                self.pings.push(payload.clone());
            }
            self.accepted.push(item);
        }
        result
    }

    fn close(&mut self, out: &mut Outgoing<'_>) -> Result<(), SendError> {
        let code = CloseCode::new(*[1000, 1001, 3000, 4999].get(self.random.random_range(0..4)).unwrap());
        let status = out.state();
        let result = out.close(code, "enough");
        self.judge(0, 0, status, result);
        if result.is_ok() {
            self.closed = Some(code);
        }
        self.accept(result, Item::Close(code, "enough".into()))
    }

    fn add(&mut self, event: Event<'_>) {
        assert_eq!(self.end, None, "{event:?} after the end");
        assert!(!self.received_close || matches!(event, Event::Closed(_)), "{event:?} after Close");
        match event {
            Event::Message(Message::Text(text)) => self.received.push(Item::Text(text.into())),
            Event::Message(Message::Binary(bytes)) => self.received.push(Item::Binary(bytes.into())),
            // Sent by the keepalive.
            Event::Ping([]) | Event::Pong([]) => {}
            Event::Ping(payload) => self.received.push(Item::Ping(payload.into())),
            Event::Pong(payload) if self.pings.iter().any(|ping| ping == payload) => {
                self.pongs.push(payload.into());
            }
            Event::Pong(payload) => self.received.push(Item::Pong(payload.into())),
            Event::Close(frame) => {
                self.received_close = true;
                self.received.push(Item::Close(frame.code, frame.reason.into()));
            }
            Event::Closed(end) => self.end = Some(end),
            other => panic!("{other:?}"),
        }
    }

    /// A handler that sometimes answers, and sometimes fails or panics.
    fn handle(&mut self, event: Event<'_>, out: &mut Outgoing<'_>) -> Result<(), Whim> {
        self.add(event);
        if self.left > 0 && self.random.random_range(0..3) == 0 {
            self.left -= 1;
            if let (Event::Message(message), true) = (event, self.random.random()) {
                // Echoed while it is borrowed.
                let (unsent, status) = (out.unsent(), out.state());
                let result = out.send(message);
                self.judge(message.as_bytes().len(), unsent.max(out.unsent()), status, result);
                let item = self.received.last().unwrap().clone();
                let _ = self.accept(result, item);
            } else {
                let _ = self.say(out);
            }
        }
        if self.misbehaves {
            match self.random.random_range(0..40) {
                0..3 => return Err(Whim::Own),
                3 => resume_unwind(Box::new(Thrown)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The close code with which its end reported a fault of the peer.
    fn fault_code(&self) -> Option<CloseCode> {
        match self.end.map(|end| end.cause) {
            Some(Cause::Fault(fault)) => Some(fault.close_code()),
            _ => None,
        }
    }

    /// Checks that the items received are the peer's items, in order. Returns how many of them arrived.
    pub(crate) fn check_received(&self, peer: &Record, accepted: usize) -> usize {
        let mut received = &self.received[..];
        // A Close frame that the peer's end sent automatically is not one of the peer's items: it answers
        // another Close frame, or reports a fault.
        if self.received_close
            && peer.closed.is_none()
            && let [before @ .., Item::Close(code, reason)] = received
        {
            received = before;
            let expected = if peer.fault_code().is_some() { "" } else { "enough" };
            assert_eq!((Some(*code), &reason[..]), (peer.fault_code().or(self.closed), expected));
        }
        let accepted = &peer.accepted[..accepted];
        assert!(received.len() <= accepted.len(), "received more than was sent");
        for (n, (received, said)) in received.iter().zip(accepted).enumerate() {
            assert!(received == said, "received item {n} {} instead of {}", brief(received), brief(said));
        }
        let mut pings = self.pings.iter();
        for pong in &self.pongs {
            assert!(pings.any(|ping| ping == pong), "a pong twice, or out of order");
        }
        received.len()
    }

    fn system(&mut self) {
        self.system_error = true;
    }
}

impl Side {
    pub(crate) fn new(
        stream: WebSocketStream<Watched>,
        style: Style,
        random: StdRng,
        left: u32,
        largest: usize,
        misbehaves: bool,
    ) -> Self {
        let limits = stream.config().limits.clone();
        let record = Record::new(random, limits, left, largest, misbehaves);
        let mut wants = Wants::READ;
        wants.again = true;
        Side { stream: Some(stream), wants, style, record }
    }

    /// What a level-triggered poller would report now; `None` for nothing.
    pub(crate) fn wanted(&self) -> Option<Ready> {
        let (readable, writable) = self.stream.as_ref()?.get_ref().readiness();
        let readable = readable && self.wants.read;
        let writable = writable && self.wants.write;
        let ready = Ready { readable: readable || self.wants.again, writable, ..Ready::NONE };
        (ready.readable || ready.writable).then_some(ready)
    }

    pub(crate) fn next_deadline(&self, now: u64) -> Option<u64> {
        self.stream.as_ref()?.next_deadline(now)
    }

    pub(crate) fn state(&self) -> Option<State> {
        Some(self.stream.as_ref()?.state())
    }

    /// Makes an event loop's call.
    pub(crate) fn drive(&mut self, scratch: &mut Scratch, now: u64, ready: Ready) {
        let Some(stream) = &mut self.stream else { return };
        stream.get_mut().refused = false;
        if self.style == Style::Original {
            return self.read();
        }
        let was_closed = self.record.end.is_some();
        let record = &mut self.record;
        let turn = &mut scratch.at(now);
        let result = catch_unwind(AssertUnwindSafe(|| match self.style {
            Style::Drive => stream
                .drive(turn, ready, |event, out| match record.handle(event, out) {
                    Err(Whim::Own) => Err(SendError::NotUtf8),
                    other => {
                        other.unwrap();
                        Ok(())
                    }
                })
                .map_err(|_| Whim::System)
                .and_then(|wants| match wants.refused {
                    None => Ok(wants),
                    Some(SendError::NotUtf8) if wants.again => Err(Whim::Own),
                    Some(other) => Err(Whim::Send(other)),
                }),
            _ => stream.try_drive(turn, ready, |event, out| record.handle(event, out)),
        }));
        match result {
            Ok(Ok(wants)) => self.wants = wants,
            Ok(Err(Whim::System)) => {
                self.record.system();
                assert!(!was_closed, "an error after the end");
                let end = self.record.end.expect("an error, but no end");
                assert!(matches!(end.cause, Cause::System(_)), "{end}");
                self.wants.again = true;
            }
            Ok(Err(Whim::Own)) => self.wants.again = true,
            Ok(Err(other)) => panic!("{other:?}"),
            Err(thrown) => match thrown.downcast::<Thrown>() {
                Ok(_) => self.wants.again = true,
                Err(panic) => resume_unwind(panic),
            },
        }
        self.after_call();
    }

    /// Receives in the original style, until nothing is left.
    fn read(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        self.wants = Wants::READ;
        loop {
            stream.get_mut().refused = false;
            match stream.read() {
                Ok((opcode, payload)) => self.record.add(match opcode {
                    OpCode::Text => Event::Message(Message::Text(std::str::from_utf8(&payload).unwrap())),
                    OpCode::Binary => Event::Message(Message::Binary(&payload)),
                    OpCode::Ping => Event::Ping(&payload),
                    OpCode::Pong => Event::Pong(&payload),
                    OpCode::Close => Event::Close(close_frame(&payload)),
                    OpCode::Continuation => panic!("a fragment"),
                }),
                Err(ReadError::NoData) => {
                    assert_eq!(stream.partial(), None);
                    break;
                }
                Err(ReadError::DataStop) => break,
                Err(ReadError::Closed(end)) => {
                    if let State::Closed(closed) = stream.state() {
                        assert_eq!(end, closed);
                        let first = self.record.end.is_none();
                        if first {
                            self.record.end = Some(closed);
                        }
                        self.wants.closed = stream.unsent() == 0 || matches!(closed.cause, Cause::System(_));
                    }
                    break;
                }
                Err(ReadError::System(_)) => {
                    self.record.system();
                    self.wants.again = true;
                    break;
                }
                Err(other) => panic!("{other}"),
            }
        }
        self.wants.write = stream.unsent() > 0;
        self.after_call();
    }

    /// Sends one item outside of a handler.
    pub(crate) fn say(&mut self, scratch: &mut Scratch, now: u64, close: bool) {
        let Some(stream) = &mut self.stream else { return };
        stream.get_mut().refused = false;
        let record = &mut self.record;
        record.left = record.left.saturating_sub(1);
        if self.style == Style::Original && !close && record.fragments.is_none() {
            return self.write();
        }
        let several = record.random.random_range(1..4);
        let result = stream.send_with(&mut scratch.at(now), |out| {
            if close {
                return record.close(out);
            }
            for _ in 0..several {
                record.say(out)?;
            }
            Ok(())
        });
        self.sent(result);
    }

    pub(crate) fn flush(&mut self, scratch: &mut Scratch, now: u64) {
        let Some(stream) = &mut self.stream else { return };
        stream.get_mut().refused = false;
        let result = stream.flush(&mut scratch.at(now));
        self.sent(result);
    }

    fn sent(&mut self, result: Result<Sent, Error>) {
        match result {
            Ok(Sent::Written) => assert_eq!(self.stream.as_ref().unwrap().unsent(), 0),
            Ok(Sent::Queued(n)) => {
                assert_eq!(self.stream.as_ref().unwrap().unsent(), n);
                self.wants.write = true;
            }
            // Checked in the handler that made it; earlier sends of this call may be queued.
            Err(Error::Send(_)) => self.wants.write |= self.stream.as_ref().unwrap().unsent() > 0,
            Err(Error::System(_)) => {
                self.record.system();
                self.wants.again = true;
            }
            Err(other) => panic!("{other}"),
        }
        self.after_call();
    }

    /// Sends in the original style.
    fn write(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let record = &mut self.record;
        let (unsent, status) = (stream.unsent(), stream.state());
        let item = record.make();
        let (size, result) = match &item {
            Item::Text(text) => (text.len(), stream.write(OpCode::Text, text.as_bytes())),
            Item::Binary(bytes) => (bytes.len(), stream.write(OpCode::Binary, bytes)),
            _ => unreachable!(),
        };
        match result {
            Ok(written) => {
                assert!(written <= size + 14);
                assert!(written > size || stream.unsent() > 0);
                record.judge(size, unsent, status, Ok(()));
                let _ = record.accept(Ok(()), item);
            }
            Err(websocket_stream::WriteError::Refused(error)) => {
                record.judge(size, unsent, status, Err(error));
            }
            Err(_) => {
                record.system();
                self.wants.again = true;
            }
        }
        self.wants.write = stream.unsent() > 0;
        self.after_call();
    }

    fn after_call(&mut self) {
        let Some(stream) = &self.stream else { return };
        let unsent = stream.unsent();
        assert!(unsent <= self.record.limits.unsent, "{unsent} bytes are unsent");
        if self.wants.closed {
            let end = self.record.end.expect("closed, but no end was reported");
            assert_eq!(stream.state(), State::Closed(end));
            let parts = self.stream.take().unwrap().into_parts();
            if end.is_clean() {
                assert!(parts.unread.is_empty());
            }
        } else if self.record.end.is_none() && self.style != Style::Original {
            // A program that follows only `Wants` makes progress: an unsent byte asks for a call.
            assert!(self.wants.write || self.wants.again || unsent == 0, "{:?}", self.wants);
        }
    }

    /// Checks that the events match what the peer did.
    pub(crate) fn check(&self, peer: &Record, accepted: usize) {
        let record = &self.record;
        let end = record.end.expect("no end was reported");
        let received = record.check_received(peer, accepted);
        if end.is_clean() {
            assert!(record.received_close);
            assert_eq!(received, accepted, "a clean end, but items are missing");
            match end.by {
                Initiator::Local => assert_eq!(Some(end.code), record.closed),
                Initiator::Peer => assert_eq!(Some(end.code), peer.closed.or(peer.fault_code())),
                Initiator::Transport => panic!("a closing handshake that nobody began"),
            }
        }
        if matches!(end.cause, Cause::System(_)) {
            // If the call in which the transport failed had a message or a handler's error to report, only
            // the end reports the failure.
            let otherwise = record.misbehaves || self.style == Style::Original;
            assert!(record.system_error || otherwise, "a system error that no call reported");
        }
    }
}

fn brief(item: &Item) -> String {
    let text = format!("{item:?}");
    text.chars().take(80).collect()
}

fn close_frame(payload: &[u8]) -> websocket_stream::CloseFrame<'_> {
    let [high, low, reason @ ..] = payload else {
        return websocket_stream::CloseFrame { code: CloseCode::NO_STATUS, reason: "" };
    };
    let code = CloseCode::new(u16::from_be_bytes([*high, *low]));
    websocket_stream::CloseFrame { code, reason: std::str::from_utf8(reason).unwrap() }
}
