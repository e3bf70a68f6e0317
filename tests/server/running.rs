//! `Server` on sockets: threads, handles, accepting, stopping.

use std::any::Any;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use websocket_stream::server::{
    Answer, Connections, Failure, Handle, HandleError, Handler, Id, NewPeer, Peer, Server, ServerConfig,
    Shutdown, SlowPeer,
};
use websocket_stream::transport::testing::memory;
use websocket_stream::{
    ClientOpening, ClientRequest, CloseCode, Event, Message, OriginPolicy, Progress, Ready, Request,
    Response, Scratch, Timeouts, WebSocketStream,
};

/// Echoes, and sends to a topic what begins with `=`.
struct Rooms(mpsc::Sender<Id>);

impl Handler for Rooms {
    type Session = ();

    fn open(&mut self, peer: &mut NewPeer<'_>, _: &mut (), request: &Request<'_>) -> Answer {
        if request.path() == "/later" {
            self.0.send(peer.id()).unwrap();
            return Answer::Later;
        }
        Response::accept().into()
    }

    fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
        peer.subscribe("room");
        self.0.send(peer.id()).unwrap();
        Ok(())
    }

    fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
        match message {
            Message::Text("panic") => panic!("as the message asked"),
            Message::Text(text) if text.starts_with('=') => peer.publish("room", message),
            message => peer.send(message)?,
        }
        Ok(())
    }

    /// Sends the text.
    fn notified(
        &mut self,
        peer: &mut Peer<'_>,
        _: &mut (),
        value: Box<dyn Any + Send>,
    ) -> Result<(), Failure> {
        match value.downcast_ref::<String>().map(String::as_str) {
            Some("panic") => panic!("as the note asked"),
            Some(text) => Ok(peer.send(text)?),
            None => Ok(()),
        }
    }
}

/// A server on threads of its own, which is stopped at the end of a test.
pub(crate) struct Running {
    address: SocketAddr,
    pub(crate) handle: Handle,
    pub(crate) opened: mpsc::Receiver<Id>,
    thread: Option<thread::JoinHandle<io::Result<()>>>,
}

impl Running {
    pub(crate) fn new(threads: usize) -> Self {
        Self::with_config(threads, ServerConfig::default().origin(OriginPolicy::Any))
    }

    fn with_config(threads: usize, config: ServerConfig) -> Self {
        let server = Server::bind("127.0.0.1:0").unwrap().config(config);
        let (address, handle) = (server.local_addr().unwrap(), server.handle());
        let (send, opened) = mpsc::channel();
        let thread = thread::spawn(move || match threads {
            1 => server.run(Rooms(send)),
            _ => server.threads(threads).run(|_| Rooms(send.clone())),
        });
        Self { address, handle, opened, thread: Some(thread) }
    }

    pub(crate) fn connect(&self, path: &str) -> Client {
        Self::connect_to(self.address, path)
    }

    fn connect_to(address: SocketAddr, path: &str) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        let mut opening = ClientOpening::new(stream, ClientRequest::new("localhost", path)).unwrap();
        let mut scratch = Scratch::new();
        loop {
            match opening.advance(&mut scratch.at(0)).unwrap() {
                Progress::Open => break,
                Progress::Pending(wants) => wait(opening.get_ref(), wants.write),
                progress => panic!("{progress:?}"),
            }
        }
        Client { stream: opening.into_stream().unwrap(), scratch, received: Vec::new(), over: false }
    }

    fn stop(&mut self) -> io::Result<()> {
        let _ = self.handle.shut_down(Duration::from_secs(20));
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.handle.shut_down(Duration::ZERO);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) struct Client {
    stream: WebSocketStream<TcpStream>,
    scratch: Scratch,
    received: Vec<String>,
    over: bool,
}

/// Waits until a socket is readable, or writable too.
fn wait(socket: &impl rustix::fd::AsFd, writable: bool) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut flags = PollFlags::IN;
    flags.set(PollFlags::OUT, writable);
    let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(socket, flags)], Some(&limit)).unwrap();
    assert_eq!(ready, 1, "nothing in a minute");
}

impl Client {
    fn send(&mut self, text: &str) {
        self.stream.send(&mut self.scratch.at(0), text).unwrap();
    }

    /// Receives until there are `count` messages, the Close frame included, and takes them.
    pub(crate) fn receive(&mut self, count: usize) -> Vec<String> {
        while self.received.len() < count {
            assert!(!self.over, "it has ended with {:?}", self.received);
            wait(&self.stream, self.stream.wants().write);
            let received = &mut self.received;
            let wants = self.stream.drive(&mut self.scratch.at(0), Ready::UNKNOWN, |event, _| {
                match event {
                    Event::Message(message) => received.push(message.as_text().unwrap().to_owned()),
                    Event::Close(frame) => received.push(format!("({})", frame.code.get())),
                    _ => {}
                }
                Ok(())
            });
            self.over = wants.unwrap().closed;
        }
        self.received.drain(..count).collect()
    }
}

#[test]
fn a_server_echoes_until_it_is_stopped() {
    let mut server = Running::new(1);
    let mut clients: Vec<_> = (0..20).map(|_| server.connect("/")).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        client.send(&i.to_string());
    }
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.receive(1), [i.to_string()]);
    }
    assert_eq!(server.handle.counters().open, 20);
    server.handle.shut_down(Shutdown::within(Duration::from_secs(60)).spread(Duration::ZERO)).unwrap();
    for client in &mut clients {
        assert_eq!(client.receive(1), ["(1001)"]);
    }
    drop(clients);
    server.stop().unwrap();
    assert_eq!(TcpStream::connect(server.address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    // Whatever a handle does after the end reaches nobody, and says so.
    let (handle, id) = (&server.handle, server.opened.recv().unwrap());
    assert_eq!(handle.publish("room", "x"), Err(HandleError::Ended));
    assert_eq!(handle.send_to(id, "x"), Err(HandleError::Ended));
    assert_eq!(handle.close(id, CloseCode::NORMAL, ""), Err(HandleError::Ended));
    assert_eq!(handle.answer(id, Response::accept()), Err(HandleError::Ended));
    assert_eq!(handle.run(|_| ()), Err(HandleError::Ended));
    assert_eq!(handle.shut_down(Duration::ZERO), Err(HandleError::Ended));
    let counters = handle.counters();
    assert_eq!((counters.open, counters.opened, counters.messages_sent), (0, 20, 20));
}

#[test]
fn a_handle_reaches_the_loop_from_any_thread() {
    let server = Running::new(1);
    let mut client = server.connect("/");
    let id = server.opened.recv().unwrap();
    server.handle.publish("room", "published").unwrap();
    server.handle.send_to(id, "sent").unwrap();
    let (send, members) = mpsc::channel();
    server.handle.run(move |hub| send.send(hub.members("room")).unwrap()).unwrap();
    assert_eq!(members.recv().unwrap(), 1);
    server.handle.run(|_| panic!("in a closure")).unwrap();
    server.handle.run(move |hub| hub.send_to(id, "from a closure")).unwrap();
    server.handle.close(id, CloseCode::NORMAL, "").unwrap();
    assert_eq!(client.receive(4), ["published", "sent", "from a closure", "(1000)"]);
}

/// Also if nothing else has happened for a while.
#[test]
fn a_closure_has_the_time_of_its_call() {
    let server = Running::new(1);
    let now = || {
        let (send, now) = mpsc::channel();
        server.handle.run(move |hub| send.send(hub.now()).unwrap()).unwrap();
        now.recv().unwrap()
    };
    let (first, start) = (now(), Instant::now());
    while start.elapsed() < Duration::from_millis(20) {}
    assert!(now() - first >= Duration::from_millis(19));
}

#[test]
fn any_number_of_threads_can_be_asked_for() {
    for threads in [0, 1, 1025, usize::MAX] {
        drop(Server::without_listener().threads(threads));
    }
}

/// What waits in it can be accepted by the next process; in a queue of a thread's own, it would be lost.
#[cfg(target_os = "linux")]
#[test]
fn an_inherited_socket_stays_the_only_one_on_its_port() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::from_listener(listener.try_clone().unwrap()).unwrap();
    let handle = server.handle();
    let (send, ids) = mpsc::channel();
    let thread = thread::spawn(move || server.threads(3).run(|_| Rooms(send.clone())));
    let mut client = Running::connect_to(listener.local_addr().unwrap(), "/");
    ids.recv().unwrap();
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    // The local address, in hexadecimal digits, of the sockets that listen (0A).
    let listening = format!(":{port:04X} 00000000:0000 0A ");
    assert_eq!(sockets.matches(&listening).count(), 1, "{sockets}");
    handle.shut_down(Duration::from_secs(20)).unwrap();
    assert_eq!(client.receive(1), ["(1001)"]);
    drop(client);
    thread.join().unwrap().unwrap();
    // It is still listened on.
    TcpStream::connect(listener.local_addr().unwrap()).unwrap();
}

/// A restarted server has put its socket there.
#[cfg(unix)]
#[test]
fn the_file_of_another_servers_socket_is_not_removed() {
    let path = std::env::temp_dir().join(format!("websocket-stream-restart-{}", std::process::id()));
    let old = Server::bind_unix(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let new = Server::bind_unix(&path).unwrap();
    drop(old);
    assert!(path.exists());
    drop(new);
    assert!(!path.exists());
}

#[test]
fn a_mailbox_that_nobody_empties_is_bounded() {
    // Before it runs, a server reads no mail.
    let server = Server::bind("127.0.0.1:0").unwrap().config(ServerConfig::default().mailbox(10_000));
    let handle = server.handle();
    let text = "x".repeat(1_000);
    let accepted = (0..100).take_while(|_| handle.publish("room", &*text).is_ok()).count();
    assert!((5..10).contains(&accepted), "{accepted}");
    assert_eq!(handle.publish("room", &*text), Err(HandleError::Full));
    // So are the bodies of answers.
    let answering = Server::bind("127.0.0.1:0").unwrap().config(ServerConfig::default().mailbox(10_000));
    let mut connections = Connections::<_, ()>::new(ServerConfig::default());
    let key = connections.insert(memory::pair(1).0, None, 0).unwrap();
    let id = connections.id(key).unwrap();
    let page = || Response::new(200).body(text.clone());
    let accepted = (0..100).take_while(|_| answering.handle().answer(id, page()).is_ok()).count();
    assert!((5..10).contains(&accepted), "{accepted}");
    // One message of any length is accepted, and a shutdown always is.
    let other = Server::bind("127.0.0.1:0").unwrap().config(ServerConfig::default().mailbox(0));
    assert_eq!(other.handle().publish("room", &*text), Ok(()));
    assert_eq!(other.handle().publish("room", "y"), Err(HandleError::Full));
    for server in [server, answering, other] {
        server.handle().shut_down(Duration::ZERO).unwrap();
        server.run(Rooms(mpsc::channel().0)).unwrap();
    }
}

#[test]
fn a_decision_can_be_given_from_another_thread() {
    let server = Running::new(1);
    let (address, handle) = (server.address, server.handle.clone());
    let client = thread::spawn(move || {
        let stream = TcpStream::connect(address).unwrap();
        let mut opening = ClientOpening::new(stream, ClientRequest::new("localhost", "/later")).unwrap();
        let mut scratch = Scratch::new();
        while !matches!(opening.advance(&mut scratch.at(0)).unwrap(), Progress::Open) {
            wait(opening.get_ref(), false);
        }
    });
    let id = server.opened.recv().unwrap();
    handle.answer(id, Response::accept()).unwrap();
    client.join().unwrap();
}

#[test]
fn a_panic_of_the_handler_ends_one_connection() {
    let mut server = Running::new(1);
    let (mut client, mut other) = (server.connect("/"), server.connect("/"));
    client.send("before");
    client.send("panic");
    assert_eq!(client.receive(2), ["before", "(1011)"]);
    other.send("and you?");
    assert_eq!(other.receive(1), ["and you?"]);
    assert_eq!(server.handle.counters().panics, 1);
    drop((client, other));
    server.stop().unwrap();
}

#[test]
fn publishing_on_two_threads_reaches_each_member_once_in_the_order_of_each_publisher() {
    const CLIENTS: usize = 40;
    const MESSAGES: usize = 50;
    let server = Running::new(2);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect("/")).collect();
    let ids: Vec<_> = (0..CLIENTS).map(|_| server.opened.recv().unwrap().to_string()).collect();
    assert!(ids.iter().any(|id| id.starts_with("0-")) && ids.iter().any(|id| id.starts_with("1-")));
    for i in 0..MESSAGES {
        for publisher in [0, 1, CLIENTS - 1] {
            clients[publisher].send(&format!("={publisher}:{i}"));
        }
        server.handle.publish("room", &*format!("=handle:{i}")).unwrap();
    }
    for client in &mut clients {
        let received = client.receive(4 * MESSAGES);
        for publisher in ["0", "1", "39", "handle"] {
            let prefix = format!("={publisher}:");
            let of_one: Vec<_> = received.iter().filter_map(|text| text.strip_prefix(&prefix)).collect();
            let expected: Vec<_> = (0..MESSAGES).map(|i| i.to_string()).collect();
            assert_eq!(of_one, expected);
        }
    }
    assert_eq!(server.handle.counters().messages_sent, (CLIENTS * 4 * MESSAGES) as u64);
}

#[test]
fn a_direct_message_finds_its_receiver_on_the_other_thread() {
    let server = Running::new(3);
    let mut clients: Vec<_> = (0..12).map(|_| server.connect("/")).collect();
    for _ in 0..12 {
        let id = server.opened.recv().unwrap();
        // The closure runs on the first thread.
        server.handle.run(move |hub| hub.send_to(id, "from the first thread")).unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.receive(1), ["from the first thread"]);
    }
}

#[test]
fn what_one_thread_sends_keeps_its_order_on_the_way_to_another() {
    let server = Running::new(2);
    let mut clients: Vec<_> = (0..12).map(|_| (server.connect("/"), server.opened.recv().unwrap())).collect();
    for (_, id) in &clients {
        let id = *id;
        // The closure runs on the first thread.
        server
            .handle
            .run(move |hub| {
                hub.publish("room", "1");
                hub.send_to(id, "2");
                hub.publish("room", "3");
            })
            .unwrap();
        server.handle.publish("room", "4").unwrap();
        server.handle.send_to(id, "5").unwrap();
    }
    for (_, id) in &clients {
        server.handle.publish("room", "bye").unwrap();
        server.handle.close(*id, CloseCode::NORMAL, "").unwrap();
    }
    for (index, (client, _)) in clients.iter_mut().enumerate() {
        let mut expected: Vec<&str> = Vec::new();
        for other in 0..12 {
            let is_for_it = |text: &&str| other == index || !["2", "5"].contains(text);
            expected.extend(["1", "2", "3", "4", "5"].into_iter().filter(is_for_it));
        }
        expected.extend(vec!["bye"; index + 1]);
        expected.push("(1000)");
        assert_eq!(client.receive(expected.len()), expected);
    }
}

#[test]
fn the_handle_of_a_server_that_never_ran_says_so() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let handle = server.handle();
    assert_eq!(handle.publish("room", "x"), Ok(()));
    drop(server);
    assert_eq!(handle.publish("room", "x"), Err(HandleError::Ended));
    assert_eq!(handle.shut_down(Duration::ZERO), Err(HandleError::Ended));
}

#[cfg(unix)]
#[test]
fn a_server_listens_on_several_addresses_and_on_the_path_of_a_unix_socket() {
    use std::io::{Read, Write};
    let path = std::env::temp_dir().join(format!("websocket-stream-test-{}", std::process::id()));
    let server = Server::bind("127.0.0.1:0").unwrap().and_bind_unix(&path).unwrap();
    let server = server.and_bind("127.0.0.1:0").unwrap();
    assert_eq!(Server::bind(server.local_addr().unwrap()).unwrap_err().kind(), ErrorKind::AddrInUse);
    assert_eq!(Server::bind_unix(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let (send, _opened) = mpsc::channel();
    let thread = thread::spawn(move || server.threads(2).run(|_| Rooms(send.clone())));
    let mut unix = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let mut tcp = TcpStream::connect(address).unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut answers = [String::new(), String::new()];
    unix.write_all(request).unwrap();
    unix.read_to_string(&mut answers[0]).unwrap();
    tcp.write_all(request).unwrap();
    tcp.read_to_string(&mut answers[1]).unwrap();
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 426 ")), "{answers:?}");
    handle.shut_down(Duration::ZERO).unwrap();
    thread.join().unwrap().unwrap();
    assert!(!path.exists(), "the file is removed");
}

#[test]
fn a_thread_whose_handler_cannot_be_made_stops_the_others() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        server.threads(2).run(|thread| {
            assert_eq!(thread, 0, "the second cannot be made");
            Rooms(mpsc::channel().0)
        })
    }));
    assert!(panicked.is_err());
}

/// On all threads, whichever has read the message and the order to stop.
#[test]
fn what_was_published_before_a_shutdown_arrives_before_the_close() {
    let mut server = Running::new(3);
    let mut clients: Vec<_> = (0..30).map(|_| server.connect("/")).collect();
    clients.iter().for_each(|_| _ = server.opened.recv().unwrap());
    server.handle.publish("room", "bye").unwrap();
    server.handle.shut_down(Shutdown::within(Duration::from_secs(20)).spread(Duration::ZERO)).unwrap();
    for client in &mut clients {
        assert_eq!(client.receive(2), ["bye", "(1001)"]);
    }
    drop(clients);
    server.stop().unwrap();
}

/// The handler panics for another connection, while one is adopted.
#[test]
fn a_panic_for_another_connection_does_not_lose_an_adopted_one() {
    struct Fragile(mpsc::Sender<Id>);
    impl Handler for Fragile {
        type Session = bool;
        fn open(&mut self, peer: &mut NewPeer<'_>, waits: &mut bool, request: &Request<'_>) -> Answer {
            *waits = request.path() == "/later";
            if *waits {
                self.0.send(peer.id()).unwrap();
                return Answer::Later;
            }
            Response::accept().into()
        }
        fn opened(&mut self, peer: &mut Peer<'_>, waits: &mut bool) -> Result<(), Failure> {
            assert!(!*waits, "as the test wants it");
            peer.subscribe("room");
            self.0.send(peer.id()).unwrap();
            Ok(())
        }
        fn message(
            &mut self,
            peer: &mut Peer<'_>,
            _: &mut bool,
            message: Message<'_>,
        ) -> Result<(), Failure> {
            Ok(peer.send(message)?)
        }
    }
    let config = ServerConfig::default().origin(OriginPolicy::Any);
    let server = Server::bind("127.0.0.1:0").unwrap().config(config);
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let (send, ids) = mpsc::channel();
    let thread = thread::spawn(move || server.run(Fragile(send)));
    let mut member = Running::connect_to(address, "/");
    ids.recv().unwrap();
    let waiting = thread::spawn(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        let request = "GET /later HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        io::Write::write_all(&mut socket, request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // The connection is closed with 1011.
        let _ = io::Read::read_to_end(&mut socket, &mut answer);
        assert!(answer.ends_with(b"\x88\x02\x03\xf3"), "{answer:?}");
    });
    let id = ids.recv().unwrap();
    // The letters are read together.
    let (go, wait) = mpsc::channel::<()>();
    handle.run(move |_| wait.recv().unwrap()).unwrap();
    let large = "x".repeat(300_000);
    handle.publish("room", large.as_str()).unwrap();
    handle.answer(id, Response::accept()).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    handle.adopt(WebSocketStream::new(listener.accept().unwrap().0).unwrap(), ()).unwrap();
    go.send(()).unwrap();
    let mut adopted = Client {
        stream: WebSocketStream::client(socket).unwrap(),
        scratch: Scratch::new(),
        received: Vec::new(),
        over: false,
    };
    ids.recv().unwrap();
    adopted.send("still here");
    assert_eq!(adopted.receive(1), ["still here"]);
    assert_eq!(member.receive(1), [large]);
    waiting.join().unwrap();
    drop((adopted, member));
    handle.shut_down(Duration::from_secs(20)).unwrap();
    thread.join().unwrap().unwrap();
}

/// While a socket is removed from it, mio's poll(2) loses wake-ups. Nothing else happens that would end the
/// wait.
#[test]
fn no_letter_waits_that_came_with_the_end_of_a_connection() {
    let config = ServerConfig::default().timeouts(Timeouts::OFF);
    let server = Server::bind("127.0.0.1:0").unwrap().config(config);
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let running = thread::spawn(move || server.run(Rooms(mpsc::channel().0)));
    let (leave, leaving) = mpsc::channel::<TcpStream>();
    let visitor = thread::spawn(move || leaving.into_iter().for_each(drop));
    let read = |round| {
        let (done, wait) = mpsc::channel();
        handle.run(move |_| done.send(()).unwrap()).unwrap();
        assert!(wait.recv_timeout(Duration::from_secs(20)).is_ok(), "in round {round}");
    };
    for round in 0..3_000 {
        let socket = TcpStream::connect(address).unwrap();
        read(round);
        leave.send(socket).unwrap();
        // A little later in each round.
        for _ in 0..(round * 7) % 2_000 {
            std::hint::spin_loop();
        }
        read(round);
    }
    drop(leave);
    visitor.join().unwrap();
    handle.shut_down(Duration::ZERO).unwrap();
    running.join().unwrap().unwrap();
}

/// What a handle publishes while the loop is busy arrives as one batch.
#[test]
fn a_slow_peer_is_noticed_within_a_batch() {
    let slow = SlowPeer::Drop { above: 64 << 10 };
    let config = ServerConfig::default().origin(OriginPolicy::Any).slow_peer(slow);
    let running = Running::with_config(1, config);
    let _client = running.connect("/");
    running.opened.recv().unwrap();
    let (release, released) = mpsc::channel::<()>();
    running.handle.run(move |_| _ = released.recv()).unwrap();
    // More than a socket's buffers take.
    for _ in 0..11_000 {
        running.handle.publish("room", &[7; 1_000]).unwrap();
    }
    let (send, counted) = mpsc::channel();
    running.handle.run(move |hub| send.send(hub.counters()).unwrap()).unwrap();
    drop(release);
    counted.recv().unwrap();
    let counters = running.handle.counters();
    assert!(counters.dropped > 0 && counters.unsent < 1 << 20, "{counters:?}");
}
