//! No wake-up is lost and none is invented: every pattern of pending and partial polls, up to a depth.

use crate::choices::Choices;
use crate::executor::Spurious;
use crate::programs::{End, Program, ROLES, Setup};

/// Checks every pattern of choices up to a depth.
fn check_all(setup: &Setup, depth: usize) {
    let mut choices = Choices::new(depth, 0);
    loop {
        choices = setup.check(choices).0;
        if !choices.next() {
            return;
        }
    }
}

/// Checks patterns whose later choices are random, too.
fn check_random(setup: &Setup, seeds: u64) {
    for seed in 1..=seeds {
        setup.check(Choices::new(0, seed));
    }
}

/// Calls `f` with every program in both roles.
fn each_program(mut f: impl FnMut(Setup)) {
    for role in ROLES {
        for program in Program::ALL {
            f(Setup::new(role, program));
        }
    }
}

#[test]
fn no_program_waits_for_ever_or_polls_without_need() {
    each_program(|setup| {
        check_all(&setup, 4);
        check_random(&setup, 60);
    });
}

#[test]
fn spurious_polls_have_no_effect() {
    each_program(|setup| {
        let setup = Setup { spurious: Spurious::BeforeEachEvent, ..setup };
        check_all(&setup, 4);
        check_random(&setup, 40);
    });
}

#[test]
fn small_budgets_and_a_small_send_buffer_stop_no_program() {
    each_program(|setup| {
        let setup = Setup { tight: true, ..setup };
        check_all(&setup, 4);
        check_random(&setup, 60);
    });
}

#[test]
fn a_stream_that_passes_bytes_only_when_flushed_is_flushed() {
    each_program(|setup| {
        for tight in [false, true] {
            let setup = Setup { buffers: true, vectored: true, tight, ..setup };
            check_all(&setup, 4);
            check_random(&setup, 40);
        }
    });
}

#[test]
fn messages_of_more_than_64_kib_pass() {
    each_program(|setup| {
        for (tight, buffers) in [(false, false), (true, false), (true, true)] {
            let setup = Setup { large: true, tight, buffers, vectored: tight, ..setup };
            check_all(&setup, 0);
            check_random(&setup, 2);
        }
    });
}

#[test]
fn messages_before_an_unclean_end_come_first() {
    for program in [Program::Run, Program::TryRun, Program::Next] {
        for role in ROLES {
            for (end, tight) in
                [(End::Unclean, false), (End::Unclean, true), (End::Error, false), (End::Error, true)]
            {
                let setup = Setup { end, tight, ..Setup::new(role, program) };
                check_all(&setup, 4);
                check_random(&setup, 40);
            }
        }
    }
}
