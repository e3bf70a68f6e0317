//! The system's sockets as transports: laws, options, errors, and what a poller registers.

use crate::socket_pair::tcp_pair;
use crate::transport::lawful;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::TcpStream;
use websocket_stream::handshake::ClientRequest;
use websocket_stream::protocol::Role;
use websocket_stream::transport::NonBlockingTransport;
use websocket_stream::{ClientOpening, ServerOpening, WebSocketStream};

#[cfg(feature = "mio")]
fn mio_tcp_pair() -> io::Result<(mio::net::TcpStream, mio::net::TcpStream)> {
    let (a, b) = tcp_pair()?;
    a.set_nonblocking(true)?;
    b.set_nonblocking(true)?;
    Ok((mio::net::TcpStream::from_std(a), mio::net::TcpStream::from_std(b)))
}

#[test]
fn a_tcp_stream_is_lawful() {
    lawful(tcp_pair);
}

#[test]
#[cfg(feature = "mio")]
fn the_streams_of_mio_are_lawful() {
    lawful(mio_tcp_pair);
    #[cfg(unix)]
    lawful(mio::net::UnixStream::pair);
}

#[test]
#[cfg(feature = "mio")]
fn mios_events_convert_to_ready() {
    use mio::{Events, Interest, Poll, Token};
    use std::time::Duration;
    use websocket_stream::Ready;

    let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(4));
    let (mut here, mut peer) = mio_tcp_pair().unwrap();
    poll.registry().register(&mut here, Token(0), Interest::READABLE | Interest::WRITABLE).unwrap();
    let mut poll_once = || {
        poll.poll(&mut events, Some(Duration::from_secs(120))).unwrap();
        events.iter().map(Ready::from).fold(Ready::NONE, |one, other| one | other)
    };
    assert_eq!(poll_once(), Ready::WRITABLE);
    peer.send(&[1]).unwrap();
    let ready = poll_once();
    assert!(ready.readable && !ready.closed);
    // Where a poller reports a socket once, until a call would have blocked.
    here.recv(&mut [0; 2]).unwrap();
    peer.shutdown_write().unwrap();
    while !poll_once().closed {}
}

#[test]
fn small_pieces_are_not_delayed() {
    let (mut stream, _peer) = tcp_pair().unwrap();
    assert!(!stream.nodelay().unwrap());
    NonBlockingTransport::set_nodelay(&mut stream).unwrap();
    assert!(stream.nodelay().unwrap());
}

#[test]
fn streams_and_openings_do_not_delay_small_messages() {
    for wrap in 0..5 {
        let (stream, _peer) = tcp_pair().unwrap();
        assert!(!stream.nodelay().unwrap());
        let nodelay = match wrap {
            0 => WebSocketStream::new(stream).unwrap().get_ref().nodelay(),
            1 => WebSocketStream::client(stream).unwrap().get_ref().nodelay(),
            2 => {
                let stream = WebSocketStream::with_config(stream, Role::Server, Default::default());
                stream.unwrap().get_ref().nodelay()
            }
            3 => ServerOpening::new(stream).unwrap().get_ref().nodelay(),
            _ => ClientOpening::new(stream, ClientRequest::new("a", "/")).unwrap().get_ref().nodelay(),
        };
        assert!(nodelay.unwrap(), "{wrap}");
    }
}

#[test]
fn more_pieces_than_one_system_call_allows_are_taken_partly() {
    let (mut stream, mut peer) = tcp_pair().unwrap();
    let taken = stream.send_vectored(&[IoSlice::new(b"x"); 3000]).unwrap();
    assert_eq!(taken, 1024);
    peer.read_exact(&mut [0; 1024]).unwrap();
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_unix_stream_is_lawful() {
        lawful(UnixStream::pair);
    }

    #[test]
    fn a_descriptor_of_either_is_lawful() {
        lawful(|| tcp_pair().map(|(a, b)| (OwnedFd::from(a), OwnedFd::from(b))));
        lawful(|| UnixStream::pair().map(|(a, b)| (OwnedFd::from(a), b)));
    }

    #[test]
    fn a_stream_and_an_opening_have_the_descriptor_of_their_socket() {
        let (a, b) = UnixStream::pair().unwrap();
        let (a_fd, b_fd) = (a.as_raw_fd(), b.as_raw_fd());
        let server = ServerOpening::new(a).unwrap();
        assert_eq!((server.as_raw_fd(), server.as_fd().as_raw_fd()), (a_fd, a_fd));
        let client = ClientOpening::new(b, ClientRequest::new("a", "/")).unwrap();
        assert_eq!((client.as_raw_fd(), client.as_fd().as_raw_fd()), (b_fd, b_fd));
        let stream = WebSocketStream::new(server.into_parts().transport).unwrap();
        assert_eq!((stream.as_raw_fd(), stream.as_fd().as_raw_fd()), (a_fd, a_fd));
    }

    #[test]
    fn small_pieces_to_a_descriptor_are_not_delayed() {
        let mut descriptor = OwnedFd::from(tcp_pair().unwrap().0);
        descriptor.set_nodelay().unwrap();
        assert!(TcpStream::from(descriptor).nodelay().unwrap());
    }

    #[test]
    fn system_errors_keep_their_errno() {
        let (mut stream, peer) = UnixStream::pair().unwrap();
        NonBlockingTransport::set_nonblocking(&mut stream).unwrap();
        let nothing = stream.recv(&mut [0]);
        NonBlockingTransport::send(&mut stream, b"never read").unwrap();
        drop(peer);
        let reset = stream.recv(&mut [0]);
        let broken = NonBlockingTransport::send(&mut stream, b"x");
        let broken_in_pieces = stream.send_vectored(&[IoSlice::new(b"x")]);
        let found = [nothing, reset, broken, broken_in_pieces].map(|outcome| {
            let error = outcome.unwrap_err();
            assert!(error.raw_os_error().is_some(), "{error}");
            error.kind()
        });
        let (broken, reset) = (ErrorKind::BrokenPipe, ErrorKind::ConnectionReset);
        assert_eq!(found, [ErrorKind::WouldBlock, reset, broken, broken]);
    }
}

#[cfg(windows)]
mod windows {
    use super::*;
    use std::net::Shutdown;
    use std::os::windows::io::{AsRawSocket, AsSocket};
    use websocket_stream::{Cause, Error, Event, Ready, Scratch, SystemError};

    #[test]
    fn a_stream_and_an_opening_have_their_socket() {
        let (a, b) = tcp_pair().unwrap();
        let (a_socket, b_socket) = (a.as_raw_socket(), b.as_raw_socket());
        let server = ServerOpening::new(a).unwrap();
        assert_eq!((server.as_raw_socket(), server.as_socket().as_raw_socket()), (a_socket, a_socket));
        let client = ClientOpening::new(b, ClientRequest::new("a", "/")).unwrap();
        assert_eq!((client.as_raw_socket(), client.as_socket().as_raw_socket()), (b_socket, b_socket));
        let stream = WebSocketStream::new(server.into_parts().transport).unwrap();
        assert_eq!((stream.as_raw_socket(), stream.as_socket().as_raw_socket()), (a_socket, a_socket));
    }

    /// Returns a socket whose peer has reset the connection.
    fn reset() -> TcpStream {
        let (mut stream, peer) = tcp_pair().unwrap();
        let at_once = Some(std::time::Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&peer, at_once).unwrap();
        drop(peer);
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::ConnectionReset, Some(10054)));
        NonBlockingTransport::set_nonblocking(&mut stream).unwrap();
        stream
    }

    /// `WSAECONNRESET` is 10054: the numbers are larger than on Unix.
    #[test]
    fn system_errors_keep_their_number() {
        let (mut stream, peer) = tcp_pair().unwrap();
        NonBlockingTransport::set_nonblocking(&mut stream).unwrap();
        let error = stream.recv(&mut [0]).unwrap_err();
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::WouldBlock, Some(10035)));
        drop(peer);
        for number in [10035, 10053, 10054, 10055, 10058] {
            assert_eq!(SystemError::from_errno(number).errno(), Some(number));
        }
    }

    #[test]
    fn a_failed_send_ends_the_connection_with_the_number() {
        let (a, _peer) = tcp_pair().unwrap();
        a.shutdown(Shutdown::Write).unwrap();
        let mut stream = WebSocketStream::new(a).unwrap();
        let mut scratch = Scratch::new();
        let sent = stream.send(&mut scratch.at(0), "x");
        assert!(
            matches!(&sent, Err(Error::System(error)) if error.raw_os_error() == Some(10058)),
            "{sent:?}"
        );
        let mut end = None;
        let _ = stream.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
            if let Event::Closed(closed) = event {
                end = Some(closed.cause);
            }
            Ok(())
        });
        assert_eq!(end, Some(Cause::System(SystemError::from_errno(10058))));
    }

    #[test]
    fn sending_on_a_reset_connection_fails_with_a_number() {
        let mut stream = reset();
        let failed = (0..10).find_map(|_| NonBlockingTransport::send(&mut stream, b"x").err()).unwrap();
        assert!(failed.raw_os_error().is_some_and(|number| number > 10_000), "{failed:?}");
    }

    #[test]
    fn a_reset_connection_can_still_be_shut_down() {
        let mut stream = reset();
        for _ in 0..2 {
            stream.shutdown_write().unwrap();
        }
    }

    #[test]
    fn a_reset_is_reported_as_the_end_with_the_number() {
        let mut stream = WebSocketStream::new(reset()).unwrap();
        let mut ends = Vec::new();
        // The end, and then the system's error.
        let _ = stream.drive(&mut Scratch::new().at(0), Ready::UNKNOWN, |event, _| {
            if let Event::Closed(end) = event {
                ends.push(end);
            }
            Ok(())
        });
        assert_eq!(ends.len(), 1);
        assert!(!ends[0].is_clean());
    }
}
