//! WebSockets under tokio: the engine of this crate, in a poll.
//!
//! | you want | use |
//! | --- | --- |
//! | to accept on a `TcpStream` or any other stream | [`accept`], or [`accept_with`] to see the request |
//! | to connect to a URL, also `wss` | `connect`, features `client` and `wss` |
//! | to open one on a stream that you have connected | [`client`] |
//! | to reply fast | [`WebSocket::run`], which lends each message to a handler |
//! | messages that you can keep | [`WebSocket::next`], [`send`](WebSocket::send), [`feed`](WebSocket::feed) |
//! | to receive in one task and send in another | [`WebSocket::split`] |
//! | a route of an axum app | the module `axum` |
//! | to move from tokio-tungstenite | [`migration`] |
//!
//! ```
//! use tokio::net::{TcpListener, TcpStream};
//! use websocket_stream::tokio::{AsyncError, WebSocket, accept, client};
//! use websocket_stream::{ClientRequest, CloseCode};
//!
//! /// Answers each message with its length.
//! async fn serve(mut ws: WebSocket<TcpStream>) -> Result<(), AsyncError> {
//!     while let Some(message) = ws.next().await {
//!         ws.send(message?.as_bytes().len().to_string()).await?;
//!     }
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! tokio::spawn(async move {
//!     let (socket, _) = listener.accept().await?;
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(serve(accept(socket).await?).await?)
//! });
//!
//! let socket = TcpStream::connect(address).await?;
//! let request = ClientRequest::new(&address.to_string(), "/");
//! let mut ws = client(socket, request, Default::default()).await?;
//! ws.send("hello").await?;
//! assert_eq!(ws.next().await.ok_or("the end")??.as_text(), Some("5"));
//! ws.close(CloseCode::NORMAL, "").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it takes
//!
//! A poll borrows the buffers of its thread, drives the connection once, and gives them back. So a connection
//! keeps no buffer while it waits, and every future can be dropped at any await. On 64-bit Linux, an idle
//! connection takes 152 bytes here, and 512 bytes for tokio's task and socket, which with the gaps between
//! them are about 1 KB.
//!
//! Reading goes on until tokio waits for the socket. With a `TcpStream`, this takes no further system call,
//! so an echo takes two.
//!
//! Timeouts share one timer of tokio's for each runtime, with a precision of 100 ms.
#![forbid(unsafe_code)]

mod clock;
#[cfg(feature = "client")]
mod connect;
#[cfg(any(feature = "axum", feature = "client"))]
mod delegate;
mod error;
#[cfg(feature = "server")]
mod hand_over;
mod messages;
pub mod migration;
mod offered;
mod opening;
mod polling;
mod queues;
mod received;
mod split;
mod timers;
#[cfg(feature = "rustls")]
mod tls;
mod transport;
mod wakers;
mod websocket;

#[cfg(feature = "client")]
pub use connect::{ClientStream, connect, connect_dial, connect_with};
#[cfg(feature = "axum")]
pub(crate) use delegate::delegate_stream;
pub use error::{AcceptError, AsyncError};
#[cfg(feature = "server")]
pub use hand_over::HandOverError;
pub use opening::{Opening, accept, accept_with, client};
pub use split::{Receiver, ReuniteError, Sender};
pub use transport::AsyncTransport;
pub use websocket::{Busy, WebSocket};
