//! Encoded frames.
#![allow(dead_code, reason = "each test uses some of it")]

use websocket_stream::frame::{Header, mask};
use websocket_stream::{OpCode, Role};

/// Returns the frame with this header, whose length is set to the payload's.
pub(crate) fn frame(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Header { len: payload.len() as u64, ..header }.encode().to_vec();
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    mask(&mut bytes[start..], header.mask.unwrap_or_default(), 0);
    bytes
}

/// Returns the final frame with this first byte, as the peer of an end with this role sends it: masked with
/// zeros if that peer is a client.
pub(crate) fn frame_to(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = (role == Role::Server).then_some([0; 4]);
    let mut bytes = frame(Header { mask, ..Header::new(OpCode::Binary, 0) }, payload);
    bytes[0] = first;
    bytes
}

/// Returns the final frame with this first byte, as a client sends it, masked with zeros.
pub(crate) fn from_client(first: u8, payload: &[u8]) -> Vec<u8> {
    frame_to(Role::Server, first, payload)
}

/// Returns the message with this first header, in frames with at most `size` bytes of payload.
pub(crate) fn fragments(first: Header, payload: &[u8], size: usize) -> Vec<u8> {
    let count = payload.len().div_ceil(size);
    let fragment = |(index, piece)| {
        let header =
            if index == 0 { first } else { Header { opcode: OpCode::Continuation, rsv: 0, ..first } };
        frame(Header { fin: index + 1 == count, ..header }, piece)
    };
    payload.chunks(size).enumerate().flat_map(fragment).collect()
}
