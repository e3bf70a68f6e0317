//! Coarse deadlines for many connections: a timer wheel without a clock or timers, with eight bytes per
//! connection.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

/// The slots of a wheel, one per tick of a rotation. Entries are in the 255 slots after the current one.
const SLOTS: usize = 256;

/// The maximum number of ticks that an entry can be ahead.
const REACH: u64 = SLOTS as u64 - 1;

/// The list of entries that are due, after the lists of the slots.
const DUE: usize = SLOTS;

/// The list of entries that were set for a time that had passed. They become due when the tick changes.
const PASSED: usize = SLOTS + 1;

/// The number of lists.
const LISTS: usize = SLOTS + 2;

/// The number of bits in an index of a place.
const PLACE_BITS: u32 = 27;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;

/// A timer wheel: finds the connections whose deadlines may have passed.
///
/// Entries are the caller's keys, small numbers such as slab indices, at most one entry per key. They are
/// stored in 256 slots of `tick` milliseconds. Setting, moving and removing an entry takes a few
/// instructions, whatever the number of entries, and entries that are not due are never visited.
///
/// **It is coarse**: an entry fires up to one tick late, never early. An entry beyond the wheel's reach (255
/// ticks) fires after a full rotation.
///
/// **It is lazy**: an entry can only be moved to an earlier time. A deadline that every received byte
/// postpones need not be set again. When the entry fires, call
/// [`next_deadline`](crate::protocol::Connection::next_deadline), handle what is due, and set the deadline
/// that it returns.
///
/// **It survives wrong times.** If time jumps far ahead, all entries fire. If time goes back, entries keep
/// their times, with two exceptions: an entry set for a time that had passed fires at once, and an entry that
/// is now beyond the wheel's reach fires after a full rotation. No entry fires twice without being set again,
/// so a loop over [`expired`](Self::expired) ends at any time, including [`u64::MAX`].
///
/// The wheel uses eight bytes for each key up to the largest key set, and 2 KiB besides.
///
/// ```
/// use websocket_stream::Wheel;
///
/// let mut wheel = Wheel::new(1000);
/// wheel.set(7, 2_500);
/// assert_eq!(wheel.next_deadline(), Some(3_000));
/// wheel.set(7, 60_000); // later: it stays as it is
/// assert_eq!(wheel.expired(2_999), None);
/// assert_eq!(wheel.expired(3_000), Some(7));
/// assert_eq!(wheel.expired(3_000), None);
/// ```
#[derive(Debug, Clone)]
pub struct Wheel {
    tick: u64,
    /// The tick of the last `now`. No entry is in its slot.
    current: u64,
    /// The links of circular lists: first those of the list heads, then those of the keys.
    places: Vec<Place>,
    /// One bit for each slot that has entries.
    occupied: [u64; SLOTS / 64],
}

/// The neighbours of a place in its circular list, and the list of an entry. An unlinked place is its own
/// neighbour.
#[derive(Debug, Clone, Copy)]
struct Place(u64);

impl Place {
    fn new(before: usize, behind: usize, list: usize) -> Self {
        Self(before as u64 | (behind as u64) << PLACE_BITS | (list as u64) << (2 * PLACE_BITS))
    }

    fn before(self) -> usize {
        usize::try_from(self.0 & PLACE_MASK).unwrap_or(0)
    }

    fn behind(self) -> usize {
        usize::try_from(self.0 >> PLACE_BITS & PLACE_MASK).unwrap_or(0)
    }

    fn list(self) -> usize {
        usize::try_from(self.0 >> (2 * PLACE_BITS)).unwrap_or(0)
    }
}

/// Returns the slot of a tick.
fn slot(tick: u64) -> usize {
    usize::try_from(tick % SLOTS as u64).unwrap_or(0)
}

impl Wheel {
    /// The largest key. No machine has this many connections.
    pub const MAX_KEY: usize = (1 << PLACE_BITS) - 1 - LISTS;

    /// Creates a wheel with ticks of this many milliseconds; 0 counts as 1.
    ///
    /// One second is precise enough for the timeouts of connections.
    pub fn new(tick: u32) -> Self {
        let places = (0..LISTS).map(|list| Place::new(list, list, list)).collect();
        Self { tick: tick.max(1).into(), current: 0, places, occupied: [0; SLOTS / 64] }
    }

    /// Sets the time at which a key fires, in the caller's milliseconds.
    ///
    /// A key that is already set for an earlier time, or for the same tick, is left unchanged. A time that
    /// has passed fires at the next tick. Returns whether the key is set: a key above
    /// [`MAX_KEY`](Self::MAX_KEY) never is.
    #[inline]
    pub fn set(&mut self, key: usize, at: u64) -> bool {
        if key > Self::MAX_KEY {
            return false;
        }
        let ahead = at.div_ceil(self.tick).saturating_sub(self.current).min(REACH);
        let list = match ahead {
            // Not due at once: a caller that sets what has just fired would loop forever.
            0 => PASSED,
            _ => slot(self.current.wrapping_add(ahead)),
        };
        let place = LISTS + key;
        if let Some(entry) = self.places.get(place)
            && entry.behind() != place
        {
            let is_earlier = match entry.list() {
                DUE | PASSED => true,
                set => set.wrapping_sub(slot(self.current)) % SLOTS <= slot(ahead),
            };
            if is_earlier {
                return true;
            }
            self.unlink(place);
        }
        self.link(place, list);
        true
    }

    /// Removes a key, such as one whose connection is closed.
    #[inline]
    pub fn remove(&mut self, key: usize) {
        let place = LISTS.saturating_add(key);
        if self.places.get(place).is_some_and(|entry| entry.behind() != place) {
            self.unlink(place);
        }
    }

    /// Returns and removes a key that has fired by `now`. Call it until it returns `None`.
    pub fn expired(&mut self, now: u64) -> Option<usize> {
        let tick = match now {
            // There is no later time at which an entry within the last tick could fire.
            u64::MAX => self.last_tick(),
            _ => now / self.tick,
        };
        if tick != self.current {
            self.move_to(tick);
        }
        let first = self.places[DUE].behind();
        if first == DUE {
            return None;
        }
        self.unlink(first);
        Some(first - LISTS)
    }

    /// Returns when to call [`expired`](Self::expired) next, in the caller's milliseconds.
    ///
    /// Returns `None` if no key is set, or if the time would be above [`u64::MAX`].
    #[inline]
    pub fn next_deadline(&self) -> Option<u64> {
        let is_empty = |list: usize| self.places[list].behind() == list;
        let ahead = match () {
            () if !is_empty(DUE) => 0,
            () if !is_empty(PASSED) => 1,
            () => self.first_occupied()?,
        };
        let tick = self.current.checked_add(ahead).filter(|&tick| tick <= self.last_tick())?;
        Some(tick.saturating_mul(self.tick))
    }

    /// Returns the tick of the largest time.
    const fn last_tick(&self) -> u64 {
        u64::MAX.div_ceil(self.tick)
    }

    /// Moves to another tick, ahead or back.
    fn move_to(&mut self, tick: u64) {
        self.move_all(PASSED, DUE);
        if tick > self.current {
            for ahead in 1..=(tick - self.current).min(REACH) {
                self.move_all(slot(self.current.wrapping_add(ahead)), DUE);
            }
        } else {
            // Entries at the far end are now beyond reach: the slots from here on are theirs, one rotation
            // ahead.
            for ahead in 0..(self.current - tick).min(REACH) {
                self.move_all(slot(tick.wrapping_add(ahead)), slot(tick.wrapping_add(REACH)));
            }
        }
        self.current = tick;
    }

    /// Returns how many ticks ahead the first slot with entries is.
    fn first_occupied(&self) -> Option<u64> {
        let start = slot(self.current);
        let (word, bit) = (start / 64, start % 64);
        // Starts with the word of the start, and ends with it again, for its lower bits.
        for step in 0..=self.occupied.len() {
            let index = (word + step) % self.occupied.len();
            let mask = match step {
                0 => u64::MAX << bit,
                _ => u64::MAX,
            };
            let bits = self.occupied[index] & mask;
            if bits != 0 {
                let slot = index * 64 + bits.trailing_zeros() as usize;
                return Some((slot.wrapping_sub(start) % SLOTS) as u64);
            }
        }
        None
    }

    /// Moves the entries of a list to the end of another list.
    fn move_all(&mut self, from: usize, to: usize) {
        loop {
            let first = self.places[from].behind();
            if first == from {
                return;
            }
            self.unlink(first);
            self.link(first, to);
        }
    }

    fn link(&mut self, place: usize, list: usize) {
        if place >= self.places.len() {
            // Unlinked places.
            self.places.extend((self.places.len()..=place).map(|alone| Place::new(alone, alone, 0)));
        }
        let last = self.places[list].before();
        self.places[place] = Place::new(last, list, list);
        self.set_behind(last, place);
        self.set_before(list, place);
        if list < SLOTS {
            self.occupied[list / 64] |= 1 << (list % 64);
        }
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
        self.places[place] = Place::new(before, entry.behind(), entry.list());
    }

    fn set_behind(&mut self, place: usize, behind: usize) {
        let entry = self.places[place];
        self.places[place] = Place::new(entry.before(), behind, entry.list());
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
        /// A wrong time, or a return to the right one.
        Jump(u64),
    }

    impl Arbitrary for Step {
        fn arbitrary(g: &mut Gen) -> Self {
            let key = usize::from(u8::arbitrary(g) % 40);
            let ahead = [1, 10, 300, 5_000, 300_000][usize::from(u8::arbitrary(g) % 5)];
            match u8::arbitrary(g) % 8 {
                0..5 => Step::Set(key, u64::from(u16::arbitrary(g)) % ahead),
                5 => Step::Remove(key),
                6 if bool::arbitrary(g) => {
                    let far = [0, 1 << 20, 1 << 50][usize::from(u8::arbitrary(g) % 3)];
                    Step::Jump(far + u64::from(u16::arbitrary(g)) % ahead)
                }
                _ => Step::Pass(u64::from(u16::arbitrary(g)) % ahead),
            }
        }
    }

    /// A caller whose deadlines move in both directions, and who uses the wheel as documented. Each key whose
    /// deadline has passed is found within a tick, and none before.
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
                    Step::Jump(time) => now = time,
                }
                let mut calls = 0;
                while let Some(key) = wheel.expired(now) {
                    calls += 1;
                    assert!(calls <= 3 * 40, "an entry fires a few times at most");
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
                // There is a next call while there are deadlines, and it is in time for them.
                assert_eq!(wheel.next_deadline().is_none(), deadlines.is_empty());
                if let (Some(next), Some(first)) = (wheel.next_deadline(), deadlines.values().min()) {
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
        assert_eq!(wheel.places.len(), 300_000 + LISTS);
    }

    #[test]
    fn a_key_that_is_too_large_is_refused_and_costs_nothing() {
        let mut wheel = Wheel::new(1000);
        for key in [Wheel::MAX_KEY + 1, usize::MAX] {
            assert!(!wheel.set(key, 1));
            wheel.remove(key);
        }
        assert_eq!((wheel.next_deadline(), wheel.places.len()), (None, LISTS));
        assert!(wheel.set(3, 1));
    }

    #[test]
    fn entries_that_are_not_due_never_fire() {
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
    fn a_loop_that_sets_passed_times_ends() {
        let mut wheel = Wheel::new(10);
        wheel.set(1, 5);
        // The caller was asleep for longer than a rotation of the wheel.
        let mut calls = 0;
        while let Some(key) = wheel.expired(1_000_000) {
            wheel.set(key, 5);
            calls += 1;
            assert!(calls <= 3);
        }
        assert_eq!(wheel.next_deadline(), Some(1_000_010));
    }

    #[test]
    fn at_the_largest_time_a_loop_that_sets_passed_times_ends() {
        for tick in [0, 1, 2, 10, 1000, u32::MAX] {
            for at in [0, 5, u64::MAX - 1, u64::MAX] {
                let mut wheel = Wheel::new(tick);
                wheel.set(1, at);
                for round in 0..3 {
                    let mut calls = 0;
                    while let Some(key) = wheel.expired(u64::MAX) {
                        wheel.set(key, at);
                        calls += 1;
                        assert!(calls == 1 && round == 0, "tick {tick}, set for {at}");
                    }
                    assert_eq!(
                        (calls, wheel.next_deadline()),
                        (u32::from(round == 0), None),
                        "there is no later time"
                    );
                }
                // It was a wrong time: the entry is found once the time is right again.
                assert_eq!(wheel.expired(7_000), Some(1));
            }
        }
    }

    #[test]
    fn after_a_wrong_time_far_ahead_entries_fire_at_the_right_time() {
        for wrong in [500_000, 1 << 40, u64::MAX - 1, u64::MAX] {
            let mut wheel = Wheel::new(1000);
            assert_eq!(wheel.expired(100_000), None);
            wheel.set(1, 130_000);
            assert_eq!(wheel.expired(wrong), Some(1));
            // Set while the time is wrong, and again afterwards.
            wheel.set(1, 130_000);
            if let Some(later) = wrong.checked_add(60_000) {
                wheel.set(2, later);
            }
            assert_eq!(wheel.expired(wrong), None);
            assert_eq!(wheel.expired(101_000), Some(1));
            assert_eq!(wheel.expired(101_000), None);
            wheel.set(1, 130_000);
            wheel.set(3, 120_500);
            assert_eq!(wheel.next_deadline(), Some(121_000));
            assert_eq!(wheel.expired(120_999), None);
            assert_eq!(wheel.expired(121_000), Some(3));
            assert_eq!(wheel.expired(129_999), None);
            assert_eq!(wheel.expired(130_000), Some(1));
            // The other entry is found after a full rotation.
            let other = (wrong < u64::MAX - 60_000).then_some(2);
            assert_eq!(wheel.next_deadline(), other.map(|_| 101_000 + 255_000));
            assert_eq!(wheel.expired(356_000), other);
        }
    }

    #[test]
    fn no_entry_fires_early_after_time_goes_back() {
        let mut wheel = Wheel::new(1000);
        assert_eq!(wheel.expired(100_000), None);
        wheel.set(1, 101_000);
        wheel.set(2, 355_000);
        for now in [99_999, 50_000, 99_000, 0, 100_999] {
            assert_eq!(wheel.expired(now), None, "{now}");
        }
        assert_eq!(wheel.expired(101_000), Some(1));
        assert_eq!(wheel.expired(101_000), None);
        assert_eq!(wheel.expired(254_999), None);
        // At time 0 it was beyond the wheel's reach.
        assert_eq!(wheel.expired(255_000), Some(2));
    }

    #[test]
    fn a_due_entry_is_not_postponed_while_others_are_fetched() {
        let mut wheel = Wheel::new(10);
        wheel.set(1, 5);
        wheel.set(2, 7);
        let first = wheel.expired(1_000_000).unwrap();
        assert!(wheel.set(3 - first, 1_000_500));
        assert_eq!(wheel.expired(1_000_000), Some(3 - first));
        assert_eq!(wheel.next_deadline(), None);
    }

    /// A reference model of the wheel: a map that is searched.
    #[derive(Default)]
    struct Naive {
        tick: u64,
        current: u64,
        entries: BTreeMap<usize, At>,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    enum At {
        Due,
        /// Set for a time that had passed: due at the next tick.
        Passed,
        Tick(u128),
    }

    impl Naive {
        fn reach(&self) -> u128 {
            u128::from(self.current) + 255
        }

        fn set(&mut self, key: usize, at: u64) {
            let tick = at.div_ceil(self.tick);
            let at = if tick <= self.current { At::Passed } else { At::Tick(self.reach().min(tick.into())) };
            let entry = self.entries.entry(key).or_insert(at);
            *entry = at.min(*entry);
        }

        fn pass(&mut self, now: u64) {
            let tick = if now == u64::MAX { now.div_ceil(self.tick) } else { now / self.tick };
            if tick == self.current {
                return;
            }
            self.current = tick;
            let reach = self.reach();
            for at in self.entries.values_mut() {
                *at = match *at {
                    At::Tick(at) if at > tick.into() => At::Tick(at.min(reach)),
                    _ => At::Due,
                };
            }
        }

        fn due(&self) -> impl Iterator<Item = usize> {
            self.entries.iter().filter(|(_, at)| **at == At::Due).map(|(key, _)| *key)
        }

        fn next(&self) -> Option<u64> {
            let tick = match self.entries.values().min()? {
                At::Due => self.current.into(),
                At::Passed => u128::from(self.current) + 1,
                At::Tick(tick) => *tick,
            };
            let last = u128::from(u64::MAX.div_ceil(self.tick));
            (tick <= last).then(|| u64::try_from(tick * u128::from(self.tick)).unwrap_or(u64::MAX))
        }
    }

    #[derive(Debug, Clone, Copy)]
    enum Act {
        Set(usize, u64),
        Remove(usize),
        /// A time, and the maximum number of keys to fetch.
        Expired(u64, usize),
    }

    /// Returns times near each other, near both ends, and anywhere.
    fn any_time(g: &mut Gen) -> u64 {
        let near = u64::from(u16::arbitrary(g));
        match u8::arbitrary(g) % 8 {
            0 => near % 300,
            1 => u64::MAX - near % 300,
            2 => u64::MAX - near,
            3 => u64::arbitrary(g),
            4 => (1 << 40) + near % 2_000,
            _ => (1 << 40) + near,
        }
    }

    impl Arbitrary for Act {
        fn arbitrary(g: &mut Gen) -> Self {
            let key = usize::from(u8::arbitrary(g) % 12);
            match u8::arbitrary(g) % 8 {
                0..4 => Act::Set(key, any_time(g)),
                4 => Act::Remove(key),
                _ => Act::Expired(any_time(g), 1 + usize::from(u8::arbitrary(g) % 16)),
            }
        }
    }

    #[test]
    fn the_wheel_agrees_with_a_search_whatever_the_times() {
        fn prop(tick: u16, acts: Vec<Act>) {
            let tick = u32::from(tick) % [3, 300, 5_000][usize::from(tick % 3)];
            let mut wheel = Wheel::new(tick);
            let mut naive = Naive { tick: tick.max(1).into(), ..Naive::default() };
            for act in acts {
                match act {
                    Act::Set(key, at) => {
                        wheel.set(key, at);
                        naive.set(key, at);
                    }
                    Act::Remove(key) => {
                        wheel.remove(key);
                        naive.entries.remove(&key);
                    }
                    Act::Expired(now, most) => {
                        naive.pass(now);
                        for _ in 0..most {
                            let Some(key) = wheel.expired(now) else {
                                assert_eq!(naive.due().next(), None, "{now}");
                                break;
                            };
                            assert_eq!(naive.entries.remove(&key), Some(At::Due), "{key} at {now}");
                        }
                    }
                }
                assert_eq!(wheel.next_deadline(), naive.next(), "after {act:?}");
            }
        }
        QuickCheck::new().tests(5_000).quickcheck(prop as fn(u16, Vec<Act>));
    }
}
