//! The protocol's entry point: a connection without I/O.
#![forbid(unsafe_code)]

use super::close::{self, Closing};
use super::deflate::{InflateContext, KeptWindows, PackedParams, extension_bits};
use super::input::Lent;
use super::millis32::Millis32;
use super::payload::Payload;
use super::receive::{Expected, ReceiveContext, Received, Receiver, WholeFrame};
use super::{
    Cause, Chunk, Closed, Config, Event, Fault, Initiator, Input, Message, Output, Role, SystemError,
};
use crate::config::{SharedConfig, millis};
use crate::frame::{CloseCode, Header, OpCode, mask, utf8};
use alloc::sync::Arc;
use core::ops::Range;

/// A WebSocket connection without I/O.
///
/// Takes received bytes, and returns events and the bytes to send. For io_uring, streams inside HTTP/2, tests
/// and fuzzers; for a socket, see `WebSocketStream`. The opening handshake must already be complete.
///
/// ```
/// use websocket_stream::protocol::{Connection, Event, Input, Message, Output, Role};
///
/// let mut server = Connection::new(Role::Server);
/// let (mut input, mut output) = (Input::default(), Output::new());
///
/// // RFC 6455, section 5.7: a single-frame masked text message, "Hello".
/// input.extend(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// while let Some(event) = server.receive(&mut input, &mut output) {
///     if let Event::Message(message) = event {
///         assert_eq!(message, Message::Text("Hello"));
///         server.send(message, &mut output)?;
///     }
/// }
/// assert_eq!(output.as_bytes(), b"\x81\x05Hello");
/// # Ok::<(), websocket_stream::SendError>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    receiver: Receiver,
    config: SharedConfig,
    pub(super) closing: Closing,
    /// When the peer was last active, while the connection is open; when closing began, afterwards. `None`
    /// until a call has a time.
    pub(super) timer_start: Option<Millis32>,
    pub(super) role: Role,
    /// A fragmented message is being sent.
    pub(super) fragmenting: bool,
    /// A ping was sent after a silence, and no bytes have arrived since.
    pub(super) pinged: bool,
    /// The negotiated compression, if any.
    pub(super) deflate_params: Option<PackedParams>,
    pub(super) kept_windows: KeptWindows,
}

/// The state of a connection.
///
/// ```
/// use websocket_stream::{CloseCode, Scratch, State, testing};
///
/// let (mut server, mut client) = testing::open_pair(4096)?;
/// let mut scratch = Scratch::new();
/// assert_eq!(client.state(), State::Open);
/// client.close(&mut scratch.at(0), CloseCode::NORMAL, "")?;
/// assert_eq!(client.state(), State::Closing);
/// testing::pump(&mut scratch.at(0), &mut server, |_, _| Ok(()), &mut client, |_, _| Ok(()))?;
/// let State::Closed(end) = client.state() else { panic!() };
/// assert!(end.is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Messages can be sent and received.
    Open,
    /// This end has sent a Close frame. Messages can still arrive until the peer's Close frame does.
    Closing,
    /// Nothing more is received. Send the remaining bytes, end the sending direction, then read until the end
    /// of the peer's stream, which causes [`Event::Closed`]. After a closing handshake, a client waits for
    /// the server to end its direction first (RFC 6455, section 7.1.1).
    Draining(Closed),
    /// [`Event::Closed`] was returned.
    Closed(Closed),
}

impl Connection {
    /// Creates an open connection with the default configuration.
    pub fn new(role: Role) -> Self {
        Self::from_shared(role, SharedConfig::default())
    }

    /// Creates an open connection with a configuration that other connections can share.
    pub fn with_config(role: Role, config: Arc<Config>) -> Self {
        Self::from_shared(role, SharedConfig::from(config))
    }

    pub(crate) fn from_shared(role: Role, config: SharedConfig) -> Self {
        Self {
            receiver: Receiver::default(),
            config,
            closing: Closing::Open,
            timer_start: None,
            role,
            fragmenting: false,
            pinged: false,
            deflate_params: None,
            kept_windows: KeptWindows::default(),
        }
    }

    /// Returns the configuration.
    #[inline]
    pub fn config(&self) -> &Config {
        self.config.get()
    }

    #[inline]
    pub(crate) fn shared_config(&self) -> &SharedConfig {
        &self.config
    }

    /// Returns the role of this end.
    #[inline]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns the state.
    #[inline]
    pub fn state(&self) -> State {
        match self.closing {
            Closing::Open => State::Open,
            Closing::CloseSent(_) => State::Closing,
            Closing::Draining(end) => State::Draining(end),
            Closing::Closed(end) => State::Closed(end),
        }
    }

    /// Receives the next event, and writes automatic replies to the output.
    ///
    /// The replies are pongs, the answer to a Close frame, and the Close frame that reports a fault to the
    /// peer. A Close frame follows everything that was accepted before.
    ///
    /// `None` means that all input was used. The event borrows its bytes from the input, so a reply can be
    /// sent while the event is in use.
    pub fn receive<'a>(&mut self, input: &'a mut Input, output: &mut Output) -> Option<Event<'a>> {
        if !input.unread().is_empty() {
            self.on_bytes_received(output.now());
        }
        let whole = self.next_whole(input, self.config().whole_bound());
        let Some(whole) =
            whole.filter(|whole| input.unread().len() >= whole.header.saturating_add(whole.payload))
        else {
            // Most calls end here, after two short checks.
            let is_used_up = input.is_clean() && self.receiver.is_idle();
            return if is_used_up { None } else { self.receive_rest(input, output) };
        };
        let end_of_stream = input.end_of_stream;
        let (bytes, unread) = input.bytes.take(whole.header, whole.payload)?;
        match lend(bytes, whole.is_text, whole.key) {
            Ok(message) => Some(Event::Message(message)),
            Err(fault) => self.failed(fault, unread, end_of_stream, output),
        }
    }

    /// Receives a message that is complete at the start of the input, as almost every message is.
    ///
    /// In every other case, a failed connection included, returns `None` and leaves the rest to
    /// [`receive_rest`](Self::receive_rest). `bound` is `Config::whole_bound`.
    #[inline(always)]
    pub(crate) fn receive_whole<'a>(
        &mut self,
        input: &'a mut Input,
        output: &mut Output,
        bound: u64,
    ) -> Option<Message<'a>> {
        let whole = self.next_whole(input, bound)?;
        let (bytes, unread) = input.bytes.take(whole.header, whole.payload)?;
        match lend(bytes, whole.is_text, whole.key) {
            Ok(message) => Some(message),
            Err(fault) => {
                self.fail_behind(fault, unread, output);
                None
            }
        }
    }

    #[inline(always)]
    fn next_whole(&self, input: &Input, bound: u64) -> Option<WholeFrame> {
        self.receiver.next_whole(&input.bytes, self.role, bound).filter(|_| self.can_receive())
    }

    /// Receives everything that [`receive_whole`](Self::receive_whole) does not.
    ///
    /// The caller reports the arrival of bytes with [`on_bytes_received`](Self::on_bytes_received).
    #[inline(never)]
    pub(crate) fn receive_rest<'a>(
        &mut self,
        input: &'a mut Input,
        output: &mut Output,
    ) -> Option<Event<'a>> {
        input.recycle();
        let Input { bytes, end_of_stream, lent, pool, spare_inflater } = input;
        let end_of_stream = *end_of_stream;
        if !self.can_receive() {
            bytes.consume(usize::MAX);
            return if end_of_stream { self.end_of_stream(output.now()) } else { None };
        }
        let Config { limits, streaming, .. } = self.config.get();
        let extension_bits = extension_bits(self.deflate_params);
        let context = ReceiveContext {
            expected: Expected { role: self.role, message: None, limits, extension_bits },
            streaming: *streaming,
            pool,
            inflation: InflateContext::new(
                spare_inflater,
                &mut self.kept_windows,
                self.deflate_params,
                limits.message,
            ),
        };
        let received = self.receiver.next(bytes, context);
        let (bytes, unread) = bytes.split();
        let event = match received {
            Ok(None) if end_of_stream => return self.end_of_stream(output.now()),
            Ok(None) => return None,
            Ok(Some(received)) => self.event(received, bytes, lent, output),
            Err(fault) => Err(fault),
        };
        match event {
            Ok(event) => Some(event),
            Err(fault) => self.failed(fault, unread, end_of_stream, output),
        }
    }

    /// Returns whether the connection is open, and these bytes begin with what ends it: a Close frame, or a
    /// header that breaks the protocol.
    #[cold]
    pub(crate) fn ends_next(&self, unread: &[u8]) -> bool {
        let expected = Expected {
            role: self.role,
            message: None,
            limits: &self.config.get().limits,
            extension_bits: extension_bits(self.deflate_params),
        };
        self.state() == State::Open && self.receiver.ends_next(unread, expected)
    }

    /// Turns what was received into an event, which borrows its bytes.
    fn event<'a>(
        &mut self,
        received: Received,
        bytes: &'a mut [u8],
        lent: &'a mut Lent,
        output: &mut Output,
    ) -> Result<Event<'a>, Fault> {
        match received {
            Received::Message(message) => lent.message(message).map(Event::Message),
            Received::Chunk { is_text, payload, first, last } => {
                let payload = lend_payload(payload, is_text, bytes, lent)?;
                Ok(Event::Chunk(Chunk::new(payload, first, last)))
            }
            Received::Control { opcode, payload } => {
                let payload = lend_payload(payload, false, bytes, lent)?;
                self.control(opcode, payload.as_bytes(), output)
            }
        }
    }

    #[cold]
    fn failed(
        &mut self,
        fault: Fault,
        unread: &mut Range<usize>,
        end_of_stream: bool,
        output: &mut Output,
    ) -> Option<Event<'static>> {
        self.fail_behind(fault, unread, output);
        if end_of_stream { self.end_of_stream(output.now()) } else { None }
    }

    /// Fails the connection because of the peer's fault, and discards the unread bytes.
    #[cold]
    fn fail_behind(&mut self, fault: Fault, unread: &mut Range<usize>, output: &mut Output) {
        self.fail(fault.close_code(), Cause::Fault(fault), output);
        unread.start = unread.end;
    }

    /// Returns whether messages can still be received.
    #[inline]
    pub(crate) fn can_receive(&self) -> bool {
        matches!(self.closing, Closing::Open | Closing::CloseSent(_))
    }

    /// Returns whether this is a client that waits for the server to end the stream.
    ///
    /// True if the closing handshake is complete, the server's stream has not ended, and the close deadline
    /// limits the wait.
    pub(crate) fn waits_for_the_servers_end(&self, output: &Output) -> bool {
        matches!(self.closing, Closing::Draining(end) if self.role == Role::Client && end.is_clean())
            && output.now().is_some()
            && millis(self.config().timeouts.close).is_some()
    }

    /// Returns the payload received so far of an unfinished message.
    ///
    /// Returns `None` if no message is unfinished, or if the message is compressed or delivered
    /// [in chunks](Config::streaming).
    pub fn partial(&self) -> Option<&[u8]> {
        self.receiver.partial()
    }

    /// Returns whether a frame or a message is unfinished.
    #[inline]
    pub fn is_receiving(&self) -> bool {
        !self.receiver.is_idle()
    }

    /// Returns whether the connection is open and idle, and only the peer's silence is timed.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        if !self.kept_windows.is_empty() {
            return false;
        }
        // `&` instead of `&&`: one branch for both.
        matches!(self.closing, Closing::Open) & self.receiver.is_idle()
    }

    /// Returns the heap memory in bytes.
    ///
    /// An idle connection without context takeover holds none. The shared configuration is not counted.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        self.receiver.heap_bytes() + self.kept_windows.heap_bytes()
    }

    /// Handles a control frame (RFC 6455, section 5.5).
    fn control<'a>(
        &mut self,
        opcode: OpCode,
        payload: &'a [u8],
        output: &mut Output,
    ) -> Result<Event<'a>, Fault> {
        match opcode {
            OpCode::Ping => {
                self.answer_ping(payload, output);
                Ok(Event::Ping(payload))
            }
            OpCode::Close => {
                let frame = close::parse(payload)?;
                let (code, by) = match self.closing {
                    Closing::CloseSent(code) => (code, Initiator::Local),
                    _ => {
                        // "If an endpoint receives a Close frame and did not previously send a Close frame,
                        // the endpoint MUST send a Close frame in response." Most endpoints return the reason
                        // with the code, and browsers then show it.
                        self.push_close(frame.code, frame.reason, output);
                        self.start_close_timer(output.now());
                        (frame.code, Initiator::Peer)
                    }
                };
                self.finish(Closed { code, by, cause: Cause::Handshake });
                Ok(Event::Close(frame))
            }
            _ => Ok(Event::Pong(payload)),
        }
    }

    /// Fails the connection (RFC 6455, section 7.1.7).
    ///
    /// A Close frame with this code follows everything that was accepted, unless a Close frame was sent
    /// before.
    #[cold]
    pub(super) fn fail(&mut self, code: CloseCode, cause: Cause, output: &mut Output) {
        if self.closing == Closing::Open {
            self.push_close(code, "", output);
            self.start_close_timer(output.now());
        }
        self.finish(Closed { code, by: Initiator::Local, cause });
    }

    pub(super) fn finish(&mut self, end: Closed) {
        self.clear();
        self.closing = Closing::Draining(end);
    }

    /// Handles the end of the peer's stream, after all input was used.
    fn end_of_stream(&mut self, now: Option<u64>) -> Option<Event<'static>> {
        match self.closing {
            Closing::Closed(_) => None,
            Closing::Draining(end) => Some(self.end_with(end)),
            Closing::Open | Closing::CloseSent(_) => {
                if self.closing == Closing::Open {
                    self.start_close_timer(now);
                }
                Some(self.end_with(Closed::abnormal(self.initiator(Initiator::Peer), Cause::EndOfStream)))
            }
        }
    }

    /// Ends the connection after an error of the transport.
    ///
    /// Returns `None` if the end was already reported.
    pub fn transport_failed(&mut self, error: SystemError) -> Option<Event<'static>> {
        match self.closing {
            Closing::Closed(_) => None,
            // The closing handshake or the fault remains the cause.
            Closing::Draining(end) => Some(self.end_with(end)),
            Closing::Open | Closing::CloseSent(_) => {
                let by = self.initiator(Initiator::Transport);
                Some(self.end_with(Closed::abnormal(by, Cause::System(error))))
            }
        }
    }

    /// Returns who ends the connection: this end if it has sent a Close frame, else `other`.
    fn initiator(&self, other: Initiator) -> Initiator {
        if matches!(self.closing, Closing::CloseSent(_)) { Initiator::Local } else { other }
    }

    /// Ends the connection, and returns its last event.
    pub(super) fn end_with(&mut self, end: Closed) -> Event<'static> {
        self.clear();
        self.closing = Closing::Closed(end);
        Event::Closed(end)
    }

    /// Drops the state that only further messages need.
    fn clear(&mut self) {
        self.receiver.clear();
        self.kept_windows.clear();
    }
}

/// Receiving large payloads directly into their message.
impl Connection {
    /// Returns the size in bytes of a sent frame with `payload` bytes of payload.
    pub(crate) fn frame_size(&self, payload: usize) -> usize {
        let mask = (self.role == Role::Client).then_some([0; 4]);
        let header = Header { mask, ..Header::new(OpCode::Binary, payload as u64) };
        header.encode().len() + payload
    }

    /// Returns room in the unfinished message for the rest of a large payload.
    #[inline]
    pub(crate) fn direct_room(&mut self, least: usize, input: &mut Input) -> Option<&mut [u8]> {
        if self.receiver.is_idle() {
            return None;
        }
        let unread = input.bytes.len();
        self.receiver.direct_room(least, unread, &mut input.pool, &self.config.get().limits)
    }

    pub(crate) fn direct_filled(&mut self, n: usize, output: &mut Output) {
        if let Err(fault) = self.receiver.direct_filled(n) {
            self.fail(fault.close_code(), Cause::Fault(fault), output);
        }
    }
}

/// Unmasks and validates a message in place.
#[inline(always)]
fn lend(bytes: &mut [u8], is_text: bool, key: Option<u32>) -> Result<Message<'_>, Fault> {
    let key = key.map(u32::to_le_bytes);
    if is_text {
        let text = match key {
            Some(key) => utf8::unmask_and_validate(bytes, key),
            None => utf8::validate(bytes),
        };
        return text.map(Message::Text).map_err(|_| Fault::InvalidUtf8);
    }
    if let Some(key) = key {
        mask(bytes, key, 0);
    }
    Ok(Message::Binary(bytes))
}

/// Lends the payload of a chunk or a control frame.
fn lend_payload<'a>(
    payload: Payload,
    is_text: bool,
    bytes: &'a mut [u8],
    lent: &'a mut Lent,
) -> Result<Message<'a>, Fault> {
    match payload {
        Payload::Buffered { at, len, key } => {
            lend(&mut bytes[at..at + len], is_text, key.map(u32::from_le_bytes))
        }
        Payload::Collected(message) => lent.message(message),
        Payload::Short(short) => lend(lent.short(short), is_text, None),
    }
}

const _: () = assert!(size_of::<Connection>() <= 48);
