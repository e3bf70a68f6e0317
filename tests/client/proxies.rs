//! Proxies that open a tunnel, refuse, or misbehave.

use crate::servers::{Running, exactly, head, relay, serve};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;
use websocket_stream::client::{Blocking, ConnectError, Connector, Proxy, ProxyError};

/// An HTTP proxy that reports each request and opens a tunnel to `target`.
fn http_proxy(target: SocketAddr, answer: &'static str) -> (SocketAddr, mpsc::Receiver<String>) {
    let (sender, requests) = mpsc::channel();
    let address = serve(move |mut client| {
        sender.send(head(&mut client)).unwrap();
        client.write_all(answer.as_bytes()).unwrap();
        relay(client, TcpStream::connect(target).unwrap());
    });
    (address, requests)
}

/// A SOCKS5 proxy that requires these credentials if they are not empty, and opens a tunnel to `target`.
fn socks5_proxy(target: SocketAddr, user: &'static str, password: &'static str) -> SocketAddr {
    serve(move |mut client| {
        let [5, methods] = exactly(&mut client) else { panic!() };
        let mut offered = vec![0; methods.into()];
        client.read_exact(&mut offered).unwrap();
        let method = if user.is_empty() { 0 } else { 2 };
        assert!(offered.contains(&method));
        client.write_all(&[5, method]).unwrap();
        if method == 2 {
            let [1, len] = exactly(&mut client) else { panic!() };
            let mut credentials = vec![0; usize::from(len)];
            client.read_exact(&mut credentials).unwrap();
            let [len] = exactly(&mut client);
            let mut second = vec![0; usize::from(len)];
            client.read_exact(&mut second).unwrap();
            let right = credentials == user.as_bytes() && second == password.as_bytes();
            client.write_all(&[1, u8::from(!right)]).unwrap();
            if !right {
                return;
            }
        }
        // The name is the proxy's to resolve.
        let [5, 1, 0, 3, len] = exactly(&mut client) else { panic!() };
        let mut name = vec![0; usize::from(len)];
        client.read_exact(&mut name).unwrap();
        assert_eq!(name, b"nowhere.invalid");
        let _port: [u8; 2] = exactly(&mut client);
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        relay(client, TcpStream::connect(target).unwrap());
    })
}

fn through(proxy: &str) -> Connector {
    Connector::new().proxy(proxy.parse::<Proxy>().unwrap())
}

fn seen(connector: &Connector) -> String {
    let mut client = Blocking::new(connector.connect("ws://nowhere.invalid/path").unwrap());
    client.send("?").unwrap();
    client.next().unwrap().unwrap().to_string()
}

const SEEN: &str = "nowhere.invalid /path auth=None cookie=None";

#[test]
fn an_http_proxy_opens_a_tunnel_and_only_it_receives_its_credentials() {
    let server = Running::new();
    let (proxy, requests) = http_proxy(server.address, "HTTP/1.1 200 Connection established\r\n\r\n");
    assert_eq!(seen(&through(&format!("http://Aladdin:open%20sesame@{proxy}"))), SEEN);
    let expected = "CONNECT nowhere.invalid:80 HTTP/1.1\r\nHost: nowhere.invalid:80\r\n\
        Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";
    assert_eq!(requests.recv().unwrap(), expected);
}

#[test]
fn a_socks5_proxy_opens_a_tunnel_with_and_without_credentials() {
    let server = Running::new();
    let open = socks5_proxy(server.address, "", "");
    assert_eq!(seen(&through(&format!("socks5h://{open}"))), SEEN);
    assert_eq!(seen(&through(&format!("socks5://user:other@{open}"))), SEEN);
    let closed = socks5_proxy(server.address, "user", "p@ss");
    assert_eq!(seen(&through(&format!("socks5://user:p%40ss@{closed}"))), SEEN);
    let error =
        through(&format!("socks5://user:wrong@{closed}")).connect("ws://nowhere.invalid/").unwrap_err();
    assert!(matches!(&error, ConnectError::Proxy { error: ProxyError::SocksCredentials, .. }), "{error}");
    // The password is in no error.
    assert_eq!(error.to_string(), format!("credentials refused by the SOCKS5 proxy (socks5://{closed})"));
}

/// Connects through a proxy that sends this to each client, behind what it receives first.
fn error_of(scheme: &str, answer: &'static [u8]) -> ConnectError {
    let proxy = serve(move |mut client| {
        let _ = client.read(&mut [0; 1000]);
        let _ = client.write_all(answer);
        let _ = client.shutdown(std::net::Shutdown::Write);
        let _ = client.read(&mut [0; 1000]);
    });
    let error = through(&format!("{scheme}://{proxy}")).connect("ws://nowhere.invalid/").unwrap_err();
    assert!(error.to_string().contains(&proxy.to_string()), "{error}");
    error
}

#[test]
fn a_refusal_has_its_status_and_words() {
    let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 1\r\n\r\nx";
    let error = error_of("http", answer);
    assert!(error.to_string().starts_with("proxy refusal: 407 Proxy Authentication Required ("), "{error}");
    assert!(!error.can_retry());
    assert!(error_of("http", b"HTTP/1.1 503 Busy\r\n\r\n").can_retry());
}

#[test]
fn proxies_that_speak_something_else_are_refused() {
    for (scheme, answer, expected) in [
        ("http", &b"\0\x5a\0\0\0\0\0\0"[..], ProxyError::NotHttp),
        ("http", b"SSH-2.0-x\r\n", ProxyError::NotHttp),
        ("http", b"HTTP/1.1 2", ProxyError::EndOfStream),
        ("http", b"", ProxyError::EndOfStream),
        ("socks5", b"\0\x5a\0\0\0\0\0\0", ProxyError::NotSocks5),
        ("socks5", b"HTTP/1.1 400 Bad\r\n\r\n", ProxyError::NotSocks5),
        ("socks5", b"\x05\xff", ProxyError::SocksMethod),
        ("socks5", b"\x05\0\x05\x04\0", ProxyError::Socks { code: 4 }),
        ("socks5", b"\x05", ProxyError::EndOfStream),
    ] {
        let error = error_of(scheme, answer);
        assert!(matches!(&error, ConnectError::Proxy { error, .. } if *error == expected), "{error}");
    }
}

#[test]
fn a_proxy_that_answers_without_end_is_refused() {
    let proxy = serve(|mut client| {
        head(&mut client);
        let _ = client.write_all(b"HTTP/1.1 200 OK\r\n");
        while client.write_all(&b"X: y\r\n".repeat(1000)).is_ok() {}
    });
    let error = through(&format!("http://{proxy}")).connect("ws://nowhere.invalid/").unwrap_err();
    assert!(matches!(&error, ConnectError::Proxy { error: ProxyError::TooLarge, .. }), "{error}");
}

#[test]
fn a_proxy_that_sends_interim_answers_without_end_is_refused() {
    let proxy = serve(|mut client| {
        head(&mut client);
        while client.write_all(&b"HTTP/1.1 100\r\n\r\n".repeat(1000)).is_ok() {}
    });
    let error = through(&format!("http://{proxy}")).connect("ws://nowhere.invalid/").unwrap_err();
    assert!(matches!(&error, ConnectError::Proxy { error: ProxyError::TooLarge, .. }), "{error}");
}

#[test]
fn a_proxy_that_never_answers_or_trickles_has_a_deadline() {
    use std::thread::sleep;
    let silent = serve(|mut client| while client.read(&mut [0; 100]).is_ok_and(|n| n > 0) {});
    let trickling = serve(|mut client| {
        head(&mut client);
        let _ = client.write_all(b"HTTP/1.1 200 OK\r\n");
        // A byte at a time, for longer than the deadline.
        while client.write_all(b"x").is_ok() {
            sleep(Duration::from_millis(1));
        }
    });
    for proxy in [silent, trickling] {
        let connector = through(&format!("http://{proxy}")).timeout(Duration::from_millis(300));
        let error = connector.connect("ws://nowhere.invalid/").unwrap_err();
        assert!(matches!(error, ConnectError::Timeout), "{error}");
    }
}

#[test]
fn bytes_after_the_answer_of_a_proxy_are_not_lost() {
    let server = Running::new();
    let target = server.address;
    // The server's answer and a message may arrive with the proxy's: here, a whole refusal does.
    let proxy = serve(move |mut client| {
        head(&mut client);
        let answer = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n";
        client.write_all(answer).unwrap();
        relay(client, TcpStream::connect(target).unwrap());
    });
    let error = through(&format!("http://{proxy}")).connect("ws://nowhere.invalid/").unwrap_err();
    assert_eq!((error.status(), error.retry_after()), (Some(503), Some(Duration::from_secs(7))));
}

/// What the next test does in a process of its own, with an environment.
#[test]
#[ignore = "run by the next test"]
fn of_the_environment() {
    let pinned: SocketAddr = std::env::var("PINNED").unwrap().parse().unwrap();
    let connector = Connector::new().addresses([pinned]).redirects(1);
    let error = connector.connect("ws://first.invalid/").unwrap_err();
    assert!(matches!(&error, ConnectError::Proxy { error: ProxyError::Refused { .. }, .. }), "{error}");
}

/// A redirect leads from a host without a proxy to one with a proxy: the addresses that were given are those
/// of the first host, so the proxy's credentials must not be sent there.
#[test]
fn a_proxys_credentials_are_not_sent_to_the_first_hosts_addresses() {
    let proxy = crate::servers::answering("HTTP/1.1 407 No\r\n\r\n".to_owned());
    let (sender, requests) = mpsc::channel();
    let pinned = serve(move |mut client| {
        sender.send(head(&mut client)).unwrap();
        client.write_all(b"HTTP/1.1 302 Found\r\nLocation: ws://other.invalid/\r\n\r\n").unwrap();
    });
    let output = crate::emulator::command(&std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "proxies::of_the_environment"])
        .env("PINNED", pinned.to_string())
        .env("http_proxy", format!("http://user:secret@{proxy}"))
        .env("no_proxy", "first.invalid")
        .output()
        .unwrap();
    let requests: Vec<_> = requests.try_iter().collect();
    assert!(requests.len() == 1 && requests[0].starts_with("GET / "), "{requests:?}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
