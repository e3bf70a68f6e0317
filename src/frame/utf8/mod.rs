//! UTF-8 (RFC 3629), validated as it arrives: a text message that is not UTF-8 fails the connection (RFC
//! 6455, section 8.1).
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod blocks;
mod bulk;
mod cut;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod judge;
mod message_buffer;
mod validator;

pub(crate) use cut::CutCharacter;
pub use message_buffer::MessageBuffer;
pub use validator::{Utf8Error, Utf8Validator};

use super::mask::Key;

/// Returns the bytes as a string.
///
/// # Errors
///
/// [`Utf8Error`] if the bytes are not UTF-8 or end within a character.
#[inline]
pub fn validate(bytes: &[u8]) -> Result<&str, Utf8Error> {
    judged(bytes, bulk::judge(bytes))
}

/// Unmasks `bytes` in place and returns them as a string.
///
/// `bytes[0]` is unmasked with `key[0]`. This does in one pass what [`mask`](super::mask) and [`validate`] do
/// in two.
///
/// # Errors
///
/// [`Utf8Error`]. The bytes are unmasked in this case too.
#[inline]
pub fn unmask_and_validate(bytes: &mut [u8], key: [u8; 4]) -> Result<&str, Utf8Error> {
    let valid = bulk::unmask_and_judge(bytes, Key::new(key));
    judged(bytes, valid)
}

/// Returns the bytes as a string if `bulk` found them `valid`.
#[inline(always)]
fn judged(bytes: &[u8], valid: bool) -> Result<&str, Utf8Error> {
    if !valid {
        return Err(Utf8Error { at: validator::first_wrong(bytes) });
    }
    // SAFETY: both callers validated these bytes, and they are UTF-8.
    Ok(unsafe { core::str::from_utf8_unchecked(bytes) })
}
