//! HTTP by axum, and WebSockets by an event loop of this crate: an idle one takes about 100 bytes.
//!
//! usage: hand_over [ADDRESS]      (default: 127.0.0.1:3000)

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{any, get};
use std::any::Any;
use std::sync::Arc;
use websocket_stream::axum::WebSocketUpgrade;
use websocket_stream::server::{Failure, Handle, Handler, Peer, Server};
use websocket_stream::{Config, Message, Timeouts};

/// What the event loop does: the members of a room receive what any of them sends.
struct Chat;

#[derive(Default)]
struct Member {
    room: String,
}

impl Handler for Chat {
    type Session = Member;

    fn adopted(
        &mut self,
        peer: &mut Peer<'_>,
        member: &mut Member,
        room: Box<dyn Any + Send>,
    ) -> Result<(), Failure> {
        member.room = room.downcast::<String>().map(|room| *room).unwrap_or_default();
        peer.subscribe(&member.room);
        Ok(())
    }

    fn message(
        &mut self,
        peer: &mut Peer<'_>,
        member: &mut Member,
        message: Message<'_>,
    ) -> Result<(), Failure> {
        peer.publish(&member.room, message);
        Ok(())
    }
}

/// The state of the routes.
#[derive(Clone)]
struct App {
    chat: Handle,
    /// One for all connections.
    websockets: Arc<Config>,
}

/// What axum does: any routes, with the middleware, the state and the extractors that they need.
async fn join(Path(room): Path<String>, State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.config(app.websockets).on_failed_upgrade(|error| eprintln!("{error}"));
    upgrade.hand_over(app.chat, room)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    // A server without a listener: all of its connections are adopted.
    let server = Server::without_listener();
    let chat = server.handle();
    std::thread::spawn(move || server.run(Chat));
    // A connection keeps this on the event loop: pings find peers that have gone without a word.
    let websockets = Arc::new(Config::default().timeouts(Timeouts::SERVER));
    let app = Router::new().route("/", get("rooms: /rooms/NAME\n")).route("/rooms/{room}", any(join));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    axum::serve(listener, app.with_state(App { chat, websockets })).await
}
