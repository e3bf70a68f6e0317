//! UTF-8 (RFC 3629), judged as it arrives: RFC 6455, section 8.1 has a text message that is not
//! UTF-8 fail the connection.
#![allow(unsafe_code)]

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod blocks;
mod buffer;
mod bulk;
mod cut;
mod validator;

pub use buffer::MessageBuffer;
pub(crate) use cut::CutCharacter;
pub use validator::Utf8Validator;

use super::mask::Key;
use core::fmt;

/// Bytes that are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Utf8Error {
    /// Where, in the slice that was given, the first byte stands that cannot be right; the slice's
    /// length where the bytes end in the middle of a character.
    pub at: usize,
}

impl fmt::Display for Utf8Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the text is not UTF-8: byte {} cannot be right", self.at)
    }
}

impl core::error::Error for Utf8Error {}

/// The bytes as a string, or the place of the first byte that cannot be right.
///
/// # Errors
///
/// [`Utf8Error`], also where the bytes end in the middle of a character.
#[inline]
pub fn validate(bytes: &[u8]) -> Result<&str, Utf8Error> {
    judged(bytes, bulk::judge(bytes))
}

/// Unmasks `bytes` in place (`bytes[0]` with `key[0]`) and lends them as a string: one pass for what
/// [`mask`](super::mask) and [`validate`] do in two.
///
/// # Errors
///
/// [`Utf8Error`]; the bytes are unmasked then too.
#[inline]
pub fn unmask_and_validate(bytes: &mut [u8], key: [u8; 4]) -> Result<&str, Utf8Error> {
    let valid = bulk::unmask_and_judge(bytes, Key::new(key));
    judged(bytes, valid)
}

/// The bytes as a string where `bulk` has found them `valid`.
#[inline(always)]
fn judged(bytes: &[u8], valid: bool) -> Result<&str, Utf8Error> {
    if !valid {
        return Err(Utf8Error { at: validator::first_wrong(bytes) });
    }
    // SAFETY: both callers have had these bytes judged, and they are UTF-8.
    Ok(unsafe { core::str::from_utf8_unchecked(bytes) })
}
