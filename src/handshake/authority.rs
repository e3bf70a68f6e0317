//! The `host [ ":" port ]` of a URI (RFC 3986, section 3.2), which is also what stands in `Host`.
#![forbid(unsafe_code)]

/// The host and the port, if the text is an authority: not empty, without user information, a name
/// or an address whose characters may stand there, and a port that is one.
pub(super) fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    let may_stand = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(is_address_byte),
        None => !host.is_empty() && host.bytes().all(is_name_byte),
    };
    if !may_stand {
        return None;
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return None,
        // "port = *DIGIT" (RFC 3986, section 3.2.3): it may be left out behind its colon.
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
    };
    Some((host, port))
}

const fn is_address_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'%' | b'-' | b'_' | b'~')
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn names_and_addresses_with_and_without_a_port_are_authorities() {
        assert_eq!(split("example.com"), Some(("example.com", None)));
        assert_eq!(split("example.com:8080"), Some(("example.com", Some(8080))));
        assert_eq!(split("example.com:"), Some(("example.com", None)));
        assert_eq!(split("10.0.0.1:65535"), Some(("10.0.0.1", Some(65535))));
        assert_eq!(split("[::1]"), Some(("[::1]", None)));
        assert_eq!(split("[fe80::1%25eth0]:80"), Some(("[fe80::1%25eth0]", Some(80))));
        assert_eq!(split("under_score"), Some(("under_score", None)));
    }

    #[test]
    fn anything_else_is_none() {
        for wrong in [
            "",
            ":",
            ":80",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:+80",
            "a:-1",
            "user@a",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "[",
            "[]",
            "[::1",
            "::1",
            "[::1]80",
            "[::1]:x",
            "[a]b",
            "a]",
            "[a/b]",
            "a\r\nb",
            "a\0",
            "\u{e4}.com",
            "a, b",
        ] {
            assert_eq!(split(wrong), None, "{wrong:?}");
        }
    }
}
