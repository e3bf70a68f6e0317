//! Regression tests for defects found in review; each is named after the correct behaviour.

use crate::framed::{frame_to, from_client};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use websocket_stream::handshake::{ClientRequest, Response, ResponseFault, accept_key};
use websocket_stream::protocol::{Role, State};
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    Cause, ClientOpening, CloseCode, Config, Error, Event, Limits, Message, NonBlockingTransport,
    OpeningError, Progress, Ready, Scratch, SendError, Sent, ServerOpening, Timeouts, WebSocketStream,
};

/// Returns a stream whose peer sent `messages` messages and a Close frame, and then left. Over TCP, the first
/// send would not fail yet.
#[cfg(unix)]
fn whose_peer_is_gone(
    messages: usize,
    call_events: usize,
) -> WebSocketStream<std::os::unix::net::UnixStream> {
    let (a, mut b) = std::os::unix::net::UnixStream::pair().unwrap();
    let limits = Limits::default().call_events(call_events);
    let config = Arc::new(Config::default().limits(limits));
    for _ in 0..messages {
        b.write_all(&from_client(0x81, b"last words")).unwrap();
    }
    b.write_all(&from_client(0x88, &1001u16.to_be_bytes())).unwrap();
    WebSocketStream::with_config(a, Role::Server, config).unwrap()
}

#[cfg(unix)]
#[test]
fn messages_of_a_peer_that_left_are_delivered_although_sending_fails() {
    for (call_events, send_first, ready) in [
        (4096, true, Ready::UNKNOWN),
        (4096, true, Ready::WRITABLE),
        (4096, false, Ready::READABLE),
        (1, true, Ready::READABLE),
        (1, false, Ready::UNKNOWN),
    ] {
        let mut scratch = Scratch::new();
        let mut stream = whose_peer_is_gone(60, call_events);
        if send_first {
            assert!(matches!(stream.send(&mut scratch.at(0), "tick"), Err(Error::System(_))));
            assert!(stream.wants().again);
        }
        let (mut received, mut close, mut end) = (0, None, None);
        for _ in 0..100 {
            let wants = stream
                .drive(&mut scratch.at(0), ready, |event, out| {
                    match event {
                        Event::Message(message) => {
                            received += 1;
                            out.send(message)?;
                        }
                        Event::Close(frame) => close = Some(frame.code),
                        Event::Closed(closed) => assert_eq!(end.replace(closed), None),
                        _ => {}
                    }
                    Ok(())
                })
                .unwrap();
            if wants.closed {
                break;
            }
            assert!(wants.again);
        }
        assert_eq!((received, close), (60, Some(CloseCode::GOING_AWAY)), "{call_events} {send_first}");
        assert_eq!(end.map(|end| end.cause), Some(Cause::Handshake));
    }
}

/// A transport without vectored sends.
struct Plain(MemoryStream);

impl NonBlockingTransport for Plain {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.shutdown_write()
    }
}

#[test]
fn a_transport_without_vectored_sends_receives_every_piece() {
    // Room for everything, for the header only, and for part of the payload.
    for room in [1 << 20, 4, 1000] {
        let (a, _b) = memory::pair(room);
        let mut stream = WebSocketStream::new(Plain(a)).unwrap();
        let sent = stream.send(&mut Scratch::new().at(0), &[1u8; 8192]).unwrap();
        match 8196_usize.saturating_sub(room) {
            0 => assert_eq!(sent, Sent::Written),
            rest => assert_eq!(sent, Sent::Queued(rest)),
        }
    }
}

#[test]
fn wants_can_be_read_without_a_call() {
    let (a, mut b) = memory::pair(100);
    let mut stream = WebSocketStream::new(a).unwrap();
    let mut scratch = Scratch::new();
    let idle = stream.wants();
    assert!(idle.read && !idle.write && !idle.again && !idle.closed);
    assert_eq!(stream.send(&mut scratch.at(0), &[1u8; 200]).unwrap(), Sent::Queued(104));
    assert!(stream.wants().write);
    while b.recv(&mut [0; 64]).is_ok() {}
    let driven = stream.drive(&mut scratch.at(0), Ready::WRITABLE, |_, _| Ok(())).unwrap();
    assert_eq!(stream.wants(), driven);
}

fn request() -> &'static [u8] {
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
}

#[test]
fn an_unfinished_opening_is_returned_and_continues() {
    let mut scratch = Scratch::new();
    let (a, mut peer) = memory::pair(100);
    let mut server = ServerOpening::new(a).unwrap();
    for piece in request().chunks(100) {
        peer.send(piece).unwrap();
        server = *server.into_stream().unwrap_err().0;
        let _ = server.advance(&mut scratch.at(0)).unwrap();
    }
    server.answer(&Response::accept()).unwrap();
    // The response is longer than the transport takes at once.
    assert!(matches!(server.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    let mut server = *server.into_stream().unwrap_err().0;
    while peer.recv(&mut [0; 64]).is_ok() {}
    for _ in 0..2 {
        assert!(matches!(server.advance(&mut scratch.at(0)), Ok(Progress::Open)));
    }
    server.into_stream().unwrap();

    let (a, _peer) = memory::pair(4096);
    let mut client = ClientOpening::new(a, ClientRequest::new("a", "/")).unwrap();
    assert!(matches!(client.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    assert!(client.into_stream().is_err());
}

#[test]
fn a_refused_client_that_stays_counts_as_refused_and_not_as_timed_out() {
    let mut scratch = Scratch::new();
    for faulty in [false, true] {
        let (a, mut peer) = memory::pair(4096);
        let mut server = ServerOpening::new(a).unwrap();
        peer.send(if faulty { b"GET / HTTP/1.1\r\nno header\r\n\r\n" } else { request() }).unwrap();
        let _ = server.advance(&mut scratch.at(0)).unwrap();
        if !faulty {
            server.answer(&Response::forbidden()).unwrap();
        }
        assert!(matches!(server.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
        let late = server.next_deadline(0).unwrap();
        match server.advance(&mut scratch.at(late)) {
            Err(OpeningError::Request(_)) => assert!(faulty),
            Ok(Progress::Answered { status: 403 }) => assert!(!faulty),
            other => panic!("{other:?}"),
        }
    }
}

/// Returns a client of whose request only the first 512 bytes fit into the transport, and the server's end.
fn whose_request_is_cut_short() -> (ClientOpening<MemoryStream>, MemoryStream, Scratch) {
    let (a, server) = memory::pair(512);
    let request = ClientRequest::new("a", "/").header("X", "x".repeat(1000));
    let mut client = ClientOpening::new(a, request).unwrap();
    let mut scratch = Scratch::new();
    let Ok(Progress::Pending(wants)) = client.advance(&mut scratch.at(0)) else { panic!() };
    assert!(wants.read && wants.write);
    (client, server, scratch)
}

#[test]
fn a_refusal_is_received_before_the_whole_request_is_sent_and_stays() {
    let (mut client, mut server, mut scratch) = whose_request_is_cut_short();
    server.send(b"HTTP/1.1 431 Too Large\r\n\r\nless").unwrap();
    let late = client.next_deadline(0).unwrap();
    for now in [0, 0, late] {
        match client.advance(&mut scratch.at(now)) {
            Err(OpeningError::Response(ResponseFault::Refused { status: 431, .. })) => {}
            other => panic!("{other:?} at {now}"),
        }
    }
    assert_eq!(client.into_parts().unread, b"less");
}

#[test]
fn a_request_that_was_not_sent_cannot_have_been_accepted() {
    let (mut client, mut server, mut scratch) = whose_request_is_cut_short();
    let mut bytes = [0; 512];
    assert_eq!(server.recv(&mut bytes).unwrap(), 512);
    let head = str::from_utf8(&bytes).unwrap();
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let proof = accept_key(key.as_bytes());
    let accepts = [
        b"HTTP/1.1 101 Early\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        &proof[..],
        b"\r\n\r\n",
    ];
    server.send(&accepts.concat()).unwrap();
    // The room in the transport now is still not enough for the rest.
    for _ in 0..2 {
        match client.advance(&mut scratch.at(0)) {
            Err(OpeningError::Response(ResponseFault::Early)) => {}
            other => panic!("{other:?}"),
        }
    }
    client.into_stream().unwrap_err();
}

/// A transport whose every send fails with this error number.
struct Failing(MemoryStream, i32);

impl NonBlockingTransport for Failing {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }

    fn send(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(self.1))
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_end_keeps_the_whole_number_of_a_systems_error() {
    // The largest numbers of many Unix systems, and ECONNRESET on Windows.
    for errno in [1, 104, 254, 255, 10054, i32::MAX] {
        for in_a_handler in [false, true] {
            let (a, mut b) = memory::pair(4096);
            let mut stream = WebSocketStream::new(Failing(a, errno)).unwrap();
            let mut scratch = Scratch::new();
            b.send(&from_client(0x81, b"ping")).unwrap();
            if !in_a_handler {
                let failed = stream.send(&mut scratch.at(0), "tick").unwrap_err();
                assert!(matches!(failed, Error::System(error) if error.raw_os_error() == Some(errno)));
            }
            let mut end = None;
            let failed = stream.drive(&mut scratch.at(0), Ready::READABLE, |event, out| match event {
                Event::Closed(closed) => {
                    end = Some(closed);
                    Ok(())
                }
                _ => out.send("tock"),
            });
            assert_eq!(failed.unwrap_err().raw_os_error(), Some(errno));
            let Some(Cause::System(error)) = end.map(|end| end.cause) else { panic!("{end:?}") };
            assert_eq!(error.errno(), Some(errno));
            assert_eq!(error.kind(), io::Error::from_raw_os_error(errno).kind());
            assert_eq!(stream.heap_bytes(), 0);
        }
    }
}

#[test]
fn a_transport_failure_without_a_number_keeps_its_kind() {
    for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidData, io::ErrorKind::TimedOut] {
        let (a, _b) = memory::pair(4096);
        a.plan_send([Err(kind)]);
        let mut stream = WebSocketStream::new(a).unwrap();
        let mut scratch = Scratch::new();
        stream.send(&mut scratch.at(0), "tick").unwrap_err();
        let mut end = None;
        let failed = stream.drive(&mut scratch.at(0), Ready::NONE, |event, _| {
            if let Event::Closed(closed) = event {
                end = Some(closed);
            }
            Ok(())
        });
        assert_eq!(failed.unwrap_err().kind(), kind);
        let Some(Cause::System(error)) = end.map(|end| end.cause) else { panic!("{end:?}") };
        assert_eq!((error.errno(), error.kind()), (None, kind));
        assert_eq!(end.unwrap().to_string(), format!("transport error: {kind}"));
    }
}

#[test]
fn a_broadcast_can_drop_dead_connections_or_drive_them_to_their_ends() {
    let mut scratch = Scratch::new();
    for drives in [false, true] {
        let (mut room, mut peers) = (Vec::new(), Vec::new());
        for member in 0..5 {
            let (a, mut b) = memory::pair(4096);
            b.send(&from_client(0x81, b"last words")).unwrap();
            // A failure that no poller would announce.
            a.plan_send((member % 2 == 1).then_some(Err(io::ErrorKind::TimedOut)));
            room.push(WebSocketStream::new(a).unwrap());
            peers.push(b);
        }
        let (mut received, mut ends) = (0, 0);
        room.retain_mut(|stream| {
            let sent = stream.send(&mut scratch.at(0), "tick");
            let wants = stream.wants();
            assert_eq!(sent.is_err(), wants.closed);
            assert_eq!(sent.is_err(), wants.again);
            if drives && wants.again {
                let failed = stream.drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
                    match event {
                        Event::Message(_) => received += 1,
                        Event::Closed(_) => ends += 1,
                        _ => {}
                    }
                    Ok(())
                });
                assert!(failed.is_err() && stream.wants().closed && !stream.wants().again);
            }
            !wants.closed
        });
        assert_eq!(room.len(), 3);
        assert_eq!((received, ends), if drives { (2, 2) } else { (0, 0) });
    }
}

#[test]
fn a_message_that_crosses_our_close_frame_gets_no_reply_and_causes_no_error() {
    let (a, b) = memory::pair(4096);
    let (mut server, mut client) = (WebSocketStream::new(a).unwrap(), WebSocketStream::client(b).unwrap());
    let mut scratch = Scratch::new();
    client.send(&mut scratch.at(0), "one").unwrap();
    server.close(&mut scratch.at(0), CloseCode::GOING_AWAY, "").unwrap();
    client.send(&mut scratch.at(0), "two").unwrap();
    let (mut received, mut end) = (0, None);
    let mut call = |server: &mut WebSocketStream<_>, scratch: &mut Scratch| {
        server
            .drive(&mut scratch.at(0), Ready::READABLE, |event, out| match event {
                Event::Message(message) => {
                    received += 1;
                    out.send(message)
                }
                Event::Closed(closed) => {
                    end = Some(closed);
                    out.send("behind the end")
                }
                _ => Ok(()),
            })
            .unwrap()
    };
    // Both messages in one call: the first refusal does not stop the call.
    let wants = call(&mut server, &mut scratch);
    assert!(wants.read && !wants.again && !wants.closed && wants.refused.is_none());
    while client.read().is_ok() {}
    drop(client);
    while !call(&mut server, &mut scratch).closed {}
    assert_eq!(received, 2);
    assert!(end.unwrap().is_clean());
}

#[test]
fn a_refusal_returned_by_a_handler_is_reported_and_the_rest_is_delivered_next() {
    let limits = Limits::default().unsent(Limits::CONTROL_ROOM + 100);
    let config = Arc::new(Config::default().limits(limits));
    let (a, b) = memory::pair(4096);
    let mut server = WebSocketStream::with_config(a, Role::Server, config).unwrap();
    let mut client = WebSocketStream::client(b).unwrap();
    let mut scratch = Scratch::new();
    for message in ["1", "long", "2"] {
        client.send(&mut scratch.at(0), message).unwrap();
    }
    let (mut refused, mut calls) = (Vec::new(), 0);
    loop {
        calls += 1;
        let wants = server
            .drive(&mut scratch.at(0), Ready::READABLE, |event, out| match event {
                Event::Message(Message::Text("long")) => out.send(&[7; 100]),
                Event::Message(message) => out.send(message),
                _ => Ok(()),
            })
            .unwrap();
        refused.extend(wants.refused);
        if !wants.again {
            break;
        }
    }
    assert_eq!((&refused[..], calls), (&[SendError::TooLong][..], 2));
    assert_eq!(client.read().unwrap().1, b"1");
    assert_eq!(client.read().unwrap().1, b"2");
}

#[test]
fn a_client_ends_tcp_after_its_server_whoever_closes() {
    for client_closes in [true, false] {
        let (a, mut server) = memory::pair(4096);
        let mut client = WebSocketStream::client(a).unwrap();
        let mut scratch = Scratch::new();
        if client_closes {
            client.close(&mut scratch.at(1), CloseCode::NORMAL, "").unwrap();
        }
        server.send(&[0x88, 2, 3, 0xe8]).unwrap();
        let mut end = None;
        let mut drive = |now| {
            let driven = client.drive(&mut scratch.at(now), Ready::UNKNOWN, |event, _| {
                if let Event::Closed(closed) = event {
                    end = Some(closed);
                }
                Ok(())
            });
            driven.unwrap().closed
        };
        assert!(!drive(1));
        assert_eq!(server.recv(&mut [0; 64]).unwrap(), 8, "a masked Close frame, and no end behind it");
        assert_eq!(server.recv(&mut [0; 64]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        // It does not wait forever: 5 s by default.
        assert!(!drive(5_000));
        assert!(drive(5_001));
        assert!(end.unwrap().is_clean());
    }
}

/// Returns a client's opening with a long request, over TCP, and the server's end.
fn long_request() -> (ClientOpening<TcpStream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    // More than the socket buffers of both ends hold.
    let request = ClientRequest::new("a", "/").header("X", "x".repeat(32 << 20));
    (ClientOpening::new(client, request).unwrap(), listener.accept().unwrap().0)
}

/// Advances, with a poll before each call, until the opening fails.
fn failure(opening: &mut ClientOpening<TcpStream>, scratch: &mut Scratch) -> OpeningError {
    loop {
        match opening.advance(&mut scratch.at(0)) {
            Ok(Progress::Pending(wants)) => {
                use rustix::event::{PollFd, PollFlags, Timespec, poll};
                let mut flags = PollFlags::empty();
                flags.set(PollFlags::IN, wants.read);
                flags.set(PollFlags::OUT, wants.write);
                let mut fds = [PollFd::new(opening.get_ref(), flags)];
                let hang = Timespec { tv_sec: 60, tv_nsec: 0 };
                assert_eq!(poll(&mut fds, Some(&hang)).unwrap(), 1, "it hangs");
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => return error,
        }
    }
}

#[test]
fn an_early_refusal_over_tcp_is_received_although_a_reset_follows() {
    for (answer, status) in [("431 Request Header Fields Too Large", 431), ("503 Service Unavailable", 503)] {
        let (mut opening, mut server) = long_request();
        let mut scratch = Scratch::new();
        assert!(matches!(opening.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
        server.write_all(format!("HTTP/1.1 {answer}\r\n\r\nless").as_bytes()).unwrap();
        // With unread input: a reset follows the answer.
        drop(server);
        let late = opening.next_deadline(0).unwrap();
        let error = failure(&mut opening, &mut scratch);
        assert_eq!(error.can_retry(), status == 503);
        for (now, error) in [(0, Ok(error)), (0, Err(())), (late, Err(()))] {
            match error.unwrap_or_else(|()| opening.advance(&mut scratch.at(now)).unwrap_err()) {
                OpeningError::Response(ResponseFault::Refused { status: answered, .. }) => {
                    assert_eq!(answered, status)
                }
                other => panic!("{other:?} at {now}"),
            }
        }
        assert_eq!(opening.next_deadline(late), None);
        assert_eq!(opening.response().unwrap().status(), status);
        assert_eq!(opening.into_parts().unread, b"less");
    }
}

#[test]
fn a_system_error_of_an_opening_stays_what_it_was() {
    let (mut opening, server) = long_request();
    let mut scratch = Scratch::new();
    assert!(matches!(opening.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    let late = opening.next_deadline(0).unwrap();
    drop(server);
    let OpeningError::System(first) = failure(&mut opening, &mut scratch) else { panic!() };
    assert!(first.raw_os_error().is_some());
    for now in [0, 0, late] {
        let Err(OpeningError::System(error)) = opening.advance(&mut scratch.at(now)) else { panic!() };
        assert_eq!((error.raw_os_error(), error.kind()), (first.raw_os_error(), first.kind()));
    }
    // An end of the stream stays one, and so does a server's error.
    let (a, b) = memory::pair(4096);
    let mut client = ClientOpening::new(a, ClientRequest::new("a", "/")).unwrap();
    let mut server = ServerOpening::new(b).unwrap();
    server.get_mut().plan_recv([Err(io::ErrorKind::ConnectionAborted)]);
    for now in [0, 0, 20_000] {
        let Err(OpeningError::System(error)) = server.advance(&mut scratch.at(now)) else { panic!() };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
    server.get_mut().shutdown_write().unwrap();
    for now in [0, 0, 20_000] {
        let error = client.advance(&mut scratch.at(now)).unwrap_err();
        assert!(matches!(error, OpeningError::EndOfStream) && error.can_retry(), "{error:?}");
    }
}

/// Returns the state of the TCP connection from one port to another, as the system reports it; 6 is
/// `TIME_WAIT`.
#[cfg(target_os = "linux")]
fn tcp_state(from: u16, to: u16) -> Option<u8> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let port = |column: &str| u16::from_str_radix(column.split(':').nth(1)?, 16).ok();
        let is_it = port(columns[1]) == Some(from) && port(columns[2]) == Some(to);
        is_it.then(|| u8::from_str_radix(columns[3], 16).unwrap())
    })
}

#[test]
#[cfg(target_os = "linux")]
fn over_tcp_the_server_keeps_time_wait_whoever_closes() {
    const TIME_WAIT: u8 = 6;
    for client_closes in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, address) = listener.accept().unwrap();
        let ports = (server.local_addr().unwrap().port(), address.port());
        let mut server = Some(WebSocketStream::new(server).unwrap());
        let mut client = Some(WebSocketStream::client(client).unwrap());
        let mut scratch = Scratch::new();
        let closing = if client_closes { &mut client } else { &mut server };
        closing.as_mut().unwrap().close(&mut scratch.at(0), CloseCode::NORMAL, "").unwrap();
        while client.is_some() || server.is_some() {
            for end in [&mut client, &mut server] {
                // Dropped as soon as it is closed.
                end.take_if(|end| {
                    end.drive(&mut scratch.at(0), Ready::UNKNOWN, |_, _| Ok(())).unwrap().closed
                });
            }
        }
        // On a busy system, the last segments may be in transit.
        let states = || (tcp_state(ports.1, ports.0), tcp_state(ports.0, ports.1));
        let settled = (None, Some(TIME_WAIT));
        let seen = (0..100_000).map(|_| states()).find(|states| *states == settled);
        assert_eq!(
            seen.unwrap_or_else(states),
            settled,
            "nothing of the client's end, and the server's waits"
        );
    }
}

/// Returns a server's end over TCP that has paused: its peer sends, but takes nothing.
fn paused_over_tcp() -> (WebSocketStream<TcpStream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut stream = WebSocketStream::new(listener.accept().unwrap().0).unwrap();
    let mut scratch = Scratch::new();
    let message = from_client(0x82, &[7; 60_000]);
    peer.set_nonblocking(true).unwrap();
    let mut at = 0;
    while stream.wants().read {
        if let Ok(n) = peer.write(&message[at..]) {
            at = (at + n) % message.len();
        }
        let ready = Ready { closed: false, ..Ready::UNKNOWN };
        let wants = stream
            .drive(&mut scratch.at(0), ready, |event, out| match event {
                Event::Message(message) => out.send(message),
                _ => Ok(()),
            })
            .unwrap();
        assert!(wants.refused.is_none() && !wants.closed);
    }
    assert!(stream.wants().write);
    (stream, peer)
}

#[test]
#[cfg(target_os = "linux")]
fn a_paused_stream_is_not_woken_by_the_peers_end_or_urgent_data() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let (mut stream, peer) = paused_over_tcp();
    rustix::net::send(&peer, b"!", rustix::net::SendFlags::OOB).unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    let mut scratch = Scratch::new();
    let closed = Ready { closed: true, ..Ready::NONE };
    let wants = stream.drive(&mut scratch.at(0), closed, |event, _| panic!("{event:?}")).unwrap();
    assert!(!wants.read && wants.write && !wants.again);
    // As documented in the guarantees for a level-triggered poller.
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN | PollFlags::RDHUP | PollFlags::PRI, wants.read);
    flags.set(PollFlags::OUT, wants.write);
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(
        poll(&mut [PollFd::new(stream.get_ref(), flags)], Some(&at_once)).unwrap(),
        0,
        "it would spin"
    );
}

#[test]
fn a_paused_stream_ends_when_the_poller_reports_only_a_reset() {
    let (mut stream, peer) = paused_over_tcp();
    rustix::net::sockopt::set_socket_linger(&peer, Some(std::time::Duration::ZERO)).unwrap();
    drop(peer);
    let mut scratch = Scratch::new();
    let mut end = None;
    let mut calls = 0;
    let closed = Ready { closed: true, ..Ready::NONE };
    let over = loop {
        calls += 1;
        assert!(calls < 100, "it spins");
        let driven = stream.drive(&mut scratch.at(0), closed, |event, _| {
            if let Event::Closed(closed) = event {
                end = Some(closed);
            }
            Ok(())
        });
        if driven.is_err() {
            break stream.wants().closed;
        }
    };
    assert!(over && matches!(end.unwrap().cause, Cause::System(_)));
}

/// A transport that answers its input by itself when it is flushed, as TLS does in its handshake.
struct Answering {
    inner: MemoryStream,
    greeted: bool,
    answer: Vec<u8>,
}

impl NonBlockingTransport for Answering {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let received = self.inner.recv(buffer);
        if received.is_ok() && !self.greeted {
            self.greeted = true;
            self.answer = b"answer".to_vec();
            return Err(io::ErrorKind::WouldBlock.into());
        }
        received
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.greeted { self.inner.send(bytes) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.inner.shutdown_write()
    }

    fn wants_write(&self) -> bool {
        !self.answer.is_empty()
    }

    fn flush(&mut self) -> io::Result<()> {
        let taken = self.inner.send(&self.answer)?;
        self.answer.drain(..taken);
        if self.answer.is_empty() { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }
}

#[test]
fn a_transports_own_answers_during_an_opening_are_sent_in_the_call_that_received_the_input() {
    let make = || {
        let (inner, mut peer) = memory::pair(4096);
        peer.send(b"greeting").unwrap();
        (Answering { inner, greeted: false, answer: Vec::new() }, peer)
    };
    let mut scratch = Scratch::new();
    let (transport, mut peer) = make();
    let mut client = ClientOpening::new(transport, ClientRequest::new("a", "/")).unwrap();
    let _ = client.advance(&mut scratch.at(0)).unwrap();
    let mut sent = [0; 4096];
    let n = peer.recv(&mut sent).unwrap();
    assert!(sent[..n].ends_with(b"answer"));

    let (transport, mut peer) = make();
    let mut server = ServerOpening::new(transport).unwrap();
    let _ = server.advance(&mut scratch.at(0)).unwrap();
    assert_eq!(peer.recv(&mut [0; 64]).unwrap(), 6);
}

#[test]
fn a_client_whose_wait_has_no_timeout_ends_its_direction_at_once() {
    // `read` has no time.
    let (a, mut server) = memory::pair(4096);
    let mut client = WebSocketStream::client(a).unwrap();
    server.send(&[0x88, 2, 3, 0xe8]).unwrap();
    client.read().unwrap();
    let _ = client.read().unwrap_err();
    assert_eq!(server.recv(&mut [0; 64]).unwrap(), 8);
    assert_eq!(server.recv(&mut [0; 64]).unwrap(), 0, "the end of the stream");
    // The timeout is off, or too long to count.
    for close in [None, Some(Duration::from_secs(25 * 24 * 60 * 60))] {
        let (a, mut server) = memory::pair(4096);
        let config = Arc::new(Config::default().timeouts(Timeouts::default().close(close)));
        let mut client = WebSocketStream::with_config(a, Role::Client, config).unwrap();
        server.send(&[0x88, 2, 3, 0xe8]).unwrap();
        let _ = client.drive(&mut Scratch::new().at(0), Ready::READABLE, |_, _| Ok(())).unwrap();
        assert_eq!(server.recv(&mut [0; 64]).unwrap(), 8, "{close:?}");
        assert_eq!(server.recv(&mut [0; 64]).unwrap(), 0, "the end of the stream");
    }
}

#[test]
fn a_stream_reassembled_after_a_failed_send_is_closed() {
    let (a, _b) = memory::pair(50);
    let mut stream = WebSocketStream::new(a).unwrap();
    let mut scratch = Scratch::new();
    stream.send(&mut scratch.at(0), &[7; 100]).unwrap();
    stream.get_ref().plan_send([Err(io::ErrorKind::TimedOut)]);
    stream.flush(&mut scratch.at(0)).unwrap_err();
    let parts = stream.into_parts();
    let websocket_stream::State::Closed(end) = parts.connection.state() else { panic!() };
    assert!(matches!(end.cause, Cause::System(error) if error.kind() == io::ErrorKind::TimedOut));
    // Nothing is sent into the middle of the cut frame.
    let mut stream = WebSocketStream::from_parts(parts).unwrap();
    let refused = stream.send(&mut scratch.at(0), "x");
    assert!(matches!(refused, Err(Error::Send(SendError::Closed))), "{refused:?}");
}

/// A message that arrived before a Close frame can be answered, however few bytes of that frame have arrived
/// with it. The first byte of an ordinary frame is used.
#[test]
fn what_ends_the_connection_is_held_from_its_first_byte_on() {
    for role in [Role::Server, Role::Client] {
        let [close, ping, reserved] = [(0x88, &b"\x03\xe8"[..]), (0x89, b"ping"), (0x83, b"")]
            .map(|(first, payload)| frame_to(role, first, payload));
        for (next, ends) in [(close, true), (ping, false), (reserved, true)] {
            for cut in 1..next.len() {
                let (a, mut peer) = memory::pair(4096);
                let mut stream = WebSocketStream::with_config(a, role, Arc::default()).unwrap();
                let mut scratch = Scratch::new();
                let mut received = Vec::new();
                peer.send(&[&frame_to(role, 0x81, b"the last question"), &next[..cut]].concat()).unwrap();
                let held = stream.try_drive_and_hold(&mut scratch.at(0), Ready::READABLE, 1, |event, _| {
                    received.push(format!("{event:?}"));
                    Ok::<_, std::io::Error>(())
                });
                held.unwrap();
                let what = format!("{role:?}, {cut} bytes of {next:?}");
                assert_eq!(received.len(), 1, "{what}");
                assert_eq!(stream.is_end_next(), ends, "{what}");
                assert_eq!(stream.send(&mut scratch.at(0), "the answer").unwrap(), Sent::Written, "{what}");
                peer.send(&next[cut..]).unwrap();
                let _ = stream.drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
                    received.push(format!("{event:?}"));
                    Ok(())
                });
                assert_eq!(stream.state() == State::Open, !ends, "{what}");
            }
        }
    }
}

#[test]
fn a_message_that_can_never_fit_is_too_long_even_if_it_is_empty() {
    for unsent in [0, Limits::CONTROL_ROOM, Limits::CONTROL_ROOM + 13] {
        let limits = Limits::default().unsent(unsent);
        let (a, _peer) = memory::pair(4096);
        let config = Arc::new(Config::default().limits(limits));
        let mut stream = WebSocketStream::with_config(a, Role::Server, config).unwrap();
        let refused = stream.send(&mut Scratch::new().at(0), "");
        assert!(matches!(refused, Err(Error::Send(SendError::TooLong))), "{unsent}: {refused:?}");
    }
}
