//! Upgrades over HTTP/1.1, and requests that are none.

use crate::serve;
use axum::Router;
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::mpsc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use websocket_stream::axum::{UpgradedStream, WebSocket, WebSocketUpgrade};
use websocket_stream::client::Connector;
use websocket_stream::tokio::{AsyncError, client, connect, connect_with};
use websocket_stream::{ClientRequest, CloseCode, OriginPolicy, OwnedMessage};

pub(crate) async fn echo(mut ws: WebSocket) -> Result<(), AsyncError> {
    while let Some(message) = ws.next().await {
        ws.feed(message?).await?;
    }
    Ok(())
}

fn app() -> Router {
    Router::new()
        .route("/echo", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)))
        .route(
            "/hello/{name}",
            any(async |Path(name): Path<String>, upgrade: WebSocketUpgrade| {
                upgrade.on_upgrade(async move |mut ws| ws.send(format!("hello {name}")).await)
            }),
        )
        .route(
            "/any-origin",
            any(async |upgrade: WebSocketUpgrade| upgrade.origin(OriginPolicy::Any).on_upgrade(echo)),
        )
        .route("/small", any(async |upgrade: WebSocketUpgrade| upgrade.max_message_size(4).on_upgrade(echo)))
        .route(
            "/chat",
            any(async |upgrade: WebSocketUpgrade| {
                let upgrade = upgrade.protocols(["v2", "v1"]);
                let chosen = upgrade.selected_protocol().unwrap_or("none").to_owned();
                upgrade.on_upgrade(async move |mut ws| ws.send(chosen).await)
            }),
        )
        .route("/maybe", any(maybe))
        .route("/other", any(other))
}

async fn maybe(upgrade: Option<WebSocketUpgrade>) -> Response {
    match upgrade {
        Some(upgrade) => upgrade.on_upgrade(echo),
        None => "a page".into_response(),
    }
}

/// Lends the extractor to an `async fn`, and continues another protocol's upgrade.
async fn other(upgrade: Option<WebSocketUpgrade>, request: Request) -> Response {
    async fn is_allowed(upgrade: &WebSocketUpgrade) -> bool {
        tokio::task::yield_now().await;
        upgrade.request().query().is_none()
    }
    match upgrade {
        Some(upgrade) if is_allowed(&upgrade).await => upgrade.on_upgrade(echo),
        Some(_) => StatusCode::FORBIDDEN.into_response(),
        None => match request.extensions().get::<OnUpgrade>() {
            Some(_) => "another upgrade is possible".into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
    }
}

const HEADERS: &str = "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// Sends a head, and returns the head of the answer in lower case.
async fn answer(address: SocketAddr, head: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(answer).unwrap().to_lowercase()
}

#[tokio::test]
async fn messages_are_echoed_and_a_path_reaches_the_handler() {
    let address = serve(app()).await;
    let mut ws = connect(format!("ws://{address}/echo").as_str()).await.unwrap();
    for text in ["one", "two", ""] {
        ws.send(text).await.unwrap();
        assert_eq!(ws.next().await.unwrap().unwrap(), OwnedMessage::from(text));
    }
    assert!(ws.close(CloseCode::NORMAL, "").await.unwrap().is_clean());
    let mut ws = connect(format!("ws://{address}/hello/Ann").as_str()).await.unwrap();
    assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some("hello Ann"));
    // The handler has returned, without a Close frame.
    assert!(matches!(ws.next().await, Some(Err(AsyncError::Closed(_)))));
}

#[tokio::test]
async fn a_frame_that_arrives_with_the_request_is_received() {
    let address = serve(app()).await;
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /echo HTTP/1.1\r\n{HEADERS}\r\n");
    let bytes = [request.as_bytes(), b"\x81\x85\0\0\0\0Hello"].concat();
    socket.write_all(&bytes).await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"\x81\x05Hello") {
        received.push(socket.read_u8().await.unwrap());
    }
}

#[tokio::test]
async fn requests_that_are_no_valid_upgrade_have_the_status_of_their_fault() {
    let address = serve(app()).await;
    let without = |line: &str| HEADERS.replace(line, "");
    for (head, expected) in [
        ("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "426"),
        (format!("POST /echo HTTP/1.1\r\n{HEADERS}\r\n"), "405"),
        (format!("GET /echo HTTP/1.1\r\n{}\r\n", HEADERS.replace("13", "8")), "426"),
        (
            format!(
                "GET /echo HTTP/1.1\r\n{}\r\n",
                without("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
            ),
            "400",
        ),
        (format!("GET /echo HTTP/1.1\r\nOrigin: http://other\r\n{HEADERS}\r\n"), "403"),
        (format!("GET /echo HTTP/1.1\r\nOrigin: http://a\r\n{HEADERS}\r\n"), "101"),
        (format!("GET /any-origin HTTP/1.1\r\nOrigin: http://other\r\n{HEADERS}\r\n"), "101"),
        (format!("GET /maybe HTTP/1.1\r\n{HEADERS}\r\n"), "101"),
        ("GET /maybe HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "200"),
        (format!("GET /maybe HTTP/1.1\r\n{}\r\n", HEADERS.replace("13", "8")), "426"),
    ] {
        let answer = answer(address, &head).await;
        assert_eq!(&answer[9..12], expected, "{head}\n{answer}");
        assert_eq!(answer.contains("sec-websocket-version: 13"), expected == "426", "{answer}");
    }
}

#[tokio::test]
async fn the_first_subprotocol_of_the_server_that_is_offered_is_chosen() {
    let address = serve(app()).await;
    let url = format!("ws://{address}/chat");
    for (offered, chosen) in [(&["v1", "v2"][..], "v2"), (&["v3", "v1"], "v1")] {
        let connector = offered.iter().fold(Connector::new(), |connector, name| connector.subprotocol(name));
        let mut ws = connect_with(&connector, url.as_str()).await.unwrap();
        assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some(chosen));
    }
    let mut ws = connect(url.as_str()).await.unwrap();
    assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some("none"));
}

#[tokio::test]
async fn a_limit_ends_the_connection() {
    let address = serve(app()).await;
    let mut ws = connect(format!("ws://{address}/small").as_str()).await.unwrap();
    ws.send("four").await.unwrap();
    assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some("four"));
    ws.send("fives").await.unwrap();
    assert!(ws.next().await.is_none());
    let websocket_stream::State::Closed(end) = ws.state() else { panic!() };
    assert_eq!(end.code, CloseCode::TOO_BIG);
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn compression_is_negotiated() {
    use websocket_stream::Config;
    use websocket_stream::deflate::Deflate;
    let app = Router::new().route(
        "/",
        any(async |upgrade: WebSocketUpgrade| upgrade.deflate(Deflate::default()).on_upgrade(echo)),
    );
    let address = serve(app).await;
    let connector = Connector::new().config(Config::default().deflate(Deflate::default()));
    let mut ws = connect_with(&connector, format!("ws://{address}/").as_str()).await.unwrap();
    assert!(ws.stream().has_deflate());
    let text = "so much repetition ".repeat(1000);
    ws.send(text.as_str()).await.unwrap();
    assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some(text.as_str()));
}

#[tokio::test]
async fn the_socket_leaves_hyper_and_sends_small_messages_at_once() {
    let (sender, found) = mpsc::channel();
    let look = move |ws: WebSocket| {
        let nodelay = match ws.get_ref() {
            UpgradedStream::Tcp(socket) => socket.nodelay().unwrap(),
            _ => panic!("not TCP"),
        };
        sender.send(nodelay).unwrap();
        echo(ws)
    };
    let app = Router::new().route("/", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(look)));
    let address = serve(app).await;
    let mut ws = connect(format!("ws://{address}/").as_str()).await.unwrap();
    ws.send("x").await.unwrap();
    assert!(ws.next().await.unwrap().is_ok());
    assert!(found.recv().unwrap());
}

#[tokio::test]
async fn any_other_stream_of_hypers_works_too() {
    let (a, b) = tokio::io::duplex(100);
    tokio::spawn(async move {
        let service = TowerToHyperService::new(app());
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(a), service);
        connection.with_upgrades().await
    });
    let mut ws = client(b, ClientRequest::new("a", "/echo"), Default::default()).await.unwrap();
    let text = "longer than what the pipe holds ".repeat(100);
    ws.send(text.as_str()).await.unwrap();
    assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some(text.as_str()));
    assert!(ws.close(CloseCode::NORMAL, "").await.unwrap().is_clean());
}

#[tokio::test]
async fn a_client_that_leaves_before_the_upgrade_is_reported() {
    let (sender, failed) = mpsc::channel();
    let (a, mut b) = tokio::io::duplex(4096);
    let app = Router::new().route(
        "/",
        any(async move |upgrade: WebSocketUpgrade| {
            upgrade.on_failed_upgrade(move |error| sender.send(error.to_string()).unwrap()).on_upgrade(echo)
        }),
    );
    let service = TowerToHyperService::new(app);
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(a), service);
    b.write_all(format!("GET / HTTP/1.1\r\n{HEADERS}\r\n").as_bytes()).await.unwrap();
    // Without `with_upgrades`, hyper drops the connection instead.
    connection.await.unwrap();
    while let Err(mpsc::TryRecvError::Empty) =
        failed.try_recv().map(|error| assert!(error.contains("upgrade")))
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_extractor_can_be_lent_and_leaves_a_request_for_another_protocol_to_the_handler() {
    let address = serve(app()).await;
    for (head, expected) in [
        (format!("GET /other HTTP/1.1\r\n{HEADERS}\r\n"), 101),
        (format!("GET /other?q HTTP/1.1\r\n{HEADERS}\r\n"), 403),
        ("GET /other HTTP/1.1\r\nHost: a\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n".to_owned(), 200),
    ] {
        assert!(answer(address, &head).await.starts_with(&format!("http/1.1 {expected} ")));
    }
}

/// What the guide says about stopping.
#[tokio::test]
async fn a_graceful_shutdown_does_not_wait_for_websockets_over_http1() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, app()).with_graceful_shutdown(async { drop(stopped.await) });
    let serving = tokio::spawn(serving.into_future());
    let mut ws = connect(format!("ws://{address}/echo").as_str()).await.unwrap();
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    ws.send("still here").await.unwrap();
    assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some("still here"));
}
