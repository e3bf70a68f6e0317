//! What a socket is registered for.

use mio::Interest;

/// Readable and writable, and urgent data if the system supports that: a receive stops early at urgent data.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE);
