//! A future can be dropped at any of its polls: nothing is lost, doubled or reordered.

use crate::choices::Choices;
use crate::programs::{Program, ROLES, Setup};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use websocket_stream::Role;
use websocket_stream::tokio::WebSocket;

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

/// Futures that are dropped or forgotten before their first poll, among others that are awaited.
#[test]
fn a_future_that_was_never_polled_sends_nothing() {
    let (ours, theirs) = tokio::io::duplex(4096);
    let mut ws = WebSocket::new(ours, Role::Server, Arc::default()).unwrap();
    let mut client = WebSocket::new(theirs, Role::Client, Arc::default()).unwrap();
    let context = &mut Context::from_waker(Waker::noop());
    drop(ws.feed("dropped"));
    drop(ws.send("dropped"));
    std::mem::forget(ws.feed("forgotten"));
    assert!(pin!(ws.feed("first")).poll(context).is_ready());
    std::mem::forget(ws.send("forgotten"));
    assert!(pin!(ws.feed("second")).poll(context).is_ready());
    std::mem::forget(ws.send("forgotten"));
    assert!(pin!(ws.flush()).poll(context).is_ready());
    assert!(pin!(ws.send("third")).poll(context).is_ready());
    for expected in ["first", "second", "third"] {
        let Poll::Ready(Some(Ok(message))) = pin!(client.next()).poll(context) else { panic!("{expected}") };
        assert_eq!(message.as_text(), Some(expected));
    }
    assert!(pin!(client.next()).poll(context).is_pending());
}
