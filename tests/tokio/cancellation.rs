//! A future can be dropped at any of its polls: nothing is lost, doubled or reordered.

use crate::choices::Choices;
use crate::programs::{Program, ROLES, Setup};

/// Drops a future of the program at each of its polls in turn.
fn cut_everywhere(setup: &Setup, choices: &Choices) -> Choices {
    let mut cut = 1;
    loop {
        let (choices, happened) = Setup { cut, ..setup.clone() }.check(choices.clone());
        if !happened {
            return choices;
        }
        cut += 1;
    }
}

fn check(setup: &Setup, depth: usize, seeds: u64) {
    let mut choices = Choices::new(depth, 0);
    loop {
        let before = choices.clone();
        choices = cut_everywhere(setup, &before);
        if !choices.next() {
            break;
        }
    }
    for seed in 1..=seeds {
        cut_everywhere(setup, &Choices::new(0, seed));
    }
}

#[test]
fn every_program_continues_after_each_of_its_futures_was_dropped() {
    for role in ROLES {
        for program in Program::ALL {
            let setup = Setup::new(role, program);
            check(&setup, 3, 4);
            check(&Setup { tight: true, ..setup.clone() }, 2, 4);
            check(&Setup { tight: true, buffers: true, vectored: true, ..setup }, 1, 4);
        }
    }
}

#[test]
fn large_messages_survive_a_dropped_future() {
    for role in ROLES {
        for program in Program::ALL {
            for tight in [false, true] {
                check(&Setup { large: true, tight, ..Setup::new(role, program) }, 0, 0);
            }
        }
    }
}
