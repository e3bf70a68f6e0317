//! The mailbox of an event loop: what other threads have for it, within a bound, and its wake-up.
#![forbid(unsafe_code)]

use super::config::SlowPeer;
use super::counters::Cells;
use super::error::HandleError;
use super::hub::Hub;
use super::posts::{Payload, Post};
use super::shutdown::Shutdown;
use crate::stream::{PreparedMessage, WebSocketStream};
use mio::Waker;
use std::any::Any;
use std::fmt;
use std::mem;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bytes that a letter takes besides its message.
const LETTER: usize = 128;

/// A connection that was opened elsewhere.
pub(super) struct Adopted {
    pub(super) stream: WebSocketStream<TcpStream>,
    /// For [`Handler::adopted`](super::Handler::adopted).
    pub(super) value: Box<dyn Any + Send>,
}

/// What waits for an event loop.
pub(super) enum Letter {
    Publish {
        topic: Arc<str>,
        message: Payload,
        slow_peer: Option<SlowPeer>,
    },
    /// Published on another thread, and encoded there.
    Published {
        topic: Arc<str>,
        message: PreparedMessage,
        slow_peer: SlowPeer,
    },
    Post(Post),
    Run(Box<dyn FnOnce(&mut Hub) + Send>),
    Adopt(Box<Adopted>),
    /// For all threads: it follows what was published before.
    Shutdown(Shutdown),
    /// For this thread.
    ShutdownHere(Shutdown),
}

impl Letter {
    /// Returns about how many bytes it takes. Those that a closure owns are not known.
    fn bytes(&self) -> usize {
        match self {
            Self::Publish { topic, message, .. } => LETTER + topic.len() + message.len(),
            Self::Post(post) => post.bytes(),
            Self::Published { .. }
            | Self::Run(_)
            | Self::Adopt(_)
            | Self::Shutdown(_)
            | Self::ShutdownHere(_) => LETTER,
        }
    }
}

pub(super) struct Mailbox {
    mail: Mutex<Mail>,
    /// There are letters, as the event loop may see without the lock.
    has_letters: AtomicBool,
    pub(super) cells: Arc<Cells>,
}

#[derive(Default)]
struct Mail {
    letters: Vec<Letter>,
    /// The bytes of the letters that came through a handle.
    bytes: usize,
    /// Their bound.
    limit: usize,
    /// Set while the loop runs.
    waker: Option<Waker>,
    /// The loop has ended, and nobody reads the letters.
    ended: bool,
    /// The number of connections among the letters.
    adopted: u64,
}

impl Mail {
    /// Counts the bytes of a letter from a handle, if there is room for them.
    fn admit(&mut self, bytes: usize) -> Result<(), HandleError> {
        let bytes = self.bytes + bytes;
        if self.ended {
            return Err(HandleError::Ended);
        }
        if self.bytes > 0 && bytes > self.limit {
            return Err(HandleError::Full);
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

impl Mailbox {
    pub(super) fn new() -> Self {
        Self { mail: Mutex::default(), has_letters: AtomicBool::new(false), cells: Arc::default() }
    }

    /// Nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts letters into the mail, and wakes the loop unless it has been woken already.
    fn put_in(&self, mail: &mut Mail, letters: impl IntoIterator<Item = Letter>) {
        let was_empty = mail.letters.is_empty();
        mail.letters.extend(letters);
        if was_empty && !mail.letters.is_empty() {
            self.has_letters.store(true, Ordering::Release);
            if let Some(waker) = &mail.waker {
                // Fails only if the loop has ended, or if it is woken already.
                let _ = waker.wake();
            }
        }
    }

    /// Sets the bytes that may wait.
    pub(super) fn set_limit(&self, limit: usize) {
        self.lock().limit = limit;
    }

    /// Puts in a letter from a handle.
    pub(super) fn offer(&self, letter: Letter) -> Result<(), HandleError> {
        let mut mail = self.lock();
        mail.admit(letter.bytes())?;
        self.put_in(&mut mail, [letter]);
        Ok(())
    }

    /// Puts in a connection, or returns it.
    pub(super) fn adopt(&self, adopted: Box<Adopted>) -> Result<(), (HandleError, Box<Adopted>)> {
        let mut mail = self.lock();
        if let Err(error) = mail.admit(LETTER) {
            return Err((error, adopted));
        }
        mail.adopted += 1;
        self.put_in(&mut mail, [Letter::Adopt(adopted)]);
        Ok(())
    }

    /// Returns the number of connections that wait for the event loop.
    pub(super) fn waiting(&self) -> u64 {
        self.lock().adopted
    }

    /// Puts in letters without a bound.
    pub(super) fn put(&self, letters: impl IntoIterator<Item = Letter>) -> Result<(), HandleError> {
        let mut mail = self.lock();
        if mail.ended {
            return Err(HandleError::Ended);
        }
        self.put_in(&mut mail, letters);
        Ok(())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Returns whether letters wait.
    pub(super) fn has_letters(&self) -> bool {
        self.has_letters.load(Ordering::Acquire)
    }

    pub(super) fn take(&self) -> Vec<Letter> {
        let mut mail = self.lock();
        self.has_letters.store(false, Ordering::Release);
        mail.bytes = 0;
        mail.adopted = 0;
        mem::take(&mut mail.letters)
    }

    /// Begins to wake a loop. Letters may be waiting already.
    pub(super) fn begin(&self, waker: Waker) {
        let mut mail = self.lock();
        if !mail.letters.is_empty() {
            let _ = waker.wake();
        }
        mail.waker = Some(waker);
    }

    /// Ends, unless letters wait. Returns whether it has.
    pub(super) fn end_if_empty(&self) -> bool {
        let mut mail = self.lock();
        mail.ended |= mail.letters.is_empty();
        mail.ended
    }

    pub(super) fn end(&self) {
        let mut mail = self.lock();
        mail.ended = true;
        mail.waker = None;
        let letters = mem::take(&mut mail.letters);
        drop(mail);
        // A closure may hold a handle, whose drop must not meet the lock.
        drop(letters);
    }
}
