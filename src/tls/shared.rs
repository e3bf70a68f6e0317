//! A server's configuration that can be replaced while it is in use.

use rustls::ServerConfig;
use std::sync::{Arc, PoisonError, RwLock};

/// The application protocol (ALPN) of WebSockets over HTTP/1.1.
///
/// ```
/// use websocket_stream::tls::{HTTP_1_1, rustls};
///
/// /// Offers HTTP/2 for pages, and HTTP/1.1 for WebSockets.
/// fn offer(config: &mut rustls::ServerConfig) {
///     config.alpn_protocols = vec![b"h2".to_vec(), HTTP_1_1.to_vec()];
/// }
/// # let _ = offer;
/// ```
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// A server's configuration that can be replaced while it is in use, for example with a new certificate.
///
/// Clones share it. With a configuration that rustls cannot use, such as one with too small a
/// `max_fragment_size`, a server drops each new connection. Open connections keep the configuration with
/// which they began. If a configuration names no application protocols (ALPN), it gets `http/1.1`, the one of
/// WebSockets.
///
/// ```
/// # #[cfg(feature = "ring")] {
/// use std::sync::Arc;
/// use websocket_stream::tls::SharedServerConfig;
/// # let resolver = || Arc::new(rustls::server::ResolvesServerCertUsingSni::new());
/// # let config = || rustls::ServerConfig::builder_with_provider(
/// #     Arc::new(rustls::crypto::ring::default_provider()),
/// # ).with_safe_default_protocol_versions().unwrap().with_no_client_auth().with_cert_resolver(resolver());
///
/// let shared = SharedServerConfig::new(config());
/// let for_the_server = shared.clone();
/// shared.replace(config()); // when there is a new certificate
/// assert_eq!(for_the_server.current().alpn_protocols, [b"http/1.1"]);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SharedServerConfig(Arc<RwLock<Arc<ServerConfig>>>);

impl SharedServerConfig {
    /// Shares a configuration.
    pub fn new(config: impl Into<Arc<ServerConfig>>) -> Self {
        Self(Arc::new(RwLock::new(with_protocol(config.into()))))
    }

    /// Replaces the configuration for new connections.
    pub fn replace(&self, config: impl Into<Arc<ServerConfig>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = with_protocol(config.into());
    }

    /// Returns the configuration for a new connection.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<ServerConfig> for SharedServerConfig {
    fn from(config: ServerConfig) -> Self {
        Self::new(config)
    }
}

impl From<Arc<ServerConfig>> for SharedServerConfig {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self::new(config)
    }
}

fn with_protocol(mut config: Arc<ServerConfig>) -> Arc<ServerConfig> {
    if config.alpn_protocols.is_empty() {
        Arc::make_mut(&mut config).alpn_protocols.push(HTTP_1_1.to_vec());
    }
    config
}
