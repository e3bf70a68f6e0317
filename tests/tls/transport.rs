//! TLS by rustls as a transport: it obeys the laws, and a conversation over it is complete, however few bytes
//! the socket moves at a time.

use crate::localhost;
use crate::socket_pair::socket_pair;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use websocket_stream::handshake::{ClientRequest, Response};
use websocket_stream::tls::TlsStream;
use websocket_stream::transport::testing::laws;
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    Cause, ClientOpening, CloseCode, Config, Event, Limits, NonBlockingTransport, Progress, Ready, Role,
    Scratch, ServerOpening, State, Timeout, Timeouts, Wants, WebSocketStream,
};

/// Returns both ends, before the TLS handshake.
fn tls<T: NonBlockingTransport>((a, b): (T, T)) -> (TlsStream<T>, TlsStream<T>) {
    let client = TlsStream::client(b, localhost::client().unwrap(), "localhost".try_into().unwrap());
    (TlsStream::server(a, localhost::server().unwrap()).unwrap(), client.unwrap())
}

/// Returns both ends after the TLS handshake, which advances with each call that receives.
fn made<T: NonBlockingTransport>(pair: (T, T)) -> io::Result<(TlsStream<T>, TlsStream<T>)> {
    let (mut server, mut client) = tls(pair);
    server.set_nonblocking()?;
    client.set_nonblocking()?;
    let mut quiet = 0;
    while quiet < 3 {
        quiet += 1;
        for end in [&mut client, &mut server] {
            let outcome = end.recv(&mut [0]);
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::WouldBlock);
            if end.wants_write() {
                quiet = 0;
                let _ = end.flush();
            }
        }
    }
    Ok((server, client))
}

fn check<T: NonBlockingTransport>(mut make: impl FnMut() -> io::Result<(T, T)>) {
    laws::check(|| made(make()?)).unwrap_or_else(|broken| panic!("as a server: {broken}"));
    laws::check(|| made(make()?).map(|(server, client)| (client, server)))
        .unwrap_or_else(|broken| panic!("as a client: {broken}"));
}

#[test]
fn it_is_lawful_over_sockets() {
    check(socket_pair);
}

#[test]
fn it_is_lawful_over_a_transport_that_takes_a_part_of_a_record() {
    check(|| Ok(memory::pair(9_000)));
}

/// The socket takes a little at a time, of what TLS has kept.
#[test]
fn a_peer_that_takes_little_is_not_one_that_takes_nothing() {
    let (server, mut client) = made(memory::pair(1_000)).unwrap();
    let timeouts = Timeouts::OFF.write(std::time::Duration::from_secs(30));
    let config = Arc::new(Config::default().timeouts(timeouts));
    let mut server = WebSocketStream::with_config(server, Role::Server, config).unwrap();
    let mut scratch = Scratch::new();
    let mut now = 10;
    server.send(&mut scratch.at(now), &[7; 300_000]).unwrap();
    for _ in 0..200 {
        now += 29_000;
        assert_eq!(client.get_mut().recv(&mut [0; 2_000]).unwrap(), 1_000);
        let _ = server.drive(&mut scratch.at(now), Ready::WRITABLE, |_, _| Ok(())).unwrap();
        assert_eq!(server.state(), State::Open, "at {now}");
    }
    let _ = server.drive(&mut scratch.at(now + 30_000), Ready::NONE, |_, _| Ok(())).unwrap();
    assert!(matches!(server.state(), State::Draining(end) if end.cause == Cause::Timeout(Timeout::Write)));
}

/// Each message would fit behind the records that TLS has kept.
#[test]
fn a_peer_that_takes_nothing_is_noticed_although_small_messages_follow() {
    let (server, _client) = made(memory::pair(1_000)).unwrap();
    let timeouts = Timeouts::OFF.write(std::time::Duration::from_secs(30));
    let config = Arc::new(Config::default().timeouts(timeouts));
    let mut server = WebSocketStream::with_config(server, Role::Server, config).unwrap();
    let mut scratch = Scratch::new();
    for second in 1..=60 {
        let _ = server.send(&mut scratch.at(second * 1_000), &[7; 100]);
        let _ = server.drive(&mut scratch.at(second * 1_000), Ready::NONE, |_, _| Ok(()));
    }
    assert!(matches!(server.state(), State::Draining(end) if end.cause == Cause::Timeout(Timeout::Write)));
}

/// Waits like a program: only for what the stream wants.
fn ready(wants: Wants, transport: &MemoryStream) -> Ready {
    Ready {
        readable: wants.again || wants.read && transport.is_readable(),
        writable: wants.write && transport.is_writable(),
        closed: false,
    }
}

type Opened = (WebSocketStream<TlsStream<MemoryStream>>, WebSocketStream<TlsStream<MemoryStream>>);

fn open(capacity: usize, scratch: &mut Scratch) -> Opened {
    let (a, b) = tls(memory::pair(capacity));
    let mut server = ServerOpening::new(a).unwrap();
    let mut client = ClientOpening::new(b, ClientRequest::new("localhost", "/")).unwrap();
    let mut ready_for = [Ready::UNKNOWN; 2];
    for _ in 0..1_000_000 {
        let mut open = 0;
        match client.advance(&mut scratch.at(0)).unwrap() {
            Progress::Pending(wants) => ready_for[0] = ready(wants, client.get_ref().get_ref()),
            Progress::Decide(_) | Progress::Answered { .. } => unreachable!(),
            Progress::Open => open += 1,
        }
        let asked = match server.advance(&mut scratch.at(0)).unwrap() {
            Progress::Pending(wants) => {
                ready_for[1] = ready(wants, server.get_ref().get_ref());
                false
            }
            Progress::Decide(_) => true,
            Progress::Answered { .. } => unreachable!(),
            Progress::Open => {
                open += 1;
                false
            }
        };
        if asked {
            server.answer(&Response::accept()).unwrap();
        }
        if open == 2 {
            return (server.into_stream().unwrap(), client.into_stream().unwrap());
        }
    }
    panic!("the handshakes hang");
}

#[test]
fn a_conversation_over_it_is_complete_however_few_bytes_move_at_a_time() {
    let mut scratch = Scratch::new();
    for capacity in [1, 7, 100, 5_000, 1 << 20] {
        let (mut server, mut client) = open(capacity, &mut scratch);
        let large = 10 * capacity.clamp(100, 50_000);
        let said = [vec![1; 5], vec![2; 300], vec![3; large], vec![4; 1], vec![5; large]];
        for message in &said {
            let _ = client.send(&mut scratch.at(0), &message[..]).unwrap();
        }
        let (mut received, mut ends) = (Vec::new(), 0);
        let mut ready_for = [Ready::UNKNOWN; 2];
        let mut closed = false;
        for calls in 0.. {
            assert!(calls < 10_000_000, "{capacity}: it hangs");
            let wants = server.drive(&mut scratch.at(0), ready_for[0], |event, out| match event {
                Event::Message(message) => out.send(message),
                Event::Closed(end) => {
                    assert!(end.is_clean(), "{end}");
                    ends += 1;
                    Ok(())
                }
                _ => Ok(()),
            });
            let server_wants = wants.unwrap();
            ready_for[0] = ready(server_wants, server.get_ref().get_ref());
            let wants = client.drive(&mut scratch.at(0), ready_for[1], |event, _| {
                match event {
                    Event::Message(message) => received.push(message.as_bytes().to_vec()),
                    Event::Closed(end) => {
                        assert!(end.is_clean(), "{end}");
                        ends += 1;
                    }
                    _ => {}
                }
                Ok(())
            });
            let mut client_wants = wants.unwrap();
            if received.len() == said.len() && !closed {
                closed = true;
                let _ = client.close(&mut scratch.at(0), CloseCode::NORMAL, "").unwrap();
                client_wants = client.wants();
            }
            ready_for[1] = ready(client_wants, client.get_ref().get_ref());
            if server_wants.closed && client_wants.closed {
                break;
            }
        }
        assert!(received == said, "{capacity}");
        assert_eq!(ends, 2, "{capacity}");
    }
}

/// A poller that announces changes does not announce a socket that takes everything.
#[test]
fn a_request_that_is_too_long_to_wait_for_the_handshake_is_sent_at_its_end() {
    // The server's last message of the handshake is followed by nothing.
    let config = localhost::server_with(&[&rustls::version::TLS12]).unwrap();
    let (a, b) = memory::pair(4 << 20);
    let mut server = TlsStream::server(a, config).unwrap();
    let client = TlsStream::client(b, localhost::client().unwrap(), "localhost".try_into().unwrap());
    let request = ClientRequest::new("localhost", "/").header("A", "x".repeat(3 << 19));
    let mut client = ClientOpening::new(client.unwrap(), request).unwrap();
    let (mut scratch, mut received, mut buffer) = (Scratch::new(), 0, vec![0; 2 << 20]);
    loop {
        assert!(matches!(client.advance(&mut scratch.at(0)).unwrap(), Progress::Pending(_)));
        match server.recv(&mut buffer) {
            Ok(n) => received += n,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        if !client.get_ref().get_ref().is_readable() {
            break;
        }
    }
    assert!(received > 3 << 19, "{received} bytes were sent");
}

#[test]
fn decrypted_bytes_left_by_a_call_are_reported_by_again() {
    let mut scratch = Scratch::new();
    let (server, mut client) = open(1 << 20, &mut scratch);
    // One event for each call.
    let mut parts = server.into_parts();
    let limits = Limits::default().call_events(1);
    let config = websocket_stream::Config::default().limits(limits);
    parts.connection =
        websocket_stream::protocol::Connection::with_config(websocket_stream::Role::Server, config.into());
    let mut server = WebSocketStream::from_parts(parts).unwrap();
    for n in 0..10u8 {
        let _ = client.send(&mut scratch.at(0), &[n]).unwrap();
    }
    let mut received = Vec::new();
    let mut ready = Ready::READABLE;
    loop {
        let wants = server
            .drive(&mut scratch.at(0), ready, |event, _| {
                if let Event::Message(message) = event {
                    received.push(message.as_bytes()[0]);
                }
                Ok(())
            })
            .unwrap();
        if !wants.again {
            break;
        }
        ready = Ready::READABLE;
    }
    assert_eq!(received, (0..10).collect::<Vec<_>>());
}

#[test]
fn a_truncated_stream_ends_with_the_kind_of_its_failure() {
    let mut scratch = Scratch::new();
    let (mut server, client) = open(1 << 20, &mut scratch);
    // Its transport closes without a TLS notification.
    drop(client);
    let mut end = None;
    let failed = server.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
        if let Event::Closed(reported) = event {
            end = Some(reported);
        }
        Ok(())
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let Some(Cause::System(error)) = end.map(|end| end.cause) else { panic!("{end:?}") };
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}
