//! TLS with the program's configuration, or with the default one.

use crate::client::error::ConnectError;
use crate::client::transport::Transport;
use crate::client::url::UrlError;
use crate::tls::{HTTP_1_1, TlsStream};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;

/// The configuration of TLS.
#[derive(Debug, Clone, Default)]
pub(in crate::client) struct Secure(Option<Arc<ClientConfig>>);

impl Secure {
    /// Uses the program's configuration. If it names no application protocols (ALPN), it gets `http/1.1`.
    pub(in crate::client) fn new(config: Arc<ClientConfig>) -> Self {
        Self(Some(with_protocol(config)))
    }

    /// Returns whether there is a configuration, and whether a host has a name for TLS.
    pub(in crate::client) fn check(&self, host: &str) -> Result<bool, ConnectError> {
        self.config().map(|_| ServerName::try_from(host).is_ok())
    }

    /// Begins TLS with a host, after bytes that were received from the transport.
    pub(in crate::client) fn begin(
        &self,
        transport: Transport,
        host: &str,
        received: &[u8],
    ) -> Result<Transport, ConnectError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| UrlError::Host)?;
        let stream = TlsStream::client(transport, self.config()?, name)
            .map_err(|error| ConnectError::TlsConfig(error.to_string()))?;
        Ok(Transport::Tls(Box::new(stream.with_received(received))))
    }

    fn config(&self) -> Result<Arc<ClientConfig>, ConnectError> {
        match &self.0 {
            Some(config) => Ok(Arc::clone(config)),
            None => default_config(),
        }
    }
}

fn with_protocol(mut config: Arc<ClientConfig>) -> Arc<ClientConfig> {
    if config.alpn_protocols.is_empty() {
        Arc::make_mut(&mut config).alpn_protocols.push(HTTP_1_1.to_vec());
    }
    config
}

/// Returns a configuration with the system's trusted certificates. All connections share it, so that sessions
/// are resumed.
#[cfg(feature = "wss")]
fn default_config() -> Result<Arc<ClientConfig>, ConnectError> {
    use rustls::crypto::{CryptoProvider, ring};
    use rustls_platform_verifier::BuilderVerifierExt;
    use std::sync::OnceLock;

    // Only success is kept: the system may have been out of descriptors.
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let provider = match CryptoProvider::get_default() {
        Some(provider) => Arc::clone(provider),
        None => Arc::new(ring::default_provider()),
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.and_then(BuilderVerifierExt::with_platform_verifier);
    let config = builder.map_err(|error| ConnectError::TlsConfig(error.to_string()))?.with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| with_protocol(Arc::new(config)))))
}

#[cfg(not(feature = "wss"))]
fn default_config() -> Result<Arc<ClientConfig>, ConnectError> {
    Err(ConnectError::NoTls)
}
