//! What a connection over TLS takes.

use crate::counting::LIVE;
use crate::localhost;
use rustls::ServerConfig;
use std::io::ErrorKind;
use std::sync::Arc;
use websocket_stream::tls::TlsStream;
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    ClientOpening, ClientRequest, Event, NonBlockingTransport, Progress, Ready, Response, Scratch,
    ServerOpening, WebSocketStream,
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

/// `guarantees`: 128 KiB for received records, 68 KiB for those to send, 16 KiB for small pieces.
const THREAD: usize = (128 + 68 + 16) << 10;

/// Sends a mebibyte before the handshake, through a narrow transport, and receives it.
fn send_early(config: &Arc<ServerConfig>) {
    let (a, b) = memory::pair(1 << 17);
    let mut client =
        TlsStream::client(b, localhost::client().unwrap(), "localhost".try_into().unwrap()).unwrap();
    let mut server = TlsStream::server(a, Arc::clone(config)).unwrap();
    let sent = vec![7; 1 << 20];
    assert_eq!(client.send(&sent).unwrap(), sent.len());
    let (mut received, mut buffer) = (0, vec![0; 1 << 16]);
    while received < sent.len() {
        let _ = client.flush();
        assert_eq!(client.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        received += server.recv(&mut buffer).unwrap_or(0);
    }
}

/// Sends a message of the handshake in records of one byte, until the server refuses them.
fn send_many_records(config: &Arc<ServerConfig>) {
    let (a, mut b) = memory::pair(1 << 17);
    let mut server = TlsStream::server(a, Arc::clone(config)).unwrap();
    let message = [&[1, 0, 0xFF, 0xF0][..], &[3; 65_516]].concat();
    let records: Vec<u8> = message.iter().flat_map(|&byte| [22, 3, 1, 0, 1, byte]).collect();
    let refused = records.chunks(5_000).any(|records| {
        assert_eq!(b.send(records).unwrap(), records.len());
        server.recv(&mut vec![0; 1 << 16]).unwrap_err().kind() == ErrorKind::InvalidData
    });
    assert!(refused);
}

#[test]
fn a_thread_keeps_no_more_for_records_than_is_documented() {
    let config = localhost::server().unwrap();
    // What rustls keeps once.
    drop(open(&config, &mut Scratch::new()));
    let before = LIVE.get();
    for grow in [send_early, send_many_records] {
        grow(&config);
        let kept = LIVE.get().saturating_sub(before);
        assert!(kept <= THREAD, "{kept} bytes");
    }
}
