//! `AsyncTransport` keeps the laws of a transport, also those about its poller.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use websocket_stream::tokio::AsyncTransport;
use websocket_stream::transport::testing::laws::{self, Announced};

use crate::executor::Flag;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Checks the laws with a poller that is the runtime: the waker of the transport announces both directions.
///
/// Calls are made inside the runtime, whose wakers they register.
fn check<S: AsyncRead + AsyncWrite + Unpin + 'static>(make: impl Fn(&Runtime) -> io::Result<(S, S)>) {
    let runtime = runtime();
    let _inside = runtime.enter();
    let flag: RefCell<Arc<Flag>> = RefCell::default();
    let connect = || {
        let (a, b) = make(&runtime)?;
        let (woken, waker) = Flag::new();
        *flag.borrow_mut() = woken;
        let (mut a, mut b) = (AsyncTransport::new(a), AsyncTransport::new(b));
        a.set_waker(&waker);
        b.set_waker(Waker::noop());
        Ok((a, b))
    };
    let turn = || runtime.block_on(async {
        for _ in 0..3 {
            yield_now().await;
        }
    });
    laws::check_polled(connect, |_, _| {
        turn();
        let woken = flag.borrow().take();
        Announced { readable: woken, writable: woken, ..Announced::default() }
    })
    .unwrap();
}

#[test]
fn a_duplex_stream_keeps_the_laws() {
    check(|_| Ok(tokio::io::duplex(2000)));
}

#[test]
fn a_tcp_stream_keeps_the_laws() {
    check(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let (a, b) = tokio::join!(TcpStream::connect(listener.local_addr()?), listener.accept());
            Ok((a?, b?.0))
        })
    });
}

#[cfg(unix)]
#[test]
fn a_unix_stream_keeps_the_laws() {
    check(|_| tokio::net::UnixStream::pair());
}

#[tokio::test]
async fn the_waker_of_the_last_poll_is_woken() {
    let (a, b) = tokio::io::duplex(100);
    let (mut a, mut b) = (AsyncTransport::new(a), AsyncTransport::new(b));
    let (old, new) = (Flag::new(), Flag::new());
    for (flag, waker) in [&old, &new] {
        a.set_waker(waker);
        assert!(websocket_stream::transport::NonBlockingTransport::recv(&mut a, &mut [0; 4]).is_err());
        flag.take();
    }
    websocket_stream::transport::NonBlockingTransport::send(&mut b, b"x").unwrap();
    poll_fn(|_| Poll::Ready(())).await;
    assert!(!old.0.is_up() && new.0.is_up());
}
