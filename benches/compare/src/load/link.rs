//! One connection of the load generator, with TLS or without. It blocks if its socket does. TLS is rustls
//! with its buffers, so that no server is measured with its own code.

use crate::tls;
use rustls::ClientConnection;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::TcpStream;

pub struct Link {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Link {
    /// Takes a connected socket.
    pub fn new(socket: TcpStream, tls: bool) -> io::Result<Self> {
        let tls = if tls { Some(Box::new(tls::client()?)) } else { None };
        Ok(Self { socket, tls })
    }

    /// Returns the socket, to register it with a poller.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Finishes TLS's handshake. [`flush`](Self::flush) begins it.
    pub fn finish_handshake(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            self.receive(buffer, |_| Err(io::Error::other("the server speaks first")))?;
        }
        Ok(())
    }

    /// Sends bytes, of which only the first may be accepted. With TLS, accepted bytes may wait for
    /// [`flush`](Self::flush).
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        let Some(tls) = &mut self.tls else { return self.socket.write(bytes) };
        let accepted = tls.writer().write(bytes)?;
        match self.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(accepted),
        }
    }

    /// Sends all bytes, on a socket that blocks.
    pub fn send_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            bytes = &bytes[self.send(bytes)?..];
        }
        self.flush()
    }

    /// Sends the records that wait.
    pub fn flush(&mut self) -> io::Result<()> {
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// Receives once from the socket, and passes on what has arrived. Returns the number of bytes from the
    /// socket.
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<usize> {
        let n = self.socket.read(buffer)?;
        if n == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let Some(tls) = &mut self.tls else { return take(&buffer[..n]).map(|()| n) };
        let mut records = &buffer[..n];
        while !records.is_empty() {
            tls.read_tls(&mut records)?;
            tls.process_new_packets().map_err(io::Error::other)?;
            pass_on(tls, &mut take)?;
        }
        self.flush()?;
        Ok(n)
    }
}

/// Passes on the bytes that are decrypted.
fn pass_on(tls: &mut ClientConnection, take: &mut impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut reader = tls.reader();
    loop {
        let n = match reader.fill_buf() {
            Ok([]) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(bytes) => {
                take(bytes)?;
                bytes.len()
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        reader.consume(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ServerConnection, StreamOwned};
    use std::net::TcpListener;

    #[test]
    fn bytes_pass_through_tls_in_both_directions() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|index| index.to_le_bytes()[0] ^ 7).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut received = vec![0; bytes.len()];
        let server = std::thread::spawn(move || {
            let connection = ServerConnection::new(tls::server().unwrap()).unwrap();
            let mut stream = StreamOwned::new(connection, listener.accept().unwrap().0);
            stream.read_exact(&mut received).unwrap();
            stream.write_all(&received).unwrap();
            stream.flush().unwrap();
        });
        let (mut link, mut buffer) = (Link::new(socket, true).unwrap(), vec![0; 10_000]);
        link.flush().unwrap();
        link.finish_handshake(&mut buffer).unwrap();
        link.send_all(&bytes).unwrap();
        let mut reply = Vec::new();
        while reply.len() < bytes.len() {
            link.receive(&mut buffer, |bytes| {
                reply.extend_from_slice(bytes);
                Ok(())
            })
            .unwrap();
        }
        assert!(reply == bytes);
        server.join().unwrap();
    }
}
