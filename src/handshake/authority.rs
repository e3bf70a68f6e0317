//! The `host [ ":" port ]` of a URI (RFC 3986, section 3.2), which is also the value of `Host`.
#![forbid(unsafe_code)]

use super::uri::{is_made_of, is_sub_delim, is_unreserved};
use core::net::Ipv6Addr;

/// Splits an authority into its host and port.
///
/// Returns `None` if the text is empty, has user information, or has an invalid name, address or port.
pub(super) fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => is_address(address),
        // "reg-name = *( unreserved / pct-encoded / sub-delims )". The host of an http URI is not empty (RFC
        // 9110, section 4.2.1). An IPv4 address has the form of a name.
        None => !host.is_empty() && is_made_of(host, |byte| is_unreserved(byte) || is_sub_delim(byte)),
    };
    if !is_host {
        return None;
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return None,
        // "port = *DIGIT" (RFC 3986, section 3.2.3): it may be missing after its colon.
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
    };
    Some((host, port))
}

/// Returns whether brackets may enclose the text: "IP-literal = "[" ( IPv6address / IPvFuture  ) "]"". A zone
/// is not allowed: "This syntax does not support IPv6 scoped addressing zone identifiers".
fn is_address(text: &str) -> bool {
    match text.strip_prefix(['v', 'V']) {
        // "IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )".
        Some(future) => future.split_once('.').is_some_and(|(version, address)| {
            let may_stand = |byte| is_unreserved(byte) || is_sub_delim(byte) || byte == b':';
            !version.is_empty()
                && version.bytes().all(|digit| digit.is_ascii_hexdigit())
                && !address.is_empty()
                && address.bytes().all(may_stand)
        }),
        None => text.parse::<Ipv6Addr>().is_ok(),
    }
}

/// Splits an authority into the parts before and after the zone of its address. Without a zone, the second
/// part is empty. A zone has the form of RFC 6874, `%25eth0`, or that of displayed addresses, `%eth0`.
pub(super) fn without_zone(authority: &str) -> (&str, &str) {
    let parts = || {
        let (address, rest) = authority.split_once('%')?;
        let (zone, _) = rest.split_once(']')?;
        // "ZoneID = 1*( unreserved / pct-encoded )" (RFC 6874, section 2).
        let is_zone = !zone.is_empty() && is_made_of(zone, is_unreserved);
        (address.starts_with('[') && is_zone).then(|| (address, &rest[zone.len()..]))
    };
    parts().unwrap_or((authority, ""))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn names_and_addresses_with_and_without_a_port_are_split() {
        assert_eq!(split("example.com"), Some(("example.com", None)));
        assert_eq!(split("example.com:8080"), Some(("example.com", Some(8080))));
        assert_eq!(split("example.com:"), Some(("example.com", None)));
        assert_eq!(split("10.0.0.1:65535"), Some(("10.0.0.1", Some(65535))));
        assert_eq!(split("[::1]"), Some(("[::1]", None)));
        assert_eq!(split("[2001:DB8::192.0.2.1]:80"), Some(("[2001:DB8::192.0.2.1]", Some(80))));
        assert_eq!(split("[v1F.a:b~!]:80"), Some(("[v1F.a:b~!]", Some(80))));
        assert_eq!(split("a%C3%a4:80"), Some(("a%C3%a4", Some(80))));
        assert_eq!(split("under_score"), Some(("under_score", None)));
    }

    #[test]
    fn other_texts_are_not_authorities() {
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
            "[nonsense]",
            "[1]",
            "[:]",
            "[::1::]",
            "[1:2:3:4:5:6:7]",
            "[1:2:3:4:5:6:7:8:9]",
            "[::12345]",
            "[192.0.2.1]",
            "[::192.0.2.256]",
            "[[::1]]",
            "[v]",
            "[v.a]",
            "[v1.]",
            "[v1a]",
            "[vx.a]",
            "[v1.a%41]",
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "a%zz",
            "a%",
            "a%4",
            "a%4:80",
            "%%41",
        ] {
            assert_eq!(split(wrong), None, "{wrong:?}");
        }
    }
}
