//! A transport that follows a script, for tests: each call must be the one that comes next.
//!
//! ```
//! use std::io::ErrorKind;
//! use websocket_stream::transport::{NonBlockingTransport, scripted::{Scripted, Step}};
//!
//! let mut transport = Scripted::new([
//!     Step::Give(b"ping".to_vec()),
//!     Step::FailSend(ErrorKind::WouldBlock),
//!     Step::Expect(b"pong".to_vec()),
//!     Step::End,
//! ]);
//! let mut buffer = [0; 16];
//! assert_eq!(transport.recv(&mut buffer)?, 4);
//! assert_eq!(transport.send(b"pong").unwrap_err().kind(), ErrorKind::WouldBlock);
//! assert_eq!(transport.send(b"pong")?, 4);
//! assert_eq!(transport.recv(&mut buffer)?, 0);
//! transport.finish()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

use super::NonBlockingTransport;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};

/// What the next call must be, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// `recv` gives these bytes; where its buffer is smaller, further calls give the rest.
    Give(Vec<u8>),
    /// `recv` gives the end of the stream, and so do its calls from then on that are no step.
    End,
    /// `recv` fails, or would block.
    FailRecv(ErrorKind),
    /// `send` or `send_vectored` brings these bytes, and no more of them are taken; where it brings
    /// only the first of them, further calls bring the rest.
    Expect(Vec<u8>),
    /// `send` or `send_vectored` fails, or would block.
    FailSend(ErrorKind),
    /// `shutdown_write` is called.
    ShutdownWrite,
}

/// How a script was not kept. Steps count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScriptBroken {
    /// The method was called where the step, or the script's end, was no call of it.
    UnexpectedCall {
        /// The method's name.
        method: &'static str,
        /// Which step was next.
        step: usize,
    },
    /// Other bytes were sent than the step expects.
    UnexpectedBytes {
        /// Which step it was.
        step: usize,
        /// Where in the step's bytes the first one stands that differs.
        at: usize,
    },
    /// The script was not used up.
    Unused {
        /// The first step that is left, be it in part.
        step: usize,
    },
}

impl fmt::Display for ScriptBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScriptBroken::UnexpectedCall { method, step } => {
                write!(f, "{method} was called, which step {step} of the script is not")
            }
            ScriptBroken::UnexpectedBytes { step, at } => {
                write!(f, "byte {at} sent for step {step} of the script is not the one expected")
            }
            ScriptBroken::Unused { step } => write!(f, "the script was left at step {step}"),
        }
    }
}

impl std::error::Error for ScriptBroken {}

/// A transport that follows its script. A call that breaks it gives an error of kind
/// [`Other`](ErrorKind::Other), as do all after it. Modes may be set, and empty buffers passed, at
/// any time.
///
/// `&mut Scripted` is a transport too: lend it, then call [`finish`](Self::finish).
///
/// # Panics
///
/// When it is dropped without `finish` and the script was not kept, unless the thread panics
/// already: a test cannot forget it.
#[derive(Debug)]
pub struct Scripted {
    steps: VecDeque<Step>,
    /// How many steps are done.
    done: usize,
    /// How many bytes of the first step are done.
    at: usize,
    broken: Option<ScriptBroken>,
    ended: bool,
}

impl Scripted {
    /// A transport that follows `steps`. Steps without bytes to give or to expect are left out.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let blank = |step: &Step| matches!(step, Step::Give(bytes) | Step::Expect(bytes) if bytes.is_empty());
        let steps = steps.into_iter().filter(|step| !blank(step)).collect();
        Scripted { steps, done: 0, at: 0, broken: None, ended: false }
    }

    /// Ends the test: was the script kept and used up?
    ///
    /// # Errors
    ///
    /// The first way in which it was not.
    pub fn finish(mut self) -> Result<(), ScriptBroken> {
        let verdict = self.verdict();
        // Told once: the drop has nothing to add.
        self.broken = None;
        self.steps.clear();
        verdict
    }

    fn verdict(&self) -> Result<(), ScriptBroken> {
        match (self.broken, self.steps.is_empty()) {
            (Some(broken), _) => Err(broken),
            (None, false) => Err(ScriptBroken::Unused { step: self.done }),
            (None, true) => Ok(()),
        }
    }

    fn next_step(&mut self) {
        self.steps.pop_front();
        self.done += 1;
        self.at = 0;
    }

    /// Goes `n` bytes on in a step of `size` bytes.
    fn advance(&mut self, n: usize, size: usize) {
        self.at += n;
        if self.at == size {
            self.next_step();
        }
    }

    fn broken(&mut self, how: ScriptBroken) -> io::Error {
        self.broken.get_or_insert(how);
        ErrorKind::Other.into()
    }

    fn unexpected_call(&mut self, method: &'static str) -> io::Error {
        self.broken(ScriptBroken::UnexpectedCall { method, step: self.done })
    }

    fn sent<'a>(
        &mut self,
        bytes: impl Iterator<Item = &'a u8> + Clone,
        method: &'static str,
    ) -> io::Result<usize> {
        if bytes.clone().next().is_none() {
            return Ok(0);
        }
        match self.steps.front() {
            _ if self.broken.is_some() => Err(ErrorKind::Other.into()),
            Some(Step::Expect(expected)) => {
                let rest = &expected[self.at..];
                let size = expected.len();
                if let Some(at) = bytes.clone().zip(rest).position(|(sent, expected)| sent != expected) {
                    let how = ScriptBroken::UnexpectedBytes { step: self.done, at: self.at + at };
                    return Err(self.broken(how));
                }
                let taken = bytes.take(rest.len()).count();
                self.advance(taken, size);
                Ok(taken)
            }
            Some(&Step::FailSend(kind)) => {
                self.next_step();
                Err(kind.into())
            }
            _ => Err(self.unexpected_call(method)),
        }
    }
}

impl NonBlockingTransport for Scripted {
    fn set_nonblocking(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        match self.steps.front() {
            _ if self.broken.is_some() => Err(ErrorKind::Other.into()),
            Some(Step::Give(bytes)) => {
                let rest = &bytes[self.at..];
                let n = rest.len().min(buffer.len());
                buffer[..n].copy_from_slice(&rest[..n]);
                let size = bytes.len();
                self.advance(n, size);
                Ok(n)
            }
            Some(Step::End) => {
                self.next_step();
                self.ended = true;
                Ok(0)
            }
            Some(&Step::FailRecv(kind)) => {
                self.next_step();
                Err(kind.into())
            }
            _ if self.ended => Ok(0),
            _ => Err(self.unexpected_call("recv")),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sent(bytes.iter(), "send")
    }

    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.sent(pieces.iter().flat_map(|piece| piece.iter()), "send_vectored")
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        match self.steps.front() {
            Some(Step::ShutdownWrite) if self.broken.is_none() => {
                self.next_step();
                Ok(())
            }
            _ => Err(self.unexpected_call("shutdown_write")),
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if let Err(broken) = self.verdict()
            && !std::thread::panicking()
        {
            panic!("{broken}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_given_and_expected_over_as_many_calls_as_they_take() {
        let steps = [Step::Give(b"abc".to_vec()), Step::Expect(vec![]), Step::Expect(b"wxyz".to_vec())];
        let mut script = Scripted::new(steps);
        let mut buffer = [0; 2];
        assert_eq!((script.recv(&mut buffer).unwrap(), &buffer), (2, b"ab"));
        assert_eq!((script.recv(&mut buffer).unwrap(), &buffer), (1, b"cb"));
        assert_eq!(script.send(b"w").unwrap(), 1);
        let pieces = [IoSlice::new(b"x"), IoSlice::new(b""), IoSlice::new(b"yz!")];
        assert_eq!(script.send_vectored(&pieces).unwrap(), 3);
        assert_eq!(script.finish(), Ok(()));
    }

    #[test]
    fn the_first_call_out_of_turn_is_remembered_and_the_rest_fail() {
        let mut script = Scripted::new([Step::FailRecv(ErrorKind::WouldBlock), Step::Expect(vec![1])]);
        assert_eq!(script.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(script.recv(&mut [0]).unwrap_err().kind(), ErrorKind::Other);
        assert_eq!(script.send(&[1]).unwrap_err().kind(), ErrorKind::Other);
        assert_eq!(script.shutdown_write().unwrap_err().kind(), ErrorKind::Other);
        assert_eq!(script.finish(), Err(ScriptBroken::UnexpectedCall { method: "recv", step: 1 }));
    }

    #[test]
    fn other_bytes_than_expected_are_told_by_their_place() {
        let mut script = Scripted::new([Step::Expect(b"abcd".to_vec())]);
        assert_eq!(script.send(b"ab").unwrap(), 2);
        assert!(script.send(b"cX").is_err());
        assert_eq!(script.finish(), Err(ScriptBroken::UnexpectedBytes { step: 0, at: 3 }));
    }

    #[test]
    fn an_end_stays_and_calls_after_the_script_break_it() {
        let mut script = Scripted::new([Step::End, Step::ShutdownWrite]);
        assert_eq!(script.recv(&mut [0]).unwrap(), 0);
        assert_eq!(script.recv(&mut [0]).unwrap(), 0);
        script.shutdown_write().unwrap();
        assert_eq!(script.recv(&mut [0]).unwrap(), 0);
        assert!(script.send(&[1]).is_err());
        assert_eq!(script.finish(), Err(ScriptBroken::UnexpectedCall { method: "send", step: 2 }));
    }

    #[test]
    fn an_empty_buffer_moves_nothing_and_takes_no_step() {
        let mut script = Scripted::new([Step::FailRecv(ErrorKind::WouldBlock), Step::Expect(vec![1])]);
        assert_eq!(script.recv(&mut []).unwrap(), 0);
        assert_eq!(script.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(script.send(&[]).unwrap(), 0);
        assert_eq!(script.send_vectored(&[IoSlice::new(b"")]).unwrap(), 0);
        assert_eq!(script.send(&[1]).unwrap(), 1);
        assert_eq!(script.finish(), Ok(()));
    }

    #[test]
    fn what_broke_a_script_is_told_with_its_step() {
        let called = ScriptBroken::UnexpectedCall { method: "recv", step: 3 };
        assert_eq!(called.to_string(), "recv was called, which step 3 of the script is not");
        let other = ScriptBroken::UnexpectedBytes { step: 0, at: 7 };
        assert_eq!(other.to_string(), "byte 7 sent for step 0 of the script is not the one expected");
    }

    #[test]
    fn a_script_that_is_not_used_up_is_told_by_finish_or_else_by_a_panic() {
        let script = || Scripted::new([Step::End]);
        assert_eq!(script().finish(), Err(ScriptBroken::Unused { step: 0 }));
        let panic = std::panic::catch_unwind(|| drop(script())).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "the script was left at step 0");
    }

    #[test]
    fn the_error_is_small() {
        const { assert!(size_of::<ScriptBroken>() <= 32) };
    }
}
