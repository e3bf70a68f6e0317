//! Sockets of the servers with their own loop, with TLS and without.

use crate::sys;
use rustls::{ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use websocket_stream::NonBlockingTransport;
use websocket_stream::tls::TlsStream;

/// A TCP socket, or what lies on one.
pub trait OnTcp {
    /// Returns the socket, to register it with a poller.
    fn tcp(&self) -> &TcpStream;
}

/// What the floors echo with; nothing blocks.
pub trait Socket: OnTcp {
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Returns whether a receive of this many bytes has taken all that had arrived.
    fn is_drained(&self, received: usize, room: usize) -> bool;

    /// Returns whether bytes wait inside until the socket is writable.
    fn wants_write(&self) -> bool {
        false
    }

    /// Sends the bytes that wait inside.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl OnTcp for TcpStream {
    #[inline]
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TcpStream {
    #[inline]
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        sys::recv(self, buffer)
    }

    #[inline]
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sys::send(self, bytes)
    }

    #[inline]
    fn is_drained(&self, received: usize, room: usize) -> bool {
        received < room
    }
}

impl OnTcp for TlsStream<TcpStream> {
    #[inline]
    fn tcp(&self) -> &TcpStream {
        self.get_ref()
    }
}

impl Socket for TlsStream<TcpStream> {
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        NonBlockingTransport::recv(self, buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        NonBlockingTransport::send(self, bytes)
    }

    fn is_drained(&self, received: usize, room: usize) -> bool {
        received < room && !self.holds_input()
    }

    fn wants_write(&self) -> bool {
        NonBlockingTransport::wants_write(self)
    }

    fn flush(&mut self) -> io::Result<()> {
        NonBlockingTransport::flush(self)
    }
}

/// rustls' own stream, with its buffers.
pub type Buffered = StreamOwned<ServerConnection, TcpStream>;

impl OnTcp for Buffered {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }
}

impl Socket for Buffered {
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    /// It receives as much as it likes, and returns one record at a time.
    fn is_drained(&self, _: usize, _: usize) -> bool {
        false
    }

    fn wants_write(&self) -> bool {
        self.conn.wants_write()
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(self)
    }
}
