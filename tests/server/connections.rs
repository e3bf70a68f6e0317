//! `Connections`: openings, events, timeouts, and what a poller must know.

use crate::world::{CAPACITY, Client, World};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Duration;
use websocket_stream::handshake::ResponseFault;
use websocket_stream::server::{
    Answer, Change, Connections, Failure, Handler, Id, NewPeer, Peer, ServerConfig, SlowPeer,
};
use websocket_stream::transport::testing::memory;
use websocket_stream::{
    ClientRequest, CloseCode, Closed, Config, Limits, Message, NonBlockingTransport, OpCode, OpeningError,
    OriginPolicy, Ready, Request, Response, Scratch, Timeouts, WebSocketStream,
};

/// Echoes, and writes down what happens.
#[derive(Default)]
struct Diary {
    lines: Vec<String>,
    undecided: Vec<Id>,
}

impl Handler for Diary {
    type Session = Vec<String>;

    fn open(&mut self, peer: &mut NewPeer<'_>, session: &mut Vec<String>, request: &Request<'_>) -> Answer {
        session.push(request.path().to_owned());
        match request.path() {
            "/later" => {
                self.undecided.push(peer.id());
                Answer::Later
            }
            "/no" => Response::new(404).into(),
            "/ip" => Response::accept().header("X-Ip", format!("{:?}", peer.ip())).into(),
            "/wrong" => Response::accept().subprotocol("not offered").into(),
            _ => Response::accept().subprotocol(request.select_subprotocol(&["chat"])).into(),
        }
    }

    fn http(&mut self, _: &mut NewPeer<'_>, request: &Request<'_>) -> Answer {
        match request.path() {
            "/health" => Response::new(200).body("ok").into(),
            _ => Response::new(404).into(),
        }
    }

    fn not_opened(&mut self, _: &mut NewPeer<'_>, error: &OpeningError) {
        self.lines.push(format!("not opened: {error}"));
    }

    fn opened(&mut self, peer: &mut Peer<'_>, session: &mut Vec<String>) -> Result<(), Failure> {
        self.lines.push(format!("opened {}", session[0]));
        if session[0] == "/greeted" {
            peer.send("welcome")?;
        }
        Ok(())
    }

    fn message(
        &mut self,
        peer: &mut Peer<'_>,
        session: &mut Vec<String>,
        message: Message<'_>,
    ) -> Result<(), Failure> {
        session.push(String::from_utf8_lossy(message.as_bytes()).into_owned());
        match message {
            Message::Text("history") => peer.send(&*session.join(","))?,
            Message::Text("ping") => peer.ping(b"now")?,
            Message::Text("bye") => peer.close(CloseCode::NORMAL, "as you wish")?,
            message => peer.send(message)?,
        }
        Ok(())
    }

    fn pong(&mut self, _: &mut Peer<'_>, _: &mut Vec<String>, payload: &[u8]) -> Result<(), Failure> {
        self.lines.push(format!("pong {}", String::from_utf8_lossy(payload)));
        Ok(())
    }

    fn closed(&mut self, _: &mut Peer<'_>, _: &mut Vec<String>, end: Closed) {
        self.lines.push(end.to_string());
    }
}

fn refused_with(result: Result<Client, OpeningError>) -> u16 {
    match result {
        Err(OpeningError::Response(ResponseFault::Refused { status, .. })) => status,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[test]
fn a_connection_lives_from_its_request_to_its_end() {
    let mut world = World::new(Diary::default());
    let mut client = world.connect("/greeted");
    assert_eq!(client.receive(), ["welcome"]);
    for text in ["a", "b", "ping", "history"] {
        client.send(text);
    }
    world.round([client.key]);
    assert_eq!(client.receive(), ["a", "b", "/greeted,a,b,ping,history"]);
    client.send("bye");
    world.settle();
    assert_eq!(client.receive(), ["(1000 as you wish)"]);
    world.settle();
    client.receive();
    world.settle();
    assert!(client.end.is_some_and(|end| end.is_clean()));
    assert_eq!(world.handler.lines[0..2], ["opened /greeted", "pong now"]);
    assert!(world.handler.lines[2].starts_with("closed by this end"), "{:?}", world.handler.lines);
    assert_eq!((world.handler.lines.len(), world.connections.len()), (3, 0));
    let counters = world.connections.counters();
    assert_eq!((counters.accepted, counters.opened, counters.closed_cleanly), (1, 1, 1));
    assert_eq!((counters.open, counters.opening, counters.unsent), (0, 0, 0));
    assert_eq!((counters.messages_received, counters.bytes_received), (5, 1 + 1 + 4 + 7 + 3));
    assert_eq!((counters.messages_sent, counters.bytes_sent), (4, 7 + 1 + 1 + 25));
}

#[test]
fn requests_are_answered_now_or_later_and_pages_of_other_sites_are_refused() {
    let mut world = World::new(Diary::default());
    assert_eq!(refused_with(world.try_connect(ClientRequest::new("localhost", "/no"), CAPACITY)), 404);
    // What cannot be sent is a mistake of the program.
    assert_eq!(refused_with(world.try_connect(ClientRequest::new("localhost", "/wrong"), CAPACITY)), 500);
    let evil = || ClientRequest::new("localhost", "/").origin("https://evil.example");
    assert_eq!(refused_with(world.try_connect(evil(), CAPACITY)), 403);
    let ours = ClientRequest::new("localhost", "/").origin("http://localhost");
    assert!(world.try_connect(ours, CAPACITY).is_ok());
    world.settle();
    assert_eq!(world.connections.counters().refused, 3);

    let config = ServerConfig::default().origin(OriginPolicy::Any);
    assert!(World::with_config(Diary::default(), config).try_connect(evil(), CAPACITY).is_ok());
}

#[test]
fn a_decision_can_be_given_later_once() {
    let mut world = World::new(Diary::default());
    let (a, mut client) = memory::pair(CAPACITY);
    let key = world.connections.insert(a, None, 0).unwrap();
    client.send(&request("/later")).unwrap();
    world.settle();
    world.settle();
    let id = world.handler.undecided.pop().unwrap();
    assert!(world.handler.undecided.is_empty(), "it is asked once");
    assert_eq!(world.connections.id(key), Some(id));
    assert!(!world.connections.wants(key).unwrap().read);
    world.connections.hub().answer(id, Response::accept());
    world.connections.hub().answer(id, Response::new(404));
    world.settle();
    assert!(head(&mut client).starts_with("HTTP/1.1 101 "));
    assert_eq!(world.handler.lines, ["opened /later"]);

    // The client goes away before the decision.
    let (a, mut client) = memory::pair(CAPACITY);
    world.connections.insert(a, None, 0).unwrap();
    client.send(&request("/later")).unwrap();
    world.settle();
    let id = world.handler.undecided.pop().unwrap();
    world.now = 20_000;
    world.settle();
    assert_eq!(world.handler.lines[1], "not opened: timeout: opening handshake");
    world.connections.hub().answer(id, Response::accept());
    world.settle();
    assert_eq!(world.connections.counters().opened, 1);
}

fn request(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

fn head(client: &mut impl NonBlockingTransport) -> String {
    let mut buffer = [0; 4096];
    let n = client.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..n]).into_owned()
}

#[test]
fn plain_http_is_answered_and_the_connection_ends() {
    let mut world = World::new(Diary::default());
    for (path, status) in [("/health", "200 OK"), ("/other", "404 Not Found")] {
        let (a, mut client) = memory::pair(CAPACITY);
        world.connections.insert(a, None, 0).unwrap();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
        world.settle();
        assert!(head(&mut client).starts_with(&format!("HTTP/1.1 {status}\r\n")));
        assert_eq!(client.recv(&mut [0]).unwrap(), 0);
        drop(client);
        world.settle();
    }
    assert_eq!((world.connections.counters().http, world.connections.len()), (2, 0));
}

#[test]
fn an_opening_that_fails_is_reported_and_counted() {
    let mut world = World::new(Diary::default());
    let (a, mut client) = memory::pair(CAPACITY);
    world.connections.insert(a, None, 0).unwrap();
    client.send(b"nonsense\r\n\r\n").unwrap();
    world.settle();
    assert!(head(&mut client).starts_with("HTTP/1.1 400 "));
    drop(client);
    // Silent, and never reported by a poller.
    let (a, _silent) = memory::pair(CAPACITY);
    world.connections.insert(a, None, 0).unwrap();
    world.settle();
    for now in [1_000, 9_999, 10_000, 12_000] {
        world.now = now;
        world.connections.turn(now, &mut world.handler);
    }
    assert_eq!(world.connections.len(), 0);
    assert_eq!(world.connections.counters().failed_openings, 2);
    assert_eq!(world.handler.lines.len(), 2);
    assert_eq!(world.handler.lines[1], "not opened: timeout: opening handshake");
}

#[test]
fn the_address_of_a_client_is_from_the_socket_the_proxy_or_a_trusted_header() {
    let socket: IpAddr = "192.0.2.1".parse().unwrap();
    let proxied = b"PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n";
    let forwarded = "X-Forwarded-For: 8.8.8.8\r\nX-Forwarded-For: 1.1.1.1, 203.0.113.9:4711\r\n";
    let plain = ServerConfig::default();
    let ask = |config: &ServerConfig, before: &[u8], headers: &str| {
        let mut world = World::with_config(Diary::default(), config.clone());
        let (a, mut client) = memory::pair(CAPACITY);
        world.connections.insert(a, Some(socket), 0).unwrap();
        let request = String::from_utf8(request("/ip")).unwrap();
        let request = request.replace("Host: localhost\r\n", &format!("Host: localhost\r\n{headers}"));
        // Each byte on its own.
        for byte in [before, request.as_bytes()].concat() {
            if client.send(&[byte]).is_err() {
                break; // refused before the end of the request
            }
            world.settle();
        }
        let head = head(&mut client);
        let ip = head.split("X-Ip: Some(").nth(1).and_then(|rest| rest.split(')').next());
        ip.map(str::to_owned).unwrap_or(head)
    };
    assert_eq!(ask(&plain, b"", forwarded), "192.0.2.1");
    let header = plain.clone().client_ip_header("X-Forwarded-For");
    assert_eq!(ask(&header, b"", forwarded), "203.0.113.9");
    assert_eq!(ask(&header, b"", "X-Forwarded-For: unknown\r\n"), "192.0.2.1");
    let proxy = plain.clone().proxy_protocol(true);
    assert_eq!(ask(&proxy, proxied, forwarded), "203.0.113.7");
    assert_eq!(ask(&proxy, b"PROXY UNKNOWN\r\n", ""), "192.0.2.1");
    // Not asked for: it is no request.
    assert!(ask(&plain, proxied, "").starts_with("HTTP/1.1 400 "));
}

#[test]
fn a_header_of_the_proxy_protocol_that_does_not_arrive_ends_the_connection() {
    let config = ServerConfig::default().proxy_protocol(true);
    let mut world = World::with_config(Diary::default(), config);
    let (a, mut client) = memory::pair(CAPACITY);
    world.connections.insert(a, None, 0).unwrap();
    client.send(&request("/")).unwrap();
    world.settle();
    assert_eq!(world.connections.len(), 0);
    let (a, mut silent) = memory::pair(CAPACITY);
    world.connections.insert(a, None, 0).unwrap();
    silent.send(b"PROXY").unwrap();
    world.settle();
    for now in [1_000, 10_000, 12_000] {
        world.connections.turn(now, &mut world.handler);
    }
    assert_eq!(world.connections.len(), 0);
    assert!(world.handler.lines[0].contains("PROXY"), "{:?}", world.handler.lines);
    assert_eq!(world.handler.lines[1], "not opened: timeout: opening handshake");
    // The header does not give more time.
    let (a, mut late) = memory::pair(CAPACITY);
    let key = world.connections.insert(a, None, 20_000).unwrap();
    world.connections.ready(key, Ready::READABLE, 20_000, &mut world.handler);
    late.send(b"PROXY UNKNOWN\r\n").unwrap();
    world.connections.ready(key, Ready::READABLE, 29_000, &mut world.handler);
    for now in [29_000, 31_000] {
        world.connections.turn(now, &mut world.handler);
    }
    assert_eq!(world.connections.len(), 0);
    assert_eq!(world.handler.lines[2], "not opened: timeout: opening handshake");
}

#[test]
fn a_silent_peer_is_pinged_and_then_dropped_though_no_ordinary_call_asks_for_the_deadline() {
    let timeouts = Timeouts::default().ping_interval(Duration::from_secs(20)).idle(Duration::from_secs(30));
    let config = ServerConfig::default().connection(Config::default().timeouts(timeouts));
    let mut world = World::with_config(Diary::default(), config);
    let mut client = world.connect("/");
    for now in (0..100_000).step_by(1_000) {
        world.now = now;
        client.send("still here");
        world.round([client.key]);
        assert_eq!(client.receive(), ["still here"]);
    }
    for now in (100_000..140_000).step_by(1_000) {
        world.now = now;
        assert_eq!(world.connections.len(), usize::from(now <= 129_000), "{now}");
        world.round([]);
    }
    assert_eq!(world.handler.lines[1], "timeout: no bytes received from the peer");
}

#[test]
fn a_closing_handshake_that_is_not_answered_ends_in_time() {
    let mut world = World::new(Diary::default());
    let mut client = world.connect("/");
    client.send("bye");
    // An ordinary call but for the Close frame, which makes the deadline earlier.
    world.round([client.key]);
    for now in (0..8_000).step_by(1_000) {
        world.now = now;
        world.round([]);
    }
    assert_eq!(world.handler.lines[1], "timeout: closing handshake not finished");
}

#[test]
fn a_closing_handshake_that_another_connection_began_ends_in_time_too() {
    let timeouts = Timeouts::OFF.close(Duration::from_secs(5));
    let config = ServerConfig::default().connection(Config::default().timeouts(timeouts));
    let mut world = World::with_config(Diary::default(), config);
    let client = world.connect("/");
    let id = world.connections.id(client.key).unwrap();
    // No other timer is left that could fire.
    for now in [30_000, 60_000] {
        world.now = now;
        world.round([]);
    }
    world.connections.hub().close(id, CloseCode::GOING_AWAY, "");
    for now in (60_000..68_000).step_by(1_000) {
        world.now = now;
        world.round([]);
    }
    assert_eq!(world.handler.lines[1], "timeout: closing handshake not finished");
}

#[test]
fn a_flooding_peer_delays_the_others_by_one_call_at_most() {
    let limits = Limits::default().call_events(10);
    let config = ServerConfig::default().connection(Config::default().limits(limits));
    let mut world = World::with_config(Diary::default(), config);
    let (mut flood, mut other) = (world.connect("/"), world.connect("/"));
    for _ in 0..1_000 {
        flood.send("x");
    }
    let mut answered = 0;
    for _ in 0..50 {
        other.send("y");
        let before = world.connections.counters().messages_received;
        world.round([flood.key, other.key]);
        let calls = world.connections.counters().messages_received - before;
        assert!(calls <= 21, "one call of each in a round, and the flood's queued one: {calls}");
        answered += other.receive().len();
    }
    assert_eq!(answered, 50);
    world.settle();
    assert_eq!(flood.receive().len(), 1_000);
}

#[test]
fn drained_reports_that_a_slow_peer_has_taken_everything() {
    struct Drain(Vec<(u64, usize)>);
    impl Handler for Drain {
        type Session = ();
        fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
            Ok(peer.send(message)?)
        }
        fn drained(&mut self, peer: &mut Peer<'_>, _: &mut (), missed: u64) -> Result<(), Failure> {
            self.0.push((missed, peer.unsent()));
            Ok(peer.send("drained")?)
        }
    }
    let mut world = World::new(Drain(Vec::new()));
    let mut client = world.try_connect(ClientRequest::new("localhost", "/"), 1000).unwrap();
    client.send(&[7; 800]);
    world.settle();
    client.send(&[7; 800]);
    world.settle();
    assert!(world.connections.wants(client.key).unwrap().write);
    assert!(world.connections.counters().unsent > 0);
    assert_eq!(client.receive().len(), 1);
    world.connections.ready(client.key, Ready::WRITABLE, 0, &mut world.handler);
    assert_eq!(world.handler.0, [(0, 0)]);
    assert_eq!(client.receive().len(), 2);
    assert_eq!(world.connections.counters().unsent, 0);
}

#[test]
fn a_poller_that_is_not_edge_triggered_is_kept_informed() {
    let mut connections = Connections::new(ServerConfig::default()).track_wants();
    let mut handler = Diary::default();
    let (a, mut client) = memory::pair(600);
    let key = connections.insert(a, None, 0).unwrap();
    assert!(connections.next_change().is_none());
    assert!(connections.wants(key).is_some_and(|wants| wants.read && !wants.write));

    let mut drive = |connections: &mut Connections<_, _>, ready| {
        connections.ready(key, ready, 0, &mut handler);
        connections.turn(0, &mut handler);
        std::iter::from_fn(|| connections.next_change()).collect::<Vec<_>>()
    };
    client.send(&request("/later")).unwrap();
    // Nothing is received before the decision.
    let changes = drive(&mut connections, Ready::READABLE);
    assert!(matches!(changes[..], [Change::Wants { wants, .. }] if !wants.read && !wants.write));
    let id = connections.id(key).unwrap();
    connections.hub().answer(id, Response::accept());
    let changes = drive(&mut connections, Ready::NONE);
    assert!(matches!(changes[..], [Change::Wants { wants, .. }] if wants.read && !wants.write));
    head(&mut client);

    // Two echoes of which only one fits.
    for _ in 0..2 {
        client.send(&[&[0x82, 0xFE, 1, 144, 0, 0, 0, 0][..], &[7; 400]].concat()).unwrap();
        let changes = drive(&mut connections, Ready::READABLE);
        assert!(changes.iter().all(|change| matches!(change, Change::Wants { wants, .. } if wants.write)));
    }
    assert!(connections.wants(key).is_some_and(|wants| wants.write));
    head(&mut client);
    let changes = drive(&mut connections, Ready::WRITABLE);
    assert!(matches!(changes[..], [Change::Wants { wants, .. }] if wants.read && !wants.write));

    drop(client);
    let changes = drive(&mut connections, Ready::READABLE);
    assert!(matches!(changes[..], [Change::Gone { key: gone, .. }] if gone == key), "{changes:?}");
    assert!(connections.is_empty());
}

#[test]
fn stale_keys_and_ids_reach_nobody() {
    let mut world = World::new(Diary::default());
    let first = world.connect("/");
    let id = world.connections.id(first.key).unwrap();
    let key = first.key;
    drop(first);
    world.settle();
    assert_eq!(world.connections.len(), 0);
    assert_eq!((world.connections.id(key), world.connections.wants(key)), (None, None));
    let mut second = world.connect("/");
    assert_eq!(second.key, key, "the slot is used again");
    assert_ne!(world.connections.id(key), Some(id));
    let hub = world.connections.hub();
    hub.send_to(id, "for the first");
    hub.close(id, CloseCode::NORMAL, "");
    hub.answer(id, Response::accept());
    world.connections.ready(12_345, Ready::UNKNOWN, 0, &mut world.handler);
    world.settle();
    assert_eq!(second.receive(), Vec::<String>::new());
    let id = world.connections.id(key).unwrap();
    world.connections.hub().send_to(id, "for the second");
    world.settle();
    assert_eq!(second.receive(), ["for the second"]);
}

#[test]
fn a_chunked_message_is_delivered_as_it_arrives() {
    #[derive(Default)]
    struct Sizes(Vec<(usize, bool)>);
    impl Handler for Sizes {
        type Session = ();
        fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
            unreachable!("messages are delivered in chunks")
        }
        fn chunk(
            &mut self,
            _: &mut Peer<'_>,
            _: &mut (),
            chunk: websocket_stream::Chunk<'_>,
        ) -> Result<(), Failure> {
            self.0.push((chunk.as_bytes().len(), chunk.is_last()));
            Ok(())
        }
    }
    let config = ServerConfig::default().connection(Config::default().streaming(true));
    let mut world = World::with_config(Sizes::default(), config);
    let mut client = world.connect("/");
    client.send(&vec![1; 300_000]);
    world.settle();
    assert_eq!(world.handler.0.iter().map(|chunk| chunk.0).sum::<usize>(), 300_000);
    assert!(world.handler.0.len() > 1 && world.handler.0.last().unwrap().1);
    let counters = world.connections.counters();
    assert_eq!((counters.messages_received, counters.bytes_received), (1, 300_000));
}

#[test]
fn a_faulty_peer_that_never_closes_is_dropped_in_time() {
    // Without other timeouts, which would end it later.
    let config = ServerConfig::default().timeouts(Timeouts::default());
    for fault in [&b"\x82\x00"[..], b"\x81\x81\0\0\0\0\xff", b"\x83\x80\0\0\0\0"] {
        let mut world = World::with_config(Diary::default(), config.clone());
        let (a, mut client) = memory::pair(CAPACITY);
        let key = world.connections.insert(a, None, 0).unwrap();
        client.send(&request("/")).unwrap();
        world.round([key]);
        world.round([]);
        client.send(fault).unwrap();
        world.round([key]);
        assert_eq!(world.connections.len(), 1);
        for now in [1_000, 3_000, 5_000, 7_000] {
            world.now = now;
            world.round([]);
        }
        assert_eq!(world.connections.len(), 0, "{fault:?}");
        assert_eq!(world.connections.counters().faults.len(), 1);
    }
}

#[test]
fn what_is_sent_after_an_accepting_answer_arrives() {
    let mut world = World::new(Diary::default());
    let (a, mut client) = memory::pair(CAPACITY);
    world.connections.insert(a, None, 0).unwrap();
    client.send(&request("/later")).unwrap();
    world.settle();
    let id = world.handler.undecided.pop().unwrap();
    let hub = world.connections.hub();
    hub.send_to(id, "hello");
    hub.answer(id, Response::accept());
    hub.send_to(id, "again");
    world.connections.turn(0, &mut world.handler);
    assert!(head(&mut client).ends_with("\r\n\r\n\u{fffd}\x05hello\u{fffd}\x05again"));
}

#[test]
fn a_timer_does_not_give_a_queued_connection_a_second_place() {
    let limits = Limits::default().call_events(1);
    let timeouts = Timeouts::default().ping_interval(Duration::from_secs(1));
    let mut world =
        World::with_config(Diary::default(), ServerConfig::default().limits(limits).timeouts(timeouts));
    let mut flood = world.connect("/");
    for _ in 0..500 {
        flood.send("x");
    }
    world.round([flood.key]);
    for _ in 0..100 {
        world.now += 1_500;
        let before = world.connections.counters().messages_received;
        world.round([]);
        assert_eq!(world.connections.counters().messages_received, before + 1, "one call in a round");
    }
}

#[test]
fn small_messages_for_others_are_delivered_before_they_take_much_memory() {
    struct Publish;
    impl Handler for Publish {
        type Session = ();
        fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
            peer.subscribe("all");
            peer.publish("all", "");
            Ok(())
        }
    }
    let mut world = World::new(Publish);
    let mut client = world.connect("/");
    for _ in 0..4_000 {
        client.send("");
    }
    world.connections.ready(client.key, Ready::READABLE, 0, &mut world.handler);
    // Without a turn.
    assert_eq!(client.receive().len(), 4_000);
}

/// Many connections time out in one round, and the handler publishes something about each of them.
#[test]
fn what_is_published_when_connections_time_out_takes_little_memory() {
    #[derive(Default)]
    struct Leaving {
        watcher: Option<Client>,
        published: usize,
        received: usize,
        /// The largest number of messages that were published and not delivered.
        worst: usize,
    }
    impl Handler for Leaving {
        type Session = ();
        fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
            peer.subscribe("all");
            Ok(())
        }
        fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
            Ok(())
        }
        fn closed(&mut self, peer: &mut Peer<'_>, _: &mut (), _: Closed) {
            let Some(watcher) = &mut self.watcher else { return };
            self.received += watcher.receive().len();
            self.worst = self.worst.max(self.published - self.received);
            self.published += 1;
            peer.publish("all", &[b'x'; 1_000]);
        }
    }
    let timeouts = Timeouts::OFF.idle(Duration::from_secs(30));
    let config = ServerConfig::default().connection(Config::default().timeouts(timeouts));
    let mut world = World::with_config(Leaving::default(), config);
    let silent: Vec<_> = (0..600).map(|_| world.connect("/")).collect();
    let mut watcher = world.connect("/");
    world.now = 20_000;
    watcher.send("I am here");
    world.round([watcher.key]);
    world.handler.watcher = Some(watcher);
    world.now = 40_000;
    world.connections.turn(world.now, &mut world.handler);
    assert_eq!((world.connections.len(), world.handler.published), (1, silent.len()));
    assert!(world.handler.worst < 400, "{}", world.handler.worst);
}

/// Nothing else can be sent to it: it is treated like a peer that is too slow.
#[test]
fn what_is_published_amid_a_message_in_fragments_is_not_lost_in_silence() {
    /// The messages that `drained` has reported.
    struct Fragments(u64);
    impl Handler for Fragments {
        type Session = ();
        fn drained(&mut self, _: &mut Peer<'_>, _: &mut (), missed: u64) -> Result<(), Failure> {
            self.0 += missed;
            Ok(())
        }
        fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
            match message.as_text() {
                Some("download") => {
                    peer.subscribe("news");
                    Ok(peer.send_fragment(OpCode::Binary, b"a part", false)?)
                }
                _ => {
                    peer.publish("news", message);
                    Ok(())
                }
            }
        }
    }
    for (policy, received, open) in [
        (SlowPeer::Drop { above: 1 << 20 }, vec![], 2),
        (SlowPeer::Close { above: 1 << 20 }, vec!["(1013 peer too slow)".to_owned()], 1),
    ] {
        let mut world = World::with_config(Fragments(0), ServerConfig::default().slow_peer(policy));
        let (mut downloading, mut speaking) = (world.connect("/"), world.connect("/"));
        downloading.send("download");
        world.settle();
        speaking.send("news");
        world.settle();
        assert_eq!(downloading.receive(), received);
        world.settle();
        assert_eq!(world.connections.counters().dropped, 1);
        assert_eq!((world.connections.len(), world.handler.0), (open, open as u64 - 1), "{policy:?}");
    }
}

#[test]
fn a_connection_that_has_ended_elsewhere_has_its_own_end() {
    let (a, b) = memory::pair(CAPACITY);
    let (mut ours, mut theirs) = (WebSocketStream::new(a).unwrap(), WebSocketStream::client(b).unwrap());
    let mut scratch = Scratch::new();
    theirs.close(&mut scratch.at(0), CloseCode::NORMAL, "").unwrap();
    let _ = ours.drive(&mut scratch.at(0), Ready::READABLE, |_, _| Ok(())).unwrap();
    let _ = theirs.drive(&mut scratch.at(0), Ready::READABLE, |_, _| Ok(())).unwrap();
    drop(theirs);
    assert!(ours.drive(&mut scratch.at(0), Ready::UNKNOWN, |_, _| Ok(())).unwrap().closed);
    let mut world = World::new(Diary::default());
    world.connections.insert_open(ours, vec!["/".to_owned()], 0, &mut world.handler).unwrap();
    world.settle();
    assert!(world.connections.is_empty());
    let end = world.handler.lines.last().unwrap();
    assert!(end.contains("1000"), "{end}");
    let counters = world.connections.counters();
    assert_eq!((counters.closed_cleanly, counters.closed_abnormally), (1, 0));
}

/// A level-triggered poller reports a reset again and again, though nothing is waited for.
#[test]
fn a_client_that_resets_while_its_request_waits_is_noticed() {
    let mut world = World::new(Diary::default());
    let (a, mut client) = memory::pair(CAPACITY);
    let key = world.connections.insert(a, None, 0).unwrap();
    client.send(&request("/later")).unwrap();
    world.settle();
    client.send(b"early").unwrap();
    world.settle();
    assert_eq!((world.handler.undecided.len(), world.connections.len()), (1, 1));
    world.connections.transport(key).unwrap().plan_recv([Err(ErrorKind::ConnectionReset)]);
    world.round([key]);
    assert!(world.connections.is_empty());
    assert!(world.handler.lines.last().unwrap().starts_with("not opened: "), "{:?}", world.handler.lines);
}

/// Its client does not end the connection.
#[test]
fn a_request_behind_a_header_of_the_proxy_protocol_that_was_answered_has_not_failed() {
    let mut world = World::with_config(Diary::default(), ServerConfig::default().proxy_protocol(true));
    let (a, mut client) = memory::pair(CAPACITY);
    let key = world.connections.insert(a, None, 0).unwrap();
    world.round([key]);
    client.send(b"PROXY UNKNOWN\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    world.now = 1_500;
    world.round([key]);
    assert!(head(&mut client).starts_with("HTTP/1.1 "));
    for now in [9_000, 10_500, 12_500] {
        world.connections.turn(now, &mut world.handler);
    }
    let counters = world.connections.counters();
    assert_eq!((world.connections.len(), counters.http, counters.failed_openings), (0, 1, 0));
    assert!(world.handler.lines.iter().all(|line| !line.contains("not opened")), "{:?}", world.handler.lines);
}
