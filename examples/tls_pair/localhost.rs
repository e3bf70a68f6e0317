//! A self-signed certificate for `localhost`, trusted only by the client below.

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;

const CERTIFICATE: &[u8] = include_bytes!("localhost.cert.der");
const KEY: &[u8] = include_bytes!("localhost.key.der");

/// Returns a client's configuration, which trusts the certificate.
pub(crate) fn client() -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(CERTIFICATE))?;
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

/// Returns a server's configuration.
#[allow(dead_code, reason = "some tests use only the other one")]
pub(crate) fn server() -> Result<Arc<ServerConfig>, rustls::Error> {
    server_with(rustls::DEFAULT_VERSIONS)
}

/// Returns a server's configuration with these versions of TLS.
pub(crate) fn server_with(
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let key = PrivatePkcs8KeyDer::from(KEY).into();
    let mut config = ServerConfig::builder_with_protocol_versions(versions)
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE)], key)?;
    // Input that a client leaves unread when it closes would reset the connection.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
