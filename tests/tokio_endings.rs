//! Messages that arrive together with the end of the connection, under tokio.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use websocket_stream::Role;
use websocket_stream::tokio::{AsyncError, WebSocket};
use websocket_stream::{CloseCode, State};

const MESSAGE: &[u8] = b"\x81\x81\0\0\0\0a";
const PING: &[u8] = b"\x89\x80\0\0\0\0";
const CLOSE: &[u8] = b"\x88\x82\0\0\0\0\x03\xe8";
const RESERVED_OPCODE: &[u8] = b"\x83\x80\0\0\0\0";

/// Returns a server, and its peer, which has sent these frames in one piece.
async fn received(frames: &[&[u8]], capacity: usize) -> (WebSocket<DuplexStream>, DuplexStream) {
    let (io, mut peer) = duplex(capacity);
    peer.write_all(&frames.concat()).await.unwrap();
    (WebSocket::new(io, Role::Server, Arc::default()).unwrap(), peer)
}

/// Echoes until the end, and returns its result and the sent bytes.
async fn echo(frames: &[&[u8]]) -> (Result<(), AsyncError>, Vec<u8>) {
    let (mut ws, mut peer) = received(frames, 4096).await;
    let echo = async move {
        while let Some(message) = ws.next().await {
            ws.feed(message?).await?;
        }
        Ok(())
    };
    // Drops its end afterwards, for which the server waits.
    let receive = async move {
        let mut sent = Vec::new();
        peer.read_to_end(&mut sent).await.unwrap();
        sent
    };
    tokio::join!(echo, receive)
}

#[tokio::test]
async fn messages_before_a_close_frame_are_answered_first() {
    for count in 1..4 {
        let mut frames = vec![MESSAGE; count];
        frames.push(CLOSE);
        let (ended, sent) = echo(&frames).await;
        ended.unwrap();
        assert_eq!(sent, [&b"\x81\x01a".repeat(count)[..], b"\x88\x02\x03\xe8"].concat());
    }
}

#[tokio::test]
async fn messages_before_a_violation_are_answered_first() {
    let (ended, sent) = echo(&[MESSAGE, MESSAGE, PING, RESERVED_OPCODE, MESSAGE]).await;
    let Err(AsyncError::Closed(end)) = ended else { panic!("no error") };
    assert_eq!(end.code, CloseCode::PROTOCOL_ERROR);
    let text = String::from_utf8_lossy(&sent);
    assert_eq!(text.matches("\u{1}a").count(), 2, "{text:?}");
    assert!(sent.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == [0x03, 0xea]), "{text:?}");
}

#[tokio::test]
async fn a_ping_before_a_close_frame_is_answered_without_a_message() {
    let (ended, sent) = echo(&[PING, PING, CLOSE]).await;
    ended.unwrap();
    assert!(sent.ends_with(b"\x88\x02\x03\xe8"), "{sent:?}");
}

#[tokio::test]
async fn a_half_that_sends_can_close_while_messages_wait() {
    let (ws, mut peer) = received(&[MESSAGE, CLOSE], 4096).await;
    let (mut sender, mut receiver) = ws.split();
    sender.send("b").await.unwrap();
    // Drops its end afterwards, for which the server waits.
    let receive = async move {
        let mut sent = Vec::new();
        peer.read_to_end(&mut sent).await.unwrap();
        sent
    };
    let close = async {
        let end = sender.close(CloseCode::NORMAL, "").await;
        assert!(matches!(sender.state(), State::Closed(_)));
        assert_eq!(receiver.next().await.unwrap().unwrap().as_text(), Some("a"));
        assert!(receiver.next().await.is_none());
        drop((sender, receiver));
        end
    };
    let (end, sent) = tokio::join!(close, receive);
    assert!(end.unwrap().is_clean());
    assert_eq!(sent, b"\x81\x01b\x88\x02\x03\xe8");
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_task_that_waits_to_send_is_not_woken_by_an_end_that_is_held() {
    let (mut ws, _peer) = received(&[MESSAGE, CLOSE], 64).await;
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut sending = pin!(ws.send("x".repeat(1000)));
    for _ in 0..3 {
        count.0.store(0, Ordering::Relaxed);
        assert!(sending.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
}
