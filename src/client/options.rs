//! The options of a connector: the request, the proxy, the limits.

use super::proxy::{Environment, Proxy, ProxyError};
use super::secure::Secure;
use super::url::Url;
use crate::Config;
use crate::handshake::ClientRequest;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone)]
pub(super) struct Options {
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) origin: Option<String>,
    pub(super) subprotocols: Vec<String>,
    pub(super) credentials: Option<(String, String)>,
    pub(super) route: Route,
    pub(super) redirects: u32,
    pub(super) timeout: Option<Duration>,
    pub(super) attempt_timeout: Option<Duration>,
    pub(super) config: Arc<Config>,
    pub(super) secure: Secure,
    pub(super) addresses: Option<Vec<SocketAddr>>,
}

/// The way to the server.
#[derive(Debug, Clone)]
pub(super) enum Route {
    Environment,
    Direct,
    Proxy(Proxy),
}

impl Options {
    /// Returns the proxy for a URL.
    pub(super) fn proxy_for(&self, url: &Url) -> Result<Option<Proxy>, ProxyError> {
        match &self.route {
            _ if url.unix_path().is_some() => Ok(None),
            Route::Direct => Ok(None),
            Route::Proxy(proxy) => Ok(Some(proxy.clone())),
            Route::Environment => Environment::read().proxy(url),
        }
    }

    /// Returns the request for a URL. `trusted` is false for another origin that a redirect has led to.
    pub(super) fn request(&self, url: &Url, trusted: bool) -> ClientRequest {
        let mut request = ClientRequest::new(url.authority(), url.target());
        let is_secret = |name: &str| {
            ["Authorization", "Cookie", "Proxy-Authorization"].iter().any(|it| it.eq_ignore_ascii_case(name))
        };
        let mut authorized = false;
        for (name, value) in &self.headers {
            if trusted || !is_secret(name) {
                authorized |= name.eq_ignore_ascii_case("Authorization");
                request = request.header(name, value);
            }
        }
        let own = self.credentials.as_ref().filter(|_| trusted);
        let own = own.map(|(user, password)| (user.as_str(), password.as_str()));
        if let Some((user, password)) = own.or(url.credentials())
            && !authorized
        {
            request = request.basic_auth(user, password);
        }
        if let Some(origin) = &self.origin {
            request = request.origin(origin);
        }
        for subprotocol in &self.subprotocols {
            request = request.subprotocol(subprotocol);
        }
        request
    }
}
