//! The blocking client.

use crate::servers::{Running, serve};
use crate::socket_pair::tcp_pair;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size, set_socket_send_buffer_size};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use websocket_stream::client::{self, Blocking, BlockingError, Connector, Transport};
use websocket_stream::{CloseCode, Config, Limits, OwnedMessage, Role, WebSocketStream};

fn connect(connector: &Connector, url: &str) -> Blocking {
    Blocking::new(connector.connect(url).unwrap()).timeout(Duration::from_secs(60))
}

/// A connection that is open already.
fn open(transport: Transport) -> Blocking {
    Blocking::new(WebSocketStream::client(transport).unwrap()).timeout(Duration::from_secs(60))
}

#[test]
fn messages_are_echoed_and_the_end_is_clean() {
    let server = Running::new();
    let mut client = connect(&Connector::new().no_proxy(), &server.url());
    for size in [0, 1, 1_000, 3_000_000] {
        let text = "x".repeat(size);
        client.send(&text).unwrap();
        assert!(client.next().unwrap() == Some(OwnedMessage::from(text)), "{size}");
    }
    client.send(&[1, 2, 3]).unwrap();
    assert_eq!(client.next().unwrap().unwrap().as_bytes(), [1, 2, 3]);
    let end = client.close(CloseCode::NORMAL, "bye").unwrap();
    assert!(end.is_clean() && client.closed() == Some(end));
    assert_eq!(client.close_frame().unwrap().code, CloseCode::NORMAL);
    assert_eq!(client.next().unwrap(), None);
    assert!(matches!(client.send("late"), Err(BlockingError::Send(_))));
}

#[test]
fn more_than_the_sockets_hold_is_sent_while_the_echoes_are_received() {
    let server = Running::new();
    let mut client = connect(&Connector::new().no_proxy(), &server.url());
    let message = vec![7; 1 << 20];
    for _ in 0..8 {
        client.send(&message).unwrap();
    }
    for _ in 0..8 {
        assert!(client.next().unwrap().unwrap().as_bytes() == message);
    }
}

#[test]
fn a_name_a_path_a_header_credentials_and_subprotocols_reach_the_server() {
    let server = Running::new();
    let port = server.address.port();
    let connector = Connector::new().no_proxy().header("Cookie", "a=b").subprotocol("v1").subprotocol("v0");
    let mut dial = connector.dial(format!("ws://us%65r:pass@localhost:{port}/chat?x=1")).unwrap();
    let mut client = Blocking::new(crate::addresses::finish(&mut dial));
    assert_eq!(dial.subprotocol(), Some("v1"));
    client.send("?").unwrap();
    let expected =
        format!("localhost:{port} /chat?x=1 auth=Some(\"Basic dXNlcjpwYXNz\") cookie=Some(\"a=b\")");
    assert_eq!(client.next().unwrap().unwrap().as_text(), Some(expected.as_str()));
}

#[cfg(unix)]
#[test]
fn a_unix_socket_has_a_url() {
    let path = std::env::temp_dir().join(format!("websocket-stream-client-{}", std::process::id()));
    let _server = Running::start(websocket_stream::server::Server::bind_unix(&path).unwrap());
    let mut client = Blocking::new(client::connect(format!("ws+unix://{}:/a?b", path.display())).unwrap());
    client.send("?").unwrap();
    assert_eq!(client.next().unwrap().unwrap().as_text(), Some("localhost /a?b auth=None cookie=None"));
}

#[test]
fn a_missing_unix_socket_is_an_error_with_its_path() {
    let error = client::connect("ws+unix:///nowhere/socket:/").unwrap_err();
    assert!(error.to_string().starts_with("no connection to /nowhere/socket: "), "{error}");
    assert_eq!(error.can_retry(), cfg!(unix), "{error}");
    // A path that no system takes.
    let error = client::connect(format!("ws+unix:///{}:/", "long/".repeat(100))).unwrap_err();
    assert!(!error.can_retry(), "{error}");
}

#[test]
fn a_call_that_takes_too_long_times_out_and_the_connection_continues() {
    let server = Running::new();
    let stream = Connector::new().no_proxy().connect(server.url()).unwrap();
    let mut client = Blocking::new(stream).timeout(Duration::from_millis(1));
    assert!(matches!(client.next(), Err(BlockingError::Timeout)));
    let mut client = client.timeout(Duration::from_secs(60));
    client.send("still here").unwrap();
    assert_eq!(client.next().unwrap().unwrap().to_string(), "still here");
}

#[test]
fn a_connection_that_breaks_off_is_an_error() {
    let server = Running::new();
    let target = server.address;
    let proxy = serve(move |client| {
        // Forwards the handshake, and nothing else.
        crate::servers::forward_handshake(client, target);
    });
    let stream = Connector::new().no_proxy().connect(format!("ws://{proxy}/")).unwrap();
    let mut client = Blocking::new(stream).timeout(Duration::from_secs(60));
    let error = client.next().unwrap_err();
    assert!(matches!(error, BlockingError::Closed(end) if !end.is_clean()), "{error}");
    assert!(client.next().is_err() && client.closed().is_some());
}

/// Whatever the peer does after a part of a message: the message is not reported as sent.
#[cfg_attr(windows, ignore = "a socket of Windows may take any message at once")]
#[test]
fn a_message_that_is_lost_is_an_error() {
    type End = fn(TcpStream);
    // Many messages arrive before.
    let talks: End = |mut peer| {
        peer.write_all(&b"\x81\x01x".repeat(20_000)).unwrap();
        set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
    };
    let resets: End = |peer| set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
    let ends: End = drop;
    let closes: End = |mut peer| peer.write_all(b"\x88\x02\x03\xe8").unwrap();
    let faults: End = |mut peer| peer.write_all(b"\xff\xff").unwrap();
    let ways = [("talk", talks), ("reset", resets), ("end", ends), ("close", closes), ("fault", faults)];
    for (name, end) in ways {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut peer = listener.accept().unwrap().0;
        set_socket_send_buffer_size(&socket, 64 << 10).unwrap();
        set_socket_recv_buffer_size(&peer, 64 << 10).unwrap();
        let limits = Limits::default().call_events(10);
        let config = Arc::new(Config::default().limits(limits));
        let stream = WebSocketStream::with_config(Transport::Tcp(socket), Role::Client, config).unwrap();
        let mut client = Blocking::new(stream).timeout(Duration::from_secs(60));
        let ending = thread::spawn(move || {
            peer.read_exact(&mut [0; 100_000]).unwrap();
            end(peer);
        });
        // More than the socket takes.
        let error = client.send(&vec![7; 12 << 20]).unwrap_err();
        assert!(matches!(error, BlockingError::Closed(_)), "{name}: {error}");
        assert!(matches!(client.send("late").unwrap_err(), BlockingError::Send(_)), "{name}");
        ending.join().unwrap();
    }
}

/// A message that fails at once, too.
#[test]
fn a_message_to_a_peer_that_has_reset_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut client = open(Transport::Tcp(socket));
    set_socket_linger(&listener.accept().unwrap().0, Some(Duration::ZERO)).unwrap();
    wait_for_arrival(&client);
    let error = client.send("lost").unwrap_err();
    assert!(matches!(error, BlockingError::Closed(end) if !end.is_clean()), "{error}");
}

/// Waits until something has arrived, without taking it away.
fn wait_for_arrival(client: &Blocking) {
    let mut fds = [PollFd::new(client.get_ref(), PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&Timespec { tv_sec: 60, tv_nsec: 0 })).unwrap(), 1);
}

#[test]
fn without_time_a_call_does_what_it_can_without_waiting() {
    let (socket, mut peer) = tcp_pair().unwrap();
    let stream = WebSocketStream::client(Transport::Tcp(socket)).unwrap();
    let mut client = Blocking::new(stream).timeout(Duration::ZERO);
    assert!(matches!(client.next(), Err(BlockingError::Timeout)));
    peer.write_all(b"\x81\x01a\x81\x01b").unwrap();
    wait_for_arrival(&client);
    for expected in ["a", "b"] {
        assert_eq!(client.next().unwrap().unwrap().as_text(), Some(expected));
    }
    assert!(matches!(client.next(), Err(BlockingError::Timeout)));
    client.send("c").unwrap();
    // The peer has not answered yet.
    assert!(matches!(client.close(CloseCode::NORMAL, ""), Err(BlockingError::Timeout)));
    peer.write_all(b"\x88\x02\x03\xe8").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    client = client.timeout(Duration::from_secs(60));
    assert_eq!(client.next().unwrap(), None);
}

/// Empty messages need memory, too.
#[cfg(unix)]
#[test]
fn a_call_that_sends_keeps_a_bounded_number_of_messages() {
    use std::os::unix::net::UnixStream;
    let (socket, mut peer) = UnixStream::pair().unwrap();
    let stream = WebSocketStream::client(Transport::Unix(socket)).unwrap();
    // It takes nothing, and the client's message does not fit into the socket.
    let mut client = Blocking::new(stream).timeout(Duration::from_millis(1));
    peer.set_nonblocking(true).unwrap();
    let flood = b"\x82\x00".repeat(10_000);
    let mut full = 0;
    let mut message = Some(vec![7; 12 << 20]);
    while full < 3 {
        match peer.write(&flood) {
            Ok(n) if n % 2 == 0 => full = 0,
            Ok(_) => peer.write_all(b"\x00").unwrap_or_default(),
            // The client receives no more.
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                full += 1;
            }
        }
        let sent = match message.take() {
            Some(message) => client.send(&message),
            None => client.send_with(|_| Ok(())),
        };
        assert!(matches!(sent, Err(BlockingError::Timeout)));
    }
    let (_, waiting) = client.into_inner();
    assert!((20_000..100_000).contains(&waiting.len()), "{}", waiting.len());
}

/// The client waits to send, and receives nothing more: a timeout is its end, not a call without end.
#[cfg(unix)]
#[test]
fn a_timeout_while_a_call_sends_and_messages_wait_is_the_end() {
    use std::os::unix::net::UnixStream;
    let (socket, mut peer) = UnixStream::pair().unwrap();
    let timeouts = websocket_stream::Timeouts::OFF.close(Duration::from_millis(20));
    let config = Arc::new(Config::default().timeouts(timeouts));
    let stream = WebSocketStream::with_config(Transport::Unix(socket), Role::Client, config).unwrap();
    let mut client = Blocking::new(stream).timeout(Duration::from_secs(60));
    let flood = thread::spawn(move || {
        let mut bytes = b"\x82\x7f\0\0\0\0\0\x18\0\0".to_vec();
        bytes.resize(10 + 0x18_0000, 7);
        bytes.extend(b"\x88\x02\x03\xe8");
        peer.write_all(&bytes).unwrap();
        peer
    });
    let error = client.send(&vec![7; 12 << 20]).unwrap_err();
    assert!(matches!(error, BlockingError::Closed(end) if end.is_clean()), "{error}");
    assert!(client.next().unwrap().is_some() && client.next().unwrap().is_none());
    assert!(client.close(CloseCode::NORMAL, "").is_ok());
    drop(flood.join().unwrap());
}

#[test]
fn a_message_behind_a_long_one_is_not_lost() {
    let (socket, mut peer) = tcp_pair().unwrap();
    let mut client = open(Transport::Tcp(socket));
    let sending = thread::spawn(move || {
        let mut bytes = b"\x82\x7f\0\0\0\0\0\x60\0\0".to_vec();
        bytes.resize(10 + (6 << 20), 7);
        bytes.extend(b"\x81\x01x".repeat(1_000));
        peer.write_all(&bytes).unwrap();
        peer
    });
    assert_eq!(client.next().unwrap().unwrap().as_bytes().len(), 6 << 20);
    for _ in 0..1_000 {
        assert_eq!(client.next().unwrap().unwrap().as_text(), Some("x"));
    }
    drop(sending.join().unwrap());
}

#[test]
fn several_messages_and_a_ping_leave_together_and_the_stream_can_be_taken_out() {
    let (socket, mut peer) = tcp_pair().unwrap();
    let mut client = open(Transport::Tcp(socket));
    client
        .send_with(|out| {
            out.send("a")?;
            out.ping(b"?")?;
            out.send("b")
        })
        .unwrap();
    let mut sent = [0; 7 + 7 + 7];
    peer.read_exact(&mut sent).unwrap();
    assert_eq!([sent[0], sent[7], sent[14]], [0x81, 0x89, 0x81]);
    peer.write_all(b"\x81\x01a\x81\x01b").unwrap();
    wait_for_arrival(&client);
    assert_eq!(client.next().unwrap().unwrap().as_text(), Some("a"));
    let (stream, waiting) = client.into_inner();
    assert_eq!(stream.state(), websocket_stream::State::Open);
    assert_eq!(waiting, [OwnedMessage::from("b")]);
}

/// What the peer has sent before is received, and its end is the connection's.
#[cfg(unix)]
#[test]
fn to_close_a_failed_connection_delivers_its_end() {
    use std::os::unix::net::UnixStream;
    for (sent, is_clean) in [(&b"\x81\x01a\x88\x02\x03\xe8"[..], true), (b"\x81\x01a", false)] {
        let (socket, mut peer) = UnixStream::pair().unwrap();
        let mut client = open(Transport::Unix(socket));
        peer.write_all(sent).unwrap();
        drop(peer);
        let closed = client.close(CloseCode::NORMAL, "");
        assert_eq!((closed.is_ok(), client.closed().unwrap().is_clean()), (is_clean, is_clean), "{closed:?}");
    }
}
