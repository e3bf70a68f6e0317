//! Non-blocking WebSockets (RFC 6455) for one thread that holds hundreds of thousands of them.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod frame;
#[cfg(feature = "std")]
pub mod transport;

pub use frame::{CloseCode, OpCode};
