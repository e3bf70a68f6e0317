//! Tests that a poller announces a transport again (law 12) without a call that would block.
#![forbid(unsafe_code)]

use super::calls::{LARGEST, Patience, Pattern, Way, recv};
use super::law::{Announced, Law, LawBroken, wait};
use super::pair::{FEW_PIECES, MOST_UNRECEIVED};
use super::scenarios::connect;
use crate::transport::NonBlockingTransport;
use std::io;

/// How many times in a row it must be announced.
const ROUNDS: usize = 5;

/// The number of bytes announced each time.
const FEW: usize = 3;

/// A connection, and the poller that the transport under test is registered with.
struct Polled<'a, A, B> {
    a: A,
    b: B,
    poll: &'a mut dyn FnMut(&mut A, Option<&mut B>) -> Announced,
    pattern: &'a Pattern,
}

pub(super) fn run<A: NonBlockingTransport, B: NonBlockingTransport>(
    make: &mut dyn FnMut() -> io::Result<(A, B)>,
    poll: &mut dyn FnMut(&mut A, Option<&mut B>) -> Announced,
) -> Result<(), LawBroken> {
    let pattern = &Pattern::new();
    let mut connected = || connect(make);
    let (a, b) = connected()?;
    Polled { a, b, poll, pattern }.what_comes_after_a_short_receive_is_announced()?;
    for way in Way::BOTH {
        let (a, b) = connected()?;
        Polled { a, b, poll, pattern }.room_after_a_short_send_is_announced(way)?;
    }
    Ok(())
}

impl<A: NonBlockingTransport, B: NonBlockingTransport> Polled<'_, A, B> {
    /// Polls until `is_there` is true.
    fn wait(&mut self, is_there: fn(Announced) -> bool, what: &'static str) -> Result<(), LawBroken> {
        let mut patience = Patience::new();
        while !is_there((self.poll)(&mut self.a, Some(&mut self.b))) {
            patience.lose(LawBroken::new(Law::AnnouncedAgain, what))?;
            wait(&mut self.b);
        }
        Ok(())
    }

    fn what_comes_after_a_short_receive_is_announced(mut self) -> Result<(), LawBroken> {
        let mut buffer = vec![0; LARGEST];
        for round in 0..ROUNDS {
            let mut patience = Patience::new();
            while Way::Single.send(&mut self.b, self.pattern.at(0, FEW))? != Some(FEW) {
                patience.lose(LawBroken::new(Law::OrderAndBytes, "no bytes accepted by the peer"))?;
            }
            let mut received = 0;
            while received < FEW {
                self.wait(|announced| announced.readable, "bytes after a short recv not announced")?;
                received += recv(&mut self.a, &mut buffer)?.unwrap_or(0);
            }
            // A call that would block arms the poller too.
            if round % 2 == 1 && recv(&mut self.a, &mut buffer)?.is_some() {
                return Err(LawBroken::new(Law::OrderAndBytes, "more bytes received than sent"));
            }
        }
        Ok(())
    }

    fn room_after_a_short_send_is_announced(mut self, way: Way) -> Result<(), LawBroken> {
        let mut buffer = vec![0; LARGEST];
        for _ in 0..ROUNDS {
            let mut sent = 0;
            while sent < MOST_UNRECEIVED {
                let bytes = self.pattern.at(0, FEW_PIECES);
                match way.send(&mut self.a, bytes)? {
                    Some(n) if n == bytes.len() => sent += n,
                    short => {
                        sent += short.unwrap_or(0);
                        break;
                    }
                }
            }
            if sent >= MOST_UNRECEIVED {
                // The transport has no limit within the suite's reach.
                return Ok(());
            }
            // Discard earlier announcements.
            (self.poll)(&mut self.a, Some(&mut self.b));
            let (mut received, mut patience) = (0, Patience::new());
            while received < sent {
                match recv(&mut self.b, &mut buffer)? {
                    Some(n) => received += n,
                    None => {
                        patience.lose(LawBroken::new(Law::OrderAndBytes, "bytes permanently missing"))?;
                        wait(&mut self.a);
                    }
                }
            }
            self.wait(|announced| announced.writable, "room after a short send not announced")?;
        }
        Ok(())
    }
}
