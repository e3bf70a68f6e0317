//! Faults that were found in this code, each with a test.

use crate::choices::Choices;
use crate::mock::{Mock, Peer};
use crate::programs::{encoded, encoded_close, messages, parsed};
use crate::timers::{HELLO, pair, paused};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use websocket_stream::tokio::{AsyncError, AsyncTransport, Receiver, WebSocket};
use websocket_stream::transport::NonBlockingTransport;
use websocket_stream::{
    Cause, CloseCode, Closed, Config, Event, Limits, OwnedMessage, PauseReading, Role, SendError, Timeout,
    Timeouts,
};

/// Polls a future once.
fn poll_once<R>(future: impl Future<Output = R>) -> Poll<R> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn text_of(event: Event<'_>) -> Option<OwnedMessage> {
    match event {
        Event::Message(message) => Some(message.into()),
        _ => None,
    }
}

#[test]
fn run_lost_the_messages_that_were_received_before_the_end() {
    let all = messages(false);
    let frames: Vec<u8> = all.iter().flat_map(|message| encoded(Role::Server, message)).collect();
    let peer = [Peer::Sends(frames), Peer::Sends(encoded_close(Role::Server)), Peer::EndsStream];
    let mock = Mock::new(Choices::new(0, 0), peer);
    for happening in [0; 3].map(|_| mock.possible()[0]) {
        mock.happen(happening);
    }
    let (mut sender, receiver) = WebSocket::new(mock, Role::Server, Arc::default()).unwrap().split();
    assert!(matches!(poll_once(sender.close(CloseCode::NORMAL, "")), Poll::Ready(Ok(_))));
    let mut ws = receiver.reunite(sender).unwrap();
    let mut received = Vec::new();
    let end = poll_once(ws.run(|event, _| {
        received.extend(text_of(event));
        Ok(())
    }));
    assert!(matches!(end, Poll::Ready(Ok(end)) if end.is_clean()));
    assert_eq!(received, all);
}

/// A connection on which 300 bytes are unsent, a fed message does not fit beside them, and "Hello" has been
/// received.
async fn full_with_a_fed_message() -> (WebSocket<DuplexStream>, DuplexStream) {
    let (a, mut peer) = tokio::io::duplex(16);
    let limits = Limits::default().unsent(400 + Limits::CONTROL_ROOM).pause_reading(PauseReading::Never);
    let config = Arc::new(Config::default().limits(limits).timeouts(Timeouts::OFF));
    let mut ws = WebSocket::new(a, Role::Server, config).unwrap();
    peer.write_all(HELLO).await.unwrap();
    assert!(poll_once(ws.send(vec![1; 300])).is_pending());
    assert!(matches!(poll_once(ws.feed(vec![2; 200])), Poll::Ready(Ok(()))));
    (ws, peer)
}

#[tokio::test]
async fn a_reply_overtook_a_fed_message_and_a_received_message_was_lost() {
    let (mut ws, mut peer) = full_with_a_fed_message().await;
    let serving = async {
        ws.run(|event, out| match event {
            Event::Message(message) => out.send(message),
            _ => Ok(()),
        })
        .await
    };
    let reading = async {
        let mut sent = vec![0; 4 + 300 + 4 + 200 + 7];
        peer.read_exact(&mut sent).await.unwrap();
        drop(peer);
        parsed(Role::Server, &sent).0
    };
    let (end, sent) = tokio::join!(serving, reading);
    assert!(end.is_err());
    assert_eq!(sent, [vec![1; 300].into(), vec![2; 200].into(), OwnedMessage::from("Hello")]);
}

#[tokio::test]
async fn a_flush_succeeded_although_fed_messages_were_dropped() {
    let (mut ws, mut peer) = full_with_a_fed_message().await;
    peer.write_all(&encoded_close(Role::Server)).await.unwrap();
    assert!(matches!(poll_once(ws.next()), Poll::Ready(Some(Ok(_)))));
    assert!(poll_once(ws.next()).is_pending());
    assert!(poll_once(ws.next()).is_pending());
    let mut sent = Vec::new();
    let flushed = tokio::select! {
        flushed = ws.flush() => flushed,
        _ = peer.read_to_end(&mut sent) => unreachable!("the connection is not dropped"),
    };
    assert_eq!(flushed, Err(AsyncError::Send(SendError::Closed)));
}

fn is_idle(end: Result<Closed, AsyncError>) -> bool {
    matches!(end, Err(AsyncError::Closed(Closed { cause: Cause::Timeout(Timeout::Idle), .. })))
}

#[tokio::test(start_paused = true)]
async fn no_timeout_was_set_if_the_first_call_received_a_message() {
    let (mut ws, mut peer) = pair(Timeouts::OFF.idle(Duration::from_secs(10)));
    peer.write_all(HELLO).await.unwrap();
    let end = timeout(Duration::from_secs(100), ws.run(|_, _| Ok(()))).await.unwrap();
    assert!(is_idle(end));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_fired_as_a_message_arrived_was_not_set_again() {
    let (mut ws, mut peer) = pair(Timeouts::OFF.idle(Duration::from_secs(10)));
    assert!(poll_once(ws.next()).is_pending());
    sleep(Duration::from_secs(5)).await;
    peer.write_all(HELLO).await.unwrap();
    assert!(ws.next().await.is_some());
    sleep(Duration::from_secs(6)).await;
    peer.write_all(HELLO).await.unwrap();
    let start = Instant::now();
    let end = timeout(Duration::from_secs(100), ws.run(|_, _| Ok(()))).await.unwrap();
    assert!(is_idle(end));
    assert!(start.elapsed() <= Duration::from_millis(10_100));
}

/// Returns `Interrupted` before each result of another stream.
struct Interrupting(Mock, bool);

impl Interrupting {
    fn interrupts<R>(&mut self) -> Option<Poll<io::Result<R>>> {
        self.1 = !self.1;
        self.1.then(|| Poll::Ready(Err(ErrorKind::Interrupted.into())))
    }
}

impl AsyncRead for Interrupting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.interrupts().unwrap_or_else(|| Pin::new(&mut self.0).poll_read(context, buffer))
    }
}

impl AsyncWrite for Interrupting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.interrupts().unwrap_or_else(|| Pin::new(&mut self.0).poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.interrupts().unwrap_or_else(|| Pin::new(&mut self.0).poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.interrupts().unwrap_or_else(|| Pin::new(&mut self.0).poll_shutdown(context))
    }
}

#[test]
fn an_interruption_of_a_flush_ended_the_connection() {
    let mock = Mock::new(Choices::new(0, 0), [Peer::Sends(vec![7])]);
    mock.happen(mock.possible()[0]);
    let mut transport = AsyncTransport::new(Interrupting(mock, false));
    assert_eq!(transport.send(b"ab").unwrap(), 2);
    assert!(!transport.wants_write());
    transport.flush().unwrap();
    let mut buffer = [0; 2];
    assert_eq!(transport.recv(&mut buffer).unwrap(), 1);
    assert_eq!(transport.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    transport.shutdown_write().unwrap();
    assert!(!transport.wants_write());
}

/// A stream that is always pending, and keeps no waker.
struct Silent;

impl AsyncRead for Silent {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Silent {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

/// A task that is dropped with its last waker.
struct Owner(#[expect(dead_code, reason = "only dropped")] Mutex<WebSocket<Silent>>);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_that_drops_another_connection_was_dropped_under_a_lock() {
    paused().block_on(async {
        let config = Arc::new(Config::default().timeouts(Timeouts::OFF.idle(Duration::from_secs(9))));
        let ws = || WebSocket::new(Silent, Role::Server, Arc::clone(&config)).unwrap();
        let (mut first, mut second) = (ws(), ws());
        assert!(poll_once(second.next()).is_pending());
        let owner = Waker::from(Arc::new(Owner(Mutex::new(second))));
        assert!(pin!(first.next()).poll(&mut Context::from_waker(&owner)).is_pending());
        drop(owner);
        assert!(poll_once(first.next()).is_pending());
    });
}

#[test]
#[should_panic(expected = "timers are disabled")]
fn a_runtime_without_timers_was_noticed_only_by_a_hidden_task() {
    let (mut ws, _peer) = pair(Timeouts::OFF.idle(Duration::from_secs(9)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { poll_once(ws.next()) }).is_pending();
}

/// Polls a send to a peer that repeats a frame and reads nothing. Returns the number of frames that the peer
/// could send, up to `most`.
async fn received_while_sending(frame: &[u8], most: usize) -> usize {
    let (a, mut peer) = tokio::io::duplex(6000);
    let mut ws = WebSocket::new(a, Role::Server, Arc::default()).unwrap();
    let mut sending = pin!(ws.send(vec![0; 10_000]));
    let mut sent = 0;
    while sent < most {
        let context = &mut Context::from_waker(Waker::noop());
        assert!(sending.as_mut().poll(context).is_pending());
        // tokio's budget for one poll.
        tokio::task::yield_now().await;
        match poll_once(peer.write_all(&frame.repeat(6000 / frame.len()))) {
            Poll::Ready(written) => written.unwrap(),
            Poll::Pending => break,
        }
        sent += 6000 / frame.len();
    }
    sent
}

#[tokio::test]
async fn empty_messages_that_waited_for_next_were_not_counted() {
    const MOST: usize = 100_000;
    for len in [0, 1] {
        let frame = [&[0x82, 0x80 | len, 0, 0, 0, 0][..], &[7][..usize::from(len)]].concat();
        let received = received_while_sending(&frame, MOST).await;
        assert!(received < MOST, "{received} messages of {len} bytes");
    }
}

/// The half that receives, and the tasks of the half that closes and of the peer, which sends this number of
/// messages of 32 KiB before it answers. The half that closes has received 64 KiB, and reads no more.
pub(crate) async fn closing_beside_messages(
    messages: usize,
) -> (Receiver<DuplexStream>, JoinHandle<Result<Closed, AsyncError>>, JoinHandle<()>) {
    let (a, mut peer) = tokio::io::duplex(1 << 10);
    let config = Arc::new(Config::default().timeouts(Timeouts::OFF));
    let (mut sender, receiver) = WebSocket::new(a, Role::Client, config).unwrap().split();
    let closing = tokio::spawn(async move { sender.close(CloseCode::NORMAL, "").await });
    let frame = [&[0x82, 0x7e, 0x80, 0x00][..], &[7; 0x8000]].concat();
    let peer = tokio::spawn(async move {
        for _ in 0..messages {
            peer.write_all(&frame).await.unwrap();
        }
        peer.write_all(&encoded_close(Role::Client)).await.unwrap();
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.unwrap();
    });
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    (receiver, closing, peer)
}

#[tokio::test]
async fn a_sender_that_received_no_more_was_not_woken_when_the_receiver_was_dropped() {
    let (receiver, closing, peer) = closing_beside_messages(4).await;
    drop(receiver);
    let end = timeout(Duration::from_secs(2), closing).await.expect("woken").unwrap();
    assert!(end.unwrap().is_clean());
    peer.await.unwrap();
}

#[cfg(feature = "client")]
#[tokio::test]
async fn the_future_of_connect_was_not_send() {
    let connecting = tokio::spawn(websocket_stream::tokio::connect("ws://[::1]:1/"));
    assert!(connecting.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn each_timeout_received_more_although_enough_waited_for_next() {
    let (a, mut peer) = tokio::io::duplex(64 << 10);
    let timeouts = Timeouts::OFF.ping_interval(Duration::from_secs(1));
    let config = Arc::new(Config::default().timeouts(timeouts));
    let mut ws = WebSocket::new(a, Role::Client, config).unwrap();
    let sending = ws.send(vec![0; 100_000]);
    let frame = [&[0x82, 0x7e, 0xf0, 0x00][..], &[7; 0xf000]].concat();
    let mut received = 0;
    let flood = async {
        while received < 200 {
            peer.write_all(&frame).await.unwrap();
            received += 1;
        }
    };
    let _ = timeout(Duration::from_secs(300), async { tokio::join!(sending, flood) }).await;
    assert!(received < 100, "{received} messages of 60 KiB");
}
