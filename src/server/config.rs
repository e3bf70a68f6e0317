//! The settings of a server.
#![forbid(unsafe_code)]

use crate::handshake::OriginPolicy;
use crate::setters::setters;
use crate::{Config, Limits, Timeouts};
use std::borrow::Cow;
use std::time::Duration;

/// The settings of a [`Server`](super::Server) or of [`Connections`](super::Connections).
///
/// ```
/// use websocket_stream::server::{ServerConfig, SlowPeer};
/// use websocket_stream::{Limits, OriginPolicy};
///
/// let config = ServerConfig::default()
///     .origin(OriginPolicy::List(&["https://example.com"]))
///     .slow_peer(SlowPeer::Drop { above: 256 << 10 })
///     .limits(Limits::default().message(64 << 10));
/// # let _ = config;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The limits, timeouts and options of each connection.
    ///
    /// Default: [`Config::default`], with [`Timeouts::SERVER`].
    pub connection: Config,
    /// The pages that may open a connection; others are refused with 403. Default:
    /// [`OriginPolicy::Same`].
    pub origin: OriginPolicy<'static>,
    /// What happens to published messages for a peer that is too slow. Default: the peer is closed if more
    /// than 1 MiB is unsent.
    pub slow_peer: SlowPeer,
    /// Whether each connection begins with a header of the PROXY protocol, version 1 or 2, which contains the
    /// client's address. Default: no.
    ///
    /// A load balancer such as HAProxy sends it (`send-proxy`). Connections without such a header are
    /// dropped, so clients must not be able to connect directly: they could send any address.
    pub proxy_protocol: bool,
    /// The bytes that may wait for an event loop, in calls of a [`Handle`](super::Handle). Default: 16 MiB.
    /// Further calls fail with [`HandleError::Full`](super::HandleError::Full).
    pub mailbox: usize,
    /// The header in which a trusted proxy passes the client's address, such as `X-Forwarded-For`. Default:
    /// none.
    ///
    /// The last address in the last of these headers is used, which is the one that the nearest proxy added.
    /// Clients must not be able to connect without the proxy: they could send any address.
    pub client_ip_header: Option<Cow<'static, str>>,
    /// The interval of [`Handler::tick`](super::Handler::tick). Default: none, and `tick` is not called.
    pub tick: Option<Duration>,
}

setters!(ServerConfig {
    slow_peer: SlowPeer,
    proxy_protocol: bool,
    mailbox: usize,
    tick: Option<Duration>,
});

impl ServerConfig {
    /// Sets [`origin`](Self#structfield.origin).
    #[must_use]
    pub fn origin(mut self, origin: OriginPolicy<'static>) -> Self {
        self.origin = origin;
        self
    }

    /// Sets [`client_ip_header`](Self#structfield.client_ip_header).
    #[must_use]
    pub fn client_ip_header(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.client_ip_header = Some(name.into());
        self
    }
}

/// Settings of each connection.
impl ServerConfig {
    /// Sets [`connection`](Self#structfield.connection), with all of its limits and timeouts.
    ///
    /// The default timeouts of a server are then lost: to change only a part, use one of the following.
    #[must_use]
    pub fn connection(mut self, connection: Config) -> Self {
        self.connection = connection;
        self
    }

    /// Sets [`Config::limits`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.connection.limits = limits;
        self
    }

    /// Sets [`Config::timeouts`], all of them. [`Timeouts::SERVER`] has the defaults of a server, to change a
    /// part of them:
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_stream::Timeouts;
    /// use websocket_stream::server::ServerConfig;
    ///
    /// let timeouts = Timeouts::SERVER.idle(Duration::from_secs(300));
    /// let config = ServerConfig::default().timeouts(timeouts);
    /// assert_eq!(config.connection.timeouts.ping_interval, Some(Duration::from_secs(120)));
    /// ```
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.connection.timeouts = timeouts;
        self
    }

    /// Sets [`Config::deflate`].
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, deflate: impl Into<Option<crate::deflate::Deflate>>) -> Self {
        self.connection.deflate = deflate.into();
        self
    }

    /// Sets [`Config::streaming`].
    #[must_use]
    pub fn streaming(mut self, streaming: bool) -> Self {
        self.connection.streaming = streaming;
        self
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            connection: Config::default().timeouts(Timeouts::SERVER),
            origin: OriginPolicy::Same,
            slow_peer: SlowPeer::default(),
            proxy_protocol: false,
            mailbox: 16 << 20,
            client_ip_header: None,
            tick: None,
        }
    }
}

/// What happens to a published message for a peer that has not taken earlier ones.
///
/// The bound is checked before messages that are delivered together, which the unsent bytes can then exceed:
/// those of a round, or, if these are more than 256 KiB, those of one call of the handler or of a
/// [`Handle`](super::Handle). In any case, no more than [`Limits::unsent`](crate::Limits::unsent) bytes are
/// kept for a peer.
///
/// ```
/// # use websocket_stream::Message;
/// # use websocket_stream::server::{Failure, Handler, Peer};
/// use websocket_stream::server::{ServerConfig, SlowPeer};
/// use websocket_stream::testing::TestServer;
/// # struct Feed;
/// # impl Handler for Feed {
/// #     type Session = ();
/// #     fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
/// #         Ok(())
/// #     }
/// #     fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
/// #         Ok(drop(peer.subscribe("feed")))
/// #     }
/// # }
///
/// let config = ServerConfig::default().slow_peer(SlowPeer::Drop { above: 10_000 });
/// let mut server = TestServer::with_config(Feed, config); // its handler subscribes each peer
/// server.connect("/")?;
/// for _ in 0..5 {
///     server.hub().publish("feed", &[7; 30_000]);
///     server.run()?;
/// }
/// // The client's transport takes 64 KiB. With the third message, too many bytes are unsent.
/// let counters = server.counters();
/// assert_eq!((counters.messages_sent, counters.dropped), (3, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlowPeer {
    /// Closes the connection with 1013 (try again later) if more than `above` bytes are unsent, or if a
    /// message in [fragments](super::Peer::send_fragment) is unfinished. The peer connects again, and has
    /// missed no message without a sign. If it does not take the Close frame in [`Timeouts::close`], the end
    /// is reported as that timeout.
    Close {
        /// The number of unsent bytes.
        above: usize,
    },
    /// Drops the message if more than `above` bytes are unsent, or if a message in
    /// [fragments](super::Peer::send_fragment) is unfinished.
    /// [`Handler::drained`](super::Handler::drained) reports the number of dropped messages when the peer has
    /// taken all bytes.
    Drop {
        /// The number of unsent bytes.
        above: usize,
    },
}

impl SlowPeer {
    pub(super) const fn above(self) -> usize {
        let (Self::Close { above } | Self::Drop { above }) = self;
        above
    }
}

impl Default for SlowPeer {
    fn default() -> Self {
        Self::Close { above: 1 << 20 }
    }
}
