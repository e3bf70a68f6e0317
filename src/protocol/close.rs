//! The closing handshake (RFC 6455, section 7): its states, and the payload of a Close frame.
//!
//! ```text
//!           close()                peer's Close
//!   Open ------------> CloseSent ----------------+
//!    |                     |                     v
//!    |  peer's Close       |  fault         +----------+  end of stream,   +------+
//!    +-----(answered)------|--------------> | Draining | ----------------> |Closed|
//!    |                     +--------------> +----------+  or a timeout     +------+
//!    |  fault (sends a Close) -------------------^                            ^
//!    +------------------------ end of stream, system error ------------------+
//! ```
//!
//! A `Draining` connection receives nothing more. Accepted bytes are sent, the sending direction is shut
//! down, and bytes that still arrive are discarded. Closing with unread input would reset the peer before it
//! has read the last frames.
#![forbid(unsafe_code)]

use super::{CloseFrame, Closed, Fault};
use crate::frame::{CloseCode, utf8};
use byteorder::{BigEndian, ByteOrder};

/// The state of the closing handshake.
///
/// The tag is a byte of its own, because it is read for each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Closing {
    /// Messages can be sent and received.
    Open,
    /// This end sent a Close frame with this code and waits for the peer's.
    CloseSent(CloseCode),
    /// Nothing more is received; the connection waits for the end of the peer's stream.
    Draining(Closed),
    /// The end was reported.
    Closed(Closed),
}

/// Parses the payload of a Close frame. The header was checked, so the length is not 1.
pub(super) fn parse(payload: &[u8]) -> Result<CloseFrame<'_>, Fault> {
    let Some((code, reason)) = payload.split_at_checked(2) else {
        return Ok(CloseFrame { code: CloseCode::NO_STATUS, reason: "" });
    };
    let code = CloseCode::new(BigEndian::read_u16(code));
    // 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control frame" (section 7.4.1).
    if !code.is_sendable() {
        return Err(Fault::InvalidCloseCode);
    }
    // "the body MAY contain UTF-8-encoded data"
    let reason = utf8::validate(reason).map_err(|_| Fault::InvalidUtf8)?;
    Ok(CloseFrame { code, reason })
}
