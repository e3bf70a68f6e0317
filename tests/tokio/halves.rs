//! Two tasks that use one connection: no wake-up and no message is lost, in any order of polls.

use crate::choices::Choices;
use crate::executor::Flag;
use crate::mock::{Mock, Peer};
use crate::programs::{Cut, ROLES, again, encoded, encoded_close, messages, other, parsed};
use futures_core::Stream;
use futures_sink::Sink;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use websocket_stream::tokio::{ReuniteError, WebSocket};
use websocket_stream::{CloseCode, Config, Limits, OwnedMessage, PauseReading, Role};

/// A task of the scheduler.
struct Task<'f> {
    future: Option<Pin<Box<dyn Future<Output = ()> + 'f>>>,
    flag: Arc<Flag>,
    waker: Waker,
}

impl<'f> Task<'f> {
    fn new(future: impl Future<Output = ()> + 'f) -> Self {
        let (flag, waker) = Flag::new();
        Self { future: Some(Box::pin(future)), flag, waker }
    }

    fn poll(&mut self) {
        self.flag.take();
        let Some(future) = &mut self.future else { return };
        if future.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready() {
            self.future = None;
        }
    }
}

/// The number of polls of tasks that were not woken, and of moves to another waker.
const EXTRAS: usize = 4;

/// Runs two tasks until both are finished: each step is chosen. `budgets` is the number of calls that may end
/// because their budget is spent.
fn schedule(mock: &Mock, budgets: usize, tasks: [Task<'_>; 2]) {
    let (mut tasks, mut polls, mut events, mut extras) = (tasks, 0, 0, 0);
    while tasks.iter().any(|task| task.future.is_some()) {
        let woken: Vec<_> =
            (0..2).filter(|index| tasks[*index].future.is_some() && tasks[*index].flag.is_up()).collect();
        let possible = mock.possible();
        let count = woken.len() + possible.len();
        assert_ne!(count, 0, "it waits for ever: {:?}", mock.world());
        let extra = if extras < EXTRAS { 4 } else { 0 };
        // The extras last, so that a run without choices has none.
        let choice = mock.world().choices.choose(u32::try_from(count + extra).unwrap()) as usize;
        if let Some(&index) = woken.get(choice) {
            polls += 1;
            tasks[index].poll();
        } else if let Some(&happening) = possible.get(choice - woken.len()) {
            events += 1;
            mock.happen(happening);
        } else {
            extras += 1;
            events += 1;
            let choice = choice - count;
            let task = &mut tasks[choice % 2];
            if choice >= 2 {
                // From now on, another task polls it. Wake-ups of the old one are lost.
                (task.flag, task.waker) = Flag::new();
            }
            polls += 1;
            task.poll();
        }
        // Each event wakes at most both, and each of them the other one.
        assert!(
            polls <= 8 + 4 * (events + budgets),
            "{polls} polls after {events} events: {:?}",
            mock.world()
        );
    }
}

#[derive(Debug, Clone, Copy)]
struct Case {
    role: Role,
    tight: bool,
    buffers: bool,
    /// The sending half closes, else the peer does.
    closes: bool,
    /// The polls after which a future of each half is dropped.
    cuts: [usize; 2],
    by_traits: bool,
}

impl Case {
    fn budgets(self) -> usize {
        if self.tight { 20 } else { 0 }
    }
}

fn check(case: Case, choices: Choices) -> Choices {
    let Case { role, tight, buffers, closes, cuts, by_traits } = case;
    let all = messages(false);
    let frames = || all.iter().flat_map(|message| encoded(role, message)).collect::<Vec<_>>();
    let mut peer = vec![Peer::Sends(frames()), Peer::Sends(frames())];
    if closes {
        let sent: usize = all.iter().map(|message| encoded(other(role), message).len()).sum();
        let sent = sent + encoded_close(other(role)).len();
        peer.extend([Peer::Awaits(sent), Peer::Sends(encoded_close(role)), Peer::EndsStream]);
    }
    let mock = Mock::new(choices, peer).buffers(buffers);
    let mut limits = Limits::default();
    if tight {
        limits = limits.call_bytes(50).call_events(2).unsent(400 + Limits::CONTROL_ROOM);
        limits = limits.pause_reading(PauseReading::Above(20));
    }
    let ws = WebSocket::new(mock.clone(), role, Arc::new(Config::default().limits(limits))).unwrap();
    let (received, doubtful) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    if by_traits {
        run_traits(ws, &mock, case, &all, &received);
    } else {
        let (mut sender, mut receiver) = ws.split();
        let sending = async {
            let cut = Cut::new(cuts[0]);
            for (index, message) in all.iter().enumerate() {
                if index % 2 == 0 || closes {
                    again!(cut, sender.feed(message.clone())).unwrap();
                } else if let Some(sent) = cut.call(sender.send(message.clone())).await {
                    sent.unwrap();
                } else {
                    doubtful.borrow_mut().push(message.clone());
                }
            }
            if closes {
                assert!(again!(cut, sender.close(CloseCode::NORMAL, "")).unwrap().is_clean());
            } else {
                again!(cut, sender.flush()).unwrap();
                mock.world().peer.extend([Peer::Sends(encoded_close(role)), Peer::EndsStream]);
            }
        };
        let receiving = async {
            let cut = Cut::new(cuts[1]);
            while let Some(message) = again!(cut, receiver.next()) {
                received.borrow_mut().push(message.unwrap());
            }
        };
        schedule(&mock, case.budgets(), [Task::new(sending), Task::new(receiving)]);
    }
    let text = || format!("{case:?} {:?}", mock.choices());
    let twice: Vec<_> = all.iter().chain(&all).cloned().collect();
    assert_eq!(*received.borrow(), twice, "{}", text());
    let (sent, closed) = parsed(role, &mock.world().sent);
    let mut expected = all.clone();
    expected.retain(|message| !doubtful.borrow().contains(message) || sent.contains(message));
    assert_eq!((sent, closed), (expected, true), "{}", text());
    mock.choices()
}

/// Polls one connection as a `Stream` and as a `Sink`, as the halves of the `futures` crate do.
fn run_traits(
    ws: WebSocket<Mock>,
    mock: &Mock,
    case: Case,
    all: &[OwnedMessage],
    received: &RefCell<Vec<OwnedMessage>>,
) {
    let ws = Rc::new(RefCell::new(ws));
    let sending = async {
        for message in all {
            poll_fn(|context| Pin::new(&mut *ws.borrow_mut()).poll_ready(context)).await.unwrap();
            Pin::new(&mut *ws.borrow_mut()).start_send(message.clone()).unwrap();
        }
        if case.closes {
            poll_fn(|context| Pin::new(&mut *ws.borrow_mut()).poll_close(context)).await.unwrap();
        } else {
            poll_fn(|context| Pin::new(&mut *ws.borrow_mut()).poll_flush(context)).await.unwrap();
            mock.world().peer.extend([Peer::Sends(encoded_close(case.role)), Peer::EndsStream]);
        }
    };
    let receiving = async {
        while let Some(message) = poll_fn(|context| Pin::new(&mut *ws.borrow_mut()).poll_next(context)).await
        {
            received.borrow_mut().push(message.unwrap());
        }
    };
    schedule(mock, case.budgets(), [Task::new(sending), Task::new(receiving)]);
}

fn each_case(mut f: impl FnMut(Case)) {
    for role in ROLES {
        for closes in [false, true] {
            for (tight, buffers, by_traits) in [
                (false, false, false),
                (true, false, false),
                (true, true, false),
                (false, true, true),
                (true, false, true),
            ] {
                f(Case { role, tight, buffers, closes, cuts: [0; 2], by_traits });
            }
        }
    }
}

#[test]
fn halves_in_every_order_of_polls_lose_no_wake_up_and_no_message() {
    each_case(|case| {
        let mut choices = Choices::new(3, 0);
        loop {
            choices = check(case, choices);
            if !choices.next() {
                break;
            }
        }
        for seed in 1..=60 {
            check(case, Choices::new(0, seed));
        }
    });
}

#[test]
fn halves_continue_after_their_futures_were_dropped() {
    each_case(|case| {
        if case.by_traits {
            return;
        }
        for seed in 0..2 {
            for cuts in (0..40).map(|n| [n % 8, n / 8]) {
                check(Case { cuts, ..case }, Choices::new(0, seed));
            }
        }
    });
}

#[test]
fn halves_are_put_together_again_only_with_their_own() {
    let ws = |mock: &Mock| WebSocket::new(mock.clone(), Role::Server, Arc::default()).unwrap();
    let mock = Mock::new(Choices::new(0, 0), []);
    let ((sender, receiver), (others_sender, _other)) = (ws(&mock).split(), ws(&mock).split());
    let Err(ReuniteError(receiver, _)) = receiver.reunite(others_sender) else { panic!() };
    assert!(receiver.reunite(sender).is_ok());
}
