//! The axum extractor, and the hand-over to an event loop, with real sockets.

mod adopted;
mod http2;
mod upgrades;

use axum::Router;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Serves an app, and returns its address. It ends with the runtime.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}
