//! An executor that polls a future only if its waker was called, and counts the polls.

use crate::mock::Mock;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Whether a task was woken.
#[derive(Debug, Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    /// Returns a flag that is up, and its waker.
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let flag = Arc::new(Self(AtomicBool::new(true)));
        (Arc::clone(&flag), Waker::from(flag))
    }

    pub(crate) fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a run of a future took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) polls: usize,
    /// What happened outside, and spurious polls.
    pub(crate) events: usize,
}

/// When a future is polled that was not woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spurious {
    Never,
    BeforeEachEvent,
}

/// Runs a future until it is ready.
///
/// # Panics
///
/// If it waits although nothing else can happen.
pub(crate) fn run<R>(mock: &Mock, spurious: Spurious, future: impl Future<Output = R>) -> (R, Counted) {
    let (flag, waker) = Flag::new();
    let (mut future, mut counted) = (pin!(future), Counted::default());
    let mut is_spurious = false;
    loop {
        let woken = flag.take();
        if woken || std::mem::take(&mut is_spurious) {
            counted.polls += 1;
            if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return (result, counted);
            }
            assert!(counted.polls < 10_000, "it is polled without end: {:?}", mock.world());
            if flag.is_up() {
                continue;
            }
            if woken && spurious == Spurious::BeforeEachEvent {
                is_spurious = true;
                counted.events += 1;
                continue;
            }
        }
        let possible = mock.possible();
        assert!(!possible.is_empty(), "it waits for ever: {:?}", mock.world());
        let count = u32::try_from(possible.len()).unwrap();
        let choice = if count > 1 { mock.world().choices.choose(count) } else { 0 };
        mock.happen(possible[choice as usize]);
        counted.events += 1;
    }
}
