//! What is delivered and reported while several calls, halves and threads use one connection.

use crate::faults::closing_beside_messages;
use crate::programs::encoded_close;
use crate::timers::{HELLO, pair, seconds};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use websocket_stream::tokio::{AsyncError, WebSocket};
use websocket_stream::{
    Cause, CloseCode, Config, Event, Limits, PauseReading, Role, SendError, Sent, Timeout, Timeouts,
};

#[tokio::test(start_paused = true)]
async fn no_chunk_is_lost_while_another_call_waits() {
    let (a, mut peer) = tokio::io::duplex(64);
    let config = Arc::new(Config::default().streaming(true).timeouts(Timeouts::OFF));
    let mut ws = WebSocket::new(a, Role::Server, config).unwrap();
    peer.write_all(HELLO).await.unwrap();
    let mut sent = vec![0; 4 + 1_000];
    let (sending, reading) = tokio::join!(ws.send(vec![0; 1_000]), peer.read_exact(&mut sent));
    sending.unwrap();
    reading.unwrap();
    peer.write_all(&encoded_close(Role::Server)).await.unwrap();
    peer.shutdown().await.unwrap();
    let (mut chunks, mut ends) = (Vec::new(), 0);
    let end = ws.run(|event, _| {
        if let Event::Chunk(chunk) = event {
            chunks.extend_from_slice(chunk.as_bytes());
            ends += usize::from(chunk.is_last());
        }
        Ok(())
    });
    assert!(end.await.unwrap().is_clean());
    assert_eq!((&chunks[..], ends), (&b"Hello"[..], 1));
}

/// The thread has no timers. Those of the task that waits for messages still end the connection.
#[tokio::test(start_paused = true)]
async fn a_close_by_a_thread_without_a_runtime_times_out() {
    let (ws, _peer) = pair(Timeouts::OFF.close(seconds(5)));
    let (mut sender, mut receiver) = ws.split();
    let receiving = tokio::spawn(async move { receiver.next().await });
    sleep(seconds(1)).await;
    std::thread::spawn(move || sender.start_close(CloseCode::NORMAL, "")).join().unwrap().unwrap();
    let end = timeout(seconds(60), receiving).await.expect("it waits for ever").unwrap();
    let Some(Err(AsyncError::Closed(end))) = end else { panic!("{end:?}") };
    assert_eq!(end.cause, Cause::Timeout(Timeout::Close));
}

/// A connection with 300 unsent bytes, and a fed message that does not fit beside them.
async fn full() -> (WebSocket<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
    let (a, peer) = tokio::io::duplex(16);
    let limits = Limits::default().unsent(400 + Limits::CONTROL_ROOM).pause_reading(PauseReading::Never);
    let config = Config::default().limits(limits).timeouts(Timeouts::OFF.close(seconds(5)));
    let mut ws = WebSocket::new(a, Role::Server, Arc::new(config)).unwrap();
    assert!(timeout(seconds(1), ws.send(vec![1; 300])).await.is_err());
    ws.feed(vec![2; 200]).await.unwrap();
    (ws, peer)
}

/// The peer's Close frame arrives before the fed message is sent: it is lost.
#[tokio::test(start_paused = true)]
async fn a_fed_message_that_is_lost_is_reported_after_every_call() {
    let lost = Err(AsyncError::Send(SendError::Closed));
    for closes in [false, true] {
        let (mut ws, mut peer) = full().await;
        peer.write_all(&encoded_close(Role::Server)).await.unwrap();
        for _ in 0..2 {
            assert!(timeout(seconds(1), ws.run(|_, _| Ok(()))).await.is_err());
        }
        let reading = tokio::spawn(async move {
            let mut sent = Vec::new();
            peer.read_to_end(&mut sent).await
        });
        match closes {
            true => assert_eq!(ws.close(CloseCode::NORMAL, "").await.map(|_| ()), lost),
            false => assert_eq!(ws.flush().await, lost),
        }
        assert_eq!(ws.flush().await, Ok(()), "it was reported");
        drop(ws);
        reading.await.unwrap().unwrap();
    }
}

/// The closing handshake is completed, but the peer takes nothing of what was fed before.
#[tokio::test(start_paused = true)]
async fn closing_reports_that_messages_were_not_taken() {
    for way in 0..3 {
        let (mut ws, mut peer) = pair(Timeouts::OFF.close(seconds(5)));
        ws.feed(vec![7; 10_000]).await.unwrap();
        peer.write_all(&encoded_close(Role::Server)).await.unwrap();
        let end = match way {
            0 => ws.close(CloseCode::NORMAL, "").await.map(|_| ()),
            1 => poll_fn(|context| futures_sink::Sink::poll_close(Pin::new(&mut ws), context)).await,
            _ => ws.split().0.close(CloseCode::NORMAL, "").await.map(|_| ()),
        };
        assert!(matches!(end, Err(AsyncError::Closed(end)) if end.is_clean()), "{end:?} for {way}");
    }
}

/// Chunks that still arrive are nobody's.
#[tokio::test(start_paused = true)]
async fn closing_completes_the_handshake_of_a_connection_that_delivers_chunks() {
    for way in 0..4 {
        let (a, mut peer) = tokio::io::duplex(64);
        let config = Arc::new(Config::default().streaming(true).timeouts(Timeouts::OFF));
        let mut ws = WebSocket::new(a, Role::Server, config).unwrap();
        let peer = tokio::spawn(async move {
            peer.write_all(&[HELLO.repeat(100), encoded_close(Role::Server)].concat()).await.unwrap();
            let mut rest = Vec::new();
            peer.read_to_end(&mut rest).await.unwrap();
        });
        let closing = async move {
            match way {
                0 => ws.close(CloseCode::NORMAL, "").await.map(|_| ()),
                1 => poll_fn(|context| futures_sink::Sink::poll_close(Pin::new(&mut ws), context)).await,
                _ => {
                    let (mut sender, receiver) = ws.split();
                    let receiver = (way == 2).then_some(receiver);
                    let end = sender.close(CloseCode::NORMAL, "").await.map(|_| ());
                    drop(receiver);
                    end
                }
            }
        };
        let end = timeout(seconds(60), closing).await.expect("it waits for ever");
        assert_eq!(end, Ok(()), "{way}");
        peer.await.unwrap();
    }
}

/// The peer has closed, and gone, before it could receive the answer.
#[tokio::test(start_paused = true)]
async fn a_close_frame_that_nobody_receives_is_no_message_that_is_lost() {
    for way in 0..3 {
        let (mut ws, mut peer) = pair(Timeouts::OFF.close(seconds(5)));
        peer.write_all(&encoded_close(Role::Server)).await.unwrap();
        drop(peer);
        let end = match way {
            0 => ws.close(CloseCode::NORMAL, "").await.map(|_| ()),
            1 => poll_fn(|context| futures_sink::Sink::poll_close(Pin::new(&mut ws), context)).await,
            _ => ws.split().0.close(CloseCode::NORMAL, "").await.map(|_| ()),
        };
        assert_eq!(end, Ok(()), "{way}");
    }
}

/// The peer's Close frame was handled before, by a call that receives; then the peer has gone.
#[tokio::test(start_paused = true)]
async fn closing_reports_what_was_lost_before_it_began() {
    for (sends, splits) in [(true, false), (true, true), (false, false), (false, true)] {
        let (a, mut peer) = tokio::io::duplex(64);
        let config = Arc::new(Config::default().timeouts(Timeouts::OFF));
        let mut ws = WebSocket::new(a, Role::Server, config).unwrap();
        if sends {
            assert!(matches!(ws.try_send(&[7; 10_000]), Ok(Sent::Queued(_))));
        }
        peer.write_all(&encoded_close(Role::Server)).await.unwrap();
        drop(peer);
        let end = if splits {
            let (mut sender, mut receiver) = ws.split();
            assert!(receiver.next().await.is_none());
            sender.close(CloseCode::NORMAL, "").await
        } else {
            assert!(ws.next().await.is_none());
            ws.close(CloseCode::NORMAL, "").await
        };
        assert_eq!(end.is_err(), sends, "{end:?}, {splits}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_code_that_cannot_be_sent_changes_nothing() {
    let (mut ws, mut peer) = pair(Timeouts::OFF);
    assert!(ws.start_close(CloseCode::NO_STATUS, "a reason without a code").is_err());
    assert!(matches!(ws.try_send(&[7; 10_000]), Ok(Sent::Queued(_))));
    peer.write_all(&encoded_close(Role::Server)).await.unwrap();
    drop(peer);
    assert!(ws.close(CloseCode::NORMAL, "").await.is_err());
}

/// The other half takes one message, then waits.
#[tokio::test]
async fn a_close_continues_when_fewer_messages_wait() {
    let (mut receiver, closing, peer) = closing_beside_messages(2).await;
    assert_eq!(receiver.next().await.unwrap().unwrap().as_bytes().len(), 0x8000);
    let end = timeout(seconds(2), closing).await.expect("it waits for ever").unwrap();
    assert!(end.unwrap().is_clean());
    peer.await.unwrap();
}

#[cfg(feature = "deflate")]
#[tokio::test(start_paused = true)]
async fn a_window_is_dropped_in_time_also_if_only_the_sending_half_was_used() {
    use websocket_stream::WebSocketStream;
    use websocket_stream::deflate::{Context, Deflate, DeflateParams, WindowBits};
    use websocket_stream::tokio::AsyncTransport;
    let deflate = Deflate::default().threshold(0).drop_window_after(seconds(10));
    let config = Arc::new(Config::default().timeouts(Timeouts::OFF).deflate(Some(deflate)));
    let context = Context::new(WindowBits::MAX, true);
    let (a, _peer) = tokio::io::duplex(64 << 10);
    let stream = WebSocketStream::with_config(AsyncTransport::new(a), Role::Server, config).unwrap();
    let stream = stream.with_deflate(DeflateParams { server: context, client: context });
    let (mut sender, mut receiver) = WebSocket::from_stream(stream).split();
    // Polled again only if it is woken.
    let receiving = tokio::spawn(async move {
        tokio::select! {
            biased;
            () = sleep(seconds(15)) => receiver,
            _ = receiver.next() => unreachable!("nothing is received"),
        }
    });
    sleep(seconds(1)).await;
    sender.send("a window of what was sent, ".repeat(100)).await.unwrap();
    let receiver = receiving.await.unwrap();
    assert_eq!(receiver.reunite(sender).unwrap().stream().heap_bytes(), 0);
}
