//! Header lines that the application adds, checked so that they cannot break out of their line.
#![forbid(unsafe_code)]

use super::token::is_token;
use alloc::vec::Vec;

/// The reason why a header line is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldFault {
    /// The name is not a token.
    Name,
    /// The value contains a control character.
    Value,
    /// The handshake itself writes this header.
    Owned,
}

/// Header lines as they go on the wire. The first rejected line makes all of them a fault, which
/// [`lines`](Self::lines) returns.
#[derive(Clone, Default)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    fault: Option<FieldFault>,
}

impl Fields {
    /// Adds a line, if the application may add it.
    pub(super) fn push(&mut self, name: &str, value: &[u8], also_owned: &[&str]) {
        let fault = if !is_token(name.as_bytes()) {
            FieldFault::Name
        } else if is_owned(name) || also_owned.iter().any(|owned| owned.eq_ignore_ascii_case(name)) {
            FieldFault::Owned
        } else if !is_value(value) {
            FieldFault::Value
        } else {
            return write(&mut self.bytes, name, value);
        };
        self.fault.get_or_insert(fault);
    }

    /// Returns the lines, if all of them are valid.
    pub(super) fn lines(&self) -> Result<&[u8], FieldFault> {
        self.fault.map_or(Ok(&self.bytes), Err)
    }
}

/// Writes a header line.
pub(super) fn write(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Returns the names and values of lines that [`write`] has written.
pub(super) fn pairs(lines: &[u8]) -> impl Iterator<Item = (&str, &[u8])> + Clone {
    lines.split_inclusive(|&byte| byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r\n")?;
        let (name, value) = line.split_at(line.iter().position(|&byte| byte == b':')?);
        Some((str::from_utf8(name).ok()?, value.strip_prefix(b": ")?))
    })
}

/// Returns whether the bytes are a valid header value: a CR, LF or NUL would end the line, and "field values
/// containing other CTL characters are also invalid" (RFC 9110, section 5.5).
pub(super) fn is_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control())
}

/// Returns whether the header belongs to the handshake or to the framing of the message.
fn is_owned(name: &str) -> bool {
    const PREFIX: &[u8] = b"Sec-WebSocket-";
    let owned = ["Upgrade", "Connection", "Content-Length", "Transfer-Encoding"];
    owned.iter().any(|owned| owned.eq_ignore_ascii_case(name))
        || name.as_bytes().get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}
