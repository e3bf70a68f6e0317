//! Real sockets under real pollers, edge- and level-triggered. Nothing may wait for a readiness event that
//! never arrives, whatever arrives together with the end of the stream, and wherever a call stops early. A
//! test that hangs has lost a wake-up; each wait has a timeout.

use crate::socket_pair::{Socket, tcp_pair};
use rustix::fd::OwnedFd;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use websocket_stream::handshake::{ClientRequest, Response};
use websocket_stream::protocol::{Connection, Output, Role};
use websocket_stream::{
    Cause, CloseCode, Closed, Config, Event, Limits, Message, NonBlockingTransport, OpCode, PauseReading,
    Progress, ReadError, Ready, Scratch, SendError, ServerOpening, State, Wants, WebSocketStream,
};

const HANG: Duration = Duration::from_secs(60);

/// The server's socket.
type Server = Box<dyn NonBlockingTransport>;

/// A poller for one socket.
enum Poller {
    Edge(Box<(mio::Poll, mio::Events)>),
    /// On a duplicate of the descriptor.
    Level(OwnedFd),
}

impl Poller {
    fn edge(source: &mut impl mio::event::Source) -> Self {
        let poll = mio::Poll::new().unwrap();
        let both = mio::Interest::READABLE | mio::Interest::WRITABLE;
        poll.registry().register(source, mio::Token(0), both).unwrap();
        Self::Edge(Box::new((poll, mio::Events::with_capacity(4))))
    }

    fn wait(&mut self, wants: Wants) -> Ready {
        match self {
            Poller::Edge(edge) => {
                let (poll, events) = &mut **edge;
                poll.poll(events, Some(HANG)).unwrap();
                let mut ready = Ready::NONE;
                for event in &*events {
                    ready.readable |= event.is_readable();
                    ready.writable |= event.is_writable();
                    ready.closed |= event.is_read_closed() || event.is_error();
                }
                assert_ne!(ready, Ready::NONE, "a wake-up was lost");
                ready
            }
            Poller::Level(socket) => {
                use rustix::event::{PollFd, PollFlags, Timespec, poll};
                let mut wanted = PollFlags::empty();
                wanted.set(PollFlags::IN, wants.read);
                wanted.set(PollFlags::OUT, wants.write);
                assert!(!wanted.is_empty(), "nothing to wait for, and not closed");
                let mut fds = [PollFd::new(socket, wanted)];
                poll(&mut fds, Some(&Timespec::try_from(HANG).unwrap())).unwrap();
                let seen = fds[0].revents();
                assert!(!seen.is_empty(), "a wake-up was lost");
                Ready {
                    readable: seen.intersects(PollFlags::IN),
                    writable: seen.intersects(PollFlags::OUT),
                    closed: seen.intersects(PollFlags::HUP | PollFlags::ERR),
                }
            }
        }
    }
}

/// A client's socket of any kind: a stream's methods work on each.
struct Peer(Socket);

impl From<TcpStream> for Peer {
    fn from(socket: TcpStream) -> Self {
        Self(OwnedFd::from(socket).into())
    }
}

impl Peer {
    /// Sends all bytes, and optionally the end of the stream, before the other end reads.
    fn send_at_once(&mut self, bytes: &[u8], end: bool) {
        self.0.write_all(bytes).unwrap();
        if end {
            self.0.shutdown(Shutdown::Write).unwrap();
        }
    }

    /// Reads the available bytes, so that the other end can continue to send.
    fn drain(&mut self) {
        self.0.set_nonblocking(true).unwrap();
        match std::io::copy(&mut self.0, &mut std::io::sink()) {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => panic!("{error}"),
            _ => {}
        }
    }

    fn read_to_end(&mut self) -> u64 {
        std::io::copy(&mut self.0, &mut std::io::sink()).unwrap()
    }
}

/// A client's socket and a server's, with a poller for it.
type Case = fn() -> (Peer, Server, Poller);

/// Every kind of socket, with every kind of poller.
const CASES: &[Case] = &[
    || {
        let (client, server) = tcp_pair().unwrap();
        let poller = Poller::Level(server.try_clone().unwrap().into());
        (Peer::from(client), Box::new(server), poller)
    },
    || {
        let (client, server) = tcp_pair().unwrap();
        server.set_nonblocking(true).unwrap();
        let mut server = mio::net::TcpStream::from_std(server);
        let poller = Poller::edge(&mut server);
        (Peer::from(client), Box::new(server), poller)
    },
    #[cfg(unix)]
    || {
        let (client, server) = Socket::pair().unwrap();
        let server = OwnedFd::from(server);
        let poller = Poller::Level(server.try_clone().unwrap());
        (Peer(client), Box::new(server), poller)
    },
    #[cfg(unix)]
    || {
        let (client, server) = Socket::pair().unwrap();
        let server = OwnedFd::from(server);
        // By its descriptor, so mio does not see the calls.
        let poller = Poller::edge(&mut mio::unix::SourceFd(&std::os::fd::AsRawFd::as_raw_fd(&server)));
        (Peer(client), Box::new(server), poller)
    },
];

fn everywhere(test: impl Fn(Peer, Server, Poller)) {
    for case in CASES {
        let (client, server, poller) = case();
        test(client, server, poller);
    }
}

/// Returns the bytes of a client that sends these texts, and optionally closes.
fn from_client(texts: &[&str], close: bool) -> Vec<u8> {
    let mut client = Connection::new(Role::Client);
    let mut output = Output::new();
    for &text in texts {
        client.send(Message::Text(text), &mut output).unwrap();
    }
    if close {
        client.close(CloseCode::NORMAL, "", &mut output).unwrap();
    }
    output.as_bytes().to_vec()
}

/// Echoes as documented until the connection is closed. Returns what was received, and the end.
fn serve(
    stream: &mut WebSocketStream<Server>,
    poller: &mut Poller,
    mut peer: Option<&mut Peer>,
    first: Option<Ready>,
    mut fails: impl FnMut() -> bool,
) -> (Vec<String>, Closed) {
    let (mut scratch, mut received, mut ends) = (Scratch::new(), Vec::new(), Vec::new());
    let mut wants = Wants::READ;
    let mut next = first;
    for _ in 0..100_000 {
        if let Some(peer) = &mut peer {
            peer.drain();
        }
        let ready = next.take().unwrap_or_else(|| poller.wait(wants));
        let driven = stream.drive(&mut scratch.at(0), ready, |event, out| {
            match event {
                Event::Message(Message::Text(text)) => {
                    received.push(text.to_owned());
                    out.send(text)?;
                }
                Event::Closed(end) => ends.push(end),
                _ => {}
            }
            if fails() { Err(SendError::Full) } else { Ok(()) }
        });
        match driven {
            Ok(now) => {
                wants = now;
                assert!(now.refused.is_none() || now.again);
                next = now.again.then_some(Ready::READABLE);
                if now.closed {
                    assert_eq!(ends.len(), 1);
                    return (received, ends[0]);
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it spins");
}

fn server(socket: Server, limits: Limits) -> WebSocketStream<Server> {
    let config = Arc::new(Config::default().limits(limits));
    WebSocketStream::with_config(socket, Role::Server, config).unwrap()
}

#[test]
fn messages_and_the_end_of_the_stream_that_arrive_together_are_both_received() {
    everywhere(|mut client, socket, mut poller| {
        client.send_at_once(&from_client(&["one", "two", "three"], false), true);
        let mut stream = server(socket, Limits::default());
        let (received, end) = serve(&mut stream, &mut poller, Some(&mut client), None, || false);
        assert_eq!(received, ["one", "two", "three"]);
        assert_eq!(end.cause, Cause::EndOfStream);
    });
}

#[test]
fn a_message_a_close_frame_and_the_end_of_the_stream_that_arrive_together_end_cleanly() {
    everywhere(|mut client, socket, mut poller| {
        client.send_at_once(&from_client(&["one"], true), true);
        let (received, end) =
            serve(&mut server(socket, Limits::default()), &mut poller, Some(&mut client), None, || false);
        assert_eq!((&received[..], end.is_clean()), (&["one".to_owned()][..], true));
    });
}

#[test]
fn a_used_up_budget_of_events_or_bytes_loses_neither_messages_nor_the_end() {
    let texts = ["x"; 300];
    for limits in [
        Limits::default().call_events(1),
        Limits::default().call_bytes(1),
        Limits::default().call_events(7).call_bytes(100),
    ] {
        for close in [false, true] {
            everywhere(|mut client, socket, mut poller| {
                client.send_at_once(&from_client(&texts, close), true);
                let (received, end) =
                    serve(&mut server(socket, limits.clone()), &mut poller, Some(&mut client), None, || {
                        false
                    });
                assert_eq!((received.len(), end.is_clean()), (texts.len(), close));
            });
        }
    }
}

#[test]
fn input_larger_than_the_budget_and_the_buffer_is_received_to_its_end() {
    // Over several calls, each of which ends with a full buffer or a short read.
    let text = "x".repeat(70_000);
    for call_bytes in [1_000, 65_536, 100_000] {
        everywhere(|mut client, socket, mut poller| {
            let bytes = from_client(&[&text, &text], true);
            let writer = std::thread::spawn(move || {
                client.send_at_once(&bytes, true);
                // Reads the echoes, so that the server is not blocked.
                client.read_to_end()
            });
            let limits = Limits::default().call_bytes(call_bytes);
            let mut stream = server(socket, limits);
            let (received, end) = serve(&mut stream, &mut poller, None, None, || false);
            assert_eq!((received.len(), end.is_clean()), (2, true));
            drop(stream);
            assert_eq!(writer.join().unwrap(), 2 * (70_000 + 10) + 4);
        });
    }
}

#[test]
fn a_handler_that_fails_loses_neither_messages_nor_the_end() {
    for every in [1, 2, 3] {
        everywhere(|mut client, socket, mut poller| {
            client.send_at_once(&from_client(&["one", "two", "three", "four"], false), true);
            let mut count = 0;
            let fails = || {
                count += 1;
                count % every == 0 && count < 5
            };
            let mut stream = server(socket, Limits::default());
            let (received, end) = serve(&mut stream, &mut poller, Some(&mut client), None, fails);
            assert_eq!(received, ["one", "two", "three", "four"]);
            assert_eq!(end.cause, Cause::EndOfStream);
        });
    }
}

/// A request, frames, and the end, all at once: the answer is given `answer_after` calls later.
fn opening_with_bytes_behind_it(close: bool, answer_after: usize, first: Ready) {
    everywhere(|mut client, socket, mut poller| {
        let mut bytes = Vec::new();
        websocket_stream::handshake::ClientHandshake::new(
            ClientRequest::new("localhost", "/"),
            [7; 16],
            &websocket_stream::Limits::default(),
        )
        .unwrap()
        .write_request(&mut bytes);
        bytes.extend(from_client(&["one", "two"], close));
        client.send_at_once(&bytes, true);

        let mut scratch = Scratch::new();
        let mut opening = ServerOpening::new(socket).unwrap();
        let wants = Wants::READ;
        poller.wait(wants);
        assert!(matches!(opening.advance(&mut scratch.at(0)).unwrap(), Progress::Decide(_)));
        // The server takes a few calls to decide; other calls in between change nothing.
        for _ in 0..answer_after {
            let progress = opening.advance(&mut scratch.at(0)).unwrap();
            assert!(matches!(progress, Progress::Decide(_)));
        }
        opening.answer(&Response::accept()).unwrap();
        assert!(matches!(opening.advance(&mut scratch.at(0)).unwrap(), Progress::Open));
        let mut stream = opening.into_stream().unwrap();
        // "drive it once at once, with any `Ready`"
        let (received, end) = serve(&mut stream, &mut poller, Some(&mut client), Some(first), || false);
        assert_eq!((&received[..], end.is_clean()), (&["one".to_owned(), "two".to_owned()][..], close));
    });
}

#[test]
fn bytes_and_the_end_after_a_handshakes_head_are_received_without_another_readiness_event() {
    for close in [false, true] {
        for first in [Ready::NONE, Ready::READABLE, Ready::UNKNOWN] {
            opening_with_bytes_behind_it(close, 0, first);
            opening_with_bytes_behind_it(close, 3, first);
        }
    }
}

#[test]
fn read_returns_the_end_that_arrived_with_half_a_message() {
    everywhere(|mut client, socket, mut poller| {
        let bytes = from_client(&["one", "a message of which half comes"], false);
        client.send_at_once(&bytes[..20], true);
        let mut stream = WebSocketStream::new(socket).unwrap();
        let wants = Wants::READ;
        poller.wait(wants);
        // "Call it until NoData or DataStop."
        assert_eq!(stream.read().unwrap(), (OpCode::Text, b"one".to_vec()));
        let Err(ReadError::Closed(end)) = stream.read() else { panic!("the end is not reported") };
        assert_eq!(end.cause, Cause::EndOfStream);
    });
}

#[test]
fn bytes_unsent_because_of_a_slow_reader_are_sent_when_the_poller_reports_room() {
    everywhere(|mut client, socket, mut poller| {
        let text = "x".repeat(1 << 20);
        let bytes = from_client(&[&text, &text, &text], true);
        let peer = std::thread::spawn(move || {
            // Reads nothing until everything is written.
            client.send_at_once(&bytes, false);
            client.read_to_end()
        });
        let limits = Limits::default().pause_reading(PauseReading::Never);
        let mut stream = server(socket, limits);
        let (received, end) = serve_and_let_go(&mut stream, &mut poller);
        assert_eq!((received, end.is_clean()), (3, true));
        assert_eq!(peer.join().unwrap(), 3 * ((1 << 20) + 10) + 4);
    });
}

/// Echoes until all output is sent and the sending direction is shut down, then drops the connection.
fn serve_and_let_go(stream: &mut WebSocketStream<Server>, poller: &mut Poller) -> (usize, Closed) {
    let (mut scratch, mut received) = (Scratch::new(), 0);
    let mut wants = Wants::READ;
    loop {
        let ready = match wants.again {
            true => Ready::READABLE,
            false => poller.wait(wants),
        };
        wants = stream
            .drive(&mut scratch.at(0), ready, |event, out| match event {
                Event::Message(message) => {
                    received += 1;
                    out.send(message)
                }
                _ => Ok(()),
            })
            .unwrap();
        if let State::Draining(end) = stream.state()
            && stream.unsent() == 0
        {
            return (received, end);
        }
    }
}
