//! Prepared messages: one message to many peers.

use std::sync::Arc;
use websocket_stream::transport::testing::memory;
use websocket_stream::{
    Config, Delivery, Error, IfFull, Limits, Message, OpCode, PreparedMessage, Role, Scratch, SendError,
    WebSocketStream,
};

fn payloads() -> Vec<Vec<u8>> {
    // Each length form, batched and sent without a copy.
    [0, 5, 125, 126, 4095, 4096, 70_000].map(|len| vec![b'x'; len]).to_vec()
}

#[test]
fn a_prepared_message_arrives_like_an_ordinary_one_from_either_end() {
    for payload in payloads() {
        let text = std::str::from_utf8(&payload).unwrap();
        for (prepared, opcode) in
            [(PreparedMessage::new(text), OpCode::Text), (PreparedMessage::new(&payload[..]), OpCode::Binary)]
        {
            assert_eq!(prepared.payload(), payload);
            assert_eq!((prepared.message().as_bytes(), prepared.message().opcode()), (&payload[..], opcode));
            assert_eq!(prepared.is_text(), opcode == OpCode::Text);
            let (a, b) = memory::pair(1 << 20);
            let (mut server, mut client) =
                (WebSocketStream::new(a).unwrap(), WebSocketStream::client(b).unwrap());
            let mut scratch = Scratch::new();
            let sent = server.send_prepared(&mut scratch.at(0), &prepared, IfFull::Refuse).unwrap();
            assert_eq!(sent, Delivery::Written);
            assert_eq!(client.read().unwrap(), (opcode, payload.clone()));
            let sent = client.send_prepared(&mut scratch.at(0), &prepared, IfFull::Refuse).unwrap();
            assert_eq!(sent, Delivery::Written);
            assert_eq!(server.read().unwrap(), (opcode, payload.clone()));
        }
    }
}

#[test]
fn a_prepared_message_keeps_its_place_among_the_others() {
    let (a, b) = memory::pair(1 << 20);
    let (mut server, mut client) = (WebSocketStream::new(a).unwrap(), WebSocketStream::client(b).unwrap());
    let mut scratch = Scratch::new();
    let large = PreparedMessage::new(&[7; 5000][..]);
    let small = PreparedMessage::new("small");
    server
        .send_with(&mut scratch.at(0), |out| {
            out.send("first")?;
            out.send_prepared(&small)?;
            out.send_prepared(&large)?;
            out.send("last")
        })
        .unwrap();
    let read: Vec<_> = std::iter::from_fn(|| client.read().ok()).map(|(_, payload)| payload).collect();
    assert_eq!(read, [&b"first"[..], b"small", &[7; 5000], b"last"]);
}

#[test]
fn many_prepared_messages_in_one_call_grow_the_send_buffer() {
    let (a, b) = memory::pair(1 << 20);
    let (mut server, mut client) = (WebSocketStream::new(a).unwrap(), WebSocketStream::client(b).unwrap());
    let message = PreparedMessage::new(&[7; 700][..]);
    server
        .send_with(&mut Scratch::new().at(0), |out| (0..30).try_for_each(|_| out.send_prepared(&message)))
        .unwrap();
    let read: Vec<_> = std::iter::from_fn(|| client.read().ok()).map(|(_, payload)| payload).collect();
    assert_eq!(read, vec![vec![7; 700]; 30]);
}

#[test]
fn a_full_connection_refuses_or_drops_a_prepared_message_and_keeps_nothing() {
    let limits = Limits::default().unsent(2000);
    let config = Arc::new(Config::default().limits(limits));
    let (a, b) = memory::pair(100);
    let mut server = WebSocketStream::with_config(a, Role::Server, config).unwrap();
    let mut client = WebSocketStream::client(b).unwrap();
    let mut scratch = Scratch::new();
    let tick = PreparedMessage::new(&[1; 600][..]);
    let mut accepted = 0;
    loop {
        match server.send_prepared(&mut scratch.at(0), &tick, IfFull::Drop).unwrap() {
            Delivery::Dropped => break,
            _ => accepted += 1,
        }
    }
    let unsent = server.unsent();
    let refused = server.send_prepared(&mut scratch.at(0), &tick, IfFull::Refuse);
    assert!(matches!(refused, Err(Error::Send(SendError::Full))));
    assert_eq!(server.unsent(), unsent);
    let mut arrived = 0;
    for _ in 0..100 {
        server.flush(&mut scratch.at(0)).unwrap();
        while let Ok((_, payload)) = client.read() {
            assert_eq!(payload, [1; 600]);
            arrived += 1;
        }
    }
    assert_eq!((arrived, server.unsent(), server.heap_bytes()), (accepted, 0, 0));
}

#[test]
fn a_prepared_message_is_shared_and_not_printed() {
    let secret = PreparedMessage::new(Message::Text("a secret"));
    let copy = secret.clone();
    assert_eq!(secret.payload().as_ptr(), copy.payload().as_ptr());
    assert!(!format!("{secret:?}").contains("secret"));
}
