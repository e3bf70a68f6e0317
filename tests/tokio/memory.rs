//! The memory of an idle connection, and of one whose messages wait.

use crate::choices::Choices;
use crate::counting::LIVE;
use crate::mock::{Mock, Peer};
use crate::programs::{encoded, messages};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use websocket_stream::tokio::{WebSocket, accept, accept_with, client};
use websocket_stream::{ClientRequest, Event, Message, Response, Role};

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

/// A task keeps room for the futures that it awaits, for as long as it lives. A stream of TLS is large.
#[test]
fn the_future_of_an_opening_has_no_room_for_the_stream() {
    struct Large(Mock, [u8; 4096]);
    impl AsyncRead for Large {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(context, buffer)
        }
    }
    impl AsyncWrite for Large {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(context, bytes)
        }
        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(context)
        }
        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(context)
        }
    }
    let large = || Large(Mock::new(Choices::new(0, 0), []), [0; 4096]);
    assert_eq!(large().1.len(), 4096);
    let request = ClientRequest::new("localhost", "/");
    let sizes = [
        size_of_val(&accept(large())),
        size_of_val(&accept_with(large(), Arc::default(), |_| Response::accept())),
        size_of_val(&client(large(), request, Arc::default())),
    ];
    assert!(sizes.iter().all(|&size| size <= 100), "{sizes:?}");
}
