//! Both ends of a WebSocket in memory, for tests of handlers: opened by a real handshake, and driven as an event
//! loop drives them.
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
//! [`MemoryStream`] plans short calls and failures, [`faulty`](crate::transport::faulty) makes bad weather, and a
//! deadline passes in a call with a later time.
#![forbid(unsafe_code)]

use crate::handshake::{ClientRequest, Response};
use crate::transport::memory::{self, MemoryStream};
use crate::{
    ClientOpening, Config, Event, Interest, OpeningError, Outgoing, Progress, Ready, Scratch, SendError,
    ServerOpening, Turn, WebSocketStream,
};
use std::io::{self, ErrorKind};
use std::sync::Arc;

/// One end of a WebSocket in memory.
pub type MemoryWebSocket = WebSocketStream<MemoryStream>;

/// Rounds after which two ends that always have something to do are given up.
const MOST_ROUNDS: usize = 100_000;

/// Opens a WebSocket in memory and returns the server's end, then the client's.
///
/// The transport holds at most `capacity` bytes in each direction that its receiver has not taken.
///
/// # Errors
///
/// [`OpeningError::EndOfStream`] if `capacity` is 0: nothing goes through.
pub fn open_pair(capacity: usize) -> Result<(MemoryWebSocket, MemoryWebSocket), OpeningError> {
    open_pair_with(capacity, Arc::default(), Arc::default())
}

/// Opens a WebSocket in memory with the configurations of the server and of the client, and returns the
/// server's end, then the client's. If both have `deflate`, compression is agreed on.
///
/// # Errors
///
/// As [`open_pair`]; another [`OpeningError`] if the two do not come together within their limits.
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
            Progress::Pending(_) => false,
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

/// Drives both ends, each for what is ready on its transport, until neither has anything to do.
///
/// An end that is over is not driven any more; drop it, and the other end notices in the next call.
///
/// # Errors
///
/// The first failure of a transport, as [`drive`](WebSocketStream::drive) returns it; `TimedOut` after 100,000
/// rounds, such as of two handlers that answer each other for ever.
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

/// What a level-triggered poller would call an end for, or the end itself asks for.
fn ready(stream: &MemoryWebSocket) -> Ready {
    let Interest { readable, writable, again, over, .. } = stream.interest();
    if over && !again {
        return Ready::NONE;
    }
    let transport = stream.get_ref();
    Ready {
        readable: again || readable && transport.is_readable(),
        writable: writable && transport.is_writable(),
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
    fn a_conversation_is_pumped_to_its_clean_end_whatever_goes_through_at_a_time() {
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
                    Event::End(end) => ends += usize::from(end.is_clean()),
                    _ => {}
                }
                Ok(())
            });
            result.unwrap();
            assert_eq!((&heard[..], ends), (&["hello".to_owned()][..], 1), "{capacity}");
            assert!(client.interest().over && server.interest().over);
        }
    }

    #[test]
    fn an_opening_through_which_nothing_goes_is_an_error() {
        assert!(matches!(open_pair(0), Err(OpeningError::EndOfStream)));
    }

    #[test]
    fn handlers_that_answer_each_other_for_ever_are_given_up() {
        let mut scratch = Scratch::new();
        let (mut server, mut client) = open_pair(4096).unwrap();
        client.send(&mut scratch.at(0), "ball").unwrap();
        let result = pump(&mut scratch.at(0), &mut server, echo, &mut client, echo);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_failure_is_an_error_and_its_end_an_event() {
        let mut scratch = Scratch::new();
        let (mut server, mut client) = open_pair(4096).unwrap();
        server.get_ref().plan_recv([Err(ErrorKind::ConnectionReset)]);
        let mut ended = false;
        let result = pump(
            &mut scratch.at(0),
            &mut server,
            |event, _| {
                ended |= matches!(event, Event::End(_));
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
    fn compression_is_agreed_on_if_both_have_it() {
        let with =
            || Arc::new(Config { deflate: Some(crate::deflate::Deflate::default()), ..Config::default() });
        let (server, client) = open_pair_with(64, with(), with()).unwrap();
        assert!(server.has_deflate() && client.has_deflate());
        let (server, client) = open_pair_with(64, with(), Arc::default()).unwrap();
        assert!(!server.has_deflate() && !client.has_deflate());
    }
}
