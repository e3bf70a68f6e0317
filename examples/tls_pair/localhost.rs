//! A self-signed certificate for `localhost`, trusted only by the client below.

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::sync::Arc;

const CERTIFICATE: &[u8] = include_bytes!("localhost.cert.der");
const KEY: &[u8] = include_bytes!("localhost.key.der");

/// Returns a client's connection, which trusts the certificate.
pub(crate) fn client() -> Result<ClientConnection, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(CERTIFICATE))?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = "localhost".try_into().map_err(|_| rustls::Error::General("no name".into()))?;
    ClientConnection::new(Arc::new(config), name)
}

/// Returns a server's connection.
pub(crate) fn server() -> Result<ServerConnection, rustls::Error> {
    let key = PrivatePkcs8KeyDer::from(KEY).into();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE)], key)?;
    // Input that a client leaves unread when it closes would reset the connection.
    config.send_tls13_tickets = 0;
    ServerConnection::new(Arc::new(config))
}
