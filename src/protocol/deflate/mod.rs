//! permessage-deflate between messages and frames (RFC 7692); without the feature `deflate`, a stub with the
//! same interface.
#![forbid(unsafe_code)]

#[cfg(feature = "deflate")]
mod inflate;
#[cfg(not(feature = "deflate"))]
mod off;
#[cfg(feature = "deflate")]
mod send;
#[cfg(feature = "deflate")]
mod windows;

#[cfg(feature = "deflate")]
pub(super) use inflate::{InflateContext, InflatingMessage, InflatingStream, SpareInflater, inflate_whole};
#[cfg(not(feature = "deflate"))]
pub(crate) use off::{Compressor, Standalone};
#[cfg(not(feature = "deflate"))]
pub(super) use off::{
    InflateContext, InflatingMessage, InflatingStream, KeptWindows, PackedParams, SpareInflater,
    extension_bits, inflate_whole,
};
#[cfg(feature = "deflate")]
pub(crate) use send::Standalone;
#[cfg(feature = "deflate")]
pub(crate) use windows::Compressor;
#[cfg(feature = "deflate")]
pub(super) use windows::{KeptWindows, PackedParams, extension_bits};
