//! The names of the original crate, at their original paths.
//!
//! ```
//! use websocket_stream::util::{OpCode, ReadError, WriteError};
//! ```
#![forbid(unsafe_code)]

pub use crate::frame::OpCode;
pub use crate::stream::{ReadError, WriteError};
