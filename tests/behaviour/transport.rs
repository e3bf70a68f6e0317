//! The transports obey their laws, and the suite of laws detects each violation.

use std::cell::Cell;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use websocket_stream::transport::NonBlockingTransport;
use websocket_stream::transport::testing::laws::{self, Law};
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::transport::testing::scripted::{ScriptBroken, Scripted, Step};

/// Fails the test with the text of the violated law.
pub(crate) fn lawful<A: NonBlockingTransport, B: NonBlockingTransport>(
    make: impl FnMut() -> io::Result<(A, B)>,
) {
    laws::check(make).unwrap_or_else(|broken| panic!("{broken}"));
}

#[test]
fn a_pair_in_memory_is_lawful_at_any_capacity() {
    for capacity in [1, 2, 1000, 1 << 20] {
        lawful(|| Ok(memory::pair(capacity)));
    }
}

#[test]
fn a_pair_in_memory_is_lawful_whatever_its_pieces_and_refusals() {
    lawful(|| {
        let (a, b) = memory::pair(5000);
        b.limit_recv(900);
        let refused = |n| if n % 3 == 0 { Err(ErrorKind::WouldBlock) } else { Ok(n) };
        b.plan_send((20..300).map(refused));
        b.plan_recv((20..500).map(refused));
        Ok((a, b))
    });
}

#[test]
fn a_pair_in_memory_with_a_limit_breaks_only_the_law_of_short_calls() {
    for (send, recv) in [(700, usize::MAX), (usize::MAX, 3000)] {
        let broken = laws::check(|| {
            let (a, b) = memory::pair(5000);
            a.limit_send(send);
            a.limit_recv(recv);
            Ok((a, b))
        });
        assert_eq!(broken.unwrap_err().law(), Law::LessMeansNoMore);
    }
}

#[test]
fn owners_and_borrows_of_a_transport_are_lawful() {
    lawful(|| {
        let (a, b) = memory::pair(1000);
        Ok((Box::new(a) as Box<dyn NonBlockingTransport>, Box::new(b)))
    });
}

/// Overrides every default method, and records which methods were called.
struct Overriding(u32);

impl NonBlockingTransport for Overriding {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        self.0 |= 1;
        Ok(())
    }

    fn recv(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0 |= 2;
        Ok(11)
    }

    fn send(&mut self, _: &[u8]) -> io::Result<usize> {
        self.0 |= 4;
        Ok(12)
    }

    fn send_vectored(&mut self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0 |= 8;
        Ok(13)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0 |= 16;
        Ok(())
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.0 |= 32;
        Ok(())
    }

    fn holds_input(&self) -> bool {
        true
    }

    fn wants_write(&self) -> bool {
        true
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0 |= 64;
        Ok(())
    }
}

#[test]
fn owners_and_borrows_of_a_transport_forward_all_methods() {
    fn call_all<T: NonBlockingTransport>(mut transport: T) {
        transport.set_nonblocking().unwrap();
        transport.set_nodelay().unwrap();
        transport.shutdown_write().unwrap();
        transport.flush().unwrap();
        let moved = [
            transport.recv(&mut []).unwrap(),
            transport.send(&[]).unwrap(),
            transport.send_vectored(&[]).unwrap(),
        ];
        assert_eq!(moved, [11, 12, 13]);
        assert!(transport.holds_input() && transport.wants_write());
    }
    let mut lent = Overriding(0);
    call_all(&mut lent);
    let mut owned = Overriding(0);
    call_all(Box::new(&mut owned));
    assert_eq!((lent.0, owned.0), (127, 127));
}

#[test]
fn a_borrowed_script_can_be_finished_afterwards() {
    fn receive(mut transport: impl NonBlockingTransport) -> usize {
        transport.recv(&mut [0; 9]).unwrap()
    }
    let mut script = Scripted::new([Step::Give(b"ab".to_vec()), Step::ShutdownWrite]);
    assert_eq!(receive(&mut script), 2);
    assert_eq!(script.finish(), Err(ScriptBroken::Unused { step: 1 }));
}

/// How an otherwise correct end breaks a law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    NonBlockingModeFails,
    NoBytesAreTheEnd,
    TheEndIsForgotten,
    TheEndNeverComes,
    AFullSendTakesZero,
    RecvClaimsTooMuch,
    SendClaimsTooMuch,
    RecvIsInterrupted,
    SendIsInterrupted,
    SendLosesItsLastByte,
    ARefusalTakesBytes,
    PiecesAreReversed,
    PiecesAfterTheThirdAreLost,
    RecvRepeatsItsFirstByte,
    RecvMakesUpAByte,
    ASoundRecvFails,
    ShutdownEndsBothWays,
    ShutdownDoesNothing,
    ShutdownLosesWhatIsHeld,
    TheSecondShutdownFails,
    SendingAfterShutdownIsTaken,
    SendingAfterShutdownBlocks,
    SendingToNobodyIsTaken,
    SendingToNobodyBlocks,
    NobodyIsWaitedFor,
    NobodysLastBytesAreLost,
    ShutdownFailsWithNobodyThere,
    AnEmptyRecvTakesAByte,
    AnEmptyRecvFails,
    AnEmptySendFails,
    AnEmptySendSendsAByte,
    AnEmptySendEndsTheStream,
    HeldInputIsALie,
    FlushOfNothingFails,
    WantsWriteIsALie,
    RecvGivesAPart,
    SendTakesAPart,
}

use Fault::*;

/// Each fault, and the law that the suite must report.
const BROKEN: [(Fault, Law); 37] = [
    (NonBlockingModeFails, Law::Setup),
    (NoBytesAreTheEnd, Law::NothingBlocks),
    (TheEndIsForgotten, Law::EndOfStream),
    (TheEndNeverComes, Law::EndOfStream),
    (AFullSendTakesZero, Law::NoZeroSend),
    (RecvClaimsTooMuch, Law::WithinBounds),
    (SendClaimsTooMuch, Law::WithinBounds),
    (RecvIsInterrupted, Law::InterruptionsInside),
    (SendIsInterrupted, Law::InterruptionsInside),
    (SendLosesItsLastByte, Law::OrderAndBytes),
    (ARefusalTakesBytes, Law::OrderAndBytes),
    (PiecesAreReversed, Law::OrderAndBytes),
    (PiecesAfterTheThirdAreLost, Law::OrderAndBytes),
    (RecvRepeatsItsFirstByte, Law::OrderAndBytes),
    (RecvMakesUpAByte, Law::OrderAndBytes),
    (ASoundRecvFails, Law::OrderAndBytes),
    (ShutdownEndsBothWays, Law::HalfClose),
    (ShutdownDoesNothing, Law::HalfClose),
    (ShutdownLosesWhatIsHeld, Law::HalfClose),
    (TheSecondShutdownFails, Law::HalfClose),
    (SendingAfterShutdownIsTaken, Law::HalfClose),
    (SendingAfterShutdownBlocks, Law::HalfClose),
    (SendingToNobodyIsTaken, Law::PeerGone),
    (SendingToNobodyBlocks, Law::PeerGone),
    (NobodyIsWaitedFor, Law::PeerGone),
    (NobodysLastBytesAreLost, Law::PeerGone),
    (ShutdownFailsWithNobodyThere, Law::PeerGone),
    (AnEmptyRecvTakesAByte, Law::EmptyBuffers),
    (AnEmptyRecvFails, Law::EmptyBuffers),
    (AnEmptySendFails, Law::EmptyBuffers),
    (AnEmptySendSendsAByte, Law::EmptyBuffers),
    (AnEmptySendEndsTheStream, Law::EmptyBuffers),
    (HeldInputIsALie, Law::SaysWhatItHolds),
    (FlushOfNothingFails, Law::SaysWhatItHolds),
    (WantsWriteIsALie, Law::SaysWhatItHolds),
    (RecvGivesAPart, Law::LessMeansNoMore),
    (SendTakesAPart, Law::LessMeansNoMore),
];

struct Faulty {
    fault: Fault,
    inner: MemoryStream,
    peer_is_gone: Rc<Cell<bool>>,
    calls: u32,
    is_shut: bool,
    end_was_given: bool,
    held: Option<u8>,
}

/// The correct end, which notifies the faulty one when it is dropped.
struct Peer {
    inner: MemoryStream,
    is_gone: Rc<Cell<bool>>,
}

fn pair_with(fault: Fault) -> (Faulty, Peer) {
    let (inner, peer) = memory::pair(1000);
    let is_gone = Rc::new(Cell::new(false));
    let faulty = Faulty {
        fault,
        inner,
        peer_is_gone: Rc::clone(&is_gone),
        calls: 0,
        is_shut: false,
        end_was_given: false,
        held: None,
    };
    (faulty, Peer { inner: peer, is_gone })
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.is_gone.set(true);
    }
}

impl NonBlockingTransport for Peer {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.recv(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.send(bytes)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.inner.shutdown_write()
    }
}

fn fail<T>(kind: ErrorKind) -> io::Result<T> {
    Err(kind.into())
}

impl Faulty {
    fn is_alone(&self) -> bool {
        self.peer_is_gone.get()
    }

    fn send_nothing(&mut self) -> io::Result<usize> {
        match self.fault {
            AnEmptySendFails => fail(ErrorKind::InvalidInput),
            AnEmptySendSendsAByte => self.inner.send(b"x").map(|_| 0),
            AnEmptySendEndsTheStream => self.inner.shutdown_write().map(|()| 0),
            _ => Ok(0),
        }
    }

    /// Takes the first byte, to send it with the next call.
    fn hold_one(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        if self.is_shut || self.is_alone() {
            return self.inner.send(bytes);
        }
        self.held = Some(bytes[0]);
        Ok(1)
    }
}

impl NonBlockingTransport for Faulty {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        if self.fault == NonBlockingModeFails { fail(ErrorKind::PermissionDenied) } else { Ok(()) }
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.calls += 1;
        if buffer.is_empty() {
            return match self.fault {
                AnEmptyRecvTakesAByte => self.inner.recv(&mut [0]).map(|_| 0),
                AnEmptyRecvFails => fail(ErrorKind::InvalidInput),
                _ => Ok(0),
            };
        }
        match self.fault {
            RecvIsInterrupted if self.calls == 2 => return fail(ErrorKind::Interrupted),
            ASoundRecvFails if self.calls == 2 => return fail(ErrorKind::TimedOut),
            ShutdownEndsBothWays if self.is_shut => return Ok(0),
            NobodysLastBytesAreLost if self.is_alone() => return Ok(0),
            NobodyIsWaitedFor if self.is_alone() && self.inner.unread() == 0 => {
                return fail(ErrorKind::WouldBlock);
            }
            TheEndIsForgotten if self.end_was_given => return fail(ErrorKind::WouldBlock),
            _ => {}
        }
        let most = if self.fault == RecvGivesAPart { 300 } else { usize::MAX };
        let most = buffer.len().min(most);
        let outcome = self.inner.recv(&mut buffer[..most]);
        self.end_was_given = matches!(outcome, Ok(0));
        match (self.fault, &outcome) {
            (NoBytesAreTheEnd, Err(error)) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            (RecvMakesUpAByte, Err(error)) if error.kind() == ErrorKind::WouldBlock => Ok(1),
            (TheEndNeverComes, Ok(0)) if !self.is_alone() => fail(ErrorKind::WouldBlock),
            (RecvClaimsTooMuch, Ok(1..)) => Ok(buffer.len() + 1),
            (RecvRepeatsItsFirstByte, Ok(2..)) => {
                buffer[1] = buffer[0];
                outcome
            }
            _ => outcome,
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        if bytes.is_empty() {
            return self.send_nothing();
        }
        match self.fault {
            SendIsInterrupted if self.calls == 9 => return fail(ErrorKind::Interrupted),
            SendingAfterShutdownIsTaken if self.is_shut => return Ok(bytes.len()),
            SendingAfterShutdownBlocks if self.is_shut => return fail(ErrorKind::WouldBlock),
            SendingToNobodyIsTaken if self.is_alone() => return Ok(bytes.len()),
            SendingToNobodyBlocks if self.is_alone() => return fail(ErrorKind::WouldBlock),
            SendLosesItsLastByte if bytes.len() > 2 => {
                return self.inner.send(&bytes[..bytes.len() - 1]).map(|n| n + 1);
            }
            ShutdownLosesWhatIsHeld => return self.hold_one(bytes),
            SendTakesAPart => return self.inner.send(&bytes[..bytes.len().min(100)]),
            _ => {}
        }
        match (self.fault, self.inner.send(bytes)) {
            (AFullSendTakesZero, Err(error)) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            (SendClaimsTooMuch, Ok(_)) => Ok(bytes.len() + 1),
            (ARefusalTakesBytes, Ok(n)) if n < bytes.len() => fail(ErrorKind::WouldBlock),
            (_, outcome) => outcome,
        }
    }

    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let joined = |pieces: &mut dyn Iterator<Item = &IoSlice<'_>>| {
            let mut bytes = Vec::new();
            pieces.for_each(|piece| bytes.extend_from_slice(piece));
            bytes
        };
        let bytes = joined(&mut pieces.iter());
        match self.fault {
            PiecesAreReversed => self.send(&joined(&mut pieces.iter().rev())),
            PiecesAfterTheThirdAreLost if !bytes.is_empty() => {
                let kept = joined(&mut pieces.iter().take(3));
                let n = self.send(&kept)?;
                Ok(if n == kept.len() { bytes.len() } else { n })
            }
            _ => self.send(&bytes),
        }
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        let again = std::mem::replace(&mut self.is_shut, true);
        match self.fault {
            ShutdownDoesNothing => return Ok(()),
            TheSecondShutdownFails if again => return fail(ErrorKind::NotConnected),
            ShutdownFailsWithNobodyThere if self.is_alone() => return fail(ErrorKind::NotConnected),
            _ => {}
        }
        self.held = None;
        self.inner.shutdown_write()
    }

    fn holds_input(&self) -> bool {
        self.fault == HeldInputIsALie
    }

    fn wants_write(&self) -> bool {
        self.held.is_some() || self.fault == WantsWriteIsALie
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.fault == FlushOfNothingFails {
            return fail(ErrorKind::WouldBlock);
        }
        if let Some(byte) = self.held {
            self.inner.send(&[byte])?;
            self.held = None;
        }
        Ok(())
    }
}

#[test]
fn the_suite_reports_the_law_that_each_fault_breaks() {
    // Nothing here takes time, so there is no need to yield; waiting for bytes that never arrive costs less.
    let settle = |faulty: &mut Faulty, _: Option<&mut Peer>| drop(faulty.flush());
    let unnoticed: Vec<String> = BROKEN
        .iter()
        .filter_map(|&(fault, law)| match laws::check_with(|| Ok(pair_with(fault)), settle) {
            Err(broken) if broken.law() == law => None,
            outcome => Some(format!("{fault:?} breaks {law:?}, and the suite says {outcome:?}")),
        })
        .collect();
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

#[test]
fn without_a_fault_the_same_end_is_lawful() {
    lawful(|| Ok(pair_with(Nothing)));
}

#[test]
fn a_connection_that_cannot_be_made_is_reported_with_its_error() {
    let refused = || Err::<(MemoryStream, MemoryStream), _>(ErrorKind::ConnectionRefused.into());
    let broken = laws::check(refused).unwrap_err();
    assert_eq!(broken.law(), Law::Setup);
    assert_eq!(broken.to_string(), "law 0 (Setup): no connection was made: connection refused");
    assert!(std::error::Error::source(&broken).is_none(), "its text is printed");
}

#[test]
fn the_suite_lets_time_pass_with_the_callers_function() {
    let mut settled = 0;
    laws::check_with(|| Ok(memory::pair(10)), |_, _| settled += 1).unwrap();
    assert!(settled > 0);
}
