//! The option `--tls CHAIN.pem KEY.pem`: a certificate behind which are those that signed it, and its private
//! key.

use std::path::Path;
use websocket_stream::server::Server;

/// Returns the server, with TLS on its listeners.
#[cfg(feature = "rustls")]
pub(crate) fn secure(server: Server, chain: &Path, key: &Path) -> Result<Server, String> {
    use rustls::ServerConfig;
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let unread = |path: &Path, error| format!("--tls {}: {error}", path.display());
    let certificates = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| unread(chain, error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unread(key, error))?;
    let config = ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, private))
        .map_err(|error| format!("--tls {} {}: {error}", chain.display(), key.display()))?;
    Ok(server.tls(config))
}

/// Without the feature, reports that it is missing.
#[cfg(not(feature = "rustls"))]
pub(crate) fn secure(_: Server, _: &Path, _: &Path) -> Result<Server, String> {
    Err("--tls: this was built without the feature `rustls`".into())
}
