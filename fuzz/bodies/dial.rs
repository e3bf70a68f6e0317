//! Operations on a dial: time that passes, and a server or proxy that sends any bytes, ends its direction or
//! resets the connection. It always ends, with a stream or an error, and an error is final.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use websocket_stream::Scratch;
use websocket_stream::client::{Connector, Dial, Proxy};

const TIMEOUT: u64 = 10_000;

/// The attempts to accept the first connection, which the system has long made by then.
const ATTEMPTS: usize = 100_000;

pub(crate) fn body(bytes: &[u8]) {
    let Some((&kind, mut operations)) = bytes.split_first() else { return };
    // Of this input alone: a connection that nobody has accepted must not meet the next one.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let Some(mut dial) = dial(kind, listener.local_addr().unwrap()) else { return };
    let mut scratch = Scratch::new();
    let mut now = 0;
    let mut server = None;
    for _ in 0..ATTEMPTS {
        if dial.advance(&mut scratch, now).is_err() {
            return;
        }
        server = accept(&listener);
        if server.is_some() {
            break;
        }
    }
    assert!(server.is_some(), "it does not connect");
    while let Some((&operation, rest)) = operations.split_first() {
        operations = rest;
        match operation % 8 {
            0 => now += u64::from(operation) * 10,
            1 => drop(server.as_ref().map(|server| server.shutdown(Shutdown::Write))),
            2 => server = server.and_then(reset),
            _ => {
                let (piece, rest) = operations.split_at(operations.len().min(operation.into()));
                operations = rest;
                drop(server.as_mut().map(|server| server.write_all(piece)));
            }
        }
        if ends(&mut dial, &mut scratch, now) {
            return;
        }
        // After a redirect, it connects again.
        if let Some(next) = accept(&listener) {
            server.replace(next).and_then(reset);
        }
    }
    assert!(ends(&mut dial, &mut scratch, TIMEOUT), "no deadline");
    drop(server.and_then(reset));
}

fn accept(listener: &TcpListener) -> Option<TcpStream> {
    let (server, _) = listener.accept().ok()?;
    server.set_nonblocking(false).unwrap();
    Some(server)
}

fn dial(kind: u8, address: SocketAddr) -> Option<Dial> {
    let connector = Connector::new().timeout(Duration::from_millis(TIMEOUT)).no_proxy();
    let connector = match kind % 3 {
        0 => connector,
        // Wherever a redirect leads, the proxy is asked, which is this test.
        1 => connector.redirects(2).proxy(format!("http://{address}").parse::<Proxy>().ok()?),
        _ => connector.proxy(format!("socks5://{address}").parse::<Proxy>().ok()?),
    };
    connector.addresses([address]).dial("ws://example.com/").ok()
}

/// Advances, and returns whether the dial has ended.
fn ends(dial: &mut Dial, scratch: &mut Scratch, now: u64) -> bool {
    match dial.advance(scratch, now) {
        Ok(None) => {
            assert!(!dial.watches().is_empty());
            assert!(dial.next_deadline(now).is_some_and(|at| at <= TIMEOUT));
            false
        }
        Ok(Some(stream)) => {
            drop(stream);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(dial.watches().is_empty());
            assert!(dial.advance(scratch, now).is_err());
            true
        }
    }
}

/// Resets the connection, which then occupies no port.
fn reset(server: TcpStream) -> Option<TcpStream> {
    let server = socket2::Socket::from(server);
    let _ = server.set_linger(Some(Duration::ZERO));
    None
}
