//! UTF-8 (RFC 3629), judged as it arrives: RFC 6455, section 8.1 has a text message that is not
//! UTF-8 fail the connection.

mod buffer;
mod validator;

pub use buffer::MessageBuffer;
pub use validator::Utf8Validator;

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
    simdutf8::basic::from_utf8(bytes).map_err(|_| first_error(bytes))
}

/// Unmasks `bytes` in place (`bytes[0]` with `key[0]`) and lends them as a string: one pass for what
/// [`mask`](super::mask) and [`validate`] do in two.
///
/// # Errors
///
/// [`Utf8Error`]; what the bytes then hold is not specified.
#[inline]
pub fn unmask_and_validate(bytes: &mut [u8], key: [u8; 4]) -> Result<&str, Utf8Error> {
    super::mask(bytes, key, 0);
    validate(bytes)
}

#[cold]
fn first_error(bytes: &[u8]) -> Utf8Error {
    let mut validator = Utf8Validator::new();
    match validator.feed(bytes) {
        Err(error) => error,
        Ok(()) => Utf8Error { at: bytes.len() },
    }
}
