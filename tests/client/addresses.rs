//! Addresses that are tried in turn, with a clock of the test's own.

use crate::servers::Running;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use websocket_stream::Scratch;
use websocket_stream::WebSocketStream;
use websocket_stream::client::{ConnectError, Connector, Dial, Transport};
use websocket_stream::server::Server;

/// Advances a dial, with a clock that stands still.
pub(crate) fn finish(dial: &mut Dial) -> WebSocketStream<Transport> {
    at(dial, 0, |_| false).expect("the clock stands still")
}

/// Advances a dial at a time until it is open or `until` holds.
fn at(dial: &mut Dial, now: u64, until: impl Fn(&Dial) -> bool) -> Option<WebSocketStream<Transport>> {
    let mut scratch = Scratch::new();
    loop {
        if let Some(stream) = dial.advance(&mut scratch, now).unwrap() {
            return Some(stream);
        }
        if until(dial) {
            return None;
        }
        std::thread::yield_now();
    }
}

/// An address that swallows packets: a listener whose backlog is full.
struct BlackHole {
    listener: TcpListener,
    _filling: Vec<TcpStream>,
}

impl BlackHole {
    fn new() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let listener: TcpListener = socket.into();
        let address = listener.local_addr().unwrap();
        let mut filling = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            filling.push(stream);
        }
        Self { listener, _filling: filling }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

/// An address on which nothing listens.
fn refused() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn an_address_that_swallows_packets_costs_250_ms() {
    let (hole, server) = (BlackHole::new(), Running::new());
    let connector = Connector::new().no_proxy().addresses([hole.address(), server.address]);
    let mut dial = connector.dial("ws://example.com/").unwrap();
    let mut scratch = Scratch::new();
    assert!(dial.advance(&mut scratch, 1_000).unwrap().is_none());
    assert_eq!(dial.watches().len(), 1);
    assert_eq!(dial.next_deadline(1_000), Some(1_250));
    assert!(dial.advance(&mut scratch, 1_249).unwrap().is_none());
    assert_eq!(dial.watches().len(), 1);
    assert!(at(&mut dial, 1_250, |_| false).is_some());
}

#[test]
fn an_error_names_the_host_and_every_address_with_its_reason() {
    let (hole, refused) = (BlackHole::new(), refused());
    let connector = Connector::new()
        .no_proxy()
        .addresses([hole.address(), refused])
        .attempt_timeout(Duration::from_secs(5));
    let mut dial = connector.dial("ws://example.com/").unwrap();
    let mut scratch = Scratch::new();
    let mut now = 0;
    let error = loop {
        match dial.advance(&mut scratch, now) {
            Ok(None) => now = dial.next_deadline(now).unwrap().max(now + 1),
            Ok(Some(_)) => unreachable!(),
            Err(error) => break error,
        }
    };
    assert!((5_000..5_100).contains(&now), "{now}");
    let ConnectError::Connect { host, attempts } = &error else { panic!("{error}") };
    assert_eq!(host, "example.com");
    let [first, second] = &attempts[..] else { panic!("{error}") };
    assert_eq!((first.address, second.address), (refused, hole.address()));
    let text = error.to_string();
    for part in
        ["no connection to example.com: ", &refused.to_string(), "refused", &hole.address().to_string()]
    {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    assert!(error.can_retry());
}

#[test]
fn all_of_it_has_one_deadline() {
    let hole = BlackHole::new();
    let connector = Connector::new()
        .no_proxy()
        .addresses([hole.address()])
        .attempt_timeout(None)
        .timeout(Duration::from_secs(7));
    let mut dial = connector.dial("ws://example.com/").unwrap();
    let mut scratch = Scratch::new();
    assert!(dial.advance(&mut scratch, 100).unwrap().is_none());
    assert_eq!(dial.next_deadline(100), Some(7_100));
    assert!(dial.advance(&mut scratch, 7_099).unwrap().is_none());
    let error = dial.advance(&mut scratch, 7_100).unwrap_err();
    // It names what was tried.
    assert!(matches!(&error, ConnectError::Connect { attempts, .. } if attempts.len() == 1), "{error}");
    assert!(error.to_string().contains(&format!("{}: timed out", hole.address())), "{error}");
    // The dial is over.
    let error = dial.advance(&mut scratch, 7_101).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.can_retry()), ("finished dial", false));
    assert!(dial.watches().is_empty() && dial.next_deadline(7_101).is_none());
}

/// The time goes on where the program's calls have left it.
#[test]
fn a_dial_that_the_program_began_ends_in_time() {
    let hole = BlackHole::new();
    let connector = Connector::new().no_proxy().addresses([hole.address()]).attempt_timeout(None);
    let mut dial = connector.timeout(Duration::from_secs(3_600)).dial("ws://example.com/").unwrap();
    let mut scratch = Scratch::new();
    assert!(dial.advance(&mut scratch, 1_000_000).unwrap().is_none());
    assert!(dial.advance(&mut scratch, 1_000_000 + 3_600_000 - 1).unwrap().is_none());
    let error = dial.finish().unwrap_err();
    assert!(matches!(error, ConnectError::Connect { .. }), "{error}");
}

/// More than a system call can wait for, on some systems.
#[test]
fn a_timeout_may_be_as_long_as_possible() {
    let server = Running::new();
    let connector = Connector::new().no_proxy().timeout(Duration::MAX).attempt_timeout(Duration::MAX);
    drop(connector.connect(server.url()).unwrap());
}

#[test]
fn a_name_that_does_not_exist_is_an_error_with_the_name() {
    let error = Connector::new().no_proxy().connect("ws://nowhere.invalid/").unwrap_err();
    assert!(matches!(&error, ConnectError::Resolve { host, .. } if host == "nowhere.invalid"), "{error}");
    assert!(error.to_string().contains("nowhere.invalid"));
}

#[test]
fn the_name_is_resolved_without_blocking() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut dial = Connector::new().no_proxy().dial(format!("ws://localhost:{port}/")).unwrap();
    let mut scratch = Scratch::new();
    // However fast the name is resolved: nobody answers yet.
    assert!(dial.advance(&mut scratch, 0).unwrap().is_none());
    assert!(!dial.watches().is_empty());
    let _server = Running::start(Server::from_listener(listener).unwrap());
    drop(finish(&mut dial));
}
