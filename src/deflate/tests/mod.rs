//! The room as a whole.
#![forbid(unsafe_code)]

mod codec;
mod naive;
mod offers;
