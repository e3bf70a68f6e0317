//! The negotiation of compression; without the feature `deflate`, a stub with the same interface.
#![forbid(unsafe_code)]

#[cfg(not(feature = "deflate"))]
mod off;
#[cfg(feature = "deflate")]
mod on;

#[cfg(not(feature = "deflate"))]
pub(super) use off::{Negotiated, accept, confirm, offer};
#[cfg(feature = "deflate")]
pub(super) use on::{Negotiated, accept, confirm, offer};
