//! Tests of the whole module.
#![forbid(unsafe_code)]

mod codec;
pub(super) mod naive;
mod offers;
