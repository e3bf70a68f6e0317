//! Real sockets, on both kinds of runtime.

use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use websocket_stream::tokio::{AsyncError, Busy, WebSocket, accept_with, client};
use websocket_stream::{
    ClientRequest, CloseCode, Config, Event, OwnedMessage, Response, Role, Sent, Timeouts,
};

fn runtimes() -> [Runtime; 2] {
    let single = Builder::new_current_thread().enable_all().build().unwrap();
    let multi = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    [single, multi]
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (a, b) = tokio::join!(TcpStream::connect(address), listener.accept());
    (a.unwrap(), b.unwrap().0)
}

/// Echoes with `run`, until the peer closes.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(io: S, config: Arc<Config>) {
    run_echo(accept_with(io, config, |_| Response::accept()).await.unwrap()).await;
}

pub(crate) async fn run_echo<S: AsyncRead + AsyncWrite + Unpin + 'static>(mut ws: WebSocket<S>) {
    let end = ws
        .run(|event, out| match event {
            Event::Message(message) => out.send(message),
            _ => Ok(()),
        })
        .await;
    assert!(end.unwrap().is_clean());
}

async fn talk<S>(ws: &mut WebSocket<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let sizes = [0, 1, 125, 126, 65_535, 65_536, 1 << 20];
    for size in sizes {
        ws.send("x".repeat(size)).await.unwrap();
        assert_eq!(ws.next().await.unwrap().unwrap().as_bytes().len(), size);
    }
    for number in 0..100 {
        ws.feed(number.to_string()).await.unwrap();
    }
    for number in 0..100 {
        assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some(&*number.to_string()));
    }
    assert!(ws.close(CloseCode::NORMAL, "").await.unwrap().is_clean());
    assert!(ws.next().await.is_none());
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(a: S, b: S, config: Config) {
    let config = Arc::new(config);
    let serving = tokio::spawn(serve(b, Arc::clone(&config)));
    let mut ws = client(a, ClientRequest::new("localhost", "/"), config).await.unwrap();
    talk(&mut ws).await;
    drop(ws);
    serving.await.unwrap();
}

#[test]
fn messages_of_all_sizes_are_echoed_over_tcp_and_over_unix_sockets() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let (a, b) = tcp_pair().await;
            echo(a, b, Config::default()).await;
            #[cfg(unix)]
            {
                let (a, b) = tokio::net::UnixStream::pair().unwrap();
                echo(a, b, Config::default()).await;
            }
        });
    }
}

#[cfg(feature = "deflate")]
#[test]
fn compressed_messages_are_echoed() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let (a, b) = tcp_pair().await;
            echo(a, b, Config::default().deflate(websocket_stream::deflate::Deflate::default())).await;
        });
    }
}

#[cfg(feature = "client")]
#[test]
fn a_url_is_connected_to() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("ws://{}/", listener.local_addr().unwrap());
            let serving = tokio::spawn(async move {
                serve(listener.accept().await.unwrap().0, Arc::default()).await;
            });
            let mut ws = websocket_stream::tokio::connect(&*url).await.unwrap();
            talk(&mut ws).await;
            drop(ws);
            serving.await.unwrap();
        });
    }
}

#[cfg(feature = "client")]
#[tokio::test]
async fn a_url_at_which_nobody_listens_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert!(websocket_stream::tokio::connect(&*url).await.is_err());
}

#[test]
fn both_halves_are_busy_on_two_threads() {
    const COUNT: u32 = 3000;
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
        let (a, b) = tcp_pair().await;
        let ws = |io, role| WebSocket::new(io, role, Arc::default()).unwrap();
        let mut tasks = Vec::new();
        for (io, role) in [(a, Role::Client), (b, Role::Server)] {
            let (mut sender, mut receiver) = ws(io, role).split();
            let sending = tokio::spawn(async move {
                for number in 0..COUNT {
                    let message = vec![0; (number % 7 * 100) as usize];
                    if number % 3 == 0 {
                        sender.send(message).await.unwrap();
                    } else {
                        sender.feed(message).await.unwrap();
                    }
                }
                sender.flush().await.unwrap();
                sender
            });
            let receiving = tokio::spawn(async move {
                for number in 0..COUNT {
                    let message = receiver.next().await.unwrap().unwrap();
                    assert_eq!(message.as_bytes().len(), (number % 7 * 100) as usize);
                }
                receiver
            });
            tasks.push((sending, receiving));
        }
        let mut ends = Vec::new();
        for (sending, receiving) in tasks {
            let (sender, receiver) = (sending.await.unwrap(), receiving.await.unwrap());
            ends.push(receiver.reunite(sender).unwrap());
        }
        let (mut server, mut client) = (ends.pop().unwrap(), ends.pop().unwrap());
        let (closed, ended) = tokio::join!(client.close(CloseCode::NORMAL, ""), async {
            let ended = server.next().await;
            drop(server);
            ended
        });
        assert!(closed.unwrap().is_clean() && ended.is_none());
    });
}

#[tokio::test]
async fn select_of_next_and_send_loses_nothing() {
    let (a, b) = tokio::io::duplex(64);
    let mut ws = WebSocket::new(a, Role::Server, Arc::default()).unwrap();
    let mut peer = WebSocket::new(b, Role::Client, Arc::default()).unwrap();
    let echo = tokio::spawn(async move {
        while let Some(Ok(message)) = peer.next().await {
            peer.send(message).await.unwrap();
        }
    });
    let (mut sent, mut received) = (0_u32, Vec::new());
    while received.len() < 200 {
        tokio::select! {
            message = ws.next() => received.push(message.unwrap().unwrap()),
            () = tokio::task::yield_now(), if sent < 200 => {
                ws.feed(sent.to_string()).await.unwrap();
                sent += 1;
            }
        }
    }
    let expected: Vec<OwnedMessage> = (0..200).map(|number: u32| number.to_string().into()).collect();
    assert_eq!(received, expected);
    assert!(ws.close(CloseCode::NORMAL, "").await.unwrap().is_clean());
    echo.await.unwrap();
}

#[tokio::test]
async fn a_message_is_sent_outside_of_a_poll() {
    let (a, b) = tokio::io::duplex(4096);
    let mut ws = WebSocket::new(a, Role::Server, Arc::default()).unwrap();
    let mut peer = WebSocket::new(b, Role::Client, Arc::default()).unwrap();
    assert_eq!(ws.try_send("now"), Ok(Sent::Written));
    assert_eq!(peer.next().await.unwrap().unwrap().as_text(), Some("now"));
    // More than the stream takes: sent while the connection is awaited.
    assert!(matches!(ws.try_send(&vec![7; 10_000]), Ok(Sent::Queued(_))));
    let message = tokio::select! {
        message = peer.next() => message.unwrap().unwrap(),
        _ = ws.next() => unreachable!(),
    };
    assert_eq!(message.as_bytes(), vec![7; 10_000]);
}

#[tokio::test]
async fn an_unclean_end_is_returned_once_after_the_messages_before_it() {
    let (a, mut peer) = tokio::io::duplex(4096);
    let mut ws = WebSocket::new(a, Role::Server, Arc::default()).unwrap();
    peer.write_all(b"\x81\x81\0\0\0\0a\x81\x81\0\0\0\0b").await.unwrap();
    drop(peer);
    assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some("a"));
    assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some("b"));
    assert!(matches!(ws.next().await, Some(Err(AsyncError::Closed(_)))));
    assert!(ws.next().await.is_none());
    assert!(ws.next().await.is_none());
    assert!(matches!(ws.send("late").await, Err(AsyncError::Closed(_))));
}

#[tokio::test]
async fn a_sink_closes_with_a_closing_handshake() {
    use futures_sink::Sink;
    let (a, b) = tokio::io::duplex(4096);
    let mut ws = WebSocket::new(a, Role::Server, Arc::default()).unwrap();
    let mut peer = WebSocket::new(b, Role::Client, Arc::default()).unwrap();
    ws.feed("last").await.unwrap();
    let received = tokio::spawn(async move {
        let message = peer.next().await.unwrap().unwrap();
        assert!(peer.next().await.is_none());
        message
    });
    std::future::poll_fn(|context| Pin::new(&mut ws).poll_close(context)).await.unwrap();
    std::future::poll_fn(|context| Pin::new(&mut ws).poll_close(context)).await.unwrap();
    assert_eq!(received.await.unwrap().as_text(), Some("last"));
}

#[tokio::test]
async fn a_tcp_stream_does_not_delay_small_messages() {
    let (a, b) = tcp_pair().await;
    assert!(!a.nodelay().unwrap());
    let ws = WebSocket::new(a, Role::Client, Arc::default()).unwrap();
    assert!(ws.get_ref().nodelay().unwrap());
    let ws = WebSocket::new(b, Role::Server, Arc::default()).unwrap();
    assert!(ws.get_ref().nodelay().unwrap());
}

#[tokio::test]
async fn a_connection_is_taken_apart_only_without_waiting_messages() {
    let (a, mut peer) = tokio::io::duplex(4096);
    let config = Arc::new(Config::default().timeouts(Timeouts::OFF));
    let mut ws = WebSocket::new(a, Role::Server, config).unwrap();
    ws.feed("fed").await.unwrap();
    let Err(Busy(mut ws)) = ws.into_parts() else { panic!() };
    ws.flush().await.unwrap();
    peer.write_all(b"\x81\x81\0\0\0\0a").await.unwrap();
    let parts = ws.into_parts().unwrap();
    let parts = websocket_stream::stream::Parts {
        transport: websocket_stream::tokio::AsyncTransport::new(parts.transport),
        connection: parts.connection,
        unread: parts.unread,
        unsent: parts.unsent,
    };
    let mut ws = WebSocket::from_stream(websocket_stream::WebSocketStream::from_parts(parts).unwrap());
    assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some("a"));
}

#[tokio::test]
async fn a_sender_whose_receiver_was_dropped_closes_although_many_messages_arrive() {
    let (a, b) = tokio::io::duplex(1 << 20);
    let (mut sender, receiver) = WebSocket::new(a, Role::Server, Arc::default()).unwrap().split();
    let mut client = WebSocket::new(b, Role::Client, Arc::default()).unwrap();
    drop(receiver);
    for _ in 0..100 {
        client.send("x".repeat(4096)).await.unwrap();
    }
    let (closed, received) = tokio::join!(sender.close(CloseCode::NORMAL, ""), async {
        let received = client.next().await;
        drop(client);
        received
    });
    assert!(closed.unwrap().is_clean());
    assert!(received.is_none());
}

#[tokio::test]
async fn the_peers_close_frame_is_kept_whoever_closes() {
    let pair = || {
        let (a, b) = tokio::io::duplex(4096);
        let new = |io, role| WebSocket::new(io, role, Arc::default()).unwrap();
        (new(a, Role::Server), new(b, Role::Client))
    };
    // The peer's reason, with halves.
    let (server, mut client) = pair();
    let (sender, mut receiver) = server.split();
    client.start_close(CloseCode::new(4001), "token expired").unwrap();
    let (ended, received) = tokio::join!(client.close(CloseCode::NORMAL, ""), async {
        assert!(receiver.close_frame().is_none());
        let received = receiver.next().await;
        drop(sender);
        (received.is_none(), receiver.close_frame())
    });
    let (is_end, frame) = received;
    assert!(is_end && ended.unwrap().is_clean());
    let frame = frame.unwrap();
    assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::new(4001), "token expired"));
    // The peer's answer to this end's.
    assert_eq!(client.close_frame().unwrap().code, CloseCode::new(4001));
}

#[tokio::test]
async fn halves_are_put_together_again_with_what_was_received() {
    let (a, b) = tokio::io::duplex(4096);
    let (mut sender, receiver) = WebSocket::new(a, Role::Server, Arc::default()).unwrap().split();
    let mut client = WebSocket::new(b, Role::Client, Arc::default()).unwrap();
    client.send("one").await.unwrap();
    // Receives while it waits.
    let sent = sender.send("x".repeat(10_000));
    let (sent, received) = tokio::join!(sent, client.next());
    sent.unwrap();
    assert_eq!(received.unwrap().unwrap().as_bytes().len(), 10_000);
    let mut ws = receiver.reunite(sender).unwrap();
    assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some("one"));
}
