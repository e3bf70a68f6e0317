//! The bodies of the fuzz targets as tests, on random bytes and on bytes that get further than those.

use quickcheck::QuickCheck;

#[path = "../fuzz/bodies/handshake.rs"]
mod handshake;
#[path = "../fuzz/bodies/header.rs"]
mod header;
#[path = "../fuzz/bodies/receive.rs"]
mod receive;

#[test]
fn header_holds_on_any_bytes() {
    fn prop(bytes: Vec<u8>) -> bool {
        header::body(&bytes);
        true
    }
    QuickCheck::new().tests(10_000).quickcheck(prop as fn(Vec<u8>) -> bool);
}

#[test]
fn receive_holds_on_frames_with_any_bytes_changed() {
    fn prop(frames: Vec<(u8, Vec<u8>)>, start: u8, change: Option<(usize, u8)>) -> bool {
        let mut bytes = vec![start];
        for (first, payload) in frames {
            let payload = &payload[..payload.len().min(125)];
            // A role's own masking more often than not, all opcodes, with and without FIN.
            let masked = if start & 1 == 0 { 0x80 } else { 0 };
            bytes.extend([first & 0x8B, masked | u8::try_from(payload.len()).unwrap()]);
            if masked != 0 {
                bytes.extend([0; 4]);
            }
            bytes.extend(payload);
        }
        if let Some((at, byte)) = change {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        receive::body(&bytes);
        true
    }
    QuickCheck::new()
        .tests(10_000)
        .quickcheck(prop as fn(Vec<(u8, Vec<u8>)>, u8, Option<(usize, u8)>) -> bool);
}

#[test]
fn handshake_holds_on_a_head_with_any_bytes_changed() {
    fn prop(changes: Vec<(usize, u8)>, cut: Option<usize>) -> bool {
        let mut bytes = b"GET /chat?a=b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
            Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, b\r\n\r\n"
            .to_vec();
        for (at, byte) in changes.into_iter().take(4) {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut % bytes.len());
        }
        handshake::body(&bytes);
        true
    }
    QuickCheck::new().tests(10_000).quickcheck(prop as fn(Vec<(usize, u8)>, Option<usize>) -> bool);
}
