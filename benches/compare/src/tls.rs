//! TLS: the same certificate, provider and version for all servers, and the client's side.

use rustls::client::Resumption;
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
use std::io;
use std::sync::{Arc, OnceLock};

/// A self-signed certificate for `localhost`, and its key; `peers/bun.js` reads the same files.
const CERTIFICATE: &[u8] = include_bytes!("../../../examples/tls_pair/localhost.cert.der");
const KEY: &[u8] = include_bytes!("../../../examples/tls_pair/localhost.key.der");

/// Returns the configuration of a server: rustls' defaults, with TLS 1.3.
pub fn server() -> io::Result<Arc<ServerConfig>> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .and_then(|builder| {
            let key = PrivatePkcs8KeyDer::from(KEY).into();
            builder.with_no_client_auth().with_single_cert(vec![CertificateDer::from(CERTIFICATE)], key)
        });
    config.map(Arc::new).map_err(io::Error::other)
}

/// Returns a client's connection to such a server. Like browsers, it prefers AES-128-GCM; it offers nothing
/// else, so that all servers encrypt equally. It resumes no session, so that every handshake is a whole one.
pub fn client() -> io::Result<ClientConnection> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, rustls::Error>> = OnceLock::new();
    let config = CONFIG.get_or_init(client_config).clone();
    let name = "localhost".try_into().map_err(io::Error::other)?;
    config.and_then(|config| ClientConnection::new(config, name)).map_err(io::Error::other)
}

fn client_config() -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut provider = default_provider();
    provider.cipher_suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(CERTIFICATE))?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
