//! The proof that the server understood the handshake (RFC 6455, section 1.3).
#![forbid(unsafe_code)]

use alloc::string::String;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `Sec-WebSocket-Accept` for a value of `Sec-WebSocket-Key`.
pub(super) fn accept(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// The value of `Sec-WebSocket-Key` for a nonce.
pub(super) fn encode(nonce: [u8; 16]) -> String {
    STANDARD.encode(nonce)
}

/// Whether this is "a value that, when base64-decoded, is 16 bytes in length" (section 4.1).
pub(super) fn is_valid(key: &[u8]) -> bool {
    let mut nonce = [0; 18];
    key.len() == 24 && STANDARD.decode_slice(key, &mut nonce) == Ok(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_section_1_3() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(encode(*b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==");
    }

    #[test]
    fn a_key_is_the_base64_of_sixteen_bytes() {
        assert!(is_valid(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for wrong in ["", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZTE=", "!!!!IHNhbXBsZSBub25jZQ=="] {
            assert!(!is_valid(wrong.as_bytes()), "{wrong}");
        }
    }
}
