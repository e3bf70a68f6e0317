//! The timeouts of all connections on a runtime: one wheel, and one timer of tokio's that is always the next.
//!
//! A timer of tokio's own takes more memory than an idle connection. Here a connection without a deadline
//! takes none, and one with a deadline takes about 64 bytes.

use super::clock::{instant, now};
use crate::wheel::Wheel;
use ::tokio::runtime::{Handle, Id};
use ::tokio::time::{Sleep, sleep, sleep_until};
use slab::Slab;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The precision of timeouts in milliseconds.
const TICK: u32 = 100;

/// The timeouts on one runtime.
#[derive(Debug)]
struct Timers {
    state: Mutex<State>,
    /// The driver was dropped, as it is with its runtime: no timeout fires.
    ended: AtomicBool,
}

#[derive(Debug)]
struct State {
    wheel: Wheel,
    /// The waker for each key of the wheel, and when it is woken. The wheel may be early.
    wakers: Slab<(Waker, u64)>,
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
    /// Without a runtime, nothing is woken, and this returns false.
    #[inline]
    pub(super) fn set(&mut self, at: Option<u64>, now: u64, waker: &Waker) -> bool {
        let Some(at) = at else { return true };
        match &self.0 {
            // It has not fired, and fires in time.
            Some(entry) if !entry.has_fired(now) && entry.at <= at => true,
            _ => self.change(at, waker),
        }
    }

    /// Returns whether a timeout is set.
    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Returns whether the timeout that was set may have fired.
    #[inline]
    pub(super) fn has_fired(&self, now: u64) -> bool {
        self.0.as_ref().is_some_and(|entry| entry.has_fired(now))
    }

    #[cold]
    fn change(&mut self, at: u64, waker: &Waker) -> bool {
        let Ok(runtime) = Handle::try_current() else { return false };
        let timers = Timers::of(&runtime);
        if self.0.as_ref().is_some_and(|entry| !Arc::ptr_eq(&entry.timers, &timers)) {
            self.0 = None;
        }
        let mut state = timers.lock();
        let entry = self.0.get_or_insert_with(|| {
            let key = state.wakers.insert((waker.clone(), at));
            Box::new(Entry { timers: Arc::clone(&timers), key, at })
        });
        entry.at = at;
        if let Some((_, known)) = state.wakers.get_mut(entry.key) {
            *known = at;
        }
        state.wheel.remove(entry.key);
        state.wheel.set(entry.key, at);
        if state.driver.is_none() {
            // Panics here, not in the driver's task, if the runtime has no timers.
            let sleep = Box::pin(instant(at).map_or_else(|| sleep(Duration::MAX), sleep_until));
            // Replaced when the driver is polled for the first time, which it is at once.
            state.driver = Some(Waker::noop().clone());
            timers.ended.store(false, Ordering::Relaxed);
            drop(state);
            runtime.spawn(Driver { timers, sleep, polled: false, finished: false });
        } else if state.next.is_none_or(|next| at < next)
            && let Some(driver) = &state.driver
        {
            driver.wake_by_ref();
        }
        true
    }

    /// Replaces the waker, if a timeout is set.
    pub(super) fn set_waker(&self, waker: &Waker) {
        if let Some(entry) = &self.0 {
            let mut state = entry.timers.lock();
            let replaced = state.wakers.get_mut(entry.key);
            let replaced = replaced.map(|(known, _)| std::mem::replace(known, waker.clone()));
            // A waker may run any code when it is dropped.
            drop(state);
            drop(replaced);
        }
    }
}

impl Entry {
    #[inline]
    fn has_fired(&self, now: u64) -> bool {
        self.at <= now || self.timers.ended.load(Ordering::Relaxed)
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
        let state = State { wheel: Wheel::new(TICK), wakers: Slab::new(), driver: None, next: None };
        let timers = Arc::new(Self { state: Mutex::new(state), ended: AtomicBool::new(false) });
        all.insert(id, Arc::downgrade(&timers));
        timers
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that wakes connections when their timeouts have passed. It ends when there are no timeouts.
struct Driver {
    timers: Arc<Timers>,
    sleep: Pin<Box<Sleep>>,
    polled: bool,
    finished: bool,
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        driver.polled = true;
        loop {
            let mut due = Vec::new();
            let mut guard = driver.timers.lock();
            let state = &mut *guard;
            let now = now();
            while let Some(key) = state.wheel.expired(now) {
                match state.wakers.get(key) {
                    // It was beyond the wheel's reach.
                    Some(&(_, at)) if now < at => {
                        state.wheel.set(key, at);
                    }
                    Some((waker, _)) => due.push(waker.clone()),
                    None => {}
                }
            }
            state.next = state.wheel.next_deadline();
            state.driver = state.next.map(|_| context.waker().clone());
            let next = state.next;
            drop(guard);
            due.into_iter().for_each(Waker::wake);
            let Some(next) = next else {
                driver.finished = true;
                return Poll::Ready(());
            };
            // Beyond the clock's range.
            let Some(next) = instant(next) else { return Poll::Pending };
            if driver.sleep.deadline() != next {
                driver.sleep.as_mut().reset(next);
            }
            if driver.sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// If the runtime has ended, its connections may continue on another one. They are woken, so that they set
/// their timeouts there.
impl Drop for Driver {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let mut state = self.timers.lock();
        let driver = state.driver.take();
        let waiting: Vec<_> = state.wakers.iter().map(|(_, (waker, _))| waker.clone()).collect();
        self.timers.ended.store(true, Ordering::Relaxed);
        drop(state);
        drop(driver);
        // A driver that was never polled was refused by a runtime that has ended. Its connection was not
        // polled by another one, and would be refused again.
        if self.polled {
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}
