//! Sending if the feature `deflate` is off: no message is compressed.
#![forbid(unsafe_code)]
#![expect(clippy::unused_self, reason = "the interface is that of the feature")]

use super::{Compressor, Standalone};
use crate::frame::OpCode;
use crate::protocol::send::FrameHead;
use crate::protocol::{Connection, Output, SendError};

impl Connection {
    pub(in crate::protocol) fn send_window_deadline(&self, _: u64) -> Option<u64> {
        None
    }

    pub(in crate::protocol) fn drop_send_window_if_due(&mut self, _: u64) {}

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

    pub(crate) fn max_compressed_len(_: OpCode, len: usize) -> usize {
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
    ) -> (FrameHead, &'m [u8]) {
        (self.frame_head(opcode, fin, payload.len(), output), payload)
    }

    pub(crate) fn can_send_standalone(&self, message: &Standalone) -> bool {
        match *message {}
    }

    pub(crate) fn standalone_head(
        &mut self,
        _: OpCode,
        _: &[u8],
        message: &Standalone,
        _: &mut Output,
    ) -> FrameHead {
        match *message {}
    }
}
