//! Operations on a dial: time that passes, and a server or proxy that sends any bytes, ends its direction or
//! resets the connection. It always ends, with a stream or an error, and an error is final.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use websocket_stream::Scratch;
use websocket_stream::client::{Connector, Dial, Proxy};

const TIMEOUT: u64 = 10_000;

thread_local! {
    static LISTENER: TcpListener = TcpListener::bind("127.0.0.1:0").unwrap();
}

pub(crate) fn body(bytes: &[u8]) {
    let Some((&kind, mut operations)) = bytes.split_first() else { return };
    LISTENER.with(|listener| {
        let address = listener.local_addr().unwrap();
        let Some(mut dial) = dial(kind, address) else { return };
        let mut scratch = Scratch::new();
        let mut now = 0;
        // Until the server has the connection.
        let server = loop {
            if dial.advance(&mut scratch, now).is_err() {
                return;
            }
            listener.set_nonblocking(true).unwrap();
            if let Ok((server, _)) = listener.accept() {
                break server;
            }
        };
        let mut server = Some(server);
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
        }
        assert!(ends(&mut dial, &mut scratch, TIMEOUT), "no deadline");
        drop(server.and_then(reset));
    });
}

fn dial(kind: u8, address: SocketAddr) -> Option<Dial> {
    let connector = Connector::new().redirects(2).timeout(Duration::from_millis(TIMEOUT)).no_proxy();
    let connector = match kind % 3 {
        0 => connector,
        1 => connector.proxy(format!("http://{address}").parse::<Proxy>().ok()?),
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
