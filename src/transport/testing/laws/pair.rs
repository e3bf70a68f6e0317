//! A connection under test, and the flow of bytes in one direction.
#![forbid(unsafe_code)]

use super::calls::{self, LARGEST, Patience, Pattern, Way};
use super::law::{Law, LawBroken};
use crate::transport::NonBlockingTransport;
use std::ops::Range;

/// Both ends of a connection. Each direction carries the [`Pattern`] from position 0 on.
pub(super) struct Pair<'a, A, B> {
    pub(super) a: A,
    pub(super) b: B,
    /// Waits, with the peer as long as it exists.
    pub(super) settle: &'a mut dyn FnMut(&mut A, Option<&mut B>),
    pub(super) pattern: &'a Pattern,
}

/// One direction of a [`Pair`].
pub(super) struct Flow<'a, X, Y> {
    pub(super) from: &'a mut X,
    pub(super) to: &'a mut Y,
    settle: &'a mut dyn FnMut(&mut X, &mut Y),
    pattern: &'a Pattern,
}

impl<A: NonBlockingTransport, B: NonBlockingTransport> Pair<'_, A, B> {
    pub(super) fn settle(&mut self) {
        (self.settle)(&mut self.a, Some(&mut self.b));
    }

    /// Acts on the direction from the transport under test to its peer.
    pub(super) fn forth<R>(&mut self, act: impl FnOnce(&mut Flow<'_, A, B>) -> R) -> R {
        let Pair { a, b, settle, pattern } = self;
        act(&mut Flow { from: a, to: b, settle: &mut |a, b| settle(a, Some(b)), pattern })
    }

    /// Acts on the direction from the peer to the transport under test.
    pub(super) fn back<R>(&mut self, act: impl FnOnce(&mut Flow<'_, B, A>) -> R) -> R {
        let Pair { a, b, settle, pattern } = self;
        act(&mut Flow { from: b, to: a, settle: &mut |b, a| settle(a, Some(b)), pattern })
    }
}

/// How often a short call is tested. What happens most times is not an accident.
const ROUNDS: usize = 6;

/// A number of bytes that is sent in few pieces.
pub(super) const FEW_PIECES: usize = 4000;

/// The maximum number of bytes sent to a peer that receives none. A transport that accepts them all has no
/// limit within the suite's reach, which no law forbids.
pub(super) const MOST_UNRECEIVED: usize = 32 << 20;

/// The maximum number of sends in a transfer, and of bytes.
const TRANSFER: (usize, usize) = (2000, 300_000);

impl<X: NonBlockingTransport, Y: NonBlockingTransport> Flow<'_, X, Y> {
    /// Sends from `start` on until the connection is full, or `end` is reached, and receives nothing. Returns
    /// the position reached, past `start`.
    pub(super) fn fill(&mut self, way: Way, start: usize, end: usize) -> Result<usize, LawBroken> {
        let (mut sent, mut patience) = (start, Patience::new());
        while sent < end {
            match way.send(self.from, self.pattern.at(sent, end - sent))? {
                Some(n) => sent += n,
                None if sent > start => break,
                None => self.wait(&mut patience)?,
            }
        }
        Ok(sent)
    }

    /// Receives from a full connection until it accepts more, and fills it again. Returns the positions
    /// received and sent so far. Some systems announce room only once most of it is free.
    pub(super) fn make_room(&mut self, way: Way, full: usize) -> Result<(usize, usize), LawBroken> {
        let (mut received, mut sent) = (0, full);
        while sent == full && received < full {
            let piece = received..full.min(received + full.div_ceil(8));
            received = piece.end;
            self.receive(piece)?;
            (self.settle)(self.from, self.to);
            while sent < full + received
                && let Some(n) = way.send(self.from, self.pattern.at(sent, full + received - sent))?
            {
                sent += n;
            }
        }
        Ok((received, sent))
    }

    /// Sends from `start` on, and receives all of it, in pieces of many sizes. Returns the position reached.
    pub(super) fn transfer(&mut self, way: Way, start: usize) -> Result<usize, LawBroken> {
        let (mut sent, mut received, mut patience) = (start, start, Patience::new());
        let mut buffer = vec![0; LARGEST];
        let (mut sends, end) = (0, start + TRANSFER.1);
        while sends < TRANSFER.0 && sent < end {
            let size = [1, 2, 125, 777, 4096, LARGEST, 3][sends % 7].min(end - sent);
            let taken = way.send(self.from, self.pattern.at(sent, size))?;
            sends += usize::from(taken.is_some());
            sent += taken.unwrap_or(0);
            let size = [16, 1, LARGEST, 3, 4096][sends % 5];
            let given = self.receive_some(&mut buffer[..size], received, sent)?;
            received += given.unwrap_or(0);
            if (taken, given) == (None, None) {
                self.wait(&mut patience)?;
            }
        }
        self.receive(received..sent)?;
        Ok(sent)
    }

    /// Receives the bytes of `range`, which have all been sent.
    pub(super) fn receive(&mut self, range: Range<usize>) -> Result<(), LawBroken> {
        let (mut received, mut patience) = (range.start, Patience::new());
        let mut buffer = vec![0; LARGEST];
        while received < range.end {
            let size = (range.end - received).min(LARGEST);
            match self.receive_some(&mut buffer[..size], received, range.end)? {
                Some(n) => received += n,
                None => self.wait(&mut patience)?,
            }
        }
        Ok(())
    }

    /// Makes one `recv` at `position`; the bytes before `sent` have been sent.
    fn receive_some(
        &mut self,
        buffer: &mut [u8],
        position: usize,
        sent: usize,
    ) -> Result<Option<usize>, LawBroken> {
        let outcome = calls::recv(self.to, buffer)?;
        let broken = |law, what| Err(LawBroken::new(law, what));
        match outcome {
            Some(0) => broken(Law::EndOfStream, "end of the stream before the last byte sent"),
            Some(n) if position + n > sent => broken(Law::OrderAndBytes, "more bytes received than sent"),
            Some(n) if buffer[..n] != *self.pattern.at(position, n) => {
                broken(Law::OrderAndBytes, "received bytes that differ from those sent")
            }
            outcome => Ok(outcome),
        }
    }

    /// Sends what the connection accepts, receives it with room for more, and immediately tries to receive
    /// more.
    pub(super) fn receive_all_there_is(&mut self) -> Result<(), LawBroken> {
        let mut buffer = vec![0; LARGEST];
        let (mut position, mut times) = (0, 0);
        for _ in 0..ROUNDS {
            let end = self.fill(Way::Single, position, position + LARGEST / 3)?;
            (self.settle)(self.from, self.to);
            let (mut patience, mut looks_again, mut was_more) = (Patience::new(), false, false);
            while position < end {
                match self.receive_some(&mut buffer, position, end)? {
                    Some(n) => {
                        position += n;
                        was_more |= looks_again;
                        looks_again = !self.to.holds_input();
                    }
                    None => {
                        looks_again = false;
                        self.wait(&mut patience)?;
                    }
                }
            }
            times += usize::from(was_more);
        }
        let what = "short recv though more had arrived";
        if times > ROUNDS / 2 { Err(LawBroken::new(Law::LessMeansNoMore, what)) } else { Ok(()) }
    }

    /// Sends until only a part is accepted, and immediately tries to send more. Nothing is received
    /// meanwhile.
    pub(super) fn send_all_that_goes(&mut self, way: Way) -> Result<(), LawBroken> {
        let (mut position, mut times) = (0, 0);
        for _ in 0..ROUNDS {
            let mut sent = position;
            let mut takes_more = false;
            while sent - position < MOST_UNRECEIVED {
                let bytes = self.pattern.at(sent, FEW_PIECES);
                let Some(n) = way.send(self.from, bytes)? else { break };
                sent += n;
                if n < bytes.len() {
                    let more = way.send(self.from, self.pattern.at(sent, FEW_PIECES))?;
                    takes_more = more.is_some();
                    sent += more.unwrap_or(0);
                    break;
                }
            }
            self.receive(position..sent)?;
            position = sent;
            times += usize::from(takes_more);
        }
        let what = "short send though there was room for more";
        if times > ROUNDS / 2 { Err(LawBroken::new(Law::LessMeansNoMore, what)) } else { Ok(()) }
    }

    fn wait(&mut self, patience: &mut Patience) -> Result<(), LawBroken> {
        patience.lose(LawBroken::new(Law::OrderAndBytes, "bytes permanently refused or missing"))?;
        (self.settle)(self.from, self.to);
        Ok(())
    }

    /// Shuts down this direction, twice.
    pub(super) fn shut_down(&mut self) -> Result<(), LawBroken> {
        let failed = |what| move |error| LawBroken::because(Law::HalfClose, what, error);
        self.from.shutdown_write().map_err(failed("shutdown_write failed"))?;
        self.from.shutdown_write().map_err(failed("second shutdown_write failed"))
    }

    /// Receives the end of the stream, several times.
    pub(super) fn end(&mut self) -> Result<(), LawBroken> {
        let broken = |what| LawBroken::new(Law::EndOfStream, what);
        let (mut ends, mut patience) = (0, Patience::new());
        while ends < 3 {
            match calls::recv(self.to, &mut [0; 16])? {
                Some(0) => ends += 1,
                Some(_) => return Err(broken("bytes after the last one sent")),
                None if ends > 0 => return Err(broken("WouldBlock after the end of the stream")),
                None => patience.lose(broken("missing end of the stream"))?,
            }
            (self.settle)(self.from, self.to);
        }
        Ok(())
    }
}
