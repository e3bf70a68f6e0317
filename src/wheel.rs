//! Coarse deadlines for very many connections: a timer wheel that owns no clock and no timers, only
//! eight bytes for each connection.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

/// Slots of a wheel. One entry's slot is kept in eight bits.
const SLOTS: usize = 256;

/// Bits of a place in the list of a slot.
const PLACE_BITS: u32 = 28;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;

/// Tells when the deadlines of very many connections may have passed.
///
/// Its entries are keys of the caller's own, small numbers such as a slab's, with at most one entry
/// for each key. They fall into slots of `tick` milliseconds, 256 of them: setting, moving and
/// removing one takes a few instructions, whatever the number of entries, and what does not fall due
/// is never looked at.
///
/// **It is coarse**: an entry fires up to a tick late, never early, but for one that lies further
/// ahead than the wheel reaches (255 ticks), which fires when the wheel has gone round. **It is
/// lazy**: an entry can only be brought forward. Deadlines that move on with every byte that arrives
/// need not be told: when the entry fires, ask
/// [`next_deadline`](crate::protocol::Connection::next_deadline) again, do what is due, and set what
/// it says now.
///
/// Eight bytes for each key up to the largest one that was used, and a KiB for itself.
///
/// ```
/// use websocket_stream::Wheel;
///
/// let mut wheel = Wheel::new(1000);
/// wheel.set(7, 2_500);
/// assert_eq!(wheel.next(), Some(3_000));
/// wheel.set(7, 60_000); // later: it stays as it is
/// assert_eq!(wheel.expired(2_999), None);
/// assert_eq!(wheel.expired(3_000), Some(7));
/// assert_eq!(wheel.expired(3_000), None);
/// ```
#[derive(Debug, Clone)]
pub struct Wheel {
    tick: u64,
    /// The tick whose slot is being emptied. All entries lie in the 255 after it, or in its own.
    current: u64,
    /// The latest tick that was told.
    latest: u64,
    /// A ring for each slot: first the places of the slots themselves, then those of the keys.
    places: Vec<Place>,
    /// A bit for each slot that has entries.
    occupied: [u64; SLOTS / 64],
}

/// What stands before and behind a place in its ring, and the slot in which an entry is. A place
/// that stands alone is its own neighbour.
#[derive(Debug, Clone, Copy)]
struct Place(u64);

impl Place {
    fn new(before: usize, behind: usize, slot: usize) -> Self {
        Self(before as u64 | (behind as u64) << PLACE_BITS | (slot as u64) << (2 * PLACE_BITS))
    }

    fn before(self) -> usize {
        usize::try_from(self.0 & PLACE_MASK).unwrap_or(0)
    }

    fn behind(self) -> usize {
        usize::try_from(self.0 >> PLACE_BITS & PLACE_MASK).unwrap_or(0)
    }

    fn slot(self) -> usize {
        usize::try_from(self.0 >> (2 * PLACE_BITS)).unwrap_or(0)
    }
}

impl Wheel {
    /// The largest key: no machine holds so many connections.
    pub const MAX_KEY: usize = (1 << PLACE_BITS) - 1 - SLOTS;

    /// A wheel of ticks of so many milliseconds; 0 counts as 1. A second is fine enough for what
    /// connections wait for.
    pub fn new(tick: u32) -> Self {
        let places = (0..SLOTS).map(|slot| Place::new(slot, slot, slot)).collect();
        Self { tick: tick.max(1).into(), current: 0, latest: 0, places, occupied: [0; SLOTS / 64] }
    }

    /// Sets when a key is to fire, in the caller's milliseconds. Where it is set for earlier already,
    /// or for the same tick, it stays so. A time that has passed fires at the next tick.
    ///
    /// Tells whether it is set: a key above [`MAX_KEY`](Self::MAX_KEY) never is.
    #[inline]
    pub fn set(&mut self, key: usize, at: u64) -> bool {
        if key > Self::MAX_KEY {
            return false;
        }
        // Never at once: a caller that sets what has just fired would not come to an end.
        let tick = at.div_ceil(self.tick).max(self.latest.saturating_add(1));
        let ahead = (tick - self.current).min(SLOTS as u64 - 1);
        let slot = self.slot(self.current + ahead);
        let place = SLOTS + key;
        if let Some(entry) = self.places.get(place)
            && entry.behind() != place
        {
            // How far ahead it lies, of 256; 0 where it is about to fire.
            let set = entry.slot().wrapping_sub(self.slot(self.current)) % SLOTS;
            if set as u64 <= ahead {
                return true;
            }
            self.unlink(place);
        }
        self.link(place, slot);
        true
    }

    /// Forgets a key, such as one whose connection is gone.
    #[inline]
    pub fn remove(&mut self, key: usize) {
        let place = SLOTS.saturating_add(key);
        if self.places.get(place).is_some_and(|entry| entry.behind() != place) {
            self.unlink(place);
        }
    }

    /// The next key that has fired by now; call it until `None`. It is set no more.
    pub fn expired(&mut self, now: u64) -> Option<usize> {
        self.latest = self.latest.max(now / self.tick);
        // After a long sleep all are due, and the rounds that nobody saw are left out.
        let rounds = (self.latest - self.current) / SLOTS as u64;
        self.current += rounds.saturating_sub(1) * SLOTS as u64;
        loop {
            let slot = self.slot(self.current);
            let first = self.places[slot].behind();
            if first != slot {
                self.unlink(first);
                return Some(first - SLOTS);
            }
            match self.next_tick() {
                Some(tick) if tick <= self.latest => self.current = tick,
                _ => {
                    self.current = self.latest;
                    return None;
                }
            }
        }
    }

    /// When [`expired`](Self::expired) next wants to be called, in the caller's milliseconds; `None`
    /// where nothing is set.
    #[inline]
    pub fn next(&self) -> Option<u64> {
        Some(self.next_tick()?.saturating_mul(self.tick))
    }

    fn slot(&self, tick: u64) -> usize {
        usize::try_from(tick % SLOTS as u64).unwrap_or(0)
    }

    /// The first tick that has entries, the current one included.
    fn next_tick(&self) -> Option<u64> {
        let start = self.slot(self.current);
        let (word, bit) = (start / 64, start % 64);
        // The words from the start's on, the start's own again at the end, for its lower bits.
        for step in 0..=self.occupied.len() {
            let index = (word + step) % self.occupied.len();
            let mask = match step {
                0 => u64::MAX << bit,
                _ => u64::MAX,
            };
            let bits = self.occupied[index] & mask;
            if bits != 0 {
                let slot = index * 64 + bits.trailing_zeros() as usize;
                let ahead = slot.wrapping_sub(start) % SLOTS;
                return Some(self.current + ahead as u64);
            }
        }
        None
    }

    fn link(&mut self, place: usize, slot: usize) {
        if place >= self.places.len() {
            // A place that stands alone.
            self.places.extend((self.places.len()..=place).map(|alone| Place::new(alone, alone, 0)));
        }
        let last = self.places[slot].before();
        self.places[place] = Place::new(last, slot, slot);
        self.set_behind(last, place);
        self.set_before(slot, place);
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    fn unlink(&mut self, place: usize) {
        let entry = self.places[place];
        let (before, behind) = (entry.before(), entry.behind());
        self.set_behind(before, behind);
        self.set_before(behind, before);
        self.places[place] = Place::new(place, place, 0);
        if before == behind && before < SLOTS {
            self.occupied[before / 64] &= !(1 << (before % 64));
        }
    }

    fn set_before(&mut self, place: usize, before: usize) {
        let entry = self.places[place];
        self.places[place] = Place::new(before, entry.behind(), entry.slot());
    }

    fn set_behind(&mut self, place: usize, behind: usize) {
        let entry = self.places[place];
        self.places[place] = Place::new(entry.before(), behind, entry.slot());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use quickcheck::{Arbitrary, Gen, QuickCheck};

    #[derive(Debug, Clone)]
    enum Step {
        Set(usize, u64),
        Remove(usize),
        Pass(u64),
    }

    impl Arbitrary for Step {
        fn arbitrary(g: &mut Gen) -> Self {
            let key = usize::from(u8::arbitrary(g) % 40);
            let ahead = [1, 10, 300, 5_000, 300_000][usize::from(u8::arbitrary(g) % 5)];
            match u8::arbitrary(g) % 8 {
                0..5 => Step::Set(key, u64::from(u16::arbitrary(g)) % ahead),
                5 => Step::Remove(key),
                _ => Step::Pass(u64::from(u16::arbitrary(g)) % ahead),
            }
        }
    }

    /// A caller whose deadlines move both ways, told to the wheel as the documentation says: each key
    /// whose deadline has passed is found within a tick, and none before.
    #[test]
    fn every_deadline_is_found_within_a_tick_and_none_before() {
        fn prop(tick: u8, start: u32, steps: Vec<Step>) {
            let tick = u64::from(tick % 100) + 1;
            let mut wheel = Wheel::new(u32::try_from(tick).unwrap());
            let mut deadlines = BTreeMap::new();
            let mut now = u64::from(start);
            assert_eq!(wheel.expired(now), None);
            for step in steps {
                match step {
                    Step::Set(key, ahead) => {
                        deadlines.insert(key, now + ahead);
                        wheel.set(key, now + ahead);
                    }
                    Step::Remove(key) => {
                        deadlines.remove(&key);
                        wheel.remove(key);
                    }
                    Step::Pass(time) => now += time,
                }
                let mut calls = 0;
                while let Some(key) = wheel.expired(now) {
                    calls += 1;
                    assert!(calls <= 3 * 40, "an entry fires a few times at the most");
                    // A key fires only while it has a deadline.
                    let at = deadlines[&key];
                    if at <= now {
                        deadlines.remove(&key);
                    } else {
                        wheel.set(key, at);
                    }
                }
                let late = |at: &u64| at.div_ceil(tick) * tick + tick <= now;
                assert!(!deadlines.values().any(late), "{deadlines:?} at {now}");
                // It wants to be called while there is anything, and in time for it.
                assert_eq!(wheel.next().is_none(), deadlines.is_empty());
                if let (Some(next), Some(first)) = (wheel.next(), deadlines.values().min()) {
                    assert!(
                        next > now - now % tick && next <= first.div_ceil(tick).max(now / tick + 1) * tick
                    );
                }
            }
        }
        QuickCheck::new().tests(3_000).quickcheck(prop as fn(u8, u32, Vec<Step>));
    }

    #[test]
    fn an_entry_is_eight_bytes() {
        assert_eq!(size_of::<Place>(), 8);
        let mut wheel = Wheel::new(1000);
        wheel.set(299_999, 1);
        assert_eq!(wheel.places.len(), 300_000 + SLOTS);
    }

    #[test]
    fn a_key_that_is_too_large_is_refused_and_costs_nothing() {
        let mut wheel = Wheel::new(1000);
        for key in [Wheel::MAX_KEY + 1, usize::MAX] {
            assert!(!wheel.set(key, 1));
            wheel.remove(key);
        }
        assert_eq!((wheel.next(), wheel.places.len()), (None, SLOTS));
        assert!(wheel.set(3, 1));
    }

    #[test]
    fn what_is_not_due_is_never_looked_at() {
        let mut wheel = Wheel::new(1000);
        for key in 0..100_000 {
            wheel.set(key, 60_000 + key as u64 % 100_000);
        }
        for now in (0..60_000).step_by(100) {
            assert_eq!(wheel.expired(now), None);
        }
        let fired = core::iter::from_fn(|| wheel.expired(61_000)).count();
        assert_eq!(fired, 1_001);
    }

    #[test]
    fn a_loop_that_sets_what_has_passed_comes_to_an_end() {
        let mut wheel = Wheel::new(10);
        wheel.set(1, 5);
        // It was asleep for longer than the wheel goes round.
        let mut calls = 0;
        while let Some(key) = wheel.expired(1_000_000) {
            wheel.set(key, 5);
            calls += 1;
            assert!(calls <= 3);
        }
        assert_eq!(wheel.next(), Some(1_000_010));
    }
}
