//! TLS of a server's listeners. Without the feature `rustls`, there is none, with the same interface.
#![forbid(unsafe_code)]

#[cfg(not(feature = "rustls"))]
mod off;
#[cfg(feature = "rustls")]
mod on;

#[cfg(not(feature = "rustls"))]
pub(super) use off::{Secure, Socket, TlsState};
#[cfg(feature = "rustls")]
pub(super) use on::{Secure, Socket, TlsState};
