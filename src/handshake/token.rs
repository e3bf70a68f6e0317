//! Tokens, and lists of them (RFC 9110, section 5.6).
#![forbid(unsafe_code)]

/// Whether this is a token: what names of headers and subprotocols are made of.
pub(super) fn is_token(text: &[u8]) -> bool {
    let tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(tchar)
}

/// The elements of a comma-separated list, without the white space around them; empty ones are
/// skipped.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Whether a value may stand in a header's line: no control character, so that nothing can break out
/// of the line.
pub(super) fn is_field_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7F))
}

/// Whether a header is one that the handshake writes itself.
pub(super) fn is_reserved(name: &str) -> bool {
    let reserved = ["host", "upgrade", "connection", "content-length", "transfer-encoding"];
    reserved.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
        || name.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("sec-websocket-"))
}
