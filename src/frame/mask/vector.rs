//! Masking with vectors of any width.
//!
//! Whole vectors cover every length: the last one ends at the last byte, so it overlaps the one before it. It
//! is loaded before the other is stored, so it reads unmasked input even when masking in place. Both write
//! the same value to the bytes that they share.

/// A machine word or vector: a multiple of four bytes, at any alignment.
///
/// # Safety
///
/// Each function does what its documentation says and touches nothing else.
///
/// They may be called only if the processor has the instructions of the implementation. `load` and `store`
/// need a pointer that is valid for `size_of::<Self>()` bytes.
pub(in crate::frame) unsafe trait Vector: Copy {
    /// Returns the key's four bytes, repeated.
    unsafe fn splat(key: Key) -> Self;
    /// Loads the bytes at `from`.
    unsafe fn load(from: *const u8) -> Self;
    /// Stores the bytes at `to`.
    unsafe fn store(self, to: *mut u8);
    /// Returns the bitwise exclusive or.
    unsafe fn xor(self, other: Self) -> Self;
    /// Returns the bitwise inclusive or.
    unsafe fn or(self, other: Self) -> Self;
    /// Returns whether no byte has its top bit set.
    unsafe fn is_ascii(self) -> bool;
}

/// A masking key, rotated so that its first byte is for the first of the bytes to mask.
#[derive(Clone, Copy)]
pub(in crate::frame) struct Key(u32);

impl Key {
    /// The key that changes nothing.
    pub(in crate::frame) const NONE: Self = Self(0);

    #[inline(always)]
    pub(in crate::frame) const fn new(key: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(key))
    }

    /// Returns the key for the bytes `n` positions further on.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // Of `n`, only two bits count.
    pub(in crate::frame) const fn after(self, n: usize) -> Self {
        Self(self.0.rotate_right(8 * (n as u32 & 3)))
    }

    /// Returns the word that holds the key's bytes in memory order.
    #[inline(always)]
    pub(super) const fn word(self) -> u32 {
        self.0.to_le()
    }
}

/// Copies at most 32 bytes, masking them, and returns whether the result is ASCII.
///
/// # Safety
///
/// `len` is at most twice the size of `V`, which is 16. `from` is valid for reads of `len` bytes and `to` for
/// writes of `len` bytes; they are the same, or do not overlap. The processor has the instructions of `V`.
#[inline(always)]
pub(in crate::frame) unsafe fn copy_short<V: Vector>(
    to: *mut u8,
    from: *const u8,
    len: usize,
    key: Key,
) -> bool {
    const { assert!(size_of::<V>() == 16) };
    // SAFETY: guaranteed by the caller; each length is between one and two times the size of its type.
    unsafe {
        match len {
            16.. => copy_ends::<V, 1>(to, from, len, key),
            8.. => copy_ends::<u64, 1>(to, from, len, key),
            4.. => copy_ends::<u32, 1>(to, from, len, key),
            1.. => copy_few(to, from, len, key),
            0 => true,
        }
    }
}

/// Copies one to three bytes, one by one.
///
/// # Safety
///
/// As for [`copy_short`], with a `len` of one to three.
#[inline(always)]
unsafe fn copy_few(to: *mut u8, from: *const u8, len: usize, key: Key) -> bool {
    let mut all = 0;
    for (at, key) in key.0.to_le_bytes().into_iter().take(3).enumerate() {
        if at < len {
            // SAFETY: `at` is less than `len`.
            unsafe {
                let byte = *from.add(at) ^ key;
                *to.add(at) = byte;
                all |= byte;
            }
        }
    }
    all.is_ascii()
}

/// Copies `N` vectors at each end, which together cover all the bytes, and returns whether they are ASCII.
///
/// # Safety
///
/// As for [`copy_short`], with a `len` between `N` and `2 * N` times the size of `V`.
#[inline(always)]
unsafe fn copy_ends<V: Vector, const N: usize>(to: *mut u8, from: *const u8, len: usize, key: Key) -> bool {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let ends = Ends::<V, N>::load(from, len, key);
        ends.store(to, len);
        ends.is_ascii()
    }
}

/// `N` masked vectors of each end. All are loaded before any is stored, because they overlap.
pub(in crate::frame) struct Ends<V, const N: usize>([V; N], [V; N]);

impl<V: Vector, const N: usize> Ends<V, N> {
    /// Loads them, masking them.
    ///
    /// # Safety
    ///
    /// `from` is valid for reads of `len` bytes, and `len` is at least `N` times the size of `V`. The
    /// processor has the instructions of `V`.
    #[inline(always)]
    pub(in crate::frame) unsafe fn load(from: *const u8, len: usize, key: Key) -> Self {
        let size = size_of::<V>();
        let end = len - N * size;
        // SAFETY: every vector is within `len` bytes.
        unsafe {
            // Loops, because a closure does not have the instructions of the function around it: without
            // link-time optimisation, each of its vector instructions would be a call.
            let (first, last) = (V::splat(key), V::splat(key.after(end)));
            let mut ends = Self([first; N], [last; N]);
            for i in 0..N {
                ends.0[i] = V::load(from.add(i * size)).xor(first);
                ends.1[i] = V::load(from.add(end + i * size)).xor(last);
            }
            ends
        }
    }

    /// Stores them.
    ///
    /// # Safety
    ///
    /// As for [`load`](Self::load), with a `to` that is valid for writes.
    #[inline(always)]
    pub(in crate::frame) unsafe fn store(&self, to: *mut u8, len: usize) {
        let size = size_of::<V>();
        let end = len - N * size;
        // SAFETY: every vector is within `len` bytes.
        unsafe {
            for i in 0..N {
                self.0[i].store(to.add(i * size));
                self.1[i].store(to.add(end + i * size));
            }
        }
    }

    /// Returns whether no byte has its top bit set.
    ///
    /// # Safety
    ///
    /// The processor has the instructions of `V`.
    #[inline(always)]
    pub(in crate::frame) unsafe fn is_ascii(&self) -> bool {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let mut all = self.0[0].or(self.1[0]);
            for i in 1..N {
                all = all.or(self.0[i].or(self.1[i]));
            }
            all.is_ascii()
        }
    }
}

/// Copies bytes, masking them, many vectors at a time.
///
/// # Safety
///
/// As for [`copy_short`], with a `len` of at least the size of `V`.
#[inline(always)]
pub(in crate::frame) unsafe fn copy_long<V: Vector>(to: *mut u8, from: *const u8, len: usize, key: Key) {
    let size = size_of::<V>();
    // SAFETY: each number of vectors is for its lengths; later, every vector is within `len` bytes.
    unsafe {
        match len.div_ceil(size) {
            0..=2 => _ = copy_ends::<V, 1>(to, from, len, key),
            3..=4 => _ = copy_ends::<V, 2>(to, from, len, key),
            5..=8 => _ = copy_ends::<V, 4>(to, from, len, key),
            _ => {
                let end = len - size;
                let last = V::load(from.add(end)).xor(V::splat(key.after(end)));
                // The first vector, too, overlaps the next, which is aligned.
                let first = V::load(from).xor(V::splat(key));
                let start = to.align_offset(size).min(size);
                let wide = V::splat(key.after(start));
                let at = copy_steps::<V, 32>(to, from, start, end, wide);
                let at = copy_steps::<V, 8>(to, from, at, end, wide);
                let at = copy_steps::<V, 2>(to, from, at, end, wide);
                copy_steps::<V, 1>(to, from, at, end, wide);
                first.store(to);
                last.store(to.add(end));
            }
        }
    }
}

/// Copies `N` vectors at a time, starting at `at`, while the last of them begins before `end`. Returns the
/// start of the next one.
///
/// # Safety
///
/// As for [`copy_long`], with a `len` of `end` plus the size of `V`. The key is the one for `at`.
#[inline(always)]
unsafe fn copy_steps<V: Vector, const N: usize>(
    to: *mut u8,
    from: *const u8,
    mut at: usize,
    end: usize,
    key: V,
) -> usize {
    let size = size_of::<V>();
    // SAFETY: every vector begins before `end`, so it ends within `end` plus its size.
    unsafe {
        while at + (N - 1) * size < end {
            for i in 0..N {
                V::load(from.add(at + i * size)).xor(key).store(to.add(at + i * size));
            }
            at += N * size;
        }
    }
    at
}

macro_rules! word {
    ($word:ty) => {
        // SAFETY: plain integers, which every processor has.
        unsafe impl Vector for $word {
            #[inline(always)]
            unsafe fn splat(key: Key) -> Self {
                <$word>::from(key.word()) * (<$word>::MAX / 0xFFFF_FFFF)
            }

            #[inline(always)]
            unsafe fn load(from: *const u8) -> Self {
                // SAFETY: the caller's `from` is valid for the size of the word.
                unsafe { from.cast::<$word>().read_unaligned() }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut u8) {
                // SAFETY: the caller's `to` is valid for the size of the word.
                unsafe { to.cast::<$word>().write_unaligned(self) }
            }

            #[inline(always)]
            unsafe fn xor(self, other: Self) -> Self {
                self ^ other
            }

            #[inline(always)]
            unsafe fn or(self, other: Self) -> Self {
                self | other
            }

            #[inline(always)]
            unsafe fn is_ascii(self) -> bool {
                self & (<$word>::MAX / 0xFF * 0x80) == 0
            }
        }
    };
}

word!(u32);
word!(u64);
word!(u128);
