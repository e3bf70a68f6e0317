//! A client that blocks, for tools and tests.

use super::connector::Connector;
use super::error::ConnectError;
use super::transport::Transport;
use super::url::{Url, UrlError};
use super::waiting::{Watch, millis, millis_since, wait};
use crate::frame::CloseCode;
use crate::protocol::{Closed, Event, Message, SendError, State};
use crate::stream::{Error, Outgoing, Ready, Scratch, WebSocketStream};
use crate::{OwnedCloseFrame, OwnedMessage};
use rustix::fd::AsFd;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use std::{fmt, io, mem};

/// The received bytes that wait for [`next`](Blocking::next) while [`send`](Blocking::send) blocks. With
/// more, it stops receiving.
const WAITING: usize = 1 << 20;

/// The bytes of waiting messages from which a failed connection drops further ones.
const MOST_WAITING: usize = 4 << 20;

/// A WebSocket whose calls block until they are done.
///
/// ```no_run
/// use websocket_stream::client::Blocking;
///
/// let mut client = Blocking::connect("ws://example.com/echo")?;
/// client.send("hello")?;
/// while let Some(message) = client.next()? {
///     println!("{message}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Pings are answered, and timeouts apply, only while a call blocks. Messages are returned whole: do not
/// configure [`Config::streaming`](crate::Config::streaming), whose chunks are dropped here.
pub struct Blocking {
    stream: WebSocketStream<Transport>,
    scratch: Scratch,
    start: Instant,
    /// Messages that were received and not yet returned.
    received: VecDeque<OwnedMessage>,
    /// The memory that these messages take, in bytes.
    waiting: usize,
    /// The peer's Close frame.
    close_frame: Option<OwnedCloseFrame>,
    end: Option<Closed>,
    /// Whether the stream may have something to receive although its socket is not readable.
    again: bool,
    timeout: Option<Duration>,
}

/// The reason why a call of [`Blocking`] failed.
///
/// ```
/// use std::net::{TcpListener, TcpStream};
/// use std::time::Duration;
/// use websocket_stream::WebSocketStream;
/// use websocket_stream::client::{Blocking, BlockingError, Transport};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let socket = TcpStream::connect(listener.local_addr()?)?;
/// let stream = WebSocketStream::client(Transport::Tcp(socket))?;
/// let mut client = Blocking::new(stream).timeout(Duration::from_millis(1));
/// assert!(matches!(client.next(), Err(BlockingError::Timeout))); // the connection continues
/// drop(listener);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BlockingError {
    /// The connection has ended: without a closing handshake, or before a message was sent.
    Closed(Closed),
    /// The message was not accepted. The connection continues, unless the reason is
    /// [`Closed`](SendError::Closed).
    Send(SendError),
    /// The time of [`timeout`](Blocking::timeout) has passed. The connection continues, and a message that
    /// was being sent is still sent by the next calls: do not send it again.
    Timeout,
    /// A system call failed, which ends the connection.
    System(io::Error),
}

/// The end of the time for which a call blocks.
struct Deadline {
    at: Option<Instant>,
    /// The call has driven the stream.
    is_tried: bool,
}

impl Blocking {
    /// Connects with the defaults of [`Connector`].
    ///
    /// # Errors
    ///
    /// [`ConnectError`] with the reason.
    pub fn connect<U: TryInto<Url>>(url: U) -> Result<Self, ConnectError>
    where
        U::Error: Into<UrlError>,
    {
        Ok(Self::new(Connector::new().connect(url)?))
    }

    /// Uses a connected stream.
    pub fn new(stream: WebSocketStream<Transport>) -> Self {
        Self {
            stream,
            scratch: Scratch::new(),
            start: Instant::now(),
            received: VecDeque::new(),
            waiting: 0,
            close_frame: None,
            end: None,
            // Bytes may have arrived after the handshake.
            again: true,
            timeout: None,
        }
    }

    /// Limits the time for which each further call blocks. Default: none. With a time of 0, a call does what
    /// it can without waiting.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Returns the next message, or `None` after the closing handshake.
    ///
    /// # Errors
    ///
    /// [`BlockingError::Closed`] if the connection ended without one, [`BlockingError::Timeout`], and
    /// [`BlockingError::System`] if the socket could not be waited for.
    #[allow(clippy::should_implement_trait, reason = "an iterator's item cannot use `?` in `while let`")]
    pub fn next(&mut self) -> Result<Option<OwnedMessage>, BlockingError> {
        let mut deadline = self.deadline();
        loop {
            if let Some(message) = self.received.pop_front() {
                self.waiting -= memory_of(&message);
                return Ok(Some(message));
            }
            match self.end {
                Some(end) => return clean(end).map(|_| None),
                None => self.advance(true, &mut deadline)?,
            }
        }
    }

    /// Sends a message, and blocks until the socket has taken all of it. Meanwhile, up to about 1 MiB of
    /// messages is received for [`next`](Self::next), and with more, nothing is.
    ///
    /// # Errors
    ///
    /// [`BlockingError::Send`] if the message is not accepted, for example because the connection had ended;
    /// [`BlockingError::Closed`] if it ends before the socket has taken the whole message;
    /// [`BlockingError::Timeout`], and [`BlockingError::System`] if the socket could not be waited for.
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), BlockingError> {
        let message = message.into();
        self.send_with(|out| out.send(message))
    }

    /// Calls `f` with an [`Outgoing`], to send several messages, fragments or a ping, and blocks until the
    /// socket has taken everything; see [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// See [`send`](Self::send). If `f` fails, what it has sent before is still sent.
    pub fn send_with(
        &mut self,
        f: impl FnOnce(&mut Outgoing<'_>) -> Result<(), SendError>,
    ) -> Result<(), BlockingError> {
        let (mut deadline, now) = (self.deadline(), self.now());
        let sent = self.stream.send_with(&mut self.scratch.at(now), f);
        self.finish_sending(sent.map(|_| ()), &mut deadline)
    }

    /// Sends a Close frame, blocks until the connection has ended, and returns how. Messages that
    /// [`next`](Self::next) has not returned are dropped.
    ///
    /// # Errors
    ///
    /// [`BlockingError::Closed`] if the peer does not answer with its own Close frame,
    /// [`BlockingError::Send`] if the code or the reason cannot be sent, [`BlockingError::Timeout`], and
    /// [`BlockingError::System`] if the socket could not be waited for.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<Closed, BlockingError> {
        let (mut deadline, now) = (self.deadline(), self.now());
        match self.stream.close(&mut self.scratch.at(now), code, reason) {
            Err(Error::Send(SendError::Closed)) | Ok(_) => {}
            // What has arrived before and the end follow, without waiting for the socket.
            Err(Error::System(_)) => self.again = true,
            Err(error) => return Err(error.into()),
        }
        loop {
            self.received.clear();
            self.waiting = 0;
            match self.end {
                Some(end) => return clean(end),
                None => self.advance(true, &mut deadline)?,
            }
        }
    }

    /// Returns the peer's Close frame, once a call has received it.
    pub fn close_frame(&self) -> Option<&OwnedCloseFrame> {
        self.close_frame.as_ref()
    }

    /// Returns how the connection ended, after its end.
    pub fn closed(&self) -> Option<Closed> {
        self.end
    }

    /// Returns the stream.
    pub fn get_ref(&self) -> &WebSocketStream<Transport> {
        &self.stream
    }

    /// Returns the stream, for a loop of one's own, and the messages that [`next`](Self::next) has not
    /// returned. Its timeouts count from its next call.
    pub fn into_inner(mut self) -> (WebSocketStream<Transport>, Vec<OwnedMessage>) {
        self.stream.restart_timeouts();
        (self.stream, self.received.into())
    }

    fn finish_sending(
        &mut self,
        mut sent: Result<(), Error>,
        deadline: &mut Deadline,
    ) -> Result<(), BlockingError> {
        loop {
            match sent {
                // The reason follows as the end of the connection, without waiting for the socket.
                Err(Error::System(_)) => self.again = true,
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    // If it has failed, the end follows, perhaps after many messages.
                    let wants = self.stream.wants();
                    if !wants.write && !wants.closed {
                        return Ok(());
                    }
                }
            }
            sent = Ok(());
            let has_failed = self.stream.wants().closed;
            self.advance(has_failed || self.waiting < WAITING, deadline)?;
            // Whatever was unsent is lost.
            if let Some(end) = self.end {
                return Err(BlockingError::Closed(end));
            }
        }
    }

    /// Drives the stream once, after waiting for its socket.
    fn advance(&mut self, receives: bool, deadline: &mut Deadline) -> Result<(), BlockingError> {
        if deadline.is_over() {
            return Err(BlockingError::Timeout);
        }
        if !(self.again && receives) {
            self.wait(receives, deadline.left())?;
        }
        let now = millis_since(self.start);
        if !receives {
            // What the peer ends is received when there is room. A timeout is not delivered again.
            let _ = self.stream.flush_and_time_out(&mut self.scratch.at(now));
            if let State::Closed(end) = self.stream.state() {
                self.end.get_or_insert(end);
            }
            return Ok(());
        }
        let failed = self.stream.wants().closed;
        let (received, waiting) = (&mut self.received, &mut self.waiting);
        let (close_frame, ended) = (&mut self.close_frame, &mut self.end);
        let driven = self.stream.drive(&mut self.scratch.at(now), Ready::UNKNOWN, |event, _| {
            match event {
                // After a failure, the messages before the end do not wait for room.
                Event::Message(_) if failed && *waiting >= MOST_WAITING => {}
                Event::Message(message) => {
                    let message = message.into();
                    *waiting += memory_of(&message);
                    received.push_back(message);
                }
                Event::Close(frame) => *close_frame = Some(frame.into()),
                Event::Closed(end) => *ended = Some(end),
                _ => {}
            }
            Ok(())
        });
        match driven {
            Ok(wants) => self.again = wants.again,
            // The end was delivered before.
            Err(_) if self.end.is_some() => {}
            Err(error) => return Err(BlockingError::System(error)),
        }
        Ok(())
    }

    fn wait(&mut self, receives: bool, patience: Option<Duration>) -> Result<(), BlockingError> {
        let (wants, now) = (self.stream.wants(), self.now());
        let timer = self.stream.next_deadline(now).map(|at| at.saturating_sub(now));
        let watch = Watch { fd: self.stream.as_fd(), read: wants.read && receives, write: wants.write };
        wait(&[watch], timer.into_iter().chain(patience.map(millis)).min()).map_err(BlockingError::System)
    }

    fn now(&self) -> u64 {
        millis_since(self.start)
    }

    fn deadline(&self) -> Deadline {
        let at = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Deadline { at, is_tried: false }
    }
}

/// Returns the memory that a message takes while it waits, also if it is empty.
fn memory_of(message: &OwnedMessage) -> usize {
    size_of::<OwnedMessage>() + message.as_bytes().len()
}

/// Returns the end of a connection, which is an error without a closing handshake.
fn clean(end: Closed) -> Result<Closed, BlockingError> {
    if end.is_clean() { Ok(end) } else { Err(BlockingError::Closed(end)) }
}

impl Deadline {
    /// Returns whether the call must stop, which it never must before its first attempt.
    fn is_over(&mut self) -> bool {
        mem::replace(&mut self.is_tried, true) && self.at.is_some_and(|at| Instant::now() >= at)
    }

    fn left(&self) -> Option<Duration> {
        self.at.map(|at| at.saturating_duration_since(Instant::now()))
    }
}

impl fmt::Debug for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking")
            .field("stream", &self.stream)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl From<Error> for BlockingError {
    fn from(error: Error) -> Self {
        match error {
            Error::Send(error) => Self::Send(error),
            Error::System(error) => Self::System(error),
        }
    }
}

impl fmt::Display for BlockingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(end) => end.fmt(f),
            Self::Send(error) => error.fmt(f),
            Self::Timeout => f.write_str("timeout: blocking call"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BlockingError {}
