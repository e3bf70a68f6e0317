//! The transport of a client: a socket, with TLS or without, also through a proxy over TLS.

#[cfg(feature = "rustls")]
use crate::tls::TlsStream;
use crate::transport::NonBlockingTransport;
use std::io::{self, IoSlice};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, RawSocket};

/// The transport of a client's connection.
///
/// ```
/// use std::net::{TcpListener, TcpStream};
/// use websocket_stream::WebSocketStream;
/// use websocket_stream::client::{Blocking, Transport};
///
/// // A connection that the program has opened itself.
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let socket = TcpStream::connect(listener.local_addr()?)?;
/// let mut server = WebSocketStream::new(listener.accept()?.0)?;
/// let mut client = Blocking::new(WebSocketStream::client(Transport::Tcp(socket))?);
/// client.send("Hello")?;
/// assert!(matches!(client.get_ref().get_ref(), Transport::Tcp(_)));
/// # let _ = &mut server;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Transport {
    /// TCP, also through a proxy.
    Tcp(TcpStream),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
    /// TLS, over a socket or over a proxy's TLS.
    #[cfg(feature = "rustls")]
    Tls(Box<TlsStream<Transport>>),
}

/// Calls a method of the transport that there is.
macro_rules! each {
    ($transport:expr, $stream:ident => $call:expr) => {
        match $transport {
            Transport::Tcp($stream) => $call,
            #[cfg(unix)]
            Transport::Unix($stream) => $call,
            #[cfg(feature = "rustls")]
            Transport::Tls($stream) => $call,
        }
    };
}

impl NonBlockingTransport for Transport {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        each!(self, stream => NonBlockingTransport::set_nonblocking(stream))
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        each!(self, stream => stream.recv(buffer))
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        each!(self, stream => stream.send(bytes))
    }

    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, stream => stream.send_vectored(pieces))
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        each!(self, stream => stream.shutdown_write())
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        each!(self, stream => NonBlockingTransport::set_nodelay(stream))
    }

    fn holds_input(&self) -> bool {
        each!(self, stream => stream.holds_input())
    }

    fn wants_write(&self) -> bool {
        each!(self, stream => stream.wants_write())
    }

    fn flush(&mut self) -> io::Result<()> {
        each!(self, stream => NonBlockingTransport::flush(stream))
    }
}

/// Returns the socket's descriptor, to register with a poller.
#[cfg(unix)]
impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream.get_ref().as_fd(),
        }
    }
}

/// Returns the socket's descriptor, to register with a poller.
#[cfg(unix)]
impl AsRawFd for Transport {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Returns the socket, to register with a poller.
#[cfg(windows)]
impl AsSocket for Transport {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        match self {
            Self::Tcp(stream) => stream.as_socket(),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream.get_ref().as_socket(),
        }
    }
}

/// Returns the socket, to register with a poller.
#[cfg(windows)]
impl AsRawSocket for Transport {
    fn as_raw_socket(&self) -> RawSocket {
        self.as_socket().as_raw_socket()
    }
}
