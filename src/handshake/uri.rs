//! The characters of a URI (RFC 3986, section 2).
#![forbid(unsafe_code)]

/// "unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~"" (section 2.3).
pub(super) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// "sub-delims = "!" / "$" / "&" / "'" / "(" / ")" / "*" / "+" / "," / ";" / "="" (section 2.2).
pub(super) const fn is_sub_delim(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

/// Returns whether text has only allowed characters and escapes: "pct-encoded = "%" HEXDIG HEXDIG" (section
/// 2.1).
pub(super) fn is_made_of(text: &str, may_stand: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_valid = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            other => may_stand(other),
        };
        if !is_valid {
            return false;
        }
    }
    true
}

/// Returns whether text is a valid path and query: "pchar = unreserved / pct-encoded / sub-delims / ":" /
/// "@"", with slashes between the segments of the path, and "query = *( pchar / "/" / "?" )" (sections 3.3
/// and 3.4).
pub(super) fn is_path_and_query(text: &str) -> bool {
    let may_stand =
        |byte| is_unreserved(byte) || is_sub_delim(byte) || matches!(byte, b':' | b'@' | b'/' | b'?');
    is_made_of(text, may_stand)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_sign_needs_two_hexadecimal_digits_after_it() {
        let ok = |text| is_made_of(text, is_unreserved);
        assert!(["", "a", "%41", "%aF%00", "a%41b"].into_iter().all(ok));
        assert!(!["%", "%4", "%4g", "%g4", "a%", "%%41", "%4%41", "!", "%\u{e4}"].into_iter().any(ok));
    }

    #[test]
    fn the_two_sets_of_characters_have_the_sizes_of_the_rfc() {
        let count = |set: fn(u8) -> bool| (0..=u8::MAX).filter(|&byte| set(byte)).count();
        assert_eq!((count(is_unreserved), count(is_sub_delim)), (26 + 26 + 10 + 4, 11));
    }
}
