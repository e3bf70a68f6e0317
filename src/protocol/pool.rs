//! Used message buffers, kept for later messages.
#![forbid(unsafe_code)]

use crate::frame::utf8::MessageBuffer;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// The maximum number of buffers in a pool, and of bytes in all of them.
const POOLED_BUFFERS: usize = 4;
const POOLED_BYTES: usize = 8 << 20;

/// A message gets a used buffer of at most 32 times the bytes that have arrived of the message. After the
/// first 64 KiB, less a header, that is enough for a message of 1 MiB.
const POOLED_TIMES: usize = 32;

/// Up to four used message buffers, shared by all connections of a thread.
#[derive(Default)]
pub(super) struct BufferPool(Vec<Vec<u8>>);

impl BufferPool {
    /// Returns a used buffer of any size, or a new one.
    #[cfg(any(feature = "deflate", test))]
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    /// Keeps a used buffer. A full pool drops its smallest buffer, which is the cheapest to allocate again.
    pub(super) fn put(&mut self, storage: Vec<u8>) {
        let mut pooled: usize = self.0.iter().map(Vec::capacity).sum();
        let mut place = None;
        if self.0.len() == POOLED_BUFFERS {
            let smallest = self.0.iter_mut().min_by_key(|buffer| buffer.capacity());
            place = smallest.filter(|smallest| smallest.capacity() < storage.capacity());
            let Some(smallest) = &place else { return };
            pooled -= smallest.capacity();
        }
        if storage.capacity() == 0 || pooled + storage.capacity() > POOLED_BYTES {
            return;
        }
        match place {
            Some(smallest) => *smallest = storage,
            None => self.0.push(storage),
        }
    }

    /// Makes room in a message for `least` more bytes, of `wanted` bytes in all; `unread` bytes have been
    /// received and not used.
    ///
    /// A message that must grow moves to a used buffer: the smallest one with room for the whole message, or
    /// else the largest one, so that it moves only once. Only bytes that have arrived reserve memory, not an
    /// announced length.
    pub(super) fn make_room(
        &mut self,
        message: &mut MessageBuffer,
        least: usize,
        wanted: usize,
        unread: usize,
    ) {
        if message.spare().len() >= least {
            return;
        }
        let needed = message.len().saturating_add(least);
        let most = message.len().saturating_add(unread).saturating_mul(POOLED_TIMES);
        let rooms = self.0.iter().map(|buffer| MessageBuffer::room_in(buffer.len())).enumerate();
        let fitting = rooms.filter(|(_, room)| (needed..=most).contains(room));
        if let Some((index, _)) = fitting.max_by_key(|&(_, room)| (room.min(wanted), Reverse(room))) {
            let storage = message.move_to(self.0.swap_remove(index));
            self.put(storage);
        }
        message.make_room(least, wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn pooled(pool: &BufferPool) -> Vec<usize> {
        let mut pooled: Vec<usize> = pool.0.iter().map(Vec::capacity).collect();
        pooled.sort_unstable();
        pooled
    }

    #[test]
    fn a_full_pool_changes_its_smallest_buffer_for_a_larger_one() {
        let mut pool = BufferPool::default();
        let most = POOLED_BYTES - 95;
        for (given, kept) in [
            (0, vec![]),
            (30, vec![30]),
            (10, vec![10, 30]),
            (20, vec![10, 20, 30]),
            (40, vec![10, 20, 30, 40]),
            (5, vec![10, 20, 30, 40]),
            (25, vec![20, 25, 30, 40]),
            // The buffer that is dropped is not counted; the others are.
            (most, vec![25, 30, 40, most]),
            (26, vec![25, 30, 40, most]),
        ] {
            pool.put(vec![0; given]);
            assert_eq!(pooled(&pool), kept, "{given}");
        }
    }

    #[test]
    fn a_message_moves_to_the_smallest_used_buffer_that_has_room_for_all_or_else_to_the_largest() {
        for (buffers, [len, spare, unread], [least, wanted], room, left) in [
            (vec![150, 200, 300], [50, 0, 10], [60, 180], 200, vec![50, 150, 300]),
            (vec![150, 300, 200], [50, 0, 10], [60, 1000], 300, vec![50, 150, 200]),
            // There is room.
            (vec![200], [50, 60, 10], [60, 180], 110, vec![200]),
            // No buffer has enough room. The large one is too small as well, because a message does not begin
            // at the start of its buffer.
            (vec![100], [50, 0, 10], [60, 180], 110, vec![100]),
            (vec![64 << 10], [3000, 0, 0], [60_500, 63_500], 63_500, vec![64 << 10]),
            // Too large for what has arrived.
            (vec![320, 321], [10, 0, 0], [10, 1000], 320, vec![10, 321]),
            (vec![321, 320], [4, 0, 6], [10, 1000], 320, vec![4, 321]),
            (vec![321], [4, 0, 6], [10, 14], 14, vec![321]),
        ] {
            let mut pool = BufferPool(buffers.iter().map(|&len| vec![0; len]).collect());
            let mut message = MessageBuffer::new(false, vec![7; len + spare]);
            message.commit(len, None, 0).unwrap();
            pool.make_room(&mut message, least, wanted, unread);
            assert_eq!((len + message.spare().len(), pooled(&pool)), (room, left), "{buffers:?}");
            assert!(message.as_bytes() == vec![7; len]);
        }
    }
}
