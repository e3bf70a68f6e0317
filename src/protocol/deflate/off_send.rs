//! Sending if the feature `deflate` is off: no message is compressed.
#![forbid(unsafe_code)]
#![expect(clippy::unused_self, reason = "the interface is that of the feature")]

use super::off::Compressor;
use crate::frame::OpCode;
use crate::protocol::send::Planned;
use crate::protocol::{Connection, Output, SendError};

impl Connection {
    pub(in crate::protocol) fn park_deadline(&self, _: u64) -> Option<u64> {
        None
    }

    pub(in crate::protocol) fn park_if_due(&mut self, _: u64) {}

    #[inline]
    pub(crate) fn compresses(&self, _: usize) -> bool {
        false
    }

    #[inline]
    pub(crate) fn compresses_fragment(&self, _: OpCode, _: usize) -> bool {
        false
    }

    #[inline]
    pub(in crate::protocol) fn try_send_compressed(
        &mut self,
        _: OpCode,
        _: bool,
        _: &[u8],
        _: &mut Output,
    ) -> Option<Result<(), SendError>> {
        None
    }

    pub(crate) fn most_compressed(_: OpCode, len: usize) -> usize {
        len
    }

    /// Builds the frame of an uncompressed message.
    pub(crate) fn compress<'m>(
        &mut self,
        opcode: OpCode,
        fin: bool,
        payload: &'m [u8],
        _: &'m mut Compressor,
        output: &mut Output,
    ) -> (Planned, &'m [u8]) {
        (self.planned(opcode, fin, payload.len(), output), payload)
    }
}
