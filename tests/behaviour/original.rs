//! The original crate's example, as its users write it, and its documented results.

use crate::socket_pair::socket_pair;
use std::io::Write;
use websocket_stream::transport::testing::memory;
use websocket_stream::util::{OpCode, ReadError, WriteError};
use websocket_stream::{ReadResult, Role, WebSocketStream, WriteResult};

#[test]
#[expect(clippy::unnecessary_mut_passed, reason = "as the original's users write it")]
fn the_original_example_compiles_and_works() {
    let (stream, peer) = socket_pair().unwrap();
    let mut peer = WebSocketStream::client(peer).unwrap();
    peer.write(OpCode::Text, b"a thing").unwrap();

    let mut ws_stream = match WebSocketStream::new(stream) {
        Ok(ws) => ws,
        Err(e) => panic!("Websocket creation failed, errno: {}", e),
    };

    // Read a thing
    let read: ReadResult = ws_stream.read();
    let handled = match read {
        Ok(res_tuple) => match res_tuple.0 {
            OpCode::Continuation => panic!("continuation"),
            OpCode::Text => res_tuple.1,
            OpCode::Binary => panic!("binary"),
            OpCode::Close => panic!("close"),
            OpCode::Ping => panic!("ping"),
            OpCode::Pong => panic!("pong"),
        },
        Err(e) => match e {
            ReadError::NoData => panic!("no data"),
            ReadError::DataStop => panic!("a part"),
            e => panic!("{e}"),
        },
    };
    assert_eq!(handled, b"a thing");

    // Write a thing
    let mut buf: Vec<u8> = b"awesome".to_vec();
    let written: WriteResult = ws_stream.write(OpCode::Text, &mut buf);
    match written {
        Ok(num_written) => assert_eq!(num_written, 9),
        Err(WriteError::Refused(e)) => panic!("{e}"),
        Err(e) => panic!("{e}"),
    }
    assert_eq!(peer.read().unwrap(), (OpCode::Text, b"awesome".to_vec()));
}

#[test]
fn no_data_a_part_and_a_whole_message_are_distinguished() {
    let (stream, mut peer) = socket_pair().unwrap();
    let mut ws = WebSocketStream::new(stream).unwrap();
    assert!(matches!(ws.read(), Err(ReadError::NoData)));
    peer.write_all(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f").unwrap();
    assert!(matches!(ws.read(), Err(ReadError::DataStop)));
    assert_eq!(ws.partial(), Some(&b"He"[..]));
    peer.write_all(b"\x4d\x51\x58").unwrap();
    assert_eq!(ws.read().unwrap(), (OpCode::Text, b"Hello".to_vec()));
    assert!(matches!(ws.read(), Err(ReadError::NoData)));
    assert_eq!(ws.heap_bytes(), 0);
}

#[test]
fn a_close_is_read_once_and_then_the_end_is_repeated() {
    let (stream, peer) = socket_pair().unwrap();
    let mut ws = WebSocketStream::new(stream).unwrap();
    let mut peer = WebSocketStream::client(peer).unwrap();
    peer.write(OpCode::Close, b"\x03\xe8bye").unwrap();
    assert_eq!(ws.read().unwrap(), (OpCode::Close, b"\x03\xe8bye".to_vec()));
    for _ in 0..3 {
        assert!(matches!(ws.read(), Err(ReadError::Closed(end)) if end.is_clean()));
    }
    assert!(matches!(peer.read(), Ok((OpCode::Close, _))));
    assert!(matches!(ws.write(OpCode::Text, b"late"), Err(WriteError::Refused(_))));
}

#[test]
fn a_fault_is_reported_to_the_peer_and_to_the_caller() {
    let (stream, mut peer) = socket_pair().unwrap();
    let mut ws = WebSocketStream::new(stream).unwrap();
    peer.write_all(b"\x81\x05Hello").unwrap(); // a client must mask
    assert!(matches!(ws.read(), Err(ReadError::Closed(end)) if end.code.get() == 1002));
    let mut answer = [0; 4];
    std::io::Read::read_exact(&mut peer, &mut answer).unwrap();
    assert_eq!(answer, [0x88, 2, 0x03, 0xEA]);
}

#[test]
fn messages_received_together_are_read_one_by_one() {
    let (stream, mut peer) = socket_pair().unwrap();
    let mut ws = WebSocketStream::new(stream).unwrap();
    let frame = b"\x82\x81\0\0\0\0a";
    peer.write_all(&frame.repeat(1000)).unwrap();
    for _ in 0..1000 {
        assert_eq!(ws.read().unwrap(), (OpCode::Binary, b"a".to_vec()));
    }
    assert!(matches!(ws.read(), Err(ReadError::NoData)));
    assert_eq!(ws.heap_bytes(), 0);
}

#[test]
fn every_opcode_can_be_written_except_a_continuation_without_a_message() {
    let (stream, peer) = socket_pair().unwrap();
    let mut ws = WebSocketStream::new(stream).unwrap();
    let mut peer = WebSocketStream::client(peer).unwrap();
    for opcode in [OpCode::Text, OpCode::Binary, OpCode::Ping, OpCode::Pong] {
        assert_eq!(ws.write(opcode, b"thing").unwrap(), 2 + 5);
        assert_eq!(peer.read().unwrap(), (opcode, b"thing".to_vec()));
    }
    let refused = ws.write(OpCode::Continuation, b"thing");
    assert!(matches!(refused, Err(WriteError::Refused(_))), "{refused:?}");
    assert!(matches!(ws.write(OpCode::Close, b"\x03"), Err(WriteError::Refused(_))));
    // 1005 stands for no code, and is never sent.
    assert!(matches!(ws.write(OpCode::Close, b"\x03\xed"), Err(WriteError::Refused(_))));
    // A Close frame without a code is read without a code.
    assert_eq!(ws.write(OpCode::Close, b"").unwrap(), 2);
    assert_eq!(peer.read().unwrap(), (OpCode::Close, Vec::new()));
    // The ping was answered, and so was the Close frame.
    assert_eq!(ws.read().unwrap(), (OpCode::Pong, b"thing".to_vec()));
    assert_eq!(ws.read().unwrap(), (OpCode::Close, Vec::new()));
    assert!(matches!(ws.read(), Err(ReadError::Closed(end)) if end.is_clean()));
}

#[test]
fn write_returns_the_number_of_frame_bytes_that_the_transport_took() {
    for (role, header) in [(Role::Server, 2), (Role::Client, 6)] {
        let frame = header + 20;
        for capacity in [0, 1, 10, frame - 1, frame, frame + 5] {
            let (a, _peer) = memory::pair(capacity);
            let mut stream = match role {
                Role::Server => WebSocketStream::new(a).unwrap(),
                Role::Client => WebSocketStream::client(a).unwrap(),
            };
            assert_eq!(stream.write(OpCode::Binary, &[7; 20]).unwrap(), frame.min(capacity), "{role:?}");
            assert_eq!(stream.unsent(), frame - frame.min(capacity), "{role:?}");
            let more = capacity.saturating_sub(frame);
            assert_eq!(stream.write(OpCode::Binary, &[7; 20]).unwrap(), more, "{role:?}");
        }
    }
}
