//! The key that a client sends, and the proof that a server returns (RFC 6455, section 1.3).
#![forbid(unsafe_code)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The GUID that proves to a client that its server understands WebSocket (section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The length in bytes of a `Sec-WebSocket-Key`: base64 of 16 bytes.
pub(super) const KEY_LEN: usize = 24;

/// The length in bytes of a `Sec-WebSocket-Accept`: base64 of the 20 bytes of a SHA-1.
pub(super) const ACCEPT_LEN: usize = 28;

/// Returns the `Sec-WebSocket-Accept` value for a `Sec-WebSocket-Key`.
///
/// This is base64 of the SHA-1 of the key followed by a fixed GUID (RFC 6455, section 4.2.2, item 5.4). `key`
/// is the header's value without surrounding whitespace.
///
/// ```
/// use websocket_stream::handshake::accept_key;
///
/// // The example of RFC 6455, section 1.3.
/// assert_eq!(&accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    encode(digest.as_slice())
}

/// Returns the `Sec-WebSocket-Key` value for a nonce.
pub(super) fn encode_nonce(nonce: &[u8; 16]) -> [u8; KEY_LEN] {
    encode(nonce)
}

/// Encodes bytes whose base64 has exactly `N` characters.
fn encode<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut text = [0; N];
    let written = STANDARD.encode_slice(bytes, &mut text);
    debug_assert_eq!(written, Ok(N));
    text
}

/// Returns whether a value is base64 that, "when decoded, is 16 bytes in length" (section 4.2.1, item 5).
///
/// Such a value is 22 characters of the alphabet and two of padding. The four unused bits may have any value.
pub(super) fn is_key(value: &[u8]) -> bool {
    let digits = match value.strip_suffix(b"==") {
        Some(digits) if value.len() == KEY_LEN => digits,
        _ => return false,
    };
    digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfcs_nonce_gives_its_key() {
        assert_eq!(&encode_nonce(b"the sample nonce"), b"dGhlIHNhbXBsZSBub25jZQ==");
    }

    #[test]
    fn a_key_is_base64_of_sixteen_bytes_and_nothing_else() {
        for nonce in [[0; 16], [0xFF; 16], *b"the sample nonce"] {
            assert!(is_key(&encode_nonce(&nonce)));
        }
        for size in (0..40).filter(|&size| size != 16) {
            let encoded = STANDARD.encode(vec![0xA5; size]);
            assert!(!is_key(encoded.as_bytes()), "{size} bytes");
        }
        for wrong in ["dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25j-Q==", "dGhlIHNhbXBsZSBub25j Q=="] {
            assert!(!is_key(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn the_unused_bits_of_a_key_do_not_matter() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZR=="));
    }
}
