//! What a socket is announced for.

use mio::Interest;

/// Readable and writable, and urgent data if the system has a word for it: a receive stops short at it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE);
