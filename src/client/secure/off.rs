//! No connection can use TLS.

use crate::client::error::ConnectError;
use crate::client::transport::Transport;

/// The configuration of TLS.
#[derive(Debug, Clone, Default)]
pub(in crate::client) struct Secure(());

impl Secure {
    /// Returns whether there is a configuration, and whether a host has a name for TLS.
    pub(in crate::client) fn check(&self, _host: &str) -> Result<bool, ConnectError> {
        Err(ConnectError::NoTls)
    }

    /// Begins TLS with a host, after bytes that were received from the transport.
    pub(in crate::client) fn begin(
        &self,
        _transport: Transport,
        _host: &str,
        _received: &[u8],
    ) -> Result<Transport, ConnectError> {
        Err(ConnectError::NoTls)
    }
}
