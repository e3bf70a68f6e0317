//! TLS of a client. Without the feature `rustls`, there is none, with the same interface.

#[cfg(not(feature = "rustls"))]
mod off;
#[cfg(feature = "rustls")]
mod on;

#[cfg(not(feature = "rustls"))]
pub(super) use off::Secure;
#[cfg(feature = "rustls")]
pub(super) use on::Secure;
