//! The memory of an idle connection, and of one whose messages wait.

use crate::choices::Choices;
use crate::counting::LIVE;
use crate::mock::{Mock, Peer};
use crate::programs::{encoded, messages};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use websocket_stream::tokio::WebSocket;
use websocket_stream::{Event, Message, Role};

#[test]
fn an_idle_connection_after_an_echo_has_at_most_200_bytes() {
    let frames: Vec<u8> = messages(true).iter().flat_map(|message| encoded(Role::Server, message)).collect();
    // The first fills what belongs to the thread.
    for is_first in [true, false] {
        let mock = Mock::new(Choices::new(0, 0), [Peer::Sends(frames.clone())]);
        mock.happen(mock.possible()[0]);
        mock.world().reserve(100_000);
        let before = LIVE.get();
        let mut ws = WebSocket::new(mock.clone(), Role::Server, Arc::default()).unwrap();
        let context = &mut Context::from_waker(Waker::noop());
        for _ in 0..2 {
            let polled = pin!(ws.run(|event, out| match event {
                Event::Message(message) => out.send(message),
                _ => Ok(()),
            }))
            .poll(context);
            assert!(polled.is_pending());
            assert!(matches!(pin!(ws.next()).poll(context), Poll::Pending));
        }
        let used = LIVE.get().saturating_sub(before);
        assert!(is_first || used <= 200, "{used} bytes");
    }
}

/// The events of one call are bounded, and so are the messages that arrive with the one that is waited for.
#[test]
fn tiny_messages_that_wait_take_little_memory() {
    const TOTAL: usize = 200_000;
    let frames = encoded(Role::Server, &Message::Binary(b"x").into()).repeat(TOTAL);
    let mock = Mock::new(Choices::new(0, 0), [Peer::Sends(frames)]);
    mock.happen(mock.possible()[0]);
    let mut ws = WebSocket::new(mock, Role::Server, Arc::default()).unwrap();
    let context = &mut Context::from_waker(Waker::noop());
    let before = LIVE.get();
    for index in 0..TOTAL {
        let Poll::Ready(Some(Ok(message))) = pin!(ws.next()).poll(context) else {
            panic!("no message {index}")
        };
        assert_eq!(message.as_bytes(), b"x");
        let used = LIVE.get().saturating_sub(before);
        assert!(used < 400_000, "{used} bytes at message {index}");
    }
    assert!(pin!(ws.next()).poll(context).is_pending());
}

/// A task keeps room for all futures that it awaits, one after the other: their messages are elsewhere.
#[test]
fn the_futures_that_send_have_no_room_for_their_message() {
    let mut ws = WebSocket::new(Mock::new(Choices::new(0, 0), []), Role::Server, Arc::default()).unwrap();
    let size = size_of::<usize>();
    assert_eq!(size_of_val(&ws.feed("hello")), size);
    assert_eq!(size_of_val(&ws.send("hello")), 2 * size);
}
