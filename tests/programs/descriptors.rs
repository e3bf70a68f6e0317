//! Sockets by their descriptors, and receives that stop early: at urgent data, or after a descriptor that the
//! peer passes. They lose no wake-up.

use crate::pollers::{BOTH, Loop, lawful_polled, tcp_pair};
use mio::net::UnixStream;
use mio::{Interest, Token};
use std::io::{self, IoSlice};
use websocket_stream::transport::testing::laws;
use websocket_stream::{Event, NonBlockingTransport, Scratch, WebSocketStream};

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
    receives_both(mio::net::TcpStream::from_std(socket), BOTH.add(Interest::PRIORITY));
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
