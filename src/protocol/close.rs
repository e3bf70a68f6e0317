//! The closing handshake (RFC 6455, section 7) as states, and what a Close frame says.
//!
//! ```text
//!           close()                peer's Close
//!   Open ------------> CloseSent ----------------+
//!    |                     |                     v
//!    |  peer's Close       |  fault         +----------+  end of stream,   +------+
//!    +-----(answered)------|--------------> | Finished | ----------------> | Over |
//!    |                     +--------------> +----------+  or a deadline    +------+
//!    |  fault (told with a Close) ---------------^                            ^
//!    +------------------------ end of stream, system error ------------------+
//! ```
//!
//! A connection that is `Finished` has nothing more to receive: what was accepted is flushed, then
//! the sending direction is shut, then what still comes is drained, so that closing with unread
//! input does not reset the peer before it has read the last frames.
#![forbid(unsafe_code)]

use super::{CloseFrame, End, Fault};
use crate::frame::{CloseCode, utf8};
use byteorder::{BigEndian, ByteOrder};

/// How far the end of a connection has come.
///
/// Its tag is a byte of its own: it is looked at for each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Closing {
    /// Messages go both ways.
    Open,
    /// This end sent a Close frame with this code and waits for the peer's.
    CloseSent(CloseCode),
    /// Nothing more is received; the end of the stream is awaited.
    Finished(End),
    /// The end was told.
    Over(End),
}

/// Reads a Close frame's payload, whose length is not 1 (the header was judged).
pub(super) fn parse(payload: &[u8]) -> Result<CloseFrame<'_>, Fault> {
    let Some((code, reason)) = payload.split_at_checked(2) else {
        return Ok(CloseFrame { code: CloseCode::NO_STATUS, reason: "" });
    };
    let code = CloseCode::new(BigEndian::read_u16(code));
    // "endpoints MUST NOT" send the codes of section 7.4.1 that only appear locally
    if !code.is_sendable() {
        return Err(Fault::InvalidCloseCode);
    }
    // "the body MAY contain UTF-8-encoded data"
    let reason = utf8::validate(reason).map_err(|_| Fault::InvalidUtf8)?;
    Ok(CloseFrame { code, reason })
}
