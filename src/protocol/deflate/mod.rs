//! permessage-deflate between messages and frames (RFC 7692); without the feature `deflate`, a stub with the
//! same interface.
#![forbid(unsafe_code)]

#[cfg(feature = "deflate")]
mod contexts;
#[cfg(feature = "deflate")]
mod inflate;
#[cfg(not(feature = "deflate"))]
mod off;
#[cfg(not(feature = "deflate"))]
mod off_send;
#[cfg(feature = "deflate")]
mod send;

#[cfg(feature = "deflate")]
pub(crate) use contexts::Compressor;
#[cfg(feature = "deflate")]
pub(super) use contexts::{Contexts, Directions, extension_bits};
#[cfg(feature = "deflate")]
pub(super) use inflate::{Inflating, Inflation, SpareInflater, StreamInflating, inflate_whole};
#[cfg(not(feature = "deflate"))]
pub(crate) use off::Compressor;
#[cfg(not(feature = "deflate"))]
pub(super) use off::{
    Contexts, Directions, Inflating, Inflation, SpareInflater, StreamInflating, extension_bits, inflate_whole,
};
