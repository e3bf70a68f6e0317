//! `Server` with TLS, and rustls' own streams as its clients.

use crate::certificates::Authority;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tungstenite::{Message as Received, WebSocket};
use websocket_stream::server::{
    Answer, Connections, Failure, Handle, Handler, NewPeer, Peer, Server, ServerConfig, Shutdown,
};
use websocket_stream::tls::{SharedServerConfig, TlsStream};
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{Message, NonBlockingTransport, Ready, Request, Response};

/// Echoes, and answers to `who` with the client's address and the number of its certificates.
struct Echo;

impl Handler for Echo {
    type Session = String;

    fn open(&mut self, peer: &mut NewPeer<'_>, who: &mut String, _: &Request<'_>) -> Answer {
        let certificates = peer.tls().map(|tls| tls.peer_certificates().map_or(0, <[_]>::len));
        *who = format!("{:?} {certificates:?}", peer.ip());
        Response::accept().into()
    }

    fn message(
        &mut self,
        peer: &mut Peer<'_>,
        who: &mut String,
        message: Message<'_>,
    ) -> Result<(), Failure> {
        match message {
            Message::Text("who") => Ok(peer.send(who.as_str())?),
            message => Ok(peer.send(message)?),
        }
    }
}

struct Running {
    address: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(server: Server) -> Self {
        let (address, handle) = (server.local_addr().unwrap(), server.handle());
        let thread = Some(thread::spawn(move || server.run(Echo).unwrap()));
        Self { address, handle, thread }
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        socket
    }

    fn open(&self, client: &Arc<ClientConfig>, first: &[u8]) -> WebSocket<Tls> {
        let mut socket = self.connect();
        socket.write_all(first).unwrap();
        let tls = ClientConnection::new(Arc::clone(client), "localhost".try_into().unwrap()).unwrap();
        tungstenite::client("wss://localhost/", StreamOwned::new(tls, socket)).unwrap().0
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

impl Drop for Running {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.handle.shut_down(Shutdown::within(Duration::ZERO)).unwrap();
        let ended = thread.join();
        assert!(thread::panicking() || ended.is_ok());
    }
}

fn ask(client: &mut WebSocket<Tls>, text: &str) -> String {
    client.send(Received::text(text)).unwrap();
    client.read().unwrap().into_text().unwrap().to_string()
}

fn certificate(client: &WebSocket<Tls>) -> CertificateDer<'static> {
    client.get_ref().conn.peer_certificates().unwrap()[0].clone()
}

#[test]
fn a_message_of_any_size_is_echoed_and_the_end_is_clean() {
    let authority = Authority::new();
    let config = authority.issue("localhost").server();
    let server = Running::start(Server::bind("127.0.0.1:0").unwrap().tls(config));
    let mut client = server.open(&Arc::new(authority.client()), b"");
    assert_eq!(client.get_ref().conn.alpn_protocol(), None);
    for size in [0, 1, 1_000, 16_384, 16_385, 1_000_000] {
        let text = "x".repeat(size);
        assert!(ask(&mut client, &text) == text, "{size}");
    }
    client.close(None).unwrap();
    assert!(client.read().unwrap().is_close());
    // The server announces the end of its direction.
    assert!(matches!(client.read(), Err(tungstenite::Error::ConnectionClosed)));
    assert_eq!(client.get_mut().read(&mut [0]).unwrap(), 0);
}

#[test]
fn the_certificate_is_replaced_while_the_server_runs() {
    let authority = Authority::new();
    let shared = SharedServerConfig::new(authority.issue("localhost").server());
    let server = Running::start(Server::bind("127.0.0.1:0").unwrap().tls(shared.clone()));
    let config = Arc::new(authority.client());
    let mut first = server.open(&config, b"");
    shared.replace(authority.issue("localhost").server());
    let mut second = server.open(&config, b"");
    assert_ne!(certificate(&first), certificate(&second));
    assert_eq!((ask(&mut first, "1"), ask(&mut second, "2")), ("1".into(), "2".into()));
}

#[cfg(unix)]
#[test]
fn only_the_listeners_that_were_added_before_use_tls() {
    let authority = Authority::new();
    let config = authority.issue("localhost").server();
    let server = Server::bind("127.0.0.1:0").unwrap().tls(config);
    let path = std::env::temp_dir().join(format!("websocket-stream-tls-{}", std::process::id()));
    let server = Running::start(server.and_bind_unix(&path).unwrap());
    let mut plain = std::os::unix::net::UnixStream::connect(&path).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    drop(server);
}

#[test]
fn plain_http_on_the_tls_port_is_answered_with_400() {
    let authority = Authority::new();
    let config = authority.issue("localhost").server();
    let server = Running::start(Server::bind("127.0.0.1:0").unwrap().tls(config));
    let mut plain = server.connect();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("HTTPS"), "{answer}");
}

#[test]
fn tls_begins_after_the_header_of_the_proxy_protocol() {
    let authority = Authority::new();
    let config = authority.issue("localhost").server();
    let server = Server::bind("127.0.0.1:0").unwrap().tls(config);
    let server = Running::start(server.config(ServerConfig::default().proxy_protocol(true)));
    let header = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 443\r\n";
    let mut client = server.open(&Arc::new(authority.client()), header);
    assert_eq!(ask(&mut client, "who"), "Some(203.0.113.7) Some(0)");
}

#[test]
fn the_clients_certificate_is_known_when_it_asks() {
    let authority = Authority::new();
    let config = authority.server_that_asks(authority.issue("localhost"));
    let server = Running::start(Server::bind("127.0.0.1:0").unwrap().tls(config));
    let mut client = server.open(&Arc::new(authority.client_with(authority.issue("a client"))), b"");
    assert_eq!(ask(&mut client, "who"), "Some(127.0.0.1) Some(1)");
}

#[test]
fn a_shutdown_closes_and_announces_the_end() {
    let authority = Authority::new();
    let config = authority.issue("localhost").server();
    let mut server = Running::start(Server::bind("127.0.0.1:0").unwrap().tls(config));
    let mut client = server.open(&Arc::new(authority.client()), b"");
    server.handle.shut_down(Shutdown::within(Duration::from_secs(30))).unwrap();
    let Ok(Received::Close(Some(frame))) = client.read() else { panic!("no Close frame") };
    assert_eq!(u16::from(frame.code), 1001);
    // Sends the answer, and receives the end, which is announced: else it would be an error.
    assert!(matches!(client.read(), Err(tungstenite::Error::ConnectionClosed)));
    assert_eq!(client.get_mut().read(&mut [0]).unwrap(), 0);
    drop(client);
    server.thread.take().unwrap().join().unwrap();
}

#[test]
fn a_client_that_does_not_finish_the_handshake_of_tls_is_dropped_in_time() {
    let config = Arc::new(Authority::new().issue("localhost").server());
    let mut connections = Connections::<TlsStream<MemoryStream>, String>::new(ServerConfig::default());
    for first in [&[][..], &[22, 3, 1, 2]] {
        let (a, mut b) = memory::pair(4096);
        let key = connections.insert(TlsStream::server(a, Arc::clone(&config)).unwrap(), None, 0).unwrap();
        b.send(first).unwrap();
        connections.ready(key, Ready::READABLE, 0, &mut Echo);
        connections.turn(9_000, &mut Echo);
        assert_eq!(connections.len(), 1);
        // Ten seconds by default, and the granularity of the wheel.
        for now in [10_000, 12_000] {
            connections.turn(now, &mut Echo);
        }
        assert_eq!(connections.len(), 0);
        assert_eq!(b.recv(&mut [0]).unwrap(), 0);
    }
}
