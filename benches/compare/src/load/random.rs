//! Random numbers that are equal in every run.

/// An endless sequence of numbers from a seed (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below this bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Returns one of these words.
    pub fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.below(words.len() as u64)).unwrap_or(0)]
    }

    /// Shuffles these values.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = self.below(last as u64 + 1);
            all.swap(last, usize::try_from(other).unwrap_or(last));
        }
    }

    /// Returns a masking key.
    pub fn key(&mut self) -> [u8; 4] {
        let bytes = self.next().to_le_bytes();
        [bytes[0], bytes[1], bytes[2], bytes[3]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffling_keeps_all_values_and_changes_their_order() {
        let mut all: Vec<u32> = (0..1000).collect();
        Random::new(7).shuffle(&mut all);
        let fixed = all.iter().enumerate().filter(|&(at, &value)| at as u64 == u64::from(value)).count();
        assert!(fixed < 20, "{fixed} of 1000 kept their positions");
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1000));
    }
}
