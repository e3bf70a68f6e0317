//! A dial in an event loop on mio, which is edge-triggered: it waits only for what the dial names.

use crate::servers::{Running, proxy_to};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use websocket_stream::client::{Connector, Dial, Proxy, Transport};
use websocket_stream::{Scratch, WebSocketStream};

/// Advances a dial only when the poller or a deadline asks for it, and returns the number of calls.
fn run(dial: &mut Dial) -> (WebSocketStream<Transport>, usize) {
    let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(8));
    let (mut scratch, start) = (Scratch::new(), Instant::now());
    for calls in 1.. {
        let now = u64::try_from(start.elapsed().as_millis()).unwrap();
        if let Some(stream) = dial.advance(&mut scratch, now).unwrap() {
            return (stream, calls);
        }
        let mut registered = Vec::new();
        for (key, watch) in dial.watches().into_iter().enumerate() {
            let interest = match (watch.read, watch.write) {
                (true, true) => Interest::READABLE | Interest::WRITABLE,
                (true, false) => Interest::READABLE,
                _ => Interest::WRITABLE,
            };
            poll.registry().register(&mut SourceFd(&watch.fd.as_raw_fd()), Token(key), interest).unwrap();
            registered.push(watch.fd.as_raw_fd());
        }
        let deadline = dial.next_deadline(now).unwrap();
        poll.poll(&mut events, Some(Duration::from_millis(deadline.saturating_sub(now)))).unwrap();
        for fd in registered {
            poll.registry().deregister(&mut SourceFd(&fd)).unwrap();
        }
    }
    unreachable!()
}

#[test]
fn each_step_is_announced_and_none_is_awaited_in_vain() {
    let server = Running::new();
    let target = server.address;
    let proxy = proxy_to(target);
    let direct = Connector::new().no_proxy();
    let through = Connector::new().proxy(format!("http://{proxy}").parse::<Proxy>().unwrap());
    for (connector, url) in [
        (direct, format!("ws://localhost:{}/", target.port())),
        (through, "ws://nowhere.invalid/".to_owned()),
    ] {
        let (stream, calls) = run(&mut connector.dial(url).unwrap());
        drop(stream);
        // Name, socket, proxy, handshake: each a call or two, and no busy loop.
        assert!(calls <= 10, "{calls}");
    }
}
