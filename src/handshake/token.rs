//! Tokens and their characters.
#![forbid(unsafe_code)]

/// Returns whether a byte is allowed in a token (RFC 9110, section 5.6.2).
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Returns whether the bytes are a token: at least one byte, and only token characters.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Returns a token as a string, or `None` if the bytes are not a token.
pub(super) fn as_token(bytes: &[u8]) -> Option<&str> {
    if is_token(bytes) { str::from_utf8(bytes).ok() } else { None }
}

/// Returns whether a byte is whitespace within a header value.
pub(super) const fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_no_separators_controls_or_other_bytes() {
        let tokens = (0..=u8::MAX).filter(|&byte| is_token_byte(byte)).count();
        assert_eq!(tokens, 94 - b"\"(),/:;<=>?@[\\]{}".len());
        assert!(!is_token(b""));
        assert!(!is_token(b"b  x"));
        assert!(is_token(b"v1.json~x"));
    }
}
