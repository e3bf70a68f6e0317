//! tokio-tungstenite as the peer of connections under tokio, in both roles, over real sockets.

use axum::Router;
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use std::collections::VecDeque;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode as Code, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, Utf8Bytes};
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest, http};
use tokio_tungstenite::{WebSocketStream, accept_async, accept_hdr_async, client_async};
use websocket_stream::axum::WebSocketUpgrade;
use websocket_stream::tokio::{AcceptError, AsyncError, ClientStream, WebSocket, accept, connect};
use websocket_stream::{Cause, CloseCode, Event, Initiator, OwnedMessage};

const SIZES: [usize; 7] = [0, 1, 125, 126, 65535, 65536, 1 << 20];

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect()
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/chat", listener.local_addr().unwrap());
    (listener, url)
}

/// Returns tokio-tungstenite as the client, and `accept` as the server.
async fn theirs_and_ours() -> (WebSocketStream<TcpStream>, WebSocket<TcpStream>) {
    let (listener, url) = listen().await;
    let client = async {
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client_async(&url, socket).await.unwrap().0
    };
    let server = async { accept(listener.accept().await.unwrap().0).await.unwrap() };
    tokio::join!(client, server)
}

/// Returns `connect` as the client, and tokio-tungstenite as the server.
async fn ours_and_theirs() -> (WebSocket<ClientStream>, WebSocketStream<TcpStream>) {
    let (listener, url) = listen().await;
    let server = async { accept_async(listener.accept().await.unwrap().0).await.unwrap() };
    tokio::join!(async { connect(&*url).await.unwrap() }, server)
}

type Ended = Result<(), AsyncError>;

async fn echo<S>(mut ws: WebSocket<S>) -> Ended
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    ws.run(|event, out| match event {
        Event::Message(message) => out.send(message),
        _ => Ok(()),
    })
    .await
    .map(|end| assert_eq!((end.code, end.by), (CloseCode::NORMAL, Initiator::Peer)))
}

async fn echo_owned(mut ws: WebSocket<TcpStream>) -> Ended {
    while let Some(message) = ws.next().await {
        ws.feed(message?).await?;
    }
    Ok(())
}

/// Talks with an echo server, and closes.
async fn converse(mut client: WebSocketStream<TcpStream>) {
    async fn echo(client: &mut WebSocketStream<TcpStream>, message: Message) {
        client.send(message.clone()).await.unwrap();
        assert!(client.next().await.unwrap().unwrap() == message, "a different message was echoed");
    }
    echo(&mut client, Message::text("héllo €")).await;
    for size in SIZES {
        echo(&mut client, Message::binary(bytes(size))).await;
        echo(&mut client, Message::text("x".repeat(size))).await;
    }

    // Cut in the middle of a character, with a ping between the fragments.
    let euro = "€".as_bytes();
    let fragment = |bytes: &[u8], opcode, fin| Message::Frame(Frame::message(bytes.to_vec(), opcode, fin));
    client.feed(fragment(&euro[..1], OpCode::Data(Data::Text), false)).await.unwrap();
    client.feed(Message::Ping(b"between".to_vec().into())).await.unwrap();
    client.feed(fragment(&euro[1..2], OpCode::Data(Data::Continue), false)).await.unwrap();
    client.send(fragment(&euro[2..], OpCode::Data(Data::Continue), true)).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong(b"between".to_vec().into()));
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("€"));

    // Many that arrive together are answered in order.
    let mut expected = VecDeque::new();
    for number in 0..1000 {
        let message = Message::text(number.to_string());
        client.feed(message.clone()).await.unwrap();
        expected.push_back(message);
    }
    client.flush().await.unwrap();
    while let Some(message) = expected.pop_front() {
        assert_eq!(client.next().await.unwrap().unwrap(), message);
    }

    let close = CloseFrame { code: Code::Normal, reason: Utf8Bytes::from_static("done") };
    client.close(Some(close)).await.unwrap();
    let Message::Close(Some(answer)) = client.next().await.unwrap().unwrap() else {
        panic!("no Close frame")
    };
    assert_eq!(answer.code, Code::Normal);
    assert!(client.next().await.is_none());
}

#[tokio::test]
async fn a_client_converses_with_a_handler() {
    let (client, server) = theirs_and_ours().await;
    let ((), served) = tokio::join!(converse(client), echo(server));
    served.unwrap();
}

#[tokio::test]
async fn a_client_converses_with_a_loop_of_owned_messages() {
    let (client, server) = theirs_and_ours().await;
    let ((), served) = tokio::join!(converse(client), echo_owned(server));
    served.unwrap();
}

#[tokio::test]
async fn a_client_converses_with_axum() {
    let (listener, url) = listen().await;
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/chat", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let socket = TcpStream::connect(address).await.unwrap();
    converse(client_async(&url, socket).await.unwrap().0).await;
}

#[tokio::test]
async fn a_client_that_leaves_without_a_close_frame_is_reported() {
    let (client, mut server) = theirs_and_ours().await;
    drop(client);
    let Some(Err(AsyncError::Closed(end))) = server.next().await else { panic!("no error") };
    assert_eq!(end.cause, Cause::EndOfStream);
    assert!(server.next().await.is_none());
}

#[tokio::test]
async fn a_server_closes_and_the_client_receives_the_code_and_the_reason() {
    let (mut client, mut server) = theirs_and_ours().await;
    let receive = async {
        let close = client.next().await.unwrap().unwrap();
        assert!(client.next().await.is_none());
        close
    };
    let (close, closed) = tokio::join!(receive, server.close(CloseCode::GOING_AWAY, "bye"));
    let bye = CloseFrame { code: Code::Away, reason: Utf8Bytes::from_static("bye") };
    assert_eq!(close, Message::Close(Some(bye)));
    assert!(closed.unwrap().is_clean());
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_receives_1002() {
    let (mut client, server) = theirs_and_ours().await;
    let break_it = async {
        let continuation = Frame::message(b"x".to_vec(), OpCode::Data(Data::Continue), true);
        client.send(Message::text("first")).await.unwrap();
        client.send(Message::Frame(continuation)).await.unwrap();
        // What was accepted before is sent.
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text("first"));
        client.next().await.unwrap().unwrap()
    };
    let (close, served) = tokio::join!(break_it, echo(server));
    let Message::Close(Some(close)) = close else { panic!("no Close frame: {close}") };
    assert_eq!(close.code, Code::Protocol);
    let Err(AsyncError::Closed(end)) = served else { panic!("no error") };
    assert_eq!(end.code, CloseCode::PROTOCOL_ERROR);
}

#[tokio::test]
async fn a_server_of_theirs_echoes_what_the_client_sends() {
    let (mut client, server) = ours_and_theirs().await;
    let served = tokio::spawn(async move {
        let mut closed = None;
        let (mut sink, mut stream) = server.split();
        sink.send(Message::Ping(b"are you there?".to_vec().into())).await.unwrap();
        while let Some(message) = stream.next().await {
            match message.unwrap() {
                message @ (Message::Text(_) | Message::Binary(_)) => sink.send(message).await.unwrap(),
                Message::Pong(payload) => assert_eq!(payload, b"are you there?"[..]),
                // Its answer is sent while the end is awaited.
                Message::Close(close) => closed = close,
                other => panic!("{other}"),
            }
        }
        closed
    });
    for size in SIZES {
        for message in [OwnedMessage::from("y".repeat(size)), OwnedMessage::from(bytes(size))] {
            client.send(message.clone()).await.unwrap();
            assert!(client.next().await.unwrap().unwrap() == message, "a different message was echoed");
        }
    }
    let end = client.close(CloseCode::NORMAL, "done").await.unwrap();
    assert_eq!((end.code, end.by), (CloseCode::NORMAL, Initiator::Local));
    let close = served.await.unwrap().unwrap();
    assert_eq!((close.code, close.reason.as_str()), (Code::Normal, "done"));
}

#[tokio::test]
async fn two_halves_send_and_receive_more_than_the_sockets_hold() {
    const COUNT: usize = 2000;
    let (client, mut server) = ours_and_theirs().await;
    let served = tokio::spawn(async move {
        while let Some(Ok(message)) = server.next().await {
            if !message.is_close() {
                server.send(message).await.unwrap();
            }
        }
    });
    let (mut sender, mut receiver) = client.split();
    let message = |number: usize| OwnedMessage::from(format!("{number}{}", "z".repeat(number * 37 % 9000)));
    let sending = tokio::spawn(async move {
        for number in 0..COUNT {
            sender.send(message(number)).await.unwrap();
        }
        sender
    });
    for number in 0..COUNT {
        assert_eq!(receiver.next().await.unwrap().unwrap(), message(number));
    }
    let mut sender = sending.await.unwrap();
    let (end, last) = tokio::join!(sender.close(CloseCode::NORMAL, ""), receiver.next());
    assert!(end.unwrap().is_clean());
    assert!(last.is_none());
    served.await.unwrap();
}

#[tokio::test]
async fn a_server_of_theirs_that_refuses_is_reported_with_its_status() {
    let (listener, url) = listen().await;
    let refused = async { connect(&*url).await.map(|_| ()).unwrap_err() };
    let server = async {
        #[expect(clippy::result_large_err, reason = "the callback's type")]
        let refuse = |_: &_, _| Err(http::Response::builder().status(503).body(None).unwrap());
        accept_hdr_async(listener.accept().await.unwrap().0, refuse).await.map(|_| ())
    };
    let (refused, served) = tokio::join!(refused, server);
    assert!(matches!(served, Err(Error::Http(_))), "{served:?}");
    assert!(refused.to_string().ends_with("refused with status 503"), "{refused}");
}

#[tokio::test]
async fn a_client_that_is_refused_receives_the_status() {
    let (listener, url) = listen().await;
    let client = async {
        let mut request = url.as_str().into_client_request().unwrap();
        request.headers_mut().insert("Origin", "http://elsewhere.example".parse().unwrap());
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client_async(request, socket).await.map(|_| ())
    };
    let server = async { accept(listener.accept().await.unwrap().0).await.map(|_| ()) };
    let (refused, served) = tokio::join!(client, server);
    assert!(matches!(refused, Err(Error::Http(response)) if response.status() == 403));
    assert!(matches!(served, Err(AcceptError::Answered { status: 403 })));
}
