//! A client by URL: names, addresses, proxies, TLS, redirects, and when to connect again.
//!
//! | you want | use |
//! | --- | --- |
//! | a client that blocks, in a tool or a test | [`Blocking`] |
//! | a stream for your event loop, and can block for it | [`connect`], or [`Connector`] with options |
//! | the same without blocking | [`Connector::dial`] |
//! | to connect again when the connection is lost | [`Reconnect`] |
//!
//! ```no_run
//! use websocket_stream::client::Blocking;
//!
//! let mut client = Blocking::connect("ws://example.com/feed")?;
//! client.send("subscribe")?;
//! while let Some(message) = client.next()? {
//!     println!("{message}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # TLS
//!
//! `wss` needs the feature `wss`, which trusts the certificates that the system trusts, or the feature
//! `rustls` and a configuration of the program's (`Connector::tls`).
//!
//! # Staying connected
//!
//! ```no_run
//! use std::time::{Duration, Instant};
//! use websocket_stream::client::{Blocking, Connector, Reconnect};
//! use websocket_stream::{Config, Timeouts};
//!
//! // A dead connection looks like a quiet one, if nobody asks.
//! let timeouts = Timeouts::default().ping_interval(Duration::from_secs(20)).idle(Duration::from_secs(45));
//! let connector = Connector::new().config(Config::default().timeouts(timeouts));
//! let mut reconnect = Reconnect::default();
//! loop {
//!     let delay = match connector.connect("ws://example.com/feed") {
//!         Ok(stream) => {
//!             let (mut client, opened) = (Blocking::new(stream), Instant::now());
//!             loop {
//!                 match client.next() {
//!                     Ok(Some(message)) => println!("{message}"),
//!                     Ok(None) => break,
//!                     Err(error) => {
//!                         eprintln!("{error}");
//!                         break;
//!                     }
//!                 }
//!             }
//!             match client.closed() {
//!                 Some(end) => reconnect.after_close(&end, opened.elapsed(), rand::random()),
//!                 None => Some(Duration::from_secs(10)), // the system has failed, not the connection
//!             }
//!         }
//!         Err(error) => {
//!             eprintln!("{error}");
//!             reconnect.after_error(&error, rand::random())
//!         }
//!     };
//!     let Some(delay) = delay else { break }; // hopeless, or closed by this end
//!     std::thread::sleep(delay);
//! }
//! ```
//!
//! # What is tried
//!
//! The name is resolved on a thread of its own, which ends with the system's answer, also if the dial is
//! dropped. IPv6 and IPv4 addresses are tried in turn, each 250 ms after the one before or as soon as that
//! has failed (RFC 8305), and the first that answers is used. Everything together has [`Connector::timeout`],
//! which is also the only limit for names and proxies; one address has [`Connector::attempt_timeout`], and
//! the opening handshake, TLS included, that of the connection's [`Timeouts`](crate::Timeouts). A
//! [`ConnectError`] names each address that was tried, and the reason.
#![forbid(unsafe_code)]

mod blocking;
mod connecting;
mod connector;
mod dial;
mod error;
mod options;
mod proxy;
mod reconnect;
mod resolving;
mod secure;
mod transport;
mod url;
mod waiting;

pub use blocking::{Blocking, BlockingError};
pub use connecting::FailedAttempt;
pub use connector::Connector;
pub use dial::Dial;
pub use error::ConnectError;
pub use proxy::{Proxy, ProxyError, Tunnel};
pub use reconnect::Reconnect;
pub use transport::Transport;
pub use url::{Url, UrlError};
pub use waiting::Watch;

use crate::stream::WebSocketStream;

/// Connects with the defaults of [`Connector`], and blocks until the connection is open.
///
/// The stream is in non-blocking mode, for an event loop.
///
/// ```no_run
/// use websocket_stream::{Error, Ready, Scratch, client::connect};
///
/// let (mut stream, mut scratch) = (connect("ws://example.com/feed")?, Scratch::new());
/// stream.send(&mut scratch.at(0), "subscribe")?;
/// // Register the socket with a poller, and drive the stream when it is ready.
/// let wants = stream.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
///     println!("{event:?}");
///     Ok(())
/// })?;
/// # let _ = wants;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ConnectError`] with the reason.
pub fn connect<U: TryInto<Url>>(url: U) -> Result<WebSocketStream<Transport>, ConnectError>
where
    U::Error: Into<UrlError>,
{
    Connector::new().connect(url)
}
