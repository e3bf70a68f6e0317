//! Decisions of a test: every sequence up to a depth, or random ones.

/// Makes decisions, such as whether a poll is pending.
///
/// The first decisions are enumerated by [`next`](Self::next); those after the depth are random if there is
/// a seed, else 0.
#[derive(Debug, Clone)]
pub(crate) struct Choices {
    /// Each decision and the number of its alternatives.
    path: Vec<(u32, u32)>,
    at: usize,
    depth: usize,
    start: u64,
    random: u64,
}

impl Choices {
    pub(crate) fn new(depth: usize, seed: u64) -> Self {
        Self { path: Vec::new(), at: 0, depth, start: seed, random: seed }
    }

    /// Decides between `count` alternatives.
    pub(crate) fn choose(&mut self, count: u32) -> u32 {
        if self.at >= self.depth {
            return self.choose_at_random(count);
        }
        if self.at == self.path.len() {
            self.path.push((0, count));
        }
        let (choice, _) = self.path[self.at];
        self.at += 1;
        // Another run than the one that was enumerated may have fewer alternatives here.
        choice.min(count - 1)
    }

    fn choose_at_random(&mut self, count: u32) -> u32 {
        if self.start == 0 {
            return 0;
        }
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.random >> 33) % u64::from(count)).unwrap()
    }

    /// Continues with the next sequence of decisions. Returns false if there are no more.
    pub(crate) fn next(&mut self) -> bool {
        (self.at, self.random) = (0, self.start);
        while let Some((choice, count)) = self.path.pop() {
            if choice + 1 < count {
                self.path.push((choice + 1, count));
                return true;
            }
        }
        false
    }
}
