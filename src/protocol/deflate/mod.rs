//! permessage-deflate between messages and frames (RFC 7692). Without the feature `deflate`, `off.rs` takes
//! its place.
#![forbid(unsafe_code)]

mod contexts;
mod inflate;
mod send;

pub(crate) use contexts::Compressor;
pub(super) use contexts::{Contexts, Directions, extension_bits};
pub(super) use inflate::{Inflating, Inflation, SpareInflater, StreamInflating, inflate_whole};
