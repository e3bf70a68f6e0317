//! WebSockets in axum: the extractor [`WebSocketUpgrade`].
//!
//! It has the names of axum's own, and the engine of this crate. A route is added with `any`, since HTTP/1.1
//! opens a WebSocket with GET and HTTP/2 with CONNECT (RFC 8441). For HTTP/2, `axum::serve` needs axum's own
//! feature `http2`, which is off by default.
//!
//! ```no_run
//! use axum::{Router, response::Response, routing::any};
//! use websocket_stream::axum::{WebSocket, WebSocketUpgrade};
//!
//! async fn echo(upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.on_upgrade(|mut ws: WebSocket| async move {
//!         while let Some(message) = ws.next().await {
//!             ws.feed(message?).await?;
//!         }
//!         Ok::<(), websocket_stream::tokio::AsyncError>(())
//!     })
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> std::io::Result<()> {
//!     let app = Router::new().route("/echo", any(echo));
//!     axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await
//! }
//! ```
//!
//! # What it takes
//!
//! Over HTTP/1.1 and a `TcpListener` of tokio's, the connection leaves hyper: an idle one takes no more than
//! one of [`tokio::accept`](crate::tokio::accept). With the feature `server`,
//! `WebSocketUpgrade::hand_over` moves it out of tokio as well, to an event loop of this crate.
#![forbid(unsafe_code)]

mod rejection;
mod stream;
mod upgrade;

pub use rejection::{Rejection, UpgradeError};
pub use stream::UpgradedStream;
pub use upgrade::WebSocketUpgrade;

/// The WebSocket of an upgraded request.
///
/// See the example of [`WebSocketUpgrade`].
pub type WebSocket = crate::tokio::WebSocket<UpgradedStream>;
