//! Transports for tests, and tests for transports.
//!
//! [`memory`] is an in-memory pair, [`scripted`] plays back the results of single calls, [`faulty`] makes any
//! transport slow or broken, and [`laws`] checks that a transport keeps the laws of
//! [`NonBlockingTransport`](super::NonBlockingTransport).

pub mod faulty;
pub mod laws;
pub mod memory;
pub mod scripted;
