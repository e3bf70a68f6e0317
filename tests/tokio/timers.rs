//! Timeouts, under tokio's paused clock.

use quickcheck::QuickCheck;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::{Instant, sleep, timeout};
use websocket_stream::tokio::{AcceptError, AsyncError, WebSocket, accept_with, client};
use websocket_stream::{
    Cause, ClientRequest, CloseCode, Closed, Config, Event, Limits, OpCode, OpeningError, Response, Role,
    SendError, Timeout, Timeouts,
};

/// The precision of timeouts.
const TICK: u64 = 100;

pub(crate) const HELLO: &[u8] = b"\x81\x85\0\0\0\0Hello";

fn off() -> Timeouts {
    Timeouts::OFF
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server's end, and what its peer reads and writes.
pub(crate) fn pair(timeouts: Timeouts) -> (WebSocket<DuplexStream>, DuplexStream) {
    let (a, peer) = tokio::io::duplex(4096);
    let config = Arc::new(Config::default().timeouts(timeouts));
    (WebSocket::new(a, Role::Server, config).unwrap(), peer)
}

pub(crate) fn paused() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Checks that this time has passed, and at most one tick more.
fn assert_passed(start: Instant, expected: Duration) {
    let (passed, expected) = (start.elapsed().as_millis(), expected.as_millis());
    assert!((expected..=expected + u128::from(TICK)).contains(&passed), "{passed} instead of {expected}");
}

fn timed_out(end: Option<Result<websocket_stream::OwnedMessage, AsyncError>>, timeout: Timeout) {
    match end {
        Some(Err(AsyncError::Closed(end))) => assert_eq!(end.cause, Cause::Timeout(timeout)),
        end => panic!("{end:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_sent_when_its_interval_has_passed_and_again_after_its_answer() {
    let (mut ws, mut peer) = pair(off().ping_interval(seconds(2)));
    let task = tokio::spawn(async move { ws.next().await });
    for _ in 0..3 {
        let start = Instant::now();
        let mut ping = [0; 2];
        timeout(seconds(10), peer.read_exact(&mut ping)).await.unwrap().unwrap();
        assert_eq!(ping, [0x89, 0]);
        assert_passed(start, seconds(2));
        peer.write_all(b"\x8a\x80\0\0\0\0").await.unwrap();
    }
    drop(peer);
    assert!(task.await.unwrap().unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_disconnected_when_the_idle_timeout_has_passed() {
    for timeout in [1, 3, 25, 26, 60, 3600] {
        let (mut ws, _peer) = pair(off().idle(seconds(timeout)));
        let start = Instant::now();
        timed_out(ws.next().await, Timeout::Idle);
        assert_passed(start, seconds(timeout));
        assert!(ws.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_of_the_peer_postpone_the_idle_timeout() {
    let (mut ws, mut peer) = pair(off().idle(seconds(10)));
    let start = Instant::now();
    tokio::spawn(async move {
        for _ in 0..5 {
            sleep(seconds(7)).await;
            peer.write_all(HELLO).await.unwrap();
        }
        pending::<()>().await
    });
    for _ in 0..5 {
        ws.next().await.unwrap().unwrap();
    }
    timed_out(ws.next().await, Timeout::Idle);
    assert_passed(start, seconds(45));
}

#[tokio::test(start_paused = true)]
async fn an_opening_handshake_times_out_in_both_roles() {
    let (a, _peer) = tokio::io::duplex(4096);
    let start = Instant::now();
    match accept_with(a, Arc::default(), |_| Response::accept()).await.unwrap_err() {
        AcceptError::Opening(OpeningError::Timeout) => {}
        error => panic!("{error:?}"),
    }
    assert_passed(start, seconds(10));
    let (a, _peer) = tokio::io::duplex(4096);
    let start = Instant::now();
    let request = ClientRequest::new("localhost", "/");
    assert!(matches!(client(a, request, Arc::default()).await.unwrap_err(), OpeningError::Timeout));
    assert_passed(start, seconds(10));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_a_close_frame_is_left() {
    let (mut ws, _peer) = pair(off().close(seconds(5)));
    let start = Instant::now();
    match ws.close(CloseCode::NORMAL, "").await {
        Err(AsyncError::Closed(Closed { cause: Cause::Timeout(Timeout::Close), .. })) => {}
        end => panic!("{end:?}"),
    }
    assert_passed(start, seconds(5));

    let (ws, _peer) = pair(off().close(seconds(5)));
    let (mut sender, mut receiver) = ws.split();
    let start = Instant::now();
    let receiving = tokio::spawn(async move { receiver.next().await });
    assert!(sender.close(CloseCode::NORMAL, "").await.is_err());
    timed_out(receiving.await.unwrap(), Timeout::Close);
    assert_passed(start, seconds(5));
}

/// The write timeout alone bounds how long `close` waits for room.
#[tokio::test(start_paused = true)]
async fn a_close_behind_fed_messages_waits_for_room_as_long_as_the_write_timeout() {
    for write in [None, Some(seconds(30))] {
        let mut timeouts = off().close(seconds(5));
        timeouts.write = write;
        let limits = Limits::default().unsent(10_000);
        let (a, _peer) = tokio::io::duplex(4096);
        let config = Arc::new(Config::default().timeouts(timeouts).limits(limits));
        let mut ws = WebSocket::new(a, Role::Server, config).unwrap();
        let feeding = async { while ws.feed("x".repeat(1000)).await.is_ok() {} };
        assert!(timeout(seconds(1), feeding).await.is_err());
        let closing = timeout(seconds(3600), ws.close(CloseCode::NORMAL, "")).await;
        assert_eq!(closing.is_ok(), write.is_some(), "{closing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_bytes_is_disconnected() {
    let (mut ws, _peer) = pair(off().write(seconds(30)).close(seconds(2)));
    let start = Instant::now();
    let sent = ws.send(vec![0; 10_000]).await;
    assert!(matches!(sent, Err(AsyncError::Closed(_))), "{sent:?}");
    // Then the time for its Close frame.
    let passed = start.elapsed();
    assert!(seconds(32) <= passed && passed <= Duration::from_millis(32_200), "{passed:?}");
}

#[test]
fn connections_fire_each_at_its_time() {
    fn prop(times: Vec<u16>) {
        paused().block_on(async {
            let start = Instant::now();
            let tasks: Vec<_> = times
                .into_iter()
                .map(|time| {
                    let timeout = Duration::from_millis(u64::from(time) + 1);
                    let (mut ws, peer) = pair(off().idle(timeout));
                    tokio::spawn(async move {
                        // Set later than others, for an earlier time.
                        timed_out(ws.next().await, Timeout::Idle);
                        assert_passed(start, timeout);
                        drop(peer);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    }
    QuickCheck::new().tests(50).quickcheck(prop as fn(Vec<u16>));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_connections_share_one_task_for_their_timeouts() {
    let mut tasks = Vec::new();
    for _ in 0..1000 {
        let (mut ws, peer) = pair(off().idle(seconds(60)));
        tasks.push(tokio::spawn(async move {
            let _peer = peer;
            timed_out(ws.next().await, Timeout::Idle);
        }));
    }
    sleep(seconds(30)).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 1001);
    for task in tasks {
        task.await.unwrap();
    }
    sleep(seconds(1)).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_with_the_default_timeouts_has_no_timer() {
    let (a, mut peer) = tokio::io::duplex(4096);
    let mut ws = WebSocket::new(a, Role::Server, Arc::default()).unwrap();
    peer.write_all(HELLO).await.unwrap();
    ws.next().await.unwrap().unwrap();
    let polled = poll_fn(|context| Poll::Ready(pin!(ws.next()).poll(context))).await;
    assert!(polled.is_pending());
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[test]
fn a_connection_continues_on_another_runtime_with_its_timeouts() {
    let (mut ws, mut peer) = pair(off().idle(seconds(100)));
    let first = paused();
    first.block_on(async {
        peer.write_all(HELLO).await.unwrap();
        ws.next().await.unwrap().unwrap();
        let polled = poll_fn(|context| Poll::Ready(pin!(ws.next()).poll(context))).await;
        assert!(polled.is_pending());
        sleep(seconds(1)).await;
    });
    drop(first);
    paused().block_on(async { timed_out(ws.next().await, Timeout::Idle) });
}

#[test]
fn a_connection_that_waits_on_another_runtime_outlives_the_first() {
    let (mut ws, _peer) = pair(off().idle(seconds(100)));
    let (first, second) = (paused(), paused());
    let poll = |ws: &mut WebSocket<_>| {
        let polled = pin!(ws.next()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    };
    first.block_on(async {
        poll(&mut ws);
        sleep(seconds(1)).await;
    });
    second.block_on(async {
        let task = tokio::spawn(async move { timed_out(ws.next().await, Timeout::Idle) });
        sleep(seconds(1)).await;
        first.shutdown_background();
        task.await.unwrap();
    });
}

#[test]
fn without_a_runtime_timeouts_do_not_pass_and_nothing_panics() {
    let (mut ws, _peer) = pair(off().idle(Duration::from_millis(1)));
    for _ in 0..3 {
        let _ = pin!(ws.next()).poll(&mut Context::from_waker(Waker::noop()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_connection_leaves_no_timer() {
    let (mut ws, _peer) = pair(off().idle(seconds(10)));
    let polled = poll_fn(|context| Poll::Ready(pin!(ws.next()).poll(context))).await;
    assert!(polled.is_pending());
    drop(ws);
    sleep(seconds(11)).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn run_applies_timeouts_too() {
    let (mut ws, mut peer) = pair(off().idle(seconds(40)));
    let start = Instant::now();
    tokio::spawn(async move {
        sleep(seconds(20)).await;
        peer.write_all(HELLO).await.unwrap();
        pending::<()>().await
    });
    let end = ws
        .run(|event, out| match event {
            Event::Message(message) => out.send(message),
            _ => Ok(()),
        })
        .await;
    assert!(matches!(end, Err(AsyncError::Closed(Closed { cause: Cause::Timeout(Timeout::Idle), .. }))));
    assert_passed(start, seconds(60));
}

/// A message of 2 MiB waits for `next`, so a call that sends receives no more. The timeouts apply anyway.
#[tokio::test(start_paused = true)]
async fn timeouts_end_a_call_that_sends_while_many_received_bytes_wait() {
    // After the time for writing, its Close frame has another.
    let write = (off().write(seconds(20)).close(seconds(10)), Timeout::Write);
    let idle = (off().idle(seconds(30)), Timeout::Idle);
    for (timeouts, expected) in [write, idle] {
        let (mut ws, mut peer) = pair(timeouts);
        let start = Instant::now();
        let sending = tokio::spawn(async move {
            let sent = ws.send(vec![7; 10_000]).await;
            (ws, sent)
        });
        let message = [&b"\x82\xFF\0\0\0\0\0\x20\0\0\0\0\0\0"[..], &vec![0; 2 << 20]].concat();
        peer.write_all(&message).await.unwrap();
        let (mut ws, sent) = timeout(seconds(3600), sending).await.expect("no timeout").unwrap();
        match sent {
            Err(AsyncError::Closed(end)) => assert_eq!(end.cause, Cause::Timeout(expected)),
            sent => panic!("{sent:?}"),
        }
        let passed = start.elapsed();
        assert!(seconds(30) <= passed && passed <= Duration::from_millis(30_200), "{passed:?}");
        // What was received is still there, and then the end.
        assert_eq!(ws.next().await.unwrap().unwrap().as_bytes().len(), 2 << 20);
        timed_out(ws.next().await, expected);
        assert!(ws.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_ends_in_time_while_many_received_bytes_wait() {
    let (ws, mut peer) = pair(off().close(seconds(5)));
    let (mut sender, receiver) = ws.split();
    let message = [&b"\x82\xFF\0\0\0\0\0\x20\0\0\0\0\0\0"[..], &vec![0; 2 << 20]].concat();
    let sending = tokio::spawn(async move { sender.send(vec![7; 10_000]).await.map(|()| sender) });
    peer.write_all(&message).await.unwrap();
    peer.read_exact(&mut vec![0; 10_004]).await.unwrap();
    let mut sender = sending.await.unwrap().unwrap();
    let start = Instant::now();
    let closed = timeout(seconds(3600), sender.close(CloseCode::NORMAL, "")).await.expect("no timeout");
    assert!(matches!(closed, Err(AsyncError::Closed(end)) if end.cause == Cause::Timeout(Timeout::Close)));
    assert_passed(start, seconds(5));
    drop(receiver);
}

/// The stream fails while more than 64 KiB wait for `next`, so the end is not delivered yet.
#[tokio::test(start_paused = true)]
async fn a_message_that_is_lost_while_many_received_bytes_wait_is_an_error() {
    let (mut ws, mut peer) = pair(off());
    let sending = tokio::spawn(async move {
        let sent = ws.send(vec![7; 10_000]).await;
        (ws, sent)
    });
    let message = [&b"\x82\xFF\0\0\0\0\0\x02\0\0\0\0\0\0"[..], &vec![0; 128 << 10]].concat();
    peer.write_all(&message).await.unwrap();
    sleep(seconds(1)).await; // until all of it is received
    drop(peer);
    let (mut ws, sent) = sending.await.unwrap();
    assert!(matches!(sent, Err(AsyncError::Closed(end)) if !end.is_clean()), "{sent:?}");
    let flushed = ws.flush().await;
    assert!(matches!(flushed, Err(AsyncError::Closed(end)) if !end.is_clean()), "{flushed:?}");
    assert_eq!(ws.next().await.unwrap().unwrap().as_bytes().len(), 128 << 10);
    assert!(ws.next().await.unwrap().is_err());
    assert!(ws.next().await.is_none());
}

/// The peer closes, and goes without reading.
#[tokio::test(start_paused = true)]
async fn a_message_that_a_closing_peer_does_not_take_is_an_error() {
    for half in [false, true] {
        let (mut ws, mut peer) = pair(off().close(seconds(5)));
        let sending = tokio::spawn(async move { ws.send(vec![7; 10_000]).await });
        sleep(seconds(1)).await;
        peer.write_all(b"\x88\x82\0\0\0\0\x03\xe8").await.unwrap();
        if half {
            peer.shutdown().await.unwrap();
        } else {
            drop(peer);
        }
        let sent = sending.await.unwrap();
        assert!(matches!(sent, Err(AsyncError::Closed(end)) if end.code == CloseCode::NORMAL), "{sent:?}");
    }
}

/// The room is taken by bytes that the socket then takes all at once.
#[tokio::test(start_paused = true)]
async fn fed_messages_follow_when_there_is_room_again() {
    for flushes in [true, false] {
        let (a, mut peer) = tokio::io::duplex(984);
        let limits = Limits::default().unsent(1_000 + Limits::CONTROL_ROOM);
        let config = Arc::new(Config::default().timeouts(off()).limits(limits));
        let mut ws = WebSocket::new(a, Role::Server, config).unwrap();
        ws.send(vec![0; 980]).await.unwrap(); // fills the pipe
        for _ in 0..4 {
            ws.feed(vec![1; 296]).await.unwrap();
        }
        let task = tokio::spawn(async move {
            match flushes {
                true => ws.flush().await.unwrap(),
                false => assert!(ws.next().await.is_none()),
            }
        });
        sleep(seconds(1)).await;
        let mut received = vec![0; 984];
        peer.read_exact(&mut received).await.unwrap();
        let mut rest = vec![0; 4 * 300];
        timeout(seconds(60), peer.read_exact(&mut rest)).await.expect("it waits for ever").unwrap();
        if !flushes {
            peer.write_all(b"\x88\x82\0\0\0\0\x03\xe8").await.unwrap();
            peer.shutdown().await.unwrap();
        }
        task.await.unwrap();
    }
}

/// The program finishes its message in fragments before the fed one is sent; a Close frame may not wait.
#[tokio::test(start_paused = true)]
async fn a_message_that_is_fed_between_two_fragments_follows_them() {
    let (mut ws, mut peer) = pair(off());
    ws.send_with(|out| out.send_fragment(OpCode::Text, b"a", false)).unwrap();
    ws.feed("b").await.unwrap();
    assert!(matches!(ws.flush().await, Err(AsyncError::Send(SendError::MessageUnfinished))));
    ws.send_with(|out| out.send_fragment(OpCode::Continuation, b"c", true)).unwrap();
    ws.flush().await.unwrap();
    let mut sent = [0; 9];
    peer.read_exact(&mut sent).await.unwrap();
    assert_eq!(&sent, b"\x01\x01a\x80\x01c\x81\x01b");
    ws.send_with(|out| out.send_fragment(OpCode::Text, b"a", false)).unwrap();
    ws.feed("lost").await.unwrap();
    ws.start_close(CloseCode::NORMAL, "").unwrap();
    assert!(matches!(ws.flush().await, Err(AsyncError::Send(SendError::Closed))));
    let mut sent = [0; 7];
    peer.read_exact(&mut sent).await.unwrap();
    assert_eq!(&sent, b"\x01\x01a\x88\x02\x03\xe8");
}

/// A Close frame waits behind messages, and the stream has failed: nothing can be answered any more.
#[tokio::test(start_paused = true)]
async fn a_close_of_a_failed_stream_does_not_wait_for_the_messages_before_the_end() {
    let (mut ws, mut peer) = pair(off());
    peer.write_all(&[HELLO, HELLO, HELLO, b"\x88\x82\0\0\0\0\x03\xe8"].concat()).await.unwrap();
    assert_eq!(ws.next().await.unwrap().unwrap().as_text(), Some("Hello"));
    drop(peer);
    assert!(matches!(ws.send("lost").await, Err(AsyncError::Closed(_))));
    let closed = timeout(seconds(60), ws.close(CloseCode::NORMAL, "")).await.expect("it waits for ever");
    assert!(closed.is_ok() || matches!(closed, Err(AsyncError::Closed(_))), "{closed:?}");
}
