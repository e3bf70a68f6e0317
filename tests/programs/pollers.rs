//! Every poller works: transports are reported again even if no call was made that would block (law 12).
//!
//! mio's sockets are tested with mio's default poller, and with `poll(2)` if the test is built with
//! `RUSTFLAGS='--cfg mio_unsupported_force_poll_poll'`. That poller reports a socket again only after a call
//! that would block, as on Windows.

#[cfg(all(feature = "rustls", target_pointer_width = "64"))]
#[path = "../../examples/tls_pair/localhost.rs"]
mod localhost;

use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::Duration;
use websocket_stream::handshake::{ClientRequest, Response};
use websocket_stream::transport::testing::laws::{self, Announced, Law};
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    ClientOpening, CloseCode, Event, NonBlockingTransport, Progress, Ready, Scratch, ServerOpening,
};

/// A guard against hanging; nothing is measured with it.
const HANG: Duration = Duration::from_secs(60);

pub(crate) const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

pub(crate) fn tcp_pair() -> io::Result<(std::net::TcpStream, std::net::TcpStream)> {
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
pub(crate) fn lawful_polled<A, B>(mut make: impl FnMut(&Poll) -> io::Result<(A, B)>)
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
    #[cfg(unix)]
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
pub(crate) struct Loop {
    pub(crate) poll: Poll,
    events: Events,
}

impl Loop {
    pub(crate) fn new() -> Self {
        Self { poll: Poll::new().unwrap(), events: Events::with_capacity(8) }
    }

    /// Waits for one of the two, unless one of them asks for another call.
    pub(crate) fn turn(&mut self, again: [bool; 2]) -> [Ready; 2] {
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
        #[cfg(unix)]
        {
            let (client, server) = UnixStream::pair().unwrap();
            converse(client, server, messages);
        }
    }
}
