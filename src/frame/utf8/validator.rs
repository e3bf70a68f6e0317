//! A UTF-8 validator that can be fed in pieces.
#![forbid(unsafe_code)]

use super::Utf8Error;

/// Judges text that arrives in pieces, which may end anywhere, also inside a character.
///
/// ```
/// use websocket_stream::frame::utf8::Utf8Validator;
///
/// let mut text = Utf8Validator::new();
/// text.feed(b"\xe2\x82").unwrap(); // two of the euro sign's three bytes
/// assert!(!text.is_complete());
/// assert_eq!(text.feed(b"\xacb\xff").unwrap_err().at, 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Utf8Validator {
    /// The bytes of a character that is not whole yet.
    tail: [u8; 3],
    len: u8,
}

impl Utf8Validator {
    /// A validator at the start of a text.
    #[inline]
    pub const fn new() -> Self {
        Self { tail: [0; 3], len: 0 }
    }

    /// Judges the next bytes of the text.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] with the place of the first byte that cannot be right, whatever may follow.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Utf8Error> {
        let mut rest = bytes;
        // A character that is not whole goes on, a byte at a time.
        while self.len > 0 {
            let Some((&byte, after)) = rest.split_first() else { return Ok(()) };
            let mut character = [0; 4];
            let len = usize::from(self.len);
            character[..len].copy_from_slice(&self.tail[..len]);
            character[len] = byte;
            match core::str::from_utf8(&character[..=len]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_none() => {
                    self.tail[len] = byte;
                    self.len += 1;
                }
                Err(_) => return Err(Utf8Error { at: bytes.len() - rest.len() }),
            }
            rest = after;
        }
        if simdutf8::basic::from_utf8(rest).is_ok() {
            return Ok(());
        }
        match core::str::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                let tail = &rest[error.valid_up_to()..];
                self.tail[..tail.len()].copy_from_slice(tail);
                self.len = u8::try_from(tail.len()).unwrap_or(0);
                Ok(())
            }
            Err(error) => {
                let start = error.valid_up_to();
                let good = error.error_len().unwrap_or(1) - 1;
                let at = bytes.len() - rest.len() + start + good;
                Err(Utf8Error { at })
            }
        }
    }

    /// Whether the text may end here: no character is left half-way.
    #[inline]
    pub const fn is_complete(&self) -> bool {
        self.len == 0
    }
}
