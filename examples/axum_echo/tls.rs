//! TLS of this crate for axum: a listener whose connections may use HTTP/2.

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use websocket_stream::tls::TlsStream;
use websocket_stream::tokio::AsyncTransport;

pub(crate) struct Listener {
    tcp: TcpListener,
    config: Arc<ServerConfig>,
}

impl Listener {
    /// Reads a certificate, behind which are those that signed it, and its private key.
    pub(crate) fn new(tcp: TcpListener, chain: &Path, key: &Path) -> Result<Self, Box<dyn Error>> {
        let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<_, _>>()?;
        let mut config = ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { tcp, config: config.into() })
    }
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<AsyncTransport<TcpStream>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            // Each connection's handshake runs in its own task, while its first request is read.
            let (socket, address) = axum::serve::Listener::accept(&mut self.tcp).await;
            match TlsStream::server(AsyncTransport::new(socket), Arc::clone(&self.config)) {
                Ok(tls) => return (tls, address),
                Err(error) => eprintln!("axum_echo: {error}"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
