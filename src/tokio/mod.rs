//! WebSockets under tokio: [`accept`] or `connect`, then messages or a handler.
#![forbid(unsafe_code)]

mod batches;
#[cfg(all(unix, feature = "client"))]
mod connect;
mod error;
#[cfg(feature = "server")]
mod hand_over;
mod messages;
mod opening;
mod queues;
mod split;
mod thread;
mod timers;
#[cfg(feature = "rustls")]
mod tls;
mod transport;
mod wakers;
mod websocket;

#[cfg(all(unix, feature = "client"))]
pub use connect::{ClientStream, connect, connect_dial, connect_with};
pub use error::{AcceptError, AsyncError};
#[cfg(feature = "server")]
pub use hand_over::HandOverError;
pub use opening::{Opening, accept, accept_with, client};
pub use split::{Receiver, Sender};
pub use transport::AsyncTransport;
pub use websocket::WebSocket;
