//! Connections that leave axum and tokio for an event loop.

use crate::serve;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::any;
use std::any::Any;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use websocket_stream::axum::WebSocketUpgrade;
use websocket_stream::server::{Failure, Handle, Handler, Peer, Server};
use websocket_stream::tokio::{accept, connect};
use websocket_stream::{CloseCode, Closed, Config, Message, Timeouts};

/// Echoes, after a name that came with the connection and the index of the thread.
struct Named(usize);

impl Handler for Named {
    type Session = String;

    fn adopted(
        &mut self,
        _: &mut Peer<'_>,
        name: &mut String,
        value: Box<dyn Any + Send>,
    ) -> Result<(), Failure> {
        *name = *value.downcast::<String>().map_err(|_| Failure::new("not a name"))?;
        assert_ne!(name, "panic");
        Ok(())
    }

    fn message(
        &mut self,
        peer: &mut Peer<'_>,
        name: &mut String,
        message: Message<'_>,
    ) -> Result<(), Failure> {
        Ok(peer.send(&format!("{name} {}: {}", self.0, message.as_text().unwrap_or("?")))?)
    }

    fn closed(&mut self, _: &mut Peer<'_>, _: &mut String, _: Closed) {}
}

fn start(threads: usize) -> (Handle, thread::JoinHandle<std::io::Result<()>>) {
    let server = Server::without_listener();
    let handle = server.handle();
    let running = thread::spawn(move || match threads {
        1 => server.run(Named(0)),
        _ => server.threads(threads).run(Named),
    });
    (handle, running)
}

async fn join(Path(name): Path<String>, State(server): State<Handle>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.hand_over(server, name)
}

#[tokio::test]
async fn an_upgraded_connection_continues_on_an_event_loop_with_its_unread_bytes() {
    let (handle, running) = start(1);
    let address = serve(Router::new().route("/{name}", any(join)).with_state(handle.clone())).await;
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = b"GET /Ann HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\x81\x82\0\0\0\0hi";
    socket.write_all(request).await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"\x81\x09Ann 0: hi") {
        received.push(socket.read_u8().await.unwrap());
    }

    let mut ben = connect(format!("ws://{address}/Ben").as_str()).await.unwrap();
    for _ in 0..3 {
        ben.send("hello").await.unwrap();
        assert_eq!(ben.next().await.unwrap().unwrap().as_text(), Some("Ben 0: hello"));
    }
    assert_eq!(handle.counters().open, 2);
    handle.shut_down(Duration::ZERO).unwrap();
    assert!(ben.next().await.is_none(), "closed by the server");
    running.join().unwrap().unwrap();
}

#[tokio::test]
async fn connections_are_spread_over_the_threads() {
    let (handle, running) = start(2);
    let address = serve(Router::new().route("/{name}", any(join)).with_state(handle.clone())).await;
    let mut members = Vec::new();
    let mut threads = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let mut member = connect(format!("ws://{address}/{name}").as_str()).await.unwrap();
        member.send("x").await.unwrap();
        threads.push(member.next().await.unwrap().unwrap().to_string());
        members.push(member);
    }
    assert_eq!(threads, ["a 0: x", "b 1: x", "c 0: x", "d 1: x"]);
    assert_eq!(handle.counters().open, 4);
    handle.shut_down(Duration::ZERO).unwrap();
    running.join().unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_is_closed_if_its_handler_fails_or_panics() {
    let (handle, running) = start(1);
    let address = serve(Router::new().route("/{name}", any(join)).with_state(handle.clone())).await;
    let mut ws = connect(format!("ws://{address}/panic").as_str()).await.unwrap();
    assert!(ws.next().await.is_none());
    let websocket_stream::State::Closed(end) = ws.state() else { panic!() };
    assert_eq!(end.code, CloseCode::INTERNAL_ERROR);
    // The loop goes on.
    let mut ws = connect(format!("ws://{address}/Ann").as_str()).await.unwrap();
    ws.send("x").await.unwrap();
    assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some("Ann 0: x"));
    handle.shut_down(Duration::ZERO).unwrap();
    running.join().unwrap().unwrap();
}

#[tokio::test]
async fn an_adopted_connection_keeps_its_own_timeouts() {
    let (handle, running) = start(1);
    let config = Arc::new(Config::default().timeouts(Timeouts::default().idle(Duration::from_millis(1))));
    let server = handle.clone();
    let route =
        any(async move |upgrade: WebSocketUpgrade| upgrade.config(config).hand_over(server, String::new()));
    let address = serve(Router::new().route("/", route)).await;
    let mut ws = connect(format!("ws://{address}/").as_str()).await.unwrap();
    // Without a timeout, this would wait forever.
    assert!(!matches!(ws.next().await, Some(Ok(_))));
    handle.shut_down(Duration::ZERO).unwrap();
    running.join().unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_nobody_takes_is_reported() {
    let (handle, running) = start(1);
    handle.shut_down(Duration::ZERO).unwrap();
    running.join().unwrap().unwrap();
    let (sender, failed) = mpsc::channel();
    let app = Router::new().route(
        "/",
        any(async move |upgrade: WebSocketUpgrade| {
            upgrade
                .on_failed_upgrade(move |error| sender.send(error.to_string()).unwrap())
                .hand_over(handle, String::new())
        }),
    );
    let address = serve(app).await;
    let mut ws = connect(format!("ws://{address}/").as_str()).await.unwrap();
    assert!(ws.next().await.unwrap().is_err());
    assert_eq!(failed.recv().unwrap(), "connection not adopted: server ended");
}

#[tokio::test]
async fn a_connection_of_tokio_can_be_handed_over_after_messages() {
    let (handle, running) = start(1);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let adopting = handle.clone();
    let accepting = tokio::spawn(async move {
        let mut ws = accept(listener.accept().await.unwrap().0).await.unwrap();
        let name = ws.next().await.unwrap().unwrap();
        ws.hand_over(&adopting, name.to_string()).unwrap();
    });
    let mut ws = connect(format!("ws://{address}/").as_str()).await.unwrap();
    ws.send("Eve").await.unwrap();
    accepting.await.unwrap();
    ws.send("hello").await.unwrap();
    assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some("Eve 0: hello"));
    handle.shut_down(Duration::ZERO).unwrap();
    running.join().unwrap().unwrap();
}
