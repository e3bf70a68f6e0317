//! Both ends of a TLS connection in memory.

use rustls::{ClientConfig, ServerConfig};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use websocket_stream::NonBlockingTransport;
use websocket_stream::tls::TlsStream;
use websocket_stream::transport::testing::memory::{self, MemoryStream};

pub(crate) struct Pair {
    pub(crate) server: TlsStream<MemoryStream>,
    pub(crate) client: TlsStream<MemoryStream>,
    pub(crate) server_received: Vec<u8>,
}

/// The errors of both ends.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    pub(crate) server: Option<io::Error>,
    pub(crate) client: Option<io::Error>,
}

impl Errors {
    pub(crate) fn none(&self) {
        assert!(self.server.is_none() && self.client.is_none(), "{self:?}");
    }
}

impl Pair {
    pub(crate) fn new(server: ServerConfig, client: ClientConfig) -> Self {
        Self::shared(Arc::new(server), Arc::new(client))
    }

    pub(crate) fn shared(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> Self {
        let (a, b) = memory::pair(1 << 20);
        Self {
            server: TlsStream::server(a, server).unwrap(),
            client: TlsStream::client(b, client, "localhost".try_into().unwrap()).unwrap(),
            server_received: Vec::new(),
        }
    }

    /// Lets both ends receive until nothing more happens, and returns their errors.
    pub(crate) fn advance(&mut self) -> Errors {
        let mut errors = Errors::default();
        for _ in 0..10 {
            for is_server in [false, true] {
                let (end, error) = match is_server {
                    true => (&mut self.server, &mut errors.server),
                    false => (&mut self.client, &mut errors.client),
                };
                if error.is_some() {
                    continue;
                }
                if end.wants_write() {
                    end.flush().unwrap();
                }
                let mut buffer = [0; 100];
                match end.recv(&mut buffer) {
                    Ok(n) if is_server => self.server_received.extend_from_slice(&buffer[..n]),
                    Ok(n) => panic!("the client received {n} bytes"),
                    Err(failed) if failed.kind() == ErrorKind::WouldBlock => {}
                    Err(failed) => *error = Some(failed),
                }
            }
        }
        errors
    }

    /// Sends bytes to the server and back.
    pub(crate) fn echo(&mut self, bytes: &[u8]) {
        assert_eq!(self.client.send(bytes).unwrap(), bytes.len());
        let mut buffer = vec![0; bytes.len() + 1];
        assert_eq!(self.server.recv(&mut buffer).unwrap(), bytes.len());
        assert_eq!(self.server.send(&buffer[..bytes.len()]).unwrap(), bytes.len());
        buffer.fill(0);
        assert_eq!(self.client.recv(&mut buffer).unwrap(), bytes.len());
        assert_eq!(&buffer[..bytes.len()], bytes);
    }
}

pub(crate) fn text_of(error: &Option<io::Error>) -> String {
    error.as_ref().map(io::Error::to_string).unwrap_or_default()
}
