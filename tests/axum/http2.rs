//! WebSockets over HTTP/2 (RFC 8441).

use crate::serve;
use crate::upgrades::echo;
use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use h2::client;
use h2::ext::Protocol;
use http::{Method, Request};
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use websocket_stream::axum::WebSocketUpgrade;

async fn start() -> (SocketAddr, client::SendRequest<Bytes>) {
    let app = Router::new()
        .route("/echo", any(async |upgrade: WebSocketUpgrade| upgrade.protocols(["chat"]).on_upgrade(echo)));
    let address = serve(app).await;
    let mut requests = handshake(address).await;
    // The server's settings have arrived when the first answer has.
    let plain = Request::get(format!("http://{address}/echo")).body(()).unwrap();
    let answer = requests.send_request(plain, true).unwrap().0.await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(requests.is_extended_connect_protocol_enabled());
    (address, requests)
}

async fn handshake(address: SocketAddr) -> client::SendRequest<Bytes> {
    let socket = TcpStream::connect(address).await.unwrap();
    let (requests, connection) = client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    requests.ready().await.unwrap()
}

fn connect(address: SocketAddr) -> http::request::Builder {
    Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://{address}/echo"))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
}

#[tokio::test]
async fn a_websocket_is_opened_with_extended_connect_and_its_frames_are_data() {
    let (address, mut requests) = start().await;
    let request = connect(address)
        .header("sec-websocket-protocol", "chat, superchat")
        .header("origin", format!("http://{address}"));
    let (answer, mut stream) = requests.send_request(request.body(()).unwrap(), false).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    for unwanted in ["connection", "upgrade", "sec-websocket-accept"] {
        assert!(!answer.headers().contains_key(unwanted), "{unwanted}");
    }
    let mut body = answer.into_body();
    for _ in 0..3 {
        // A frame in two pieces.
        stream.send_data(Bytes::from_static(b"\x81\x85\0\0"), false).unwrap();
        stream.send_data(Bytes::from_static(b"\0\0Hello"), false).unwrap();
        let mut received = Vec::new();
        while received.len() < 7 {
            let data = body.data().await.unwrap().unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            received.extend_from_slice(&data);
        }
        assert_eq!(received, b"\x81\x05Hello");
    }
    // The closing handshake, and then the end of the stream.
    stream.send_data(Bytes::from_static(b"\x88\x82\0\0\0\0\x03\xe8"), false).unwrap();
    let mut received = Vec::new();
    while let Some(data) = body.data().await {
        received.extend_from_slice(&data.unwrap());
    }
    assert_eq!(received, b"\x88\x02\x03\xe8");
}

#[tokio::test]
async fn a_faulty_extended_connect_is_refused() {
    let (address, mut requests) = start().await;
    let foreign = connect(address).header("origin", "http://other");
    let version = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://{address}/echo"))
        .extension(Protocol::from_static("websocket"));
    for (request, status) in [(foreign, 403), (version, 400)] {
        let (answer, _stream) = requests.send_request(request.body(()).unwrap(), false).unwrap();
        assert_eq!(answer.await.unwrap().status(), status);
    }
}

/// What the guide says about stopping.
#[tokio::test]
async fn a_graceful_shutdown_waits_for_websockets_over_http2() {
    let app = Router::new().route("/echo", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
    let serving = tokio::spawn(serving.into_future());
    let mut requests = handshake(address).await;
    let (answer, mut stream) = requests.send_request(connect(address).body(()).unwrap(), false).unwrap();
    let mut body = answer.await.unwrap().into_body();
    stop.send(()).unwrap();
    // The listener is closed, and its server waits.
    while TcpStream::connect(address).await.is_ok() {}
    for _ in 0..3 {
        stream.send_data(Bytes::from_static(b"\x81\x80\0\0\0\0"), false).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), &b"\x81\0"[..]);
        assert!(!serving.is_finished());
    }
    stream.send_data(Bytes::from_static(b"\x88\x80\0\0\0\0"), true).unwrap();
    serving.await.unwrap().unwrap();
}
