//! Servers and proxies on threads, each for one test.

use std::io::{self, Read, Write};
use std::net::{Shutdown as Half, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use websocket_stream::server::{Answer, Failure, Handle, Handler, NewPeer, Peer, Server, Shutdown};
use websocket_stream::{Message, Request, Response};

/// Echoes; the answer to `?` is what the request contained.
struct Echo;

impl Handler for Echo {
    type Session = String;

    fn open(&mut self, _: &mut NewPeer<'_>, seen: &mut String, request: &Request<'_>) -> Answer {
        let header = |name| request.header(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let host = header("Host").unwrap_or_default();
        let (auth, cookie) = (header("Authorization"), header("Cookie"));
        let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
        *seen = format!("{host} {}{query} auth={auth:?} cookie={cookie:?}", request.path());
        let response = Response::accept();
        match request.select_subprotocol(&["v2", "v1"]) {
            Some(name) => response.subprotocol(name).into(),
            None => response.into(),
        }
    }

    fn message(
        &mut self,
        peer: &mut Peer<'_>,
        seen: &mut String,
        message: Message<'_>,
    ) -> Result<(), Failure> {
        match message {
            Message::Text("?") => peer.send(seen.as_str())?,
            message => peer.send(message)?,
        }
        Ok(())
    }
}

/// An echo server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn new() -> Self {
        Self::start(Server::bind("127.0.0.1:0").unwrap())
    }

    pub(crate) fn start(server: Server) -> Self {
        let handle = server.handle();
        let address = server.local_addr().unwrap_or_else(|| ([0, 0, 0, 0], 0).into());
        let thread = Some(thread::spawn(move || server.run(Echo).unwrap()));
        Self { address, handle, thread }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shut_down(Shutdown::within(Duration::ZERO)).unwrap();
        let ended = self.thread.take().unwrap().join();
        assert!(thread::panicking() || ended.is_ok());
    }
}

/// Accepts connections and calls `f` with each, on a thread that ends with the test's process.
pub(crate) fn serve(mut f: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            f(stream);
        }
    });
    address
}

/// Reads the head of an HTTP message, byte by byte.
pub(crate) fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// Reads exactly `N` bytes.
pub(crate) fn exactly<const N: usize>(stream: &mut impl Read) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Copies bytes in both directions until both have ended.
pub(crate) fn relay(client: TcpStream, server: TcpStream) {
    let (mut from_client, mut to_client) = (client.try_clone().unwrap(), client);
    let (mut from_server, mut to_server) = (server.try_clone().unwrap(), server);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Half::Write);
    });
    thread::spawn(move || {
        let _ = io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Half::Write);
    });
}

/// An HTTP proxy that opens each tunnel to `target`.
pub(crate) fn proxy_to(target: SocketAddr) -> SocketAddr {
    serve(move |mut client| {
        head(&mut client);
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        relay(client, TcpStream::connect(target).unwrap());
    })
}

/// A server that sends this answer to each request.
pub(crate) fn answering(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = answer.into();
    serve(move |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(&answer);
        let _ = stream.shutdown(Half::Write);
        // Until the client has closed, so that it is not reset.
        let _ = io::copy(&mut stream, &mut io::sink());
    })
}

/// Forwards a request and the head of its answer, and then closes both connections.
pub(crate) fn forward_handshake(mut client: TcpStream, server: SocketAddr) {
    let mut server = TcpStream::connect(server).unwrap();
    server.write_all(head(&mut client).as_bytes()).unwrap();
    client.write_all(head(&mut server).as_bytes()).unwrap();
}
