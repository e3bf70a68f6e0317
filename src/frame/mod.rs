//! Floor 0: frames as bytes. Headers, opcodes, close codes, masking and UTF-8.
//!
//! Everything here is a pure function of its arguments, or a small state machine that is fed bytes. Nothing
//! here depends on an endpoint's role, a socket, a clock or random numbers.

mod close_code;
mod header;
mod mask;
mod opcode;
pub mod utf8;

pub use close_code::CloseCode;
pub(crate) use header::Extent;
pub use header::{Decoded, EncodedHeader, Header, HeaderError, MAX_HEADER_SIZE};
pub(crate) use mask::copy;
pub use mask::{mask, mask_into};
pub use opcode::OpCode;
