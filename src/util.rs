//! The names of the original crate, where its users look for them.
//!
//! ```
//! use websocket_stream::util::{OpCode, ReadError, WriteError};
//! ```
#![forbid(unsafe_code)]

pub use crate::frame::OpCode;
pub use crate::stream::{ReadError, WriteError};
