//! Tests of the whole module.
#![forbid(unsafe_code)]

mod codec;
mod naive;
mod offers;
