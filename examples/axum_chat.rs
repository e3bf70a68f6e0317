//! A chat in axum: one room for each path. Open http://127.0.0.1:3000/ in two tabs.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{Html, Response};
use axum::routing::{any, get};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;
use websocket_stream::axum::{WebSocket, WebSocketUpgrade};
use websocket_stream::{CloseCode, Config, OwnedMessage, Timeouts};

type Room = broadcast::Sender<OwnedMessage>;
type Ended = Result<(), websocket_stream::tokio::AsyncError>;
type Rooms = Arc<Mutex<HashMap<String, Room>>>;

const PAGE: &str =
    "<!doctype html><title>Chat</title><input autofocus placeholder=message><pre></pre><script>
const [input, log] = [document.querySelector('input'), document.querySelector('pre')];
const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/rooms/lobby`);
socket.onmessage = event => log.append(event.data + '\\n');
input.onchange = () => { socket.send(input.value); input.value = ''; };</script>";

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let app = Router::new().route("/", get(Html(PAGE))).route("/rooms/{room}", any(join));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    axum::serve(listener, app.with_state(Rooms::default())).await
}

async fn join(Path(name): Path<String>, State(rooms): State<Rooms>, upgrade: WebSocketUpgrade) -> Response {
    let config = Config::default().timeouts(Timeouts::SERVER); // finds peers that are gone
    upgrade.config(config).max_message_size(4096).on_upgrade(|ws| async move {
        let (room, said) = {
            let mut rooms = rooms.lock().unwrap();
            let room = rooms.entry(name).or_insert_with(|| broadcast::channel(64).0);
            (room.clone(), room.subscribe())
        };
        let ended = chat(ws, room, said).await;
        rooms.lock().unwrap().retain(|_, room| room.receiver_count() > 0); // forget an empty room
        ended
    })
}

async fn chat(mut ws: WebSocket, room: Room, mut said: broadcast::Receiver<OwnedMessage>) -> Ended {
    loop {
        tokio::select! {
            message = ws.next() => match message {
                Some(message) => _ = room.send(message?),
                None => return Ok(()),
            },
            message = said.recv() => match message {
                Ok(message) => ws.send(message).await?,
                Err(_lagged) => _ = ws.close(CloseCode::TRY_AGAIN_LATER, "too slow").await?,
            },
        }
    }
}
