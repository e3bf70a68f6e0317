//! This library in axum, on a current-thread runtime.

use super::ours_tokio::{Common, Style, echo, share};
use super::{Mode, Plan};
use ::axum::Router;
use ::axum::extract::State;
use ::axum::response::Response;
use ::axum::routing::any;
use std::io;
use std::net::TcpListener;
use websocket_stream::axum::WebSocketUpgrade;

pub async fn serve(listener: TcpListener, plan: Plan) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = Router::new().route("/", any(upgrade)).with_state(Common::new(plan, Style::Run)?);
    ::axum::serve(listener, router).await
}

async fn upgrade(mut upgrade: WebSocketUpgrade, State(common): State<Common>) -> Response {
    if let Some(config) = common.config() {
        upgrade = upgrade.config(config);
    }
    match common.mode {
        Mode::Echo => upgrade.on_upgrade(echo),
        Mode::Broadcast => upgrade.on_upgrade(|ws| share(ws, common.said)),
    }
}
