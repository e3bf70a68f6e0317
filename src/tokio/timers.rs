//! The timeouts of all connections on a runtime: one wheel, and one timer of tokio's that is always the next.
//!
//! A timer of tokio's own takes more memory than an idle connection. Here a connection without a deadline
//! takes none, and one with a deadline takes about 64 bytes.

use super::thread::{instant, now};
use crate::wheel::Wheel;
use ::tokio::runtime::{Handle, Id};
use ::tokio::time::Sleep;
use slab::Slab;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

/// The precision of timeouts in milliseconds.
const TICK: u32 = 100;

/// The timeouts on one runtime.
#[derive(Debug)]
struct Timers(Mutex<State>);

#[derive(Debug)]
struct State {
    wheel: Wheel,
    /// The waker for each key of the wheel.
    wakers: Slab<Waker>,
    /// Wakes the driver. `None` if there is no driver.
    driver: Option<Waker>,
    /// When the driver is due.
    next: Option<u64>,
}

/// The timeout of one connection. It takes no memory until it is set.
#[derive(Debug, Default)]
pub(super) struct Timer(Option<Box<Entry>>);

#[derive(Debug)]
struct Entry {
    timers: Arc<Timers>,
    key: usize,
    /// When it fires, unless it has fired.
    at: u64,
}

impl Timer {
    /// Makes sure that the waker is woken at a time, perhaps once too often before.
    ///
    /// Without a runtime, nothing is woken.
    #[inline]
    pub(super) fn set(&mut self, at: Option<u64>, now: u64, waker: &Waker) {
        if let Some(at) = at {
            match &self.0 {
                // It cannot have fired, and fires in time.
                Some(entry) if now < entry.at && entry.at <= at => {}
                _ => self.change(at, waker),
            }
        }
    }

    #[cold]
    fn change(&mut self, at: u64, waker: &Waker) {
        let Ok(runtime) = Handle::try_current() else { return };
        let timers = Timers::of(&runtime);
        if self.0.as_ref().is_some_and(|entry| !Arc::ptr_eq(&entry.timers, &timers)) {
            self.0 = None;
        }
        let mut state = timers.lock();
        let entry = self.0.get_or_insert_with(|| {
            let key = state.wakers.insert(waker.clone());
            Box::new(Entry { timers: Arc::clone(&timers), key, at })
        });
        entry.at = at;
        state.wheel.remove(entry.key);
        state.wheel.set(entry.key, at);
        if state.driver.is_none() {
            // Replaced when the driver is polled for the first time, which it is at once.
            state.driver = Some(Waker::noop().clone());
            drop(state);
            runtime.spawn(Driver { timers, sleep: None, finished: false });
        } else if state.next.is_none_or(|next| at < next)
            && let Some(driver) = &state.driver
        {
            driver.wake_by_ref();
        }
    }

    /// Replaces the waker, if a timeout is set.
    pub(super) fn set_waker(&self, waker: &Waker) {
        if let Some(entry) = &self.0
            && let Some(known) = entry.timers.lock().wakers.get_mut(entry.key)
        {
            known.clone_from(waker);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut state = self.timers.lock();
        state.wheel.remove(self.key);
        let waker = state.wakers.try_remove(self.key);
        // A waker may run any code when it is dropped.
        drop(state);
        drop(waker);
    }
}

impl Timers {
    /// Returns those of a runtime.
    fn of(runtime: &Handle) -> Arc<Self> {
        static ALL: Mutex<Option<HashMap<Id, Weak<Timers>>>> = Mutex::new(None);
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let all = all.get_or_insert_default();
        let id = runtime.id();
        if let Some(timers) = all.get(&id).and_then(Weak::upgrade) {
            return timers;
        }
        all.retain(|_, timers| timers.strong_count() > 0);
        let timers = Arc::new(Self(Mutex::new(State {
            wheel: Wheel::new(TICK),
            wakers: Slab::new(),
            driver: None,
            next: None,
        })));
        all.insert(id, Arc::downgrade(&timers));
        timers
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that wakes connections when their timeouts have passed. It ends when there are no timeouts.
struct Driver {
    timers: Arc<Timers>,
    sleep: Option<Pin<Box<Sleep>>>,
    finished: bool,
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        loop {
            let mut due = Vec::new();
            let mut state = driver.timers.lock();
            let now = now();
            while let Some(key) = state.wheel.expired(now) {
                due.extend(state.wakers.get(key).cloned());
            }
            state.next = state.wheel.next_deadline();
            state.driver = state.next.map(|_| context.waker().clone());
            let next = state.next;
            drop(state);
            due.into_iter().for_each(Waker::wake);
            let Some(next) = next else {
                driver.finished = true;
                return Poll::Ready(());
            };
            // Beyond the clock's range.
            let Some(next) = instant(next) else { return Poll::Pending };
            let sleep = driver.sleep.get_or_insert_with(|| Box::pin(::tokio::time::sleep_until(next)));
            if sleep.deadline() != next {
                sleep.as_mut().reset(next);
            }
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// If the runtime has ended, another one may use these timers, with a driver of its own.
impl Drop for Driver {
    fn drop(&mut self) {
        if !self.finished {
            let waker = self.timers.lock().driver.take();
            drop(waker);
        }
    }
}
