//! What a connection reports: events, the last of which is its end.
#![forbid(unsafe_code)]

use super::{Fault, SystemError};
use crate::frame::{CloseCode, OpCode};
use alloc::{string::String, vec::Vec};
use core::fmt;

/// A whole message, or the payload of a [`Chunk`].
///
/// ```
/// use websocket_stream::{Message, OpCode};
///
/// fn describe(message: Message<'_>) -> String {
///     match message {
///         Message::Text(text) => text.to_owned(),
///         Message::Binary(bytes) => format!("{} bytes", bytes.len()),
///     }
/// }
/// // Strings and bytes convert into messages, so every `send` takes them.
/// assert_eq!(describe("Hello".into()), "Hello");
/// assert_eq!(describe(b"\x01\x02\x03".into()), "3 bytes");
/// assert_eq!(Message::Text("Hello").opcode(), OpCode::Text);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Message<'a> {
    /// Text in UTF-8.
    Text(&'a str),
    /// Binary data.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Returns the payload.
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns whether this is a text message.
    #[inline]
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Returns the text, if this is a text message.
    ///
    /// ```
    /// use websocket_stream::Message;
    ///
    /// assert_eq!(Message::Text("Hello").as_text(), Some("Hello"));
    /// assert_eq!(Message::Binary(b"Hello").as_text(), None);
    /// ```
    #[inline]
    pub const fn as_text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Returns [`OpCode::Text`] or [`OpCode::Binary`].
    #[inline]
    pub const fn opcode(&self) -> OpCode {
        match self {
            Self::Text(_) => OpCode::Text,
            Self::Binary(_) => OpCode::Binary,
        }
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Message<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a String> for Message<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

/// A chunk of a message, delivered as it arrives; see [`Config::streaming`](super::Config::streaming).
///
/// ```
/// use websocket_stream::protocol::{Config, Connection, Event, Input, Output, Role};
///
/// let config = Config::default().streaming(true);
/// let mut client = Connection::with_config(Role::Client, config.into());
/// let (mut input, mut output) = (Input::default(), Output::new());
/// let (mut text, mut is_whole) = (String::new(), false);
/// for fragment in [&b"\x01\x03Hel"[..], b"\x80\x02lo"] {
///     input.extend(fragment);
///     while let Some(Event::Chunk(chunk)) = client.receive(&mut input, &mut output) {
///         assert_eq!(chunk.is_first(), text.is_empty());
///         text.push_str(chunk.payload().as_text().unwrap_or_default());
///         is_whole = chunk.is_last();
///     }
/// }
/// assert!(is_whole && text == "Hello");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chunk<'a> {
    kind: Kind<'a>,
}

/// No larger than a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind<'a> {
    Text { text: &'a str, first: bool, last: bool },
    Binary { bytes: &'a [u8], first: bool, last: bool },
}

impl<'a> Chunk<'a> {
    /// Creates a chunk.
    pub(crate) const fn new(payload: Message<'a>, first: bool, last: bool) -> Self {
        Self {
            kind: match payload {
                Message::Text(text) => Kind::Text { text, first, last },
                Message::Binary(bytes) => Kind::Binary { bytes, first, last },
            },
        }
    }

    /// Returns the payload, which may be empty. Text is cut between characters.
    #[inline]
    pub const fn payload(&self) -> Message<'a> {
        match self.kind {
            Kind::Text { text, .. } => Message::Text(text),
            Kind::Binary { bytes, .. } => Message::Binary(bytes),
        }
    }

    /// Returns the bytes of the payload.
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self.kind {
            Kind::Text { text, .. } => text.as_bytes(),
            Kind::Binary { bytes, .. } => bytes,
        }
    }

    /// Returns whether this is the first chunk of its message.
    #[inline]
    pub const fn is_first(&self) -> bool {
        let (Kind::Text { first, .. } | Kind::Binary { first, .. }) = self.kind;
        first
    }

    /// Returns whether this is the last chunk of its message.
    #[inline]
    pub const fn is_last(&self) -> bool {
        let (Kind::Text { last, .. } | Kind::Binary { last, .. }) = self.kind;
        last
    }

    /// Returns the opcode for sending this chunk as a fragment (RFC 6455, section 5.4).
    ///
    /// The first chunk has the opcode of the message; further chunks have [`OpCode::Continuation`]. So a
    /// message can be forwarded while it arrives:
    ///
    /// ```
    /// use websocket_stream::{Event, Outgoing, SendError};
    ///
    /// fn echo(event: Event<'_>, out: &mut Outgoing<'_>) -> Result<(), SendError> {
    ///     match event {
    ///         Event::Chunk(chunk) => out.send_fragment(chunk.opcode(), chunk.as_bytes(), chunk.is_last()),
    ///         _ => Ok(()),
    ///     }
    /// }
    /// # let _ = echo;
    /// ```
    #[inline]
    pub const fn opcode(&self) -> OpCode {
        if self.is_first() { self.payload().opcode() } else { OpCode::Continuation }
    }
}

/// The contents of a Close frame (RFC 6455, section 5.5.1).
///
/// ```
/// use websocket_stream::{CloseCode, CloseFrame, Event, Ready, Scratch, testing};
///
/// let (mut server, mut client) = testing::open_pair(4096)?;
/// let mut scratch = Scratch::new();
/// client.close(&mut scratch.at(0), CloseCode::GOING_AWAY, "page closed")?;
/// server.drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
///     if let Event::Close(frame) = event {
///         assert_eq!(frame, CloseFrame { code: CloseCode::GOING_AWAY, reason: "page closed" });
///     }
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseFrame<'a> {
    /// The close code, or [`CloseCode::NO_STATUS`] if the frame was empty.
    pub code: CloseCode,
    /// The reason, for humans; often empty.
    pub reason: &'a str,
}

/// An event on a connection. Its bytes are borrowed from the caller's [`Input`](super::Input).
///
/// ```
/// use websocket_stream::{CloseCode, Event, Ready, Scratch, testing};
///
/// let (mut server, mut client) = testing::open_pair(4096)?;
/// let (mut scratch, mut log) = (Scratch::new(), Vec::new());
/// client.send(&mut scratch.at(0), "Hello")?;
/// client.close(&mut scratch.at(0), CloseCode::NORMAL, "bye")?;
/// server.drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
///     log.push(match event {
///         Event::Message(message) => format!("{message:?}"),
///         Event::Close(frame) => format!("Close frame: {}", frame.reason), // already answered
///         Event::Closed(end) => end.to_string(), // in a later call, after the end of the client's stream
///         _ => return Ok(()),                    // pings are already answered
///     });
///     Ok(())
/// })?;
/// assert_eq!(log, ["Text(\"Hello\")", "Close frame: bye"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A whole message arrived.
    Message(Message<'a>),
    /// A ping arrived. Its pong is already queued, unless this end has sent a Close frame, after which
    /// nothing is sent.
    Ping(&'a [u8]),
    /// A pong arrived, solicited or not.
    Pong(&'a [u8]),
    /// The peer's Close frame arrived. This end's Close frame is already queued or sent.
    Close(CloseFrame<'a>),
    /// The connection has ended. This is the last event.
    Closed(Closed),
    /// A chunk of a message arrived. Only with [`Config::streaming`](super::Config::streaming), in place of
    /// whole messages.
    Chunk(Chunk<'a>),
}

/// Who ended a connection: who sent the first Close frame, else who ended or failed it.
///
/// ```
/// use websocket_stream::{CloseCode, Initiator, OpCode, ReadError, Scratch, testing};
///
/// let (mut server, mut client) = testing::open_pair(4096)?;
/// server.close(&mut Scratch::new().at(0), CloseCode::NORMAL, "")?;
/// for (end, by) in [(&mut client, Initiator::Peer), (&mut server, Initiator::Local)] {
///     assert_eq!(end.read()?.0, OpCode::Close);
///     assert!(matches!(end.read(), Err(ReadError::Closed(closed)) if closed.by == by));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// This end.
    Local,
    /// The peer.
    Peer,
    /// The system or the transport, whose error need not be the fault of either end.
    Transport,
}

/// A timeout that passed.
///
/// ```
/// use websocket_stream::{Cause, CloseCode, Event, Ready, Scratch, Timeout, testing};
///
/// let (mut server, _client) = testing::open_pair(4096)?; // the client's program hangs
/// let (mut scratch, mut cause) = (Scratch::new(), None);
/// server.close(&mut scratch.at(1_000), CloseCode::NORMAL, "")?;
/// let deadline = server.next_deadline(1_000).ok_or("no deadline")?;
/// server.drive(&mut scratch.at(deadline), Ready::NONE, |event, _| {
///     if let Event::Closed(end) = event {
///         cause = Some(end.cause);
///     }
///     Ok(())
/// })?;
/// assert_eq!((deadline, cause), (6_000, Some(Cause::Timeout(Timeout::Close))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timeout {
    /// [`Timeouts::idle`](crate::Timeouts::idle).
    Idle,
    /// [`Timeouts::close`](crate::Timeouts::close).
    Close,
    /// [`Timeouts::write`](crate::Timeouts::write).
    Write,
}

/// The reason why a connection ended.
///
/// ```
/// use websocket_stream::{Cause, ReadError, testing};
///
/// /// The line for the log, or `None` for an everyday end: a user has left, or the network was lost.
/// fn log_line(cause: Cause) -> Option<String> {
///     match cause {
///         Cause::Handshake | Cause::EndOfStream => None,
///         Cause::Fault(fault) => Some(format!("faulty peer: {fault}")),
///         other => Some(format!("{other:?}")),
///     }
/// }
/// let (mut server, client) = testing::open_pair(4096)?;
/// drop(client);
/// let Err(ReadError::Closed(end)) = server.read() else { panic!() };
/// assert_eq!((end.cause, log_line(end.cause)), (Cause::EndOfStream, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The closing handshake was completed (RFC 6455, section 7.1.4): a clean end.
    Handshake,
    /// The peer violated the protocol or exceeded a limit.
    Fault(Fault),
    /// The stream ended without a closing handshake.
    EndOfStream,
    /// A timeout passed.
    Timeout(Timeout),
    /// The system or the transport reported an error.
    System(SystemError),
}

/// How a connection ended; reported once, in [`Event::Closed`](super::Event::Closed).
///
/// ```
/// use websocket_stream::protocol::{Connection, Input, Output, Role};
/// use websocket_stream::{Cause, CloseCode, Closed, Initiator, Event, Fault};
///
/// let mut connection = Connection::new(Role::Server);
/// let (mut input, mut output) = (Input::default(), Output::new());
/// input.extend(b"\x83\x80\0\0\0\0"); // an opcode that does not exist
/// input.end_of_stream();
/// let Some(Event::Closed(end)) = connection.receive(&mut input, &mut output) else { panic!() };
/// let cause = Cause::Fault(Fault::ReservedOpcode);
/// assert_eq!(end, Closed { code: CloseCode::PROTOCOL_ERROR, by: Initiator::Local, cause });
/// assert!(!end.is_clean());
/// assert_eq!(end.to_string(), "failed with 1002 (protocol error): reserved opcode");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Closed {
    /// The close code.
    ///
    /// After a closing handshake, the code of the first Close frame; after a fault, the fault's code; after
    /// [`Timeout::Write`], 1008; otherwise [`CloseCode::ABNORMAL`]. A fault's code and 1008 are also sent
    /// to the peer, unless this end has already sent a Close frame.
    pub code: CloseCode,
    /// Who ended the connection.
    pub by: Initiator,
    /// The reason.
    pub cause: Cause,
}

impl Closed {
    /// Returns whether the closing handshake was completed.
    #[inline]
    pub const fn is_clean(&self) -> bool {
        matches!(self.cause, Cause::Handshake)
    }

    pub(crate) const fn abnormal(by: Initiator, cause: Cause) -> Self {
        Self { code: CloseCode::ABNORMAL, by, cause }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            Initiator::Local => "this end",
            Initiator::Peer => "the peer",
            Initiator::Transport => "the transport",
        };
        match self.cause {
            Cause::Handshake => write!(f, "closed by {by} with {}", self.code),
            Cause::Fault(fault) => write!(f, "failed with {}: {fault}", self.code),
            Cause::EndOfStream => f.write_str("end of stream without a closing handshake"),
            Cause::Timeout(Timeout::Idle) => f.write_str("timeout: no bytes received from the peer"),
            Cause::Timeout(Timeout::Close) => f.write_str("timeout: closing handshake not finished"),
            Cause::Timeout(Timeout::Write) => f.write_str("timeout: no bytes taken by the peer"),
            Cause::System(error) => write!(f, "transport error: {error}"),
        }
    }
}
