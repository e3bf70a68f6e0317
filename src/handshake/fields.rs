//! Header lines that the application adds to a message, refused where they would not stay what they
//! are.
#![forbid(unsafe_code)]

use super::token::is_token;
use alloc::vec::Vec;

/// Why a header line is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldFault {
    /// The name is no token.
    Name,
    /// The value has a control character.
    Value,
    /// The handshake writes the header itself.
    Owned,
}

/// Header lines as they go on the wire. The first that is refused makes all of them a fault, which
/// is told when they are to be sent.
#[derive(Clone, Default)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    fault: Option<FieldFault>,
}

impl Fields {
    /// Adds a line, if it is one that the application may add.
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

    /// The lines, if each of them may be sent.
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

/// Whether bytes may be a header's value: a CR, a LF or a NUL would end the line, and "field values
/// containing other CTL characters are also invalid" (RFC 9110, section 5.5).
pub(super) fn is_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control())
}

/// Headers that make the handshake or frame its message.
fn is_owned(name: &str) -> bool {
    const PREFIX: &[u8] = b"Sec-WebSocket-";
    let owned = ["Upgrade", "Connection", "Content-Length", "Transfer-Encoding"];
    owned.iter().any(|owned| owned.eq_ignore_ascii_case(name))
        || name.as_bytes().get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}
