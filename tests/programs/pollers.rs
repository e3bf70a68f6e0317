//! Every poller works: transports are reported again even if no call was made that would block (law 12). A
//! receive that stops early, at urgent data or after a passed descriptor, loses no wake-up.
//!
//! mio's sockets are tested with mio's default poller, and with `poll(2)` if the test is built with
//! `RUSTFLAGS='--cfg mio_unsupported_force_poll_poll'`. That poller reports a socket again only after a call
//! that would block, as on Windows.

#[cfg(all(feature = "rustls", target_pointer_width = "64"))]
#[path = "../../examples/tls_pair/localhost.rs"]
mod localhost;

use mio::net::{TcpStream, UnixStream};
use mio::{Events, Interest, Poll, Token};
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::time::Duration;
use websocket_stream::handshake::{ClientRequest, Response};
use websocket_stream::transport::testing::laws::{self, Announced, Law};
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    ClientOpening, CloseCode, Event, NonBlockingTransport, Progress, Ready, Scratch, ServerOpening,
    WebSocketStream,
};

/// A guard against hanging; nothing is measured with it.
const HANG: Duration = Duration::from_secs(60);

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

fn tcp_pair() -> io::Result<(std::net::TcpStream, std::net::TcpStream)> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let connecting = std::net::TcpStream::connect(listener.local_addr()?)?;
    let accepted = listener.accept()?.0;
    connecting.set_nonblocking(true)?;
    accepted.set_nonblocking(true)?;
    Ok((connecting, accepted))
}

fn mio_tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    tcp_pair().map(|(a, b)| (TcpStream::from_std(a), TcpStream::from_std(b)))
}

/// Runs the suite of laws on a transport that a `Poll` serves.
fn lawful_polled<A, B>(mut make: impl FnMut(&Poll) -> io::Result<(A, B)>)
where
    A: NonBlockingTransport,
    B: NonBlockingTransport,
{
    let (poll, mut events) = (RefCell::new(Poll::new().unwrap()), Events::with_capacity(8));
    let verdict = laws::check_polled(
        || make(&poll.borrow()),
        |a, b| {
            // As programs do for a transport that waits to become writable.
            let _ = a.flush();
            drop(b.map(NonBlockingTransport::flush));
            let mut announced = Announced::default();
            poll.borrow_mut().poll(&mut events, Some(Duration::ZERO)).unwrap();
            for event in &events {
                announced.readable |= event.is_readable();
                announced.writable |= event.is_writable();
            }
            std::thread::yield_now();
            announced
        },
    );
    verdict.unwrap_or_else(|broken| panic!("{broken}"));
}

#[test]
fn mios_streams_are_reported_again() {
    lawful_polled(|poll| {
        let (mut a, b) = mio_tcp_pair()?;
        poll.registry().register(&mut a, Token(0), BOTH)?;
        Ok((a, b))
    });
    lawful_polled(|poll| {
        let (mut a, b) = UnixStream::pair()?;
        poll.registry().register(&mut a, Token(0), BOTH)?;
        Ok((a, b))
    });
}

/// Both ends are made before the socket is registered, so that the poller is asked only about traffic.
#[test]
#[cfg(all(feature = "rustls", target_pointer_width = "64"))]
fn tls_on_mios_streams_is_reported_again() {
    use websocket_stream::tls::TlsStream;
    lawful_polled(|poll| {
        let (a, b) = mio_tcp_pair()?;
        let (server, client) = (localhost::server().unwrap(), localhost::client().unwrap());
        let mut a = TlsStream::server(a, server).unwrap();
        let mut b = TlsStream::client(b, client, "localhost".try_into().unwrap()).unwrap();
        poll.registry().register(a.get_mut(), Token(0), BOTH)?;
        // The handshake, and the client's last message of it, which arrives with some delay.
        while a.common_state().is_handshaking() || b.common_state().is_handshaking() || b.wants_write() {
            for end in [&mut b, &mut a] {
                let _ = end.flush();
                match end.recv(&mut [0]) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    outcome => panic!("{outcome:?}"),
                }
            }
        }
        Ok((a, b))
    });
}

/// With `poll(2)`, nothing would arm it again: mio does not see its calls.
#[test]
#[cfg(not(mio_unsupported_force_poll_poll))]
fn sockets_registered_by_their_descriptor_are_reported_again() {
    use mio::unix::SourceFd;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

    lawful_polled(|poll| {
        let (a, b) = tcp_pair()?;
        poll.registry().register(&mut SourceFd(&a.as_raw_fd()), Token(0), BOTH)?;
        Ok((a, b))
    });
    lawful_polled(|poll| {
        let (a, b) = std::os::unix::net::UnixStream::pair()?;
        poll.registry().register(&mut SourceFd(&a.as_raw_fd()), Token(0), BOTH)?;
        Ok((OwnedFd::from(a), b))
    });

    /// A user's own type on a socket.
    struct Owner(OwnedFd);

    impl NonBlockingTransport for Owner {
        fn set_nonblocking(&mut self) -> io::Result<()> {
            self.0.as_fd().set_nonblocking()
        }

        fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.as_fd().recv(buffer)
        }

        fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
            BorrowedFd::send(&mut self.0.as_fd(), bytes)
        }

        fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            self.0.as_fd().send_vectored(pieces)
        }

        fn shutdown_write(&mut self) -> io::Result<()> {
            self.0.as_fd().shutdown_write()
        }
    }

    lawful_polled(|poll| {
        let (a, b) = std::os::unix::net::UnixStream::pair()?;
        poll.registry().register(&mut SourceFd(&a.as_raw_fd()), Token(0), BOTH)?;
        Ok((Owner(a.into()), b))
    });
}

/// A transport whose poller reports it only after it was armed, by a call that would block.
struct Gated {
    inner: MemoryStream,
    armed: Rc<Cell<Announced>>,
    /// Whether it arms itself after a call that moved fewer bytes than requested.
    rearms: bool,
}

impl Gated {
    fn moved(&self, outcome: io::Result<usize>, given: usize, receives: bool) -> io::Result<usize> {
        let would_block = matches!(&outcome, Err(error) if error.kind() == ErrorKind::WouldBlock);
        if would_block || self.rearms && matches!(outcome, Ok(n) if n < given) {
            let mut armed = self.armed.get();
            armed.readable |= receives;
            armed.writable |= !receives;
            self.armed.set(armed);
        }
        outcome
    }
}

impl NonBlockingTransport for Gated {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let outcome = self.inner.recv(buffer);
        self.moved(outcome, buffer.len(), true)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let outcome = self.inner.send(bytes);
        self.moved(outcome, bytes.len(), false)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.inner.shutdown_write()
    }
}

#[test]
fn the_suite_detects_a_transport_that_is_not_armed_again() {
    let check = |rearms| {
        let armed = Rc::new(Cell::new(Announced::default()));
        laws::check_polled(
            || {
                let (inner, peer) = memory::pair(1000);
                armed.set(Announced { readable: true, writable: true });
                Ok((Gated { inner, armed: Rc::clone(&armed), rearms }, peer))
            },
            |gated, _| {
                let mut left = armed.get();
                let now = Announced {
                    readable: left.readable && gated.inner.is_readable(),
                    writable: left.writable && gated.inner.is_writable(),
                };
                left.readable &= !now.readable;
                left.writable &= !now.writable;
                armed.set(left);
                now
            },
        )
    };
    check(true).unwrap();
    assert_eq!(check(false).unwrap_err().law(), Law::AnnouncedAgain);
}

/// The readiness reported for each of two sockets, including requests for another call.
struct Loop {
    poll: Poll,
    events: Events,
}

impl Loop {
    fn new() -> Self {
        Self { poll: Poll::new().unwrap(), events: Events::with_capacity(8) }
    }

    /// Waits for one of the two, unless one of them asks for another call.
    fn turn(&mut self, again: [bool; 2]) -> [Ready; 2] {
        let timeout = if again == [false; 2] { HANG } else { Duration::ZERO };
        self.poll.poll(&mut self.events, Some(timeout)).unwrap();
        assert!(again != [false; 2] || !self.events.is_empty(), "it hangs");
        let mut ready = again.map(|again| if again { Ready::READABLE } else { Ready::NONE });
        for event in &self.events {
            ready[event.token().0] = ready[event.token().0] | Ready::from(event);
        }
        ready
    }
}

/// Opens both ends and sends `messages`, one in flight, which the server echoes. Each end is called only when
/// the poller reported it, or when it asked for a call.
fn converse<T: NonBlockingTransport + mio::event::Source>(
    mut client: T,
    mut server: T,
    messages: &[Vec<u8>],
) {
    let mut poller = Loop::new();
    poller.poll.registry().register(&mut client, Token(0), BOTH).unwrap();
    poller.poll.registry().register(&mut server, Token(1), BOTH).unwrap();
    let mut scratch = Scratch::new();
    let mut client = ClientOpening::new(client, ClientRequest::new("localhost", "/")).unwrap();
    let mut server = ServerOpening::new(server).unwrap();
    let (mut again, mut open) = ([true; 2], [false; 2]);
    while open != [true; 2] {
        let ready = poller.turn(again);
        again = [false; 2];
        if ready[0] != Ready::NONE && !open[0] {
            match client.advance(&mut scratch.at(0)).unwrap() {
                Progress::Open => open[0] = true,
                Progress::Pending(wants) => again[0] = wants.again,
                Progress::Decide(_) | Progress::Answered { .. } => unreachable!(),
            }
        }
        if ready[1] != Ready::NONE && !open[1] {
            match server.advance(&mut scratch.at(0)).unwrap() {
                Progress::Open => open[1] = true,
                Progress::Pending(wants) => again[1] = wants.again,
                Progress::Decide(_) => {
                    server.answer(&Response::accept()).unwrap();
                    again[1] = true;
                }
                Progress::Answered { .. } => unreachable!(),
            }
        }
    }
    let (mut client, mut server) = (client.into_stream().unwrap(), server.into_stream().unwrap());
    let (mut received, mut closed) = (0, [false; 2]);
    let _ = client.send(&mut scratch.at(0), &messages[0]).unwrap();
    let mut again = [true; 2];
    while closed != [true; 2] {
        let ready = poller.turn(again);
        again = [false; 2];
        if ready[0] != Ready::NONE && !closed[0] {
            let wants = client
                .drive(&mut scratch.at(0), ready[0], |event, out| {
                    if let Event::Message(message) = event {
                        assert!(message.as_bytes() == messages[received], "a different message was echoed");
                        received += 1;
                        return match messages.get(received) {
                            Some(next) => out.send(next),
                            None => out.close(CloseCode::NORMAL, ""),
                        };
                    }
                    Ok(())
                })
                .unwrap();
            (again[0], closed[0]) = (wants.again, wants.closed);
        }
        if ready[1] != Ready::NONE && !closed[1] {
            let wants = server
                .drive(&mut scratch.at(0), ready[1], |event, out| match event {
                    Event::Message(message) => out.send(message),
                    _ => Ok(()),
                })
                .unwrap();
            (again[1], closed[1]) = (wants.again, wants.closed);
        }
    }
    assert_eq!(received, messages.len());
}

#[test]
fn a_conversation_over_mio_continues_with_any_poller() {
    let small = vec![b"hello".to_vec(); 5];
    let large = vec![vec![7; 8_000_000], vec![8; 3_000_000]];
    for messages in [&small, &large] {
        let (client, server) = mio_tcp_pair().unwrap();
        converse(client, server, messages);
        let (client, server) = UnixStream::pair().unwrap();
        converse(client, server, messages);
    }
}

/// Checks that a server's stream receives both messages after one readiness event, although its receive stops
/// early between them.
fn receives_both<T: NonBlockingTransport + mio::event::Source>(mut socket: T, wants: Interest) {
    let mut poller = Loop::new();
    poller.poll.registry().register(&mut socket, Token(0), wants).unwrap();
    let mut stream = WebSocketStream::new(socket).unwrap();
    let (mut scratch, mut received) = (Scratch::new(), Vec::new());
    let mut again = false;
    while received.len() < 2 {
        let ready = poller.turn([again, false])[0];
        let wants = stream.drive(&mut scratch.at(0), ready, |event, _| {
            if let Event::Message(message) = event {
                received.push(message.as_bytes().to_vec());
            }
            Ok(())
        });
        again = wants.unwrap().again;
    }
    assert_eq!(received, [b"a", b"b"]);
}

/// Returns a message of one byte, as a client sends it, masked with zeros.
fn message(byte: u8) -> [u8; 7] {
    [0x82, 0x81, 0, 0, 0, 0, byte]
}

#[test]
#[cfg(target_os = "linux")]
fn bytes_after_urgent_data_are_received_without_another_readiness_event() {
    use rustix::net::SendFlags;
    let (socket, peer) = tcp_pair().unwrap();
    rustix::net::send(&peer, &message(b'a'), SendFlags::empty()).unwrap();
    rustix::net::send(&peer, b"!", SendFlags::OOB).unwrap();
    rustix::net::send(&peer, &message(b'b'), SendFlags::empty()).unwrap();
    receives_both(TcpStream::from_std(socket), BOTH.add(Interest::PRIORITY));
}

#[test]
fn bytes_after_a_passed_descriptor_are_received_without_another_readiness_event() {
    let (socket, peer) = std::os::unix::net::UnixStream::pair().unwrap();
    socket.set_nonblocking(true).unwrap();
    pass(&peer, &message(b'a')).unwrap();
    rustix::net::send(&peer, &message(b'b'), rustix::net::SendFlags::empty()).unwrap();
    receives_both(UnixStream::from_std(socket), BOTH);
}

/// Sends bytes and passes a descriptor with them.
fn pass(socket: &std::os::unix::net::UnixStream, bytes: &[u8]) -> io::Result<usize> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::mem::MaybeUninit;
    use std::os::fd::AsFd;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [socket.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
}

/// A peer that passes a descriptor with everything it sends.
struct Passing(std::os::unix::net::UnixStream);

impl NonBlockingTransport for Passing {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        NonBlockingTransport::set_nonblocking(&mut self.0)
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // In small pieces, so that more bytes follow most of them.
        if bytes.is_empty() { Ok(0) } else { pass(&self.0, &bytes[..bytes.len().min(1000)]) }
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.shutdown_write()
    }
}

#[test]
fn a_unix_socket_is_lawful_even_if_its_peer_passes_descriptors() {
    laws::check(|| std::os::unix::net::UnixStream::pair().map(|(a, b)| (a, Passing(b))))
        .unwrap_or_else(|broken| panic!("{broken}"));
    laws::check(|| {
        std::os::unix::net::UnixStream::pair().map(|(a, b)| (std::os::fd::OwnedFd::from(a), Passing(b)))
    })
    .unwrap_or_else(|broken| panic!("{broken}"));
}

/// tokio's sockets, whose readiness is kept by a runtime on this thread: no call is made before the runtime
/// has run.
mod tokio_sockets {
    use super::*;

    macro_rules! tokio_transport {
        ($($name:ident: $stream:ty),+) => {$(
            struct $name($stream);

            impl NonBlockingTransport for $name {
                fn set_nonblocking(&mut self) -> io::Result<()> {
                    Ok(())
                }

                fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                    self.0.try_read(buffer)
                }

                fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
                    self.0.try_write(bytes)
                }

                fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
                    self.0.try_write_vectored(&pieces[..pieces.len().min(1024)])
                }

                fn shutdown_write(&mut self) -> io::Result<()> {
                    use std::os::fd::AsFd;
                    self.0.as_fd().shutdown_write()
                }
            }
        )+};
    }

    tokio_transport!(Tcp: tokio::net::TcpStream, Unix: tokio::net::UnixStream);

    #[test]
    fn on_one_thread_they_are_lawful() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _guard = runtime.enter();
        let turn = || runtime.block_on(tokio::task::yield_now());
        laws::check_with(
            || {
                let (a, b) = tcp_pair()?;
                Ok((Tcp(tokio::net::TcpStream::from_std(a)?), Tcp(tokio::net::TcpStream::from_std(b)?)))
            },
            |_, _| turn(),
        )
        .unwrap_or_else(|broken| panic!("{broken}"));
        laws::check_with(|| tokio::net::UnixStream::pair().map(|(a, b)| (Unix(a), Unix(b))), |_, _| turn())
            .unwrap_or_else(|broken| panic!("{broken}"));
    }
}
