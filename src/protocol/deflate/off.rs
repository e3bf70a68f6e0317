//! Takes the place of the room beside it if the feature `deflate` is off: nothing is negotiated, so nothing
//! is compressed. What only a compressed message needs has no value.
#![forbid(unsafe_code)]
#![expect(clippy::unused_self, reason = "the interface is that of the feature")]

use super::buffer::RecvBuffer;
use super::payload::FramePayload;
use super::pool::BufferPool;
use super::send::Planned;
use super::{Connection, Fault, Output, SendError};
use crate::frame::OpCode;
use crate::frame::utf8::MessageBuffer;
use core::marker::PhantomData;

#[derive(Debug, Clone, Copy)]
pub(super) enum Directions {}

#[derive(Debug, Default)]
pub(super) struct Contexts;

impl Contexts {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        true
    }

    pub(super) fn clear(&mut self) {}

    pub(super) fn held(&self) -> usize {
        0
    }
}

/// No reserved bit has a meaning.
#[inline]
pub(super) fn extension_bits(_: Option<Directions>) -> u8 {
    0
}

#[derive(Debug, Default)]
pub(super) struct SpareInflater;

impl SpareInflater {
    #[inline]
    pub(super) fn take_inflated(&mut self) -> usize {
        0
    }
}

#[derive(Debug)]
pub(super) struct Inflation<'a>(PhantomData<&'a mut SpareInflater>);

impl<'a> Inflation<'a> {
    pub(super) fn new(
        _: &'a mut SpareInflater,
        _: &'a mut Contexts,
        _: Option<Directions>,
        _: usize,
    ) -> Self {
        Self(PhantomData)
    }
}

/// A compressed message, which never arrives: its first header fails with this fault.
const NOT_NEGOTIATED: Fault = Fault::ReservedBits;

pub(super) fn inflate_whole(
    _: bool,
    _: &[u8],
    _: &mut BufferPool,
    _: &mut Inflation<'_>,
) -> Result<MessageBuffer, Fault> {
    Err(NOT_NEGOTIATED)
}

#[derive(Debug)]
pub(super) struct Inflating;

impl Inflating {
    pub(super) fn new(_: bool) -> Self {
        Self
    }

    pub(super) fn received(&self) -> usize {
        0
    }

    pub(super) fn append(
        &mut self,
        _: &mut FramePayload,
        _: &mut RecvBuffer,
        _: &mut BufferPool,
        _: &mut Inflation<'_>,
    ) -> Result<(), Fault> {
        Err(NOT_NEGOTIATED)
    }

    pub(super) fn finish(self, _: &mut BufferPool, _: &mut Inflation<'_>) -> Result<MessageBuffer, Fault> {
        Err(NOT_NEGOTIATED)
    }

    pub(super) fn held(&self) -> usize {
        0
    }
}

#[derive(Debug)]
pub(super) struct StreamInflating;

impl StreamInflating {
    pub(super) fn new(_: bool) -> Self {
        Self
    }

    pub(super) fn append(
        &mut self,
        _: &mut FramePayload,
        _: &mut RecvBuffer,
        _: &mut BufferPool,
        _: &mut Inflation<'_>,
    ) -> Result<Option<MessageBuffer>, Fault> {
        Err(NOT_NEGOTIATED)
    }

    pub(super) fn finish(self, _: &mut Inflation<'_>) {}

    pub(super) fn held(&self) -> usize {
        0
    }
}

/// Compresses nothing.
#[derive(Debug, Default)]
pub(crate) struct Compressor;

impl Compressor {
    pub(super) fn trim(&mut self) {}
}

impl Connection {
    pub(super) fn park_deadline(&self, _: u64) -> Option<u64> {
        None
    }

    pub(super) fn park_if_due(&mut self, _: u64) {}

    #[inline]
    pub(crate) fn compresses(&self, _: usize) -> bool {
        false
    }

    #[inline]
    pub(crate) fn compresses_fragment(&self, _: OpCode, _: usize) -> bool {
        false
    }

    #[inline]
    pub(super) fn try_send_compressed(
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

    /// Makes the frame of a message that is sent as it is.
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
