//! Connections over TLS.

#[path = "../../examples/tls_pair/localhost.rs"]
mod localhost;

use crate::executor::Flag;
use crate::real::run_echo;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use websocket_stream::client::Connector;
use websocket_stream::tls::TlsStream;
use websocket_stream::tokio::{AsyncTransport, WebSocket, accept, accept_with, client, connect_with};
use websocket_stream::{ClientRequest, CloseCode, OpeningError, Response, Role};

type Tls = TlsStream<AsyncTransport<DuplexStream>>;

async fn serve(socket: TcpStream) {
    let tls = TlsStream::server(AsyncTransport::new(socket), localhost::server().unwrap()).unwrap();
    run_echo(accept(tls).await.unwrap()).await;
}

#[tokio::test]
async fn messages_are_echoed_over_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    let connector = Connector::new().no_proxy().tls(localhost::client().unwrap()).addresses([address]);
    let mut ws = connect_with(&connector, "wss://localhost/").await.unwrap();
    for size in [0, 1, 16_384, 1 << 20] {
        ws.send(vec![3; size]).await.unwrap();
        assert_eq!(ws.next().await.unwrap().unwrap().as_bytes().len(), size);
    }
    assert!(ws.close(CloseCode::NORMAL, "").await.unwrap().is_clean());
    drop(ws);
    serving.await.unwrap();
}

/// The task that reads has taken the place of the one that writes in the stream below, when the peer takes
/// bytes.
#[tokio::test]
async fn two_tasks_can_use_the_halves_of_a_tls_stream() {
    let (a, b) = tokio::io::duplex(4096);
    let server = TlsStream::server(AsyncTransport::new(a), localhost::server().unwrap()).unwrap();
    let name = "localhost".try_into().unwrap();
    let client = TlsStream::client(AsyncTransport::new(b), localhost::client().unwrap(), name).unwrap();
    let (mut peer_reads, mut peer_writes) = tokio::io::split(client);
    let (mut reads, mut writes) = tokio::io::split(server);
    let hello = tokio::spawn(async move {
        let mut hello = [0; 5];
        reads.read_exact(&mut hello).await.unwrap();
        (reads, hello)
    });
    peer_writes.write_all(b"hello").await.unwrap();
    let flushed = tokio::spawn(async move {
        peer_writes.flush().await.unwrap();
        let mut byte = [0];
        // The handshake advances while it is read.
        peer_reads.read_exact(&mut byte).await.unwrap();
        (peer_reads, peer_writes, byte)
    });
    let (mut reads, received) = hello.await.unwrap();
    assert_eq!(&received, b"hello");
    let writing = tokio::spawn(async move {
        // More than is on the way and in the stream.
        writes.write_all(&vec![7; 1 << 20]).await.unwrap();
        writes.flush().await.unwrap();
        writes
    });
    let (mut peer_reads, peer_writes, _) = flushed.await.unwrap();
    let reading = tokio::spawn(async move { reads.read(&mut [0]).await.unwrap_or(0) });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let mut rest = vec![0; (1 << 20) - 1];
    let received = tokio::time::timeout(Duration::from_secs(60), peer_reads.read_exact(&mut rest));
    received.await.expect("the writer is not woken").unwrap();
    drop(writing.await.unwrap());
    drop((peer_reads, peer_writes));
    assert_eq!(reading.await.unwrap(), 0);
}

/// Nothing else wakes it: all that was on the way has left.
#[test]
fn the_end_of_the_handshake_wakes_a_task_that_could_not_send_before() {
    // The server's last message of the handshake is followed by nothing.
    let config = localhost::server_with(&[&rustls::version::TLS12]).unwrap();
    let (a, b) = tokio::io::duplex(4 << 20);
    let mut server = Tls::server(AsyncTransport::new(a), config).unwrap();
    let name = "localhost".try_into().unwrap();
    let mut client = TlsStream::client(AsyncTransport::new(b), localhost::client().unwrap(), name).unwrap();
    let (writer, waker) = Flag::new();
    let write = |client: &mut Tls| Pin::new(client).poll_write(&mut Context::from_waker(&waker), &[7; 1000]);
    while write(&mut client).is_ready() {}
    let (_, waker) = Flag::new();
    let read = |stream: &mut Tls| {
        let mut bytes = [0; 1000];
        Pin::new(stream).poll_read(&mut Context::from_waker(&waker), &mut ReadBuf::new(&mut bytes))
    };
    while client.common_state().is_handshaking() {
        // It is polled before the task that reads.
        assert!(!writer.take() || write(&mut client).is_pending());
        assert!(read(&mut client).is_pending());
        let _ = read(&mut server);
    }
    assert!(writer.is_up());
    assert!(write(&mut client).is_ready());
}

/// A task keeps room for the futures that it awaits, for as long as it lives. A stream of TLS is large.
#[test]
fn the_future_of_an_opening_has_no_room_for_the_stream() {
    let large = || {
        let transport = AsyncTransport::new(tokio::io::duplex(1).0);
        TlsStream::server(transport, localhost::server().unwrap()).unwrap()
    };
    assert!(size_of_val(&large()) > 1_000);
    let request = ClientRequest::new("localhost", "/");
    let sizes = [
        size_of_val(&accept(large())),
        size_of_val(&accept_with(large(), Arc::default(), |_| Response::accept())),
        size_of_val(&client(large(), request, Arc::default())),
    ];
    assert!(sizes.iter().all(|&size| size <= 100), "{sizes:?}");
}

/// `accept` and the like set the option of a plain socket.
#[tokio::test]
async fn a_tcp_stream_below_tls_does_not_delay_small_messages() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let tls = TlsStream::server(AsyncTransport::new(socket), localhost::server().unwrap()).unwrap();
    let ws = WebSocket::new(tls, Role::Server, Arc::default()).unwrap();
    assert!(ws.get_ref().get_ref().get_ref().nodelay().unwrap());
}

/// What is written before the end of the handshake has left when a flush succeeds, and the end follows it.
#[tokio::test]
async fn flush_and_shutdown_wait_for_the_handshake() {
    for flushes in [true, false] {
        let (a, b) = tokio::io::duplex(1 << 16);
        let mut server = TlsStream::server(AsyncTransport::new(a), localhost::server().unwrap()).unwrap();
        let name = "localhost".try_into().unwrap();
        let mut client =
            TlsStream::client(AsyncTransport::new(b), localhost::client().unwrap(), name).unwrap();
        let writing = tokio::spawn(async move {
            client.write_all(b"early").await.unwrap();
            if flushes {
                client.flush().await.unwrap();
                assert!(!client.common_state().is_handshaking());
            }
            client.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        let reading = async { server.read_to_end(&mut received).await };
        tokio::time::timeout(Duration::from_secs(20), reading).await.expect("it ends").unwrap();
        assert_eq!(received, b"early");
        writing.await.unwrap();
    }
}

/// The peer has gone before the first poll. The request is written, and flushed, before anything is received.
#[tokio::test]
async fn the_error_of_a_handshake_is_not_lost_by_a_flush() {
    for (answer, kind, is_fault) in [
        (&b""[..], ErrorKind::UnexpectedEof, false),
        (b"220 mail.example ESMTP", ErrorKind::InvalidData, true),
    ] {
        let (a, mut peer) = tokio::io::duplex(1 << 16);
        peer.write_all(answer).await.unwrap();
        peer.shutdown().await.unwrap();
        let name = "localhost".try_into().unwrap();
        let tls = TlsStream::client(AsyncTransport::new(a), localhost::client().unwrap(), name).unwrap();
        let error = client(tls, ClientRequest::new("localhost", "/"), Arc::default()).await.unwrap_err();
        let OpeningError::System(error) = error else { panic!("{error:?}") };
        let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        assert_eq!((error.kind(), fault.is_some()), (kind, is_fault), "{error:?}");
    }
}

/// The reader receives the error while another task flushes.
#[tokio::test]
async fn a_flush_fails_if_the_handshake_does() {
    let (a, mut peer) = tokio::io::duplex(1 << 16);
    let name = "localhost".try_into().unwrap();
    let tls = TlsStream::client(AsyncTransport::new(a), localhost::client().unwrap(), name).unwrap();
    let (mut reads, mut writes) = tokio::io::split(tls);
    let flushing = tokio::spawn(async move {
        writes.write_all(b"early").await.unwrap();
        writes.flush().await
    });
    let reading = tokio::spawn(async move { reads.read_u8().await });
    peer.write_all(b"220 mail.example ESMTP").await.unwrap();
    assert_eq!(reading.await.unwrap().unwrap_err().kind(), ErrorKind::InvalidData);
    assert!(flushing.await.unwrap().is_err());
}
