//! `AsyncTransport` keeps the laws of a transport, also those about its poller.

use crate::executor::Flag;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use websocket_stream::tokio::AsyncTransport;
use websocket_stream::transport::NonBlockingTransport;
use websocket_stream::transport::testing::laws::{self, Announced};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Checks the laws with a poller that is the runtime: the waker of the transport announces both directions.
///
/// Calls are made inside the runtime, whose wakers they register.
///
/// The peer of a socket is one of std's: the suite receives from it without its poller.
fn check<S: AsyncRead + AsyncWrite + Unpin + 'static, B: NonBlockingTransport>(
    make: impl Fn(&Runtime) -> io::Result<(S, B)>,
) {
    let runtime = runtime();
    let _inside = runtime.enter();
    let flag: RefCell<Arc<Flag>> = RefCell::default();
    let turn = || {
        runtime.block_on(async {
            for _ in 0..3 {
                yield_now().await;
            }
        })
    };
    let connect = || {
        let (a, b) = make(&runtime)?;
        // A waker is woken once, so what the poller announces for a new socket must not use it up.
        turn();
        let (woken, waker) = Flag::new();
        *flag.borrow_mut() = woken;
        let mut a = AsyncTransport::new(a);
        a.set_waker(&waker);
        Ok((a, b))
    };
    laws::check_polled(connect, |_, _| {
        turn();
        let woken = flag.borrow().take();
        Announced { readable: woken, writable: woken }
    })
    .unwrap();
}

#[test]
fn a_duplex_stream_keeps_the_laws() {
    check(|_| {
        let (a, b) = tokio::io::duplex(2000);
        Ok((a, AsyncTransport::new(b)))
    });
}

#[test]
fn a_tcp_stream_keeps_the_laws() {
    check(|runtime| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let a = runtime.block_on(TcpStream::connect(listener.local_addr()?))?;
        Ok((a, listener.accept()?.0))
    });
}

#[cfg(unix)]
#[test]
fn a_unix_stream_keeps_the_laws() {
    check(|_| {
        let (a, b) = std::os::unix::net::UnixStream::pair()?;
        a.set_nonblocking(true)?;
        Ok((tokio::net::UnixStream::from_std(a)?, b))
    });
}

#[tokio::test]
async fn the_waker_of_the_last_poll_is_woken() {
    let (a, b) = tokio::io::duplex(100);
    let (mut a, mut b) = (AsyncTransport::new(a), AsyncTransport::new(b));
    let (old, new) = (Flag::new(), Flag::new());
    for (flag, waker) in [&old, &new] {
        a.set_waker(waker);
        assert!(NonBlockingTransport::recv(&mut a, &mut [0; 4]).is_err());
        flag.take();
    }
    NonBlockingTransport::send(&mut b, b"x").unwrap();
    poll_fn(|_| Poll::Ready(())).await;
    assert!(!old.0.is_up() && new.0.is_up());
}
