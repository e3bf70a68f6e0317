//! Tests handlers in memory, with real handshakes, and with faults and time on demand.
//!
//! | you test | use |
//! | --- | --- |
//! | a `server::Handler` | `TestServer`, feature `server` |
//! | a closure for [`drive`](WebSocketStream::drive) | [`open_pair`] and [`pump`] |
//! | code on tokio | `tokio::client` and `tokio::accept` on a `tokio::io::duplex` |
//!
//! ```
//! use websocket_stream::{Event, Scratch, testing};
//!
//! let mut scratch = Scratch::new();
//! let (mut server, mut client) = testing::open_pair(4096)?;
//! let mut replies = Vec::new();
//!
//! client.send(&mut scratch.at(0), "hello")?;
//! testing::pump(
//!     &mut scratch.at(0),
//!     &mut server,
//!     |event, out| match event {
//!         Event::Message(message) => out.send(message),
//!         _ => Ok(()),
//!     },
//!     &mut client,
//!     |event, _| {
//!         if let Event::Message(message) = event {
//!             replies.push(message.as_text().map(str::to_owned));
//!         }
//!         Ok(())
//!     },
//! )?;
//! assert_eq!(replies, [Some("hello".to_owned())]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`MemoryStream`] can plan short calls and failures, [`faulty`](crate::transport::testing::faulty) adds
//! random faults, and a call with a later time lets a deadline pass.
#![forbid(unsafe_code)]

#[cfg(feature = "server")]
mod server;

#[cfg(feature = "server")]
pub use server::{TestClient, TestServer};

use crate::handshake::{ClientRequest, Response};
use crate::transport::testing::memory::{self, MemoryStream};
use crate::{
    ClientOpening, Config, Event, OpeningError, Outgoing, Progress, Ready, Scratch, SendError, ServerOpening,
    Turn, Wants, WebSocketStream,
};
use std::io::{self, ErrorKind};
use std::sync::Arc;

/// One end of an in-memory WebSocket.
///
/// See the example of [`open_pair`].
pub type MemoryWebSocket = WebSocketStream<MemoryStream>;

/// The number of rounds after which [`pump`] gives up.
const MOST_ROUNDS: usize = 100_000;

/// Opens an in-memory WebSocket, and returns the server's end and the client's.
///
/// The transport buffers at most `capacity` bytes in each direction.
///
/// ```
/// use websocket_stream::{Scratch, testing};
///
/// let (mut server, mut client) = testing::open_pair(4096)?;
/// client.send(&mut Scratch::new().at(0), "hello")?;
/// assert_eq!(server.read()?.1, b"hello");
/// // The transports can be slow or fail, and count their calls.
/// client.get_ref().limit_send(1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`OpeningError::EndOfStream`] if `capacity` is 0, because no bytes can be sent.
pub fn open_pair(capacity: usize) -> Result<(MemoryWebSocket, MemoryWebSocket), OpeningError> {
    open_pair_with(capacity, Arc::default(), Arc::default())
}

/// Opens an in-memory WebSocket with these configurations, and returns the server's end and the client's.
///
/// If both have `deflate`, compression is negotiated.
///
/// ```
/// use websocket_stream::{Config, Error, Limits, Scratch, SendError, testing};
///
/// // A client with little memory.
/// let config = Config::default().limits(Limits::default().unsent(64 << 10)).into();
/// let (_server, mut client) = testing::open_pair_with(4096, Default::default(), config)?;
/// let sent = client.send(&mut Scratch::new().at(0), &vec![7; 64 << 10]);
/// assert!(matches!(sent, Err(Error::Send(SendError::TooLong))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// See [`open_pair`]; another [`OpeningError`] if the two cannot agree within their limits.
pub fn open_pair_with(
    capacity: usize,
    server: Arc<Config>,
    client: Arc<Config>,
) -> Result<(MemoryWebSocket, MemoryWebSocket), OpeningError> {
    let (a, b) = memory::pair(capacity);
    let mut scratch = Scratch::new();
    let mut server = ServerOpening::with_config(a, server)?;
    let mut client = ClientOpening::with_config(b, ClientRequest::new("localhost", "/"), client)?;
    let mut open = [false; 2];
    while open != [true; 2] {
        let before = (server.get_ref().calls().sent, client.get_ref().calls().sent, open);
        open[0] = match server.advance(&mut scratch.at(0))? {
            Progress::Open => true,
            Progress::Pending(_) | Progress::Answered { .. } => false,
            Progress::Decide(_) => {
                server.answer(&Response::accept()).map_err(io::Error::other)?;
                matches!(server.advance(&mut scratch.at(0))?, Progress::Open)
            }
        };
        open[1] = matches!(client.advance(&mut scratch.at(0))?, Progress::Open);
        if before == (server.get_ref().calls().sent, client.get_ref().calls().sent, open) {
            return Err(OpeningError::EndOfStream);
        }
    }
    match (server.into_stream(), client.into_stream()) {
        (Ok(server), Ok(client)) => Ok((server, client)),
        _ => Err(OpeningError::EndOfStream),
    }
}

/// Drives each end for what is ready on its transport, until neither has anything to do.
///
/// A stream whose connection has ended is not driven again. Drop it, and the other one receives the end of
/// the input in its next call.
///
/// ```
/// use websocket_stream::{Event, Outgoing, Scratch, SendError, testing};
///
/// fn echo(event: Event<'_>, out: &mut Outgoing<'_>) -> Result<(), SendError> {
///     match event {
///         Event::Message(message) => out.send(message),
///         _ => Ok(()),
///     }
/// }
/// let (mut server, mut client) = testing::open_pair(10)?; // takes 10 bytes at once
/// let mut scratch = Scratch::new();
/// client.send(&mut scratch.at(0), &[7; 1000])?;
/// testing::pump(&mut scratch.at(0), &mut server, echo, &mut client, |_, _| Ok(()))?;
/// assert!(server.get_ref().calls().sent > 1000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The first failure of a transport, as [`drive`](WebSocketStream::drive) returns it. `TimedOut` after
/// 100,000 rounds, for example if two handlers reply to each other forever.
pub fn pump(
    turn: &mut Turn<'_>,
    server: &mut MemoryWebSocket,
    mut on_server: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), SendError>,
    client: &mut MemoryWebSocket,
    mut on_client: impl FnMut(Event<'_>, &mut Outgoing<'_>) -> Result<(), SendError>,
) -> io::Result<()> {
    for _ in 0..MOST_ROUNDS {
        let (for_server, for_client) = (ready(server), ready(client));
        if (for_server, for_client) == (Ready::NONE, Ready::NONE) {
            return Ok(());
        }
        if for_server != Ready::NONE {
            let _ = server.drive(turn, for_server, &mut on_server)?;
        }
        if for_client != Ready::NONE {
            let _ = client.drive(turn, for_client, &mut on_client)?;
        }
    }
    Err(ErrorKind::TimedOut.into())
}

/// Returns what a level-triggered poller would report, and `readable` if the stream needs another call.
fn ready(stream: &MemoryWebSocket) -> Ready {
    let Wants { read, write, again, closed, .. } = stream.wants();
    if closed && !again {
        return Ready::NONE;
    }
    let transport = stream.get_ref();
    Ready {
        readable: again || read && transport.is_readable(),
        writable: write && transport.is_writable(),
        closed: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CloseCode, Message};

    fn echo(event: Event<'_>, out: &mut Outgoing<'_>) -> Result<(), SendError> {
        match event {
            Event::Message(message) => out.send(message),
            _ => Ok(()),
        }
    }

    #[test]
    fn a_conversation_is_pumped_to_its_clean_end_whatever_the_capacity() {
        for capacity in [1, 7, 4096] {
            let mut scratch = Scratch::new();
            let (mut server, mut client) = open_pair(capacity).unwrap();
            let (mut heard, mut ends) = (Vec::new(), 0);
            client.send(&mut scratch.at(0), "hello").unwrap();
            let result = pump(&mut scratch.at(0), &mut server, echo, &mut client, |event, out| {
                match event {
                    Event::Message(Message::Text(text)) => {
                        heard.push(text.to_owned());
                        return out.close(CloseCode::NORMAL, "");
                    }
                    Event::Closed(end) => ends += usize::from(end.is_clean()),
                    _ => {}
                }
                Ok(())
            });
            result.unwrap();
            assert_eq!((&heard[..], ends), (&["hello".to_owned()][..], 1), "{capacity}");
            assert!(client.wants().closed && server.wants().closed);
        }
    }

    #[test]
    fn opening_fails_if_the_transport_has_no_capacity() {
        assert!(matches!(open_pair(0), Err(OpeningError::EndOfStream)));
    }

    #[test]
    fn pump_gives_up_on_handlers_that_reply_to_each_other_forever() {
        let mut scratch = Scratch::new();
        let (mut server, mut client) = open_pair(4096).unwrap();
        client.send(&mut scratch.at(0), "ball").unwrap();
        let result = pump(&mut scratch.at(0), &mut server, echo, &mut client, echo);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_transport_failure_is_returned_as_an_error_and_reported_as_an_end() {
        let mut scratch = Scratch::new();
        let (mut server, mut client) = open_pair(4096).unwrap();
        server.get_ref().plan_recv([Err(ErrorKind::ConnectionReset)]);
        let mut ended = false;
        let result = pump(
            &mut scratch.at(0),
            &mut server,
            |event, _| {
                ended |= matches!(event, Event::Closed(_));
                Ok(())
            },
            &mut client,
            echo,
        );
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert!(ended);
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn compression_is_negotiated_if_both_ends_have_it() {
        let with = || Arc::new(Config::default().deflate(Some(crate::deflate::Deflate::default())));
        let (server, client) = open_pair_with(64, with(), with()).unwrap();
        assert!(server.has_deflate() && client.has_deflate());
        let (server, client) = open_pair_with(64, with(), Arc::default()).unwrap();
        assert!(!server.has_deflate() && !client.has_deflate());
    }
}
