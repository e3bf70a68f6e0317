//! An allocator that counts this thread's allocations and the bytes it holds.
#![allow(dead_code, reason = "each test uses some of it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// How often something was allocated.
    pub(crate) static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// In bytes, from a gibibyte on: a thread may free what another one has allocated.
    pub(crate) static LIVE: Cell<usize> = const { Cell::new(1 << 30) };
    /// The most that [`LIVE`] was.
    pub(crate) static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// Counts so many bytes more, and so many less.
fn count(more: usize, less: usize) {
    // A thread that is ending counts no more.
    let _ = LIVE.try_with(|n| n.set(n.get().wrapping_add(more).wrapping_sub(less)));
    let _ = PEAK.try_with(|peak| peak.set(peak.get().max(LIVE.get())));
    if more > 0 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
    }
}

#[expect(unsafe_code, reason = "an allocator that counts can be had no other way")]
// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
