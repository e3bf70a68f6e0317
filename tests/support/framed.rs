//! Frames as they go on the wire.
#![allow(dead_code, reason = "each test uses some of it")]

use websocket_stream::frame::{Header, mask};
use websocket_stream::{OpCode, Role};

/// The frame with this header, which gets the payload's length.
pub(crate) fn frame(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Header { len: payload.len() as u64, ..header }.encode().to_vec();
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    mask(&mut bytes[start..], header.mask.unwrap_or_default(), 0);
    bytes
}

/// The final frame with this first byte, as the peer of this role's end sends it: masked with zeros if that peer is
/// a client.
pub(crate) fn frame_to(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = (role == Role::Server).then_some([0; 4]);
    let mut bytes = frame(Header { mask, ..Header::new(OpCode::Binary, 0) }, payload);
    bytes[0] = first;
    bytes
}

/// The final frame with this first byte, as a client sends it, masked with zeros.
pub(crate) fn from_client(first: u8, payload: &[u8]) -> Vec<u8> {
    frame_to(Role::Server, first, payload)
}

/// The message with this first header, in frames of at most so many bytes.
pub(crate) fn fragments(first: Header, payload: &[u8], size: usize) -> Vec<u8> {
    let count = payload.len().div_ceil(size);
    let fragment = |(index, piece)| {
        let header =
            if index == 0 { first } else { Header { opcode: OpCode::Continuation, rsv: 0, ..first } };
        frame(Header { fin: index + 1 == count, ..header }, piece)
    };
    payload.chunks(size).enumerate().flat_map(fragment).collect()
}
