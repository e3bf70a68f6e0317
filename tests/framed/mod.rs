//! Frames as they go on the wire.
#![allow(dead_code, reason = "each test uses some of it")]

use websocket_stream::OpCode;
use websocket_stream::frame::{Header, mask};

/// The frame with this header, which gets the payload's length.
pub(crate) fn frame(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Header { len: payload.len() as u64, ..header }.encode().to_vec();
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    mask(&mut bytes[start..], header.mask.unwrap_or_default(), 0);
    bytes
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
