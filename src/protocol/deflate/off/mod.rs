//! Replaces the other files if the feature `deflate` is off: nothing is negotiated, so nothing is compressed.
#![forbid(unsafe_code)]
#![expect(clippy::unused_self, reason = "the interface is that of the feature")]

mod send;

use crate::frame::utf8::MessageBuffer;
use crate::protocol::Fault;
use crate::protocol::payload::CurrentFrame;
use crate::protocol::pool::BufferPool;
use crate::protocol::recv_buffer::RecvBuffer;
use core::marker::PhantomData;

#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) enum PackedParams {}

#[derive(Debug, Default)]
pub(in crate::protocol) struct KeptWindows {}

impl KeptWindows {
    #[inline]
    pub(in crate::protocol) fn is_empty(&self) -> bool {
        true
    }

    pub(in crate::protocol) fn forget_time(&mut self) {}

    pub(in crate::protocol) fn clear(&mut self) {}

    pub(in crate::protocol) fn heap_bytes(&self) -> usize {
        0
    }
}

/// Returns 0: no reserved bit has a meaning.
#[inline]
pub(in crate::protocol) fn extension_bits(_: Option<PackedParams>) -> u8 {
    0
}

#[derive(Debug, Default)]
pub(in crate::protocol) struct SpareInflater {}

impl SpareInflater {
    #[inline]
    pub(in crate::protocol) fn take_inflated(&mut self) -> usize {
        0
    }
}

#[derive(Debug)]
pub(in crate::protocol) struct InflateContext<'a>(PhantomData<&'a mut SpareInflater>);

impl<'a> InflateContext<'a> {
    pub(in crate::protocol) fn new(
        _: &'a mut SpareInflater,
        _: &'a mut KeptWindows,
        _: Option<PackedParams>,
        _: usize,
    ) -> Self {
        Self(PhantomData)
    }
}

/// The fault of a compressed message. The check of its first header already fails with this fault.
const NOT_NEGOTIATED: Fault = Fault::ReservedBits;

pub(in crate::protocol) fn inflate_whole(
    _: bool,
    _: &[u8],
    _: &mut BufferPool,
    _: &mut InflateContext<'_>,
) -> Result<MessageBuffer, Fault> {
    Err(NOT_NEGOTIATED)
}

#[derive(Debug)]
pub(in crate::protocol) struct InflatingMessage;

impl InflatingMessage {
    pub(in crate::protocol) fn new(_: bool) -> Self {
        Self
    }

    pub(in crate::protocol) fn received(&self) -> usize {
        0
    }

    pub(in crate::protocol) fn append(
        &mut self,
        _: &mut CurrentFrame,
        _: &mut RecvBuffer,
        _: &mut BufferPool,
        _: &mut InflateContext<'_>,
    ) -> Result<(), Fault> {
        Err(NOT_NEGOTIATED)
    }

    pub(in crate::protocol) fn finish(
        self,
        _: &mut BufferPool,
        _: &mut InflateContext<'_>,
    ) -> Result<MessageBuffer, Fault> {
        Err(NOT_NEGOTIATED)
    }

    pub(in crate::protocol) fn heap_bytes(&self) -> usize {
        0
    }
}

#[derive(Debug)]
pub(in crate::protocol) struct InflatingStream;

impl InflatingStream {
    pub(in crate::protocol) fn new(_: bool) -> Self {
        Self
    }

    pub(in crate::protocol) fn append(
        &mut self,
        _: &mut CurrentFrame,
        _: &mut RecvBuffer,
        _: &mut BufferPool,
        _: &mut InflateContext<'_>,
    ) -> Result<Option<MessageBuffer>, Fault> {
        Err(NOT_NEGOTIATED)
    }

    pub(in crate::protocol) fn finish(self, _: &mut InflateContext<'_>) {}

    pub(in crate::protocol) fn heap_bytes(&self) -> usize {
        0
    }
}

/// Replaces the compressors.
#[derive(Debug, Default)]
pub(crate) struct Compressor {}

impl Compressor {
    pub(in crate::protocol) fn trim(&mut self) {}
}

/// A message that was compressed on its own: none exists.
#[derive(PartialEq, Eq)]
pub(crate) enum Standalone {}

impl Standalone {
    pub(crate) fn payload(&self) -> &[u8] {
        match *self {}
    }
}
