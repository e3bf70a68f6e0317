//! A certificate for `localhost` that signs itself: nobody trusts it but who has it here.

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::sync::Arc;

const CERTIFICATE: &[u8] = include_bytes!("localhost.cert.der");
const KEY: &[u8] = include_bytes!("localhost.key.der");

/// A client's connection, which knows the certificate.
pub(crate) fn client() -> Result<ClientConnection, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(CERTIFICATE))?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = "localhost".try_into().map_err(|_| rustls::Error::General("no name".into()))?;
    ClientConnection::new(Arc::new(config), name)
}

/// A server's connection.
pub(crate) fn server() -> Result<ServerConnection, rustls::Error> {
    let key = PrivatePkcs8KeyDer::from(KEY).into();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE)], key)?;
    // What a client leaves unread when it goes would reset the connection.
    config.send_tls13_tickets = 0;
    ServerConnection::new(Arc::new(config))
}
