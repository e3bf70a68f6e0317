//! The time of a call: the median of many short rounds in which all cases take turns.

use crate::stats;
use std::time::{Duration, Instant};

const ROUNDS: usize = 31;
/// The minimum time of a case in a round.
const SLICE: Duration = Duration::from_millis(2);

/// Makes this number of calls, on a state that all cases of a line share.
pub type Case<S> = Box<dyn FnMut(&mut S, u64)>;

/// Makes a case that calls `f`; the loop is around it, so that it can be inlined.
pub fn case<S>(mut f: impl FnMut(&mut S) + 'static) -> Case<S> {
    Box::new(move |state, times| {
        for _ in 0..times {
            f(state);
        }
    })
}

/// Returns the nanoseconds of one call, for each case.
pub fn times<S>(state: &mut S, cases: &mut [Case<S>]) -> Vec<f64> {
    let counts: Vec<u64> = cases.iter_mut().map(|case| enough(state, case)).collect();
    let mut samples = vec![Vec::with_capacity(ROUNDS); cases.len()];
    for round in 0..ROUNDS {
        for turn in 0..cases.len() {
            // No case always follows the same one.
            let at = (round + turn) % cases.len();
            let time = clock(state, &mut cases[at], counts[at]);
            samples[at].push(time.as_nanos() as f64 / counts[at] as f64);
        }
    }
    samples.into_iter().map(|samples| stats::median(samples).unwrap_or(f64::NAN)).collect()
}

/// Returns the number of calls that fill a slice, at the fastest of three attempts: after an interruption,
/// far too few calls seem to fill it. Also warms the case up.
fn enough<S>(state: &mut S, case: &mut Case<S>) -> u64 {
    let mut count = 1;
    while (0..3).any(|_| clock(state, case, count) < SLICE) {
        count *= 2;
    }
    count
}

fn clock<S>(state: &mut S, case: &mut Case<S>, count: u64) -> Duration {
    let start = Instant::now();
    case(state, count);
    start.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_its_turn_in_every_round() {
        let mut turns = [0_usize; 2];
        let count = |at: usize| -> Case<[usize; 2]> {
            Box::new(move |turns: &mut [usize; 2], times| {
                turns[at] += 1;
                let start = Instant::now();
                while start.elapsed() < SLICE / 8 * u32::try_from(times).unwrap_or(1) {}
            })
        };
        let times = times(&mut turns, &mut [count(0), count(1)]);
        assert_eq!(times.len(), 2);
        assert!(turns.iter().all(|&turns| turns > ROUNDS), "{turns:?}");
    }

    #[test]
    fn an_interrupted_attempt_does_not_make_slices_short() {
        let mut attempts = 0;
        let mut interrupted: Case<u32> = Box::new(|attempts, times| {
            *attempts += 1;
            let start = Instant::now();
            let time = if *attempts == 1 { SLICE } else { SLICE / 64 * u32::try_from(times).unwrap_or(1) };
            while start.elapsed() < time {}
        });
        enough(&mut attempts, &mut interrupted);
        assert!(attempts > 3, "{attempts}");
    }
}
