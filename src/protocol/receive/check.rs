//! Checks a header before its payload: a pure function, with a clause of the RFC at each branch.
#![forbid(unsafe_code)]

use crate::Limits;
use crate::frame::{Decoded, Header, HeaderError, OpCode};
use crate::protocol::payload::MAX_CONTROL;
use crate::protocol::{Fault, Role};

/// What a header is checked against.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Expected<'a> {
    /// The role of the receiving end.
    pub(in crate::protocol) role: Role,
    /// The unfinished message, if there is one.
    pub(in crate::protocol) message: Option<MessageProgress>,
    pub(in crate::protocol) limits: &'a Limits,
    /// The reserved bits that have a meaning in the first frame of a message.
    pub(in crate::protocol) extension_bits: u8,
}

/// The bytes and fragments of a fragmented message that have arrived.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct MessageProgress {
    pub(in crate::protocol) len: usize,
    pub(in crate::protocol) fragments: u32,
}

/// Checks whether a frame with this header is allowed now.
#[inline(always)]
pub(in crate::protocol) fn check(header: &Header, expected: Expected<'_>) -> Result<(), Fault> {
    check_start(header, expected)?;
    check_size(header, expected)
}

/// Checks everything that the first two bytes determine.
///
/// These checks are made first, so the fault does not depend on where the header is cut.
#[inline(always)]
pub(in crate::protocol) fn check_start(header: &Header, expected: Expected<'_>) -> Result<(), Fault> {
    // "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values"
    if header.rsv != 0 && !is_extended(header, expected) {
        return Err(Fault::ReservedBits);
    }
    match (expected.role, header.mask.is_some()) {
        // "The server MUST close the connection upon receiving a frame that is not masked."
        (Role::Server, false) => return Err(Fault::Unmasked),
        // "A client MUST close a connection if it detects a masked frame."
        (Role::Client, true) => return Err(Fault::Masked),
        _ => {}
    }
    if header.opcode.is_control() {
        // "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be
        // fragmented."
        if !header.fin {
            return Err(Fault::FragmentedControl);
        }
        if header.len > MAX_CONTROL as u64 {
            return Err(Fault::ControlTooLong);
        }
        // "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer"
        if header.opcode == OpCode::Close && header.len == 1 {
            return Err(Fault::TruncatedCloseCode);
        }
        return Ok(());
    }
    let fragments = match (header.opcode, expected.message) {
        // "The fragments of one message MUST NOT be interleaved between the fragments of another
        // message unless an extension has been negotiated that can interpret the interleaving."
        (OpCode::Continuation, None) => return Err(Fault::UnexpectedContinuation),
        (OpCode::Text | OpCode::Binary, Some(_)) => return Err(Fault::ExpectedContinuation),
        (_, message) => message.map_or(0, |message| message.fragments),
    };
    if fragments >= expected.limits.fragments.max(1) {
        return Err(Fault::TooManyFragments);
    }
    Ok(())
}

/// Returns whether the set reserved bits have a meaning here.
///
/// The bit of permessage-deflate has a meaning only in the first frame of a message: "An endpoint MUST NOT
/// set the "Per-Message Compressed" bit of control frames and non-first fragments of a data message" (RFC
/// 7692, section 6).
#[cold]
fn is_extended(header: &Header, expected: Expected<'_>) -> bool {
    header.rsv & !expected.extension_bits == 0 && matches!(header.opcode, OpCode::Text | OpCode::Binary)
}

/// Checks the limits, which needs the whole length.
#[inline(always)]
fn check_size(header: &Header, expected: Expected<'_>) -> Result<(), Fault> {
    let limits = expected.limits;
    if header.opcode.is_control() {
        return Ok(());
    }
    if header.len > limits.frame {
        return Err(Fault::FrameTooLong);
    }
    let before = expected.message.map_or(0, |message| message.len);
    if header.len > limits.message.saturating_sub(before) as u64 {
        return Err(Fault::MessageTooLong);
    }
    Ok(())
}

/// Returns the fault of bytes that are not a valid header. A fault in the first two bytes takes precedence.
#[cold]
pub(in crate::protocol) fn no_header(bytes: &[u8], error: HeaderError, expected: Expected<'_>) -> Fault {
    match Header::decode(bytes.get(..2).unwrap_or_default()) {
        Ok(Decoded::Partial { least: Some(least), .. }) => match check_start(&least, expected) {
            Err(fault) => fault,
            Ok(()) => Fault::of_header(error),
        },
        _ => Fault::of_header(error),
    }
}
