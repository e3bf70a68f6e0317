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
/// ```
/// use websocket_stream::frame::utf8::{Utf8Error, validate};
///
/// assert_eq!(validate("Grüße".as_bytes()), Ok("Grüße"));
/// assert_eq!(validate(b"abc\xff"), Err(Utf8Error { at: 3 }));
/// assert_eq!(validate(b"Gr\xc3"), Err(Utf8Error { at: 3 })); // the rest of the character is missing
/// ```
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
/// ```
/// use websocket_stream::frame::utf8::unmask_and_validate;
///
/// let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// assert_eq!(unmask_and_validate(&mut payload, [0x37, 0xfa, 0x21, 0x3d]), Ok("Hello"));
/// ```
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
