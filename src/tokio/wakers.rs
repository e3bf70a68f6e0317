//! Who waits for a connection: one task, or one for each direction.
//!
//! A stream keeps one waker for reading and one for writing. A connection sends while it receives, such as a
//! pong, so a task that only receives may also wait for writing, in the place of one that only sends. While
//! two tasks wait, the stream therefore gets a waker that wakes both.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// What a task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Messages, or the end.
    Receiver,
    /// Room for a message, or until all bytes are taken.
    Sender,
}

impl Side {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Receiver => Self::Sender,
            Self::Sender => Self::Receiver,
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// The wakers of a connection.
#[derive(Debug, Default)]
pub(super) struct Wakers {
    /// Who waits, as far as is known: a future that was dropped may still be counted.
    waiting: [bool; 2],
    /// Present once two tasks have waited.
    two: Option<Arc<Two>>,
}

/// The wakers of two tasks. Each is present while its task waits.
#[derive(Debug, Default)]
struct Two(Mutex<[Option<Waker>; 2]>);

impl Two {
    fn set(&self, side: Side, waker: Option<Waker>) -> Option<Waker> {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut wakers[side.index()], waker)
    }

    fn will_wake(&self, side: Side, waker: &Waker) -> bool {
        let wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wakers[side.index()].as_ref().is_some_and(|known| known.will_wake(waker))
    }
}

impl Wake for Two {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Woken outside the lock: a waker may run any code.
        let wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        wakers.iter().flatten().for_each(Waker::wake_by_ref);
    }
}

impl Wakers {
    /// Notes that a task polls for one side. Returns what must wake all that wait from now on, unless that is
    /// what is `known`.
    #[inline]
    pub(super) fn begin(&mut self, side: Side, context: &Context<'_>, known: &Waker) -> Option<Waker> {
        self.waiting[side.index()] = true;
        if self.two.is_none() && known.will_wake(context.waker()) {
            return None;
        }
        self.change(side, context.waker(), known)
    }

    #[cold]
    fn change(&mut self, side: Side, waker: &Waker, known: &Waker) -> Option<Waker> {
        if let Some(two) = &self.two {
            if !two.will_wake(side, waker) {
                two.set(side, Some(waker.clone()));
            }
            return None;
        }
        if !self.waiting[side.other().index()] {
            return Some(waker.clone());
        }
        let two = Arc::new(Two::default());
        two.set(side, Some(waker.clone()));
        two.set(side.other(), Some(known.clone()));
        self.two = Some(Arc::clone(&two));
        Some(Waker::from(two))
    }

    /// Returns whether somebody waits for this side.
    #[inline]
    pub(super) fn is_waiting(&self, side: Side) -> bool {
        self.waiting[side.index()]
    }

    /// Notes that one side has what it waited for.
    #[inline]
    pub(super) fn end(&mut self, side: Side) {
        self.waiting[side.index()] = false;
        if let Some(two) = &self.two {
            two.set(side, None);
        }
    }

    /// Wakes whoever waits for this side. `known` wakes all that wait.
    pub(super) fn wake(&mut self, side: Side, known: &Waker) {
        if std::mem::take(&mut self.waiting[side.index()]) {
            match &self.two {
                Some(two) => {
                    if let Some(waker) = two.set(side, None) {
                        waker.wake();
                    }
                }
                None => known.wake_by_ref(),
            }
        }
    }
}
