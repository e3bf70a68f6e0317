//! An allocator that counts this thread's allocations and the bytes it holds.
#![allow(dead_code, reason = "each test uses some of it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// The number of allocations.
    pub(crate) static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// The bytes allocated, counted from a gibibyte: a thread may free memory that another one allocated.
    pub(crate) static LIVE: Cell<usize> = const { Cell::new(1 << 30) };
    /// The largest value of [`LIVE`].
    pub(crate) static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// Adds `more` bytes and subtracts `less`.
fn count(more: usize, less: usize) {
    // A thread that is ending does not count.
    let _ = LIVE.try_with(|n| n.set(n.get().wrapping_add(more).wrapping_sub(less)));
    let _ = PEAK.try_with(|peak| peak.set(peak.get().max(LIVE.get())));
    if more > 0 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
    }
}

#[expect(unsafe_code, reason = "an allocator can be counted in no other way")]
// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promises are forwarded.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promises are forwarded.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller's promises are forwarded.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
