//! How to connect: what the request says, through which proxy, with which limits.

use super::dial::Dial;
use super::error::ConnectError;
use super::options::{Options, Route};
use super::proxy::Proxy;
use super::secure::Secure;
use super::transport::Transport;
use super::url::{Url, UrlError};
use crate::Config;
use crate::stream::WebSocketStream;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Connects to URLs with options.
///
/// ```no_run
/// use std::time::Duration;
/// use websocket_stream::client::{Blocking, Connector};
///
/// let connector = Connector::new()
///     .header("Authorization", "Bearer 31415926")
///     .subprotocol("v2.chat")
///     .proxy("http://user:password@proxy.example:3128".parse()?)
///     .timeout(Duration::from_secs(10));
/// let stream = connector.connect("ws://example.com/feed")?;
/// let mut client = Blocking::new(stream);
/// client.send("hello")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Connector {
    options: Options,
}

impl Connector {
    /// Creates a connector with the default options.
    pub fn new() -> Self {
        let options = Options {
            headers: Vec::new(),
            origin: None,
            subprotocols: Vec::new(),
            credentials: None,
            route: Route::Environment,
            redirects: 0,
            timeout: Some(Duration::from_secs(30)),
            attempt_timeout: Some(Duration::from_secs(10)),
            config: Arc::default(),
            secure: Secure::default(),
            addresses: None,
        };
        Self { options }
    }

    /// Adds a header to the request. A line break in it is refused when connecting.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.options.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sends credentials with the Basic scheme.
    ///
    /// They replace those of the URL. A header `Authorization` replaces both.
    #[must_use]
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        self.options.credentials = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Sends an `Origin`, as a browser would.
    #[must_use]
    pub fn origin(mut self, origin: &str) -> Self {
        self.options.origin = Some(origin.to_owned());
        self
    }

    /// Offers a subprotocol, after those offered before.
    #[must_use]
    pub fn subprotocol(mut self, name: &str) -> Self {
        self.options.subprotocols.push(name.to_owned());
        self
    }

    /// Connects through a proxy.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.options.route = Route::Proxy(proxy);
        self
    }

    /// Connects without a proxy, also if the environment names one.
    #[must_use]
    pub fn no_proxy(mut self) -> Self {
        self.options.route = Route::Direct;
        self
    }

    /// Connects through the proxy that the environment names, if any. This is the default.
    ///
    /// As curl does: `ws_proxy` or `http_proxy` (lower case only) for `ws`, `wss_proxy` or `https_proxy` for
    /// `wss`, else `all_proxy`, unless `no_proxy` lists the host, its domain, its network or `*`.
    #[must_use]
    pub fn proxy_from_environment(mut self) -> Self {
        self.options.route = Route::Environment;
        self
    }

    /// Follows up to this number of redirects. Default: 0, as browsers have it.
    ///
    /// A redirect from `wss` to `ws` is never followed. To another scheme, host or port, the headers
    /// `Authorization`, `Cookie` and `Proxy-Authorization` and the credentials are not sent; all other
    /// headers and the subprotocols are.
    #[must_use]
    pub fn redirects(mut self, redirects: u32) -> Self {
        self.options.redirects = redirects;
        self
    }

    /// Limits the time for all of it: names, addresses, proxy, TLS, redirects, handshakes. Default: 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.options.timeout = timeout.into();
        self
    }

    /// Limits the time for connecting to one address. Default: 10 s.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.options.attempt_timeout = timeout.into();
        self
    }

    /// Sets the configuration of the connection: limits, timeouts, compression.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.options.config = config.into();
        self
    }

    /// Sets the configuration of TLS. With the feature `wss`, the default one trusts the certificates that
    /// the system trusts.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn tls(mut self, config: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        self.options.secure = Secure::new(config.into());
        self
    }

    /// Connects to these addresses, in turn, instead of those that the name resolves to.
    ///
    /// With a proxy, these are the proxy's. A redirect to another host or port does not use them. Nothing
    /// else changes: `Host` and the name in the certificate are the URL's.
    #[must_use]
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.options.addresses = Some(addresses.into_iter().collect());
        self
    }

    /// Begins to connect, for a program with an event loop.
    ///
    /// Nothing blocks, except that the first `wss` URL without a configuration of the program's reads the
    /// system's certificates from files.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the URL, the request, the proxy's URL or the TLS configuration cannot be used.
    pub fn dial<U: TryInto<Url>>(&self, url: U) -> Result<Dial, ConnectError>
    where
        U::Error: Into<UrlError>,
    {
        Dial::new(self.options.clone(), url.try_into().map_err(Into::into)?)
    }

    /// Connects, and blocks until the connection is open. The stream is in non-blocking mode.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] with the reason.
    pub fn connect<U: TryInto<Url>>(&self, url: U) -> Result<WebSocketStream<Transport>, ConnectError>
    where
        U::Error: Into<UrlError>,
    {
        self.dial(url)?.finish()
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

/// Omits headers and credentials, which may be secret.
impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("route", &self.options.route).finish_non_exhaustive()
    }
}
