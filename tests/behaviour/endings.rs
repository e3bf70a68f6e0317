//! Real TCP sockets. A client leaves at every byte of a whole conversation, including the opening: by ending
//! the stream, by a reset, or by closing only its own direction.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use websocket_stream::Limits;
use websocket_stream::handshake::{ClientHandshake, ClientRequest, Response};
use websocket_stream::protocol::{Connection, Output};
use websocket_stream::{
    Cause, CloseCode, Closed, Event, Initiator, Message, OpeningError, Progress, Ready, Role, Scratch,
    ServerOpening, WebSocketStream,
};

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// It closes the socket.
    EndOfStream,
    /// It resets the connection (SO_LINGER of 0).
    Reset,
    /// It ends its own direction, and still reads.
    HalfClose,
}

/// Returns a client's bytes, and the ends of its request, its two messages and its Close frame.
fn conversation() -> (Vec<u8>, [usize; 4]) {
    let mut bytes = Vec::new();
    let request = ClientRequest::new("localhost", "/");
    ClientHandshake::new(request, [7; 16], &Limits::default()).unwrap().write_request(&mut bytes);
    let mut ends = [bytes.len(); 4];
    let mut client = Connection::new(Role::Client);
    let mut output = Output::new();
    client.send(Message::Text("hello"), &mut output).unwrap();
    ends[1] += output.len();
    // In two fragments.
    client.send_fragment(websocket_stream::OpCode::Binary, &[7; 130], false, &mut output).unwrap();
    client.send_fragment(websocket_stream::OpCode::Continuation, b"8", true, &mut output).unwrap();
    ends[2] = ends[0] + output.len();
    client.close(CloseCode::NORMAL, "bye", &mut output).unwrap();
    ends[3] = ends[0] + output.len();
    bytes.extend_from_slice(output.as_bytes());
    (bytes, ends)
}

/// The server's result.
#[derive(Debug)]
enum Outcome {
    NotOpened(OpeningError),
    Opened { received: usize, end: Closed },
}

/// Serves one connection to its end. Each call has a bound, and so does the number of calls.
fn serve(socket: TcpStream) -> Outcome {
    let mut scratch = Scratch::new();
    let mut opening = ServerOpening::new(socket).unwrap();
    let mut stream = loop {
        wait(opening.get_ref());
        match opening.advance(&mut scratch.at(0)) {
            Ok(Progress::Decide(_)) => {
                opening.answer(&Response::accept()).unwrap();
                match opening.advance(&mut scratch.at(0)) {
                    Ok(Progress::Open) => break opening.into_stream().unwrap(),
                    Ok(_) => panic!("a response of a hundred bytes was not taken"),
                    Err(error) => return Outcome::NotOpened(error),
                }
            }
            Ok(_) => {}
            Err(error) => return Outcome::NotOpened(error),
        }
    };
    let (mut received, mut ends) = (0, Vec::new());
    for _ in 0..100 {
        let driven = stream.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, out| {
            assert!(ends.is_empty(), "{event:?} after the end");
            match event {
                Event::Message(message) => {
                    received += 1;
                    out.send(message)
                }
                Event::Closed(end) => {
                    ends.push(end);
                    Ok(())
                }
                _ => Ok(()),
            }
        });
        match driven {
            Ok(wants) if wants.closed => {}
            Ok(_) => {
                wait(stream.get_ref());
                continue;
            }
            Err(_) => check_broken(&mut stream, &mut scratch),
        }
        let [end] = ends[..] else { panic!("the end was reported {} times", ends.len()) };
        return Outcome::Opened { received, end };
    }
    panic!("it spins");
}

/// Checks that a stream whose transport failed reports `closed` from then on.
fn check_broken(stream: &mut WebSocketStream<TcpStream>, scratch: &mut Scratch) {
    let wants = stream.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| panic!("{event:?}")).unwrap();
    assert!(wants.closed && !wants.read && !wants.write && !wants.again);
}

/// Waits until something can be received. The client has finished before.
fn wait(socket: &TcpStream) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(socket, PollFlags::IN)];
    let hang = Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(poll(&mut fds, Some(&hang)).unwrap(), 1, "nothing arrived in time");
}

#[test]
fn a_client_that_goes_away_at_any_byte_has_a_defined_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (bytes, [head, first, second, close]) = conversation();
    assert_eq!(close, bytes.len());
    for way in [Way::EndOfStream, Way::Reset, Way::HalfClose] {
        for at in 0..=bytes.len() {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (socket, _) = listener.accept().unwrap();
            client.write_all(&bytes[..at]).unwrap();
            let mut client = Some(client);
            match way {
                Way::EndOfStream => drop(client.take()),
                Way::Reset => {
                    let linger = Some(std::time::Duration::ZERO);
                    rustix::net::sockopt::set_socket_linger(client.as_ref().unwrap(), linger).unwrap();
                    drop(client.take());
                }
                Way::HalfClose => client.as_ref().unwrap().shutdown(Shutdown::Write).unwrap(),
            }
            let outcome = serve(socket);
            let whole = usize::from(at >= first) + usize::from(at >= second);
            match (&outcome, way) {
                (Outcome::NotOpened(OpeningError::EndOfStream), Way::EndOfStream | Way::HalfClose) => {
                    assert!(at < head, "{way:?} {at} {outcome:?}");
                }
                // Bytes that arrive after the first answer to a closed socket are answered with a reset.
                (Outcome::NotOpened(OpeningError::System(_)), Way::Reset) => {}
                (Outcome::Opened { received, end }, _) => {
                    assert!(at >= head, "{way:?} {at} {outcome:?}");
                    let is_peers = matches!(end.cause, Cause::Handshake | Cause::EndOfStream);
                    assert_eq!(end.by, if is_peers { Initiator::Peer } else { Initiator::Transport });
                    match end.cause {
                        Cause::Handshake => assert_eq!(at, close),
                        Cause::EndOfStream => assert!(at < close && way != Way::Reset, "{way:?} {at}"),
                        Cause::System(error) => {
                            assert!(error.errno().is_some() && way != Way::HalfClose, "{way:?} {at}")
                        }
                        _ => panic!("{way:?} {at} {outcome:?}"),
                    }
                    // If a client still reads, the server receives everything it sent, to the last message.
                    assert!(
                        *received == whole || (way != Way::HalfClose && *received < whole),
                        "{way:?} {at}"
                    );
                }
                _ => panic!("{way:?} {at} {outcome:?}"),
            }
            if let Some(mut client) = client {
                // All answers, then the end of the stream; never a reset.
                let mut answers = Vec::new();
                client.read_to_end(&mut answers).unwrap();
                let response = answers.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |end| end + 4);
                assert_eq!(response > 0, at >= head);
                let frames = [7, 4 + 131, 4 + "bye".len()];
                let expected: usize = [first, second, close]
                    .iter()
                    .zip(frames)
                    .filter(|(end, _)| at >= **end)
                    .map(|(_, n)| n)
                    .sum();
                assert_eq!(answers.len() - response, expected, "{at}");
            }
        }
    }
}
