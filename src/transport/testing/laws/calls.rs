//! Single calls, checked against the laws that apply to every call, and the bytes to send.
#![forbid(unsafe_code)]

use super::law::{Law, LawBroken};
use crate::transport::NonBlockingTransport;
use std::io::{self, ErrorKind, IoSlice};

/// How often to retry for something that must arrive. Usually once, because a loopback delivers at once; but
/// a busy system may drop a segment, which TCP sends again after a fraction of a second.
#[derive(Debug)]
pub(super) struct Patience(u32);

impl Patience {
    pub(super) fn new() -> Self {
        Patience(500_000)
    }

    /// Counts a failed attempt, and returns `broken` after the last one.
    pub(super) fn lose(&mut self, broken: LawBroken) -> Result<(), LawBroken> {
        self.0 = self.0.saturating_sub(1);
        if self.0 == 0 { Err(broken) } else { Ok(()) }
    }
}

/// The maximum number of bytes in one call.
pub(super) const LARGEST: usize = 1 << 16;

/// Bytes that repeat with a prime period, so no buffer size is a multiple of it. Lost, duplicated or moved
/// bytes are detected.
pub(super) struct Pattern(Vec<u8>);

const PERIOD: usize = 251;

impl Pattern {
    pub(super) fn new() -> Self {
        Pattern((0..=250).cycle().take(LARGEST + PERIOD).collect())
    }

    /// Returns the `len` bytes at `position` of the stream, but at most [`LARGEST`].
    pub(super) fn at(&self, position: usize, len: usize) -> &[u8] {
        &self.0[position % PERIOD..][..len.min(LARGEST)]
    }
}

/// The method that sends bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Single,
    Vectored,
}

impl Way {
    pub(super) const BOTH: [Way; 2] = [Way::Single, Way::Vectored];

    /// Makes one call while both ends are open; `None` means `WouldBlock`.
    pub(super) fn send<T>(self, transport: &mut T, bytes: &[u8]) -> Result<Option<usize>, LawBroken>
    where
        T: NonBlockingTransport,
    {
        sound(self.try_send(transport, bytes)?)
    }

    /// Makes one call, which may fail.
    pub(super) fn try_send<T>(self, transport: &mut T, bytes: &[u8]) -> Result<io::Result<usize>, LawBroken>
    where
        T: NonBlockingTransport,
    {
        let outcome = match self {
            Way::Single => transport.send(bytes),
            Way::Vectored => transport.send_vectored(&cut(bytes)),
        };
        match judged(outcome, bytes.len())? {
            Ok(0) if !bytes.is_empty() => Err(LawBroken::new(Law::NoZeroSend, "Ok(0) from a send of bytes")),
            outcome => Ok(outcome),
        }
    }
}

/// Cuts bytes into pieces of many sizes, including empty ones; many bytes into more pieces than any system
/// accepts at once.
fn cut(mut bytes: &[u8]) -> Vec<IoSlice<'_>> {
    let mut pieces = Vec::new();
    for size in [0, 1, 5, 0, 0, 125, 4096].into_iter().chain(std::iter::repeat_n(1, 1500)) {
        let (piece, rest) = bytes.split_at(bytes.len().min(size));
        pieces.push(IoSlice::new(piece));
        bytes = rest;
        if bytes.is_empty() {
            break;
        }
    }
    pieces.push(IoSlice::new(bytes));
    pieces
}

/// Makes one `recv` while both ends are open; `None` means `WouldBlock`.
pub(super) fn recv<T: NonBlockingTransport>(
    transport: &mut T,
    buffer: &mut [u8],
) -> Result<Option<usize>, LawBroken> {
    sound(try_recv(transport, buffer)?)
}

/// Makes one `recv`, which may fail.
pub(super) fn try_recv<T: NonBlockingTransport>(
    transport: &mut T,
    buffer: &mut [u8],
) -> Result<io::Result<usize>, LawBroken> {
    let held = transport.holds_input();
    let outcome = judged(transport.recv(buffer), buffer.len())?;
    if held && would_block(&outcome) {
        return Err(LawBroken::new(Law::SaysWhatItHolds, "WouldBlock from recv though input was held"));
    }
    Ok(outcome)
}

pub(super) fn would_block(outcome: &io::Result<usize>) -> bool {
    matches!(outcome, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Checks what applies to every call that moves bytes.
pub(super) fn judged(outcome: io::Result<usize>, given: usize) -> Result<io::Result<usize>, LawBroken> {
    match outcome {
        Ok(n) if n > given => Err(LawBroken::new(Law::WithinBounds, "more bytes moved than requested")),
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            Err(LawBroken::because(Law::InterruptionsInside, "interruption returned to the caller", error))
        }
        outcome => Ok(outcome),
    }
}

fn sound(outcome: io::Result<usize>) -> Result<Option<usize>, LawBroken> {
    if would_block(&outcome) {
        return Ok(None);
    }
    let failed = "failed call while both ends were open";
    outcome.map(Some).map_err(|error| LawBroken::because(Law::OrderAndBytes, failed, error))
}
