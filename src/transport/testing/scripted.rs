//! A scripted transport for tests: each call must match the next step.
//!
//! ```
//! use std::io::ErrorKind;
//! use websocket_stream::transport::{NonBlockingTransport, testing::scripted::{Scripted, Step}};
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

use crate::transport::NonBlockingTransport;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};

/// A step of a script: the expected call and its outcome.
///
/// See the example of [`Scripted`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// `recv` returns these bytes. If its buffer is smaller, further calls return the rest.
    Give(Vec<u8>),
    /// `recv` returns the end of the stream, and so do later calls that match no step.
    End,
    /// `recv` fails with this error, which may be `WouldBlock`.
    FailRecv(ErrorKind),
    /// `send` or `send_vectored` is called with these bytes; further bytes are not accepted. If it is called
    /// with only the first of them, further calls must send the rest.
    Expect(Vec<u8>),
    /// `send` or `send_vectored` fails with this error, which may be `WouldBlock`.
    FailSend(ErrorKind),
    /// `shutdown_write` is called.
    ShutdownWrite,
}

/// How the calls deviated from a script. Steps count from 0.
///
/// ```
/// use websocket_stream::transport::NonBlockingTransport;
/// use websocket_stream::transport::testing::scripted::{ScriptBroken, Scripted, Step};
///
/// let mut transport = Scripted::new([Step::Expect(b"pong".to_vec()), Step::End]);
/// assert!(transport.send(b"ping").is_err());
/// assert_eq!(transport.finish(), Err(ScriptBroken::UnexpectedBytes { step: 0, at: 1 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScriptBroken {
    /// A method was called that does not match the next step, or after the last step.
    UnexpectedCall {
        /// The name of the method.
        method: &'static str,
        /// The index of the next step.
        step: usize,
    },
    /// The bytes sent differ from those that the step expects.
    UnexpectedBytes {
        /// The index of the step.
        step: usize,
        /// The index of the first byte that differs, in the bytes of the step.
        at: usize,
    },
    /// The script was not completed.
    Unused {
        /// The index of the first step that was not completed.
        step: usize,
    },
}

impl fmt::Display for ScriptBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScriptBroken::UnexpectedCall { method, step } => {
                write!(f, "unexpected call of {method} at step {step} of the script")
            }
            ScriptBroken::UnexpectedBytes { step, at } => {
                write!(f, "unexpected byte {at} for step {step} of the script")
            }
            ScriptBroken::Unused { step } => write!(f, "script incomplete at step {step}"),
        }
    }
}

impl std::error::Error for ScriptBroken {}

/// A transport that follows a script.
///
/// A call that deviates from the script returns an error of kind [`Other`](ErrorKind::Other), as do all later
/// calls. Setting modes and passing empty buffers is always allowed.
///
/// `&mut Scripted` is a transport too: lend it, then call [`finish`](Self::finish).
///
/// ```
/// use websocket_stream::WebSocketStream;
/// use websocket_stream::transport::testing::scripted::{Scripted, Step};
///
/// // A server that answers a ping, and then the end of the stream.
/// let mut script = Scripted::new([
///     Step::Give(b"\x89\x80\0\0\0\0".to_vec()),
///     Step::Expect(b"\x8a\x00".to_vec()),
///     Step::End,
///     Step::ShutdownWrite,
/// ]);
/// let mut server = WebSocketStream::new(&mut script)?;
/// assert!(server.read().is_ok() && server.read().is_err());
/// drop(server);
/// script.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
///
/// Panics if it is dropped without `finish` after a deviation from the script, or before the script is
/// completed, unless the thread is already panicking: a test cannot forget the check.
#[derive(Debug)]
pub struct Scripted {
    steps: VecDeque<Step>,
    /// The number of completed steps.
    done: usize,
    /// The number of bytes done in the current step.
    at: usize,
    broken: Option<ScriptBroken>,
    ended: bool,
}

impl Scripted {
    /// Creates a transport that follows `steps`. Skips steps with no bytes to return or expect.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let blank = |step: &Step| matches!(step, Step::Give(bytes) | Step::Expect(bytes) if bytes.is_empty());
        let steps = steps.into_iter().filter(|step| !blank(step)).collect();
        Scripted { steps, done: 0, at: 0, broken: None, ended: false }
    }

    /// Ends the test, and returns whether the script was followed and completed.
    ///
    /// # Errors
    ///
    /// The first deviation from the script.
    pub fn finish(mut self) -> Result<(), ScriptBroken> {
        let verdict = self.verdict();
        // Clear the verdict, so that the drop does not report it again.
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

    /// Completes `n` more bytes of a step of `size` bytes.
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
    fn bytes_may_take_several_calls() {
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
    fn the_first_unexpected_call_is_kept_and_later_calls_fail() {
        let mut script = Scripted::new([Step::FailRecv(ErrorKind::WouldBlock), Step::Expect(vec![1])]);
        assert_eq!(script.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(script.recv(&mut [0]).unwrap_err().kind(), ErrorKind::Other);
        assert_eq!(script.send(&[1]).unwrap_err().kind(), ErrorKind::Other);
        assert_eq!(script.shutdown_write().unwrap_err().kind(), ErrorKind::Other);
        assert_eq!(script.finish(), Err(ScriptBroken::UnexpectedCall { method: "recv", step: 1 }));
    }

    #[test]
    fn unexpected_bytes_are_reported_with_their_index() {
        let mut script = Scripted::new([Step::Expect(b"abcd".to_vec())]);
        assert_eq!(script.send(b"ab").unwrap(), 2);
        assert!(script.send(b"cX").is_err());
        assert_eq!(script.finish(), Err(ScriptBroken::UnexpectedBytes { step: 0, at: 3 }));
    }

    #[test]
    fn the_end_is_permanent_and_calls_after_the_script_deviate() {
        let mut script = Scripted::new([Step::End, Step::ShutdownWrite]);
        assert_eq!(script.recv(&mut [0]).unwrap(), 0);
        assert_eq!(script.recv(&mut [0]).unwrap(), 0);
        script.shutdown_write().unwrap();
        assert_eq!(script.recv(&mut [0]).unwrap(), 0);
        assert!(script.send(&[1]).is_err());
        assert_eq!(script.finish(), Err(ScriptBroken::UnexpectedCall { method: "send", step: 2 }));
    }

    #[test]
    fn an_empty_buffer_moves_no_bytes_and_completes_no_step() {
        let mut script = Scripted::new([Step::FailRecv(ErrorKind::WouldBlock), Step::Expect(vec![1])]);
        assert_eq!(script.recv(&mut []).unwrap(), 0);
        assert_eq!(script.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(script.send(&[]).unwrap(), 0);
        assert_eq!(script.send_vectored(&[IoSlice::new(b"")]).unwrap(), 0);
        assert_eq!(script.send(&[1]).unwrap(), 1);
        assert_eq!(script.finish(), Ok(()));
    }

    #[test]
    fn a_deviation_is_reported_with_its_step() {
        let called = ScriptBroken::UnexpectedCall { method: "recv", step: 3 };
        assert_eq!(called.to_string(), "unexpected call of recv at step 3 of the script");
        let other = ScriptBroken::UnexpectedBytes { step: 0, at: 7 };
        assert_eq!(other.to_string(), "unexpected byte 7 for step 0 of the script");
    }

    #[test]
    fn finish_reports_an_uncompleted_script_and_dropping_it_panics() {
        let script = || Scripted::new([Step::End]);
        assert_eq!(script().finish(), Err(ScriptBroken::Unused { step: 0 }));
        let panic = std::panic::catch_unwind(|| drop(script())).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "script incomplete at step 0");
    }

    #[test]
    fn the_error_is_small() {
        const { assert!(size_of::<ScriptBroken>() <= 32) };
    }
}
