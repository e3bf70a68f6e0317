//! What a connection over TLS takes.

use crate::counting::LIVE;
use crate::localhost;
use rustls::ServerConfig;
use std::sync::Arc;
use websocket_stream::tls::TlsStream;
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    ClientOpening, ClientRequest, Event, Progress, Ready, Response, Scratch, ServerOpening, WebSocketStream,
};

type Stream = WebSocketStream<TlsStream<MemoryStream>>;

/// Opens a connection, and sends one message through the server.
fn open(config: &Arc<ServerConfig>, scratch: &mut Scratch) -> (Box<Stream>, Stream) {
    let (a, b) = memory::pair(1 << 16);
    let client = TlsStream::client(b, localhost::client().unwrap(), "localhost".try_into().unwrap());
    let mut client = ClientOpening::new(client.unwrap(), ClientRequest::new("localhost", "/")).unwrap();
    let server = TlsStream::server(a, Arc::clone(config)).unwrap();
    let mut server = ServerOpening::new(server).unwrap();
    loop {
        let open = matches!(client.advance(&mut scratch.at(0)).unwrap(), Progress::Open);
        match server.advance(&mut scratch.at(0)).unwrap() {
            Progress::Decide(_) => server.answer(&Response::accept()).unwrap(),
            Progress::Open if open => break,
            _ => {}
        }
    }
    let (mut server, mut client) = (Box::new(server.into_stream().unwrap()), client.into_stream().unwrap());
    let _ = client.send(&mut scratch.at(0), "hello").unwrap();
    let mut echoed = 0;
    let wants = server.drive(&mut scratch.at(0), Ready::READABLE, |event, out| match event {
        Event::Message(message) => out.send(message),
        _ => Ok(()),
    });
    assert!(!wants.unwrap().again);
    let _ = client.drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
        echoed += usize::from(matches!(event, Event::Message(_)));
        Ok(())
    });
    assert_eq!(echoed, 1);
    (server, client)
}

/// rustls 0.23 keeps 1,088 bytes in its connection, and on the heap two keys of 560 bytes, the secrets for
/// new keys, and three queues of 832 bytes in all. The rest is the stream's.
#[test]
fn an_idle_connection_of_a_server_keeps_only_the_state_of_rustls() {
    const CONNECTIONS: usize = 64;
    let mut scratch = Scratch::new();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let config = localhost::server_with(&[version]).unwrap();
        let opened: Vec<_> = (0..CONNECTIONS).map(|_| open(&config, &mut scratch)).collect();
        let before = LIVE.get();
        let clients: Vec<_> = opened.into_iter().map(|(_server, client)| client).collect();
        let each = (before - LIVE.get()) / CONNECTIONS;
        drop(clients);
        assert!(each <= 3_400, "{version:?}: {each} bytes");
    }
}
