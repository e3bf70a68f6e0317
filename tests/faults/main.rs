//! Whole conversations over transports that refuse, cut, interrupt and break: ten thousand between two of our
//! ends, and ten thousand with tungstenite, each drawn from a seed. Until the fault, nothing is lost,
//! repeated or reordered; after it, there is one defined end.
//!
//! A failing seed is printed. `FAULTS_SEED=123 cargo test --test faults` runs it alone.

mod side;
mod theirs;
mod watched;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use side::{Side, Style};
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use watched::Watched;
use websocket_stream::protocol::State;
use websocket_stream::transport::NonBlockingTransport;
use websocket_stream::transport::testing::faulty::{Disaster, Faulty, Weather};
use websocket_stream::transport::testing::memory;
use websocket_stream::transport::testing::scripted::{Scripted, Step};
use websocket_stream::{
    Cause, Closed, Config, Error, Event, Fault, Limits, PauseReading, Ready, Role, Scratch, SendError,
    Timeouts, WebSocketStream,
};

/// Runs `conversation` on ten thousand seeds, divided among a few threads, or on the one seed in the
/// environment.
fn run(conversation: fn(u64, &mut Scratch)) {
    if let Ok(seed) = std::env::var("FAULTS_SEED") {
        let seed = seed.parse().expect("a number");
        return run_share(seed..seed + 1, conversation);
    }
    std::thread::scope(|threads| {
        for seeds in [0..2500, 2500..5000, 5000..7500, 7500..10000] {
            threads.spawn(|| run_share(seeds, conversation));
        }
    });
}

fn run_share(seeds: Range<u64>, conversation: fn(u64, &mut Scratch)) {
    /// Prints the seed if the test panics.
    struct Failing(u64);
    impl Drop for Failing {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the seed was FAULTS_SEED={}", self.0);
            }
        }
    }
    // One scratch for all conversations: bytes that one leaves in it would appear in another.
    let mut scratch = Scratch::new();
    for seed in seeds {
        let _failing = Failing(seed);
        conversation(seed, &mut scratch);
    }
}

const LONG: Option<Duration> = millis(1_000_000);

/// Returns a timeout in milliseconds.
const fn millis(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

fn choose<T: Copy>(random: &mut StdRng, of: &[T]) -> T {
    of[random.random_range(0..of.len())]
}

/// The parameters of a conversation.
struct Plan {
    /// Large messages, which take paths of their own.
    large: bool,
    styles: [Style; 2],
    disaster: Option<Disaster>,
    /// Whether one side sends bytes that no WebSocket may send.
    violation: bool,
    misbehaves: bool,
}

impl Plan {
    fn draw(random: &mut StdRng) -> Self {
        use Disaster::{BrokenPipe, EndOfStream, Reset, Silence};
        let styles = [Style::Drive, Style::Drive, Style::TryDrive, Style::Original];
        let mut styles = [choose(random, &styles), choose(random, &styles)];
        let (mut disaster, mut violation) = (None, false);
        match random.random_range(0..10) {
            0..4 => disaster = Some(choose(random, &[Reset, EndOfStream, BrokenPipe, Silence])),
            4 => violation = true,
            _ => {}
        }
        if disaster == Some(Silence) {
            // Only time ends this conversation, and calls in the original style have no time.
            styles = [Style::Drive, Style::TryDrive];
        }
        let large = random.random_range(0..20) == 0;
        Plan { large, styles, disaster, violation, misbehaves: random.random_range(0..4) == 0 }
    }

    fn config(&self, random: &mut StdRng) -> Config {
        let largest = self.largest();
        let unsent = choose(random, &[Limits::CONTROL_ROOM + 400, 2 * largest + 1000, 1 << 20]);
        let limits = Limits::default()
            .unsent(unsent)
            // Large messages that arrive byte by byte would take far too long.
            .call_bytes(choose(
                random,
                match self.large {
                    true => &[5_000, 1 << 18][..],
                    false => &[1, 10, 30, 100, 300, 1_000, 10_000, 1 << 18],
                },
            ))
            .call_events(choose(random, &[1, 2, 7, 4096]))
            .pause_reading(match self.styles.contains(&Style::Original) {
                // An end without a clock waits forever for a peer that has paused.
                true => PauseReading::Never,
                false => choose(random, &[PauseReading::Never, PauseReading::ServerOnly]),
            });
        let silent = self.disaster == Some(Disaster::Silence);
        let timeouts = Timeouts::default()
            .ping_interval(choose(random, &[None, millis(30), millis(200)]))
            // Long enough for the worst transport: only a disaster lets these timeouts pass.
            .idle(choose(random, if silent { &[LONG] } else { &[None, LONG] }))
            .close(Duration::from_secs(2_000));
        Config::default().limits(limits).timeouts(timeouts)
    }

    fn largest(&self) -> usize {
        if self.large { 150_000 } else { 2_000 }
    }

    fn weather(&self, random: &mut StdRng) -> Weather {
        let shorts = if self.large { [0, 16, 40] } else { [0, 40, 200] };
        Weather {
            refused: choose(random, &[0, 30, 100]),
            short: choose(random, &shorts),
            interrupted: choose(random, &[0, 20]),
        }
    }
}

/// Returns two bytes that cannot begin a frame from this side.
fn violation(random: &mut StdRng, from: Role) -> ([u8; 2], Fault) {
    let mask = if from == Role::Client { 0x80 } else { 0 };
    choose(
        random,
        &[
            ([0x83, mask], Fault::ReservedOpcode),
            ([0xC1, mask], Fault::ReservedBits),
            ([0x81, mask ^ 0x80], if mask == 0 { Fault::Masked } else { Fault::Unmasked }),
            ([0x09, mask], Fault::FragmentedControl),
            ([0x89, mask | 126], Fault::ControlTooLong),
            ([0x88, mask | 1], Fault::TruncatedCloseCode),
        ],
    )
}

/// Sends the bytes at the start of a frame, if they can be sent now. Returns whether they were sent.
fn violate(side: &mut Side, peer: &Side, bytes: [u8; 2]) -> bool {
    let (Some(stream), Some(peer)) = (&mut side.stream, &peer.stream) else { return false };
    let room = peer.get_ref().inner.get_ref().is_some_and(|inner| inner.unread() == 0);
    if !room || stream.unsent() > 0 || stream.state() != State::Open {
        return false;
    }
    stream.get_mut().inner.get_mut().is_some_and(|inner| inner.send(&bytes).is_ok())
}

/// A conversation between two of our own ends.
fn ours(seed: u64, scratch: &mut Scratch) {
    let random = &mut StdRng::seed_from_u64(seed);
    let plan = Plan::draw(random);
    let capacity = if plan.large { &[5_000, 1 << 20][..] } else { &[7, 90, 3_000, 1 << 16][..] };
    let (a, b) = memory::pair(choose(random, capacity));
    let mut transports = [(a, Role::Client), (b, Role::Server)].map(|(inner, role)| {
        let faulty = Faulty::new(inner, random.random()).weather(plan.weather(random));
        (Some(faulty), role)
    });
    let victim = random.random_range(0..2);
    if let Some(disaster) = plan.disaster {
        let after = random.random_range(0..150);
        transports[victim].0 = transports[victim].0.take().map(|faulty| faulty.disaster(after, disaster));
    }
    let violator = plan.violation.then(|| random.random_range(0..2));
    let violation = violator.map(|at: usize| violation(random, transports[at].1));
    let mut sides = [0, 1].map(|at| {
        let (transport, role) = &mut transports[at];
        let config = Arc::new(plan.config(random));
        let transport = Watched::new(transport.take().unwrap());
        let stream = WebSocketStream::with_config(transport, *role, config).unwrap();
        let left = if plan.large { 6 } else { random.random_range(0..15) };
        let own = StdRng::seed_from_u64(random.random());
        Side::new(stream, plan.styles[at], own, left, plan.largest(), plan.misbehaves)
    });
    let silence = plan.disaster == Some(Disaster::Silence);
    // Before and after the wrap of a stamp.
    let mut now = choose(random, &[0, 1, u64::from(u32::MAX) - 100, (1 << 45) + 987_654_321]);
    // The number of items that the violator's peer can receive: those before the violation.
    let mut sound = None;

    let mut steps = 0;
    while sides.iter().any(|side| side.stream.is_some()) {
        steps += 1;
        assert!(steps < 500_000, "the conversation does not end");
        now += random.random_range(0..3);
        let at = random.random_range(0..2);
        if let (Some(violator), None, Some((bytes, _))) = (violator, sound, violation)
            && random.random_range(0..20) == 0
        {
            let [first, second] = &mut sides;
            let (from, to) = if violator == 0 { (first, second) } else { (second, first) };
            sound = violate(from, to, bytes).then_some(from.record.accepted.len());
        }
        let side = &mut sides[at];
        match random.random_range(0..10) {
            0 | 1 if side.record.left > 0 => {
                let close = random.random_range(0..30) == 0;
                side.say(scratch, now, close);
            }
            2 => side.flush(scratch, now),
            // Called whether or not there is a reason.
            3 if side.stream.is_some() => {
                side.drive(scratch, now, choose(random, &[Ready::UNKNOWN, Ready::NONE]))
            }
            _ => match side.wanted() {
                Some(ready) => side.drive(scratch, now, ready),
                None => {
                    let mute = |side: &Side| side.stream.is_none() || side.record.left == 0;
                    if sides[1 - at].wanted().is_none() && sides.iter().all(mute) {
                        nothing_to_do(&mut sides, scratch, &mut now, random, silence);
                    }
                }
            },
        }
    }

    for at in 0..2 {
        let (side, peer) = (&sides[at], &sides[1 - at]);
        let sound = sound.filter(|_| violator == Some(1 - at));
        side.check(&peer.record, sound.unwrap_or(peer.record.accepted.len()));
        let end = side.record.end.unwrap();
        match (plan.disaster, violation) {
            (None, None) => assert!(end.is_clean(), "{end}"),
            (Some(Disaster::Silence), _) => {}
            _ if matches!(end.cause, Cause::Timeout(_)) => panic!("{end}, although no peer was silent"),
            (_, Some((_, fault))) if violator == Some(1 - at) && !end.is_clean() => {
                assert_eq!((end.cause, end.code), (Cause::Fault(fault), fault.close_code()));
            }
            _ => {}
        }
    }
}

/// Neither end has anything to send or to do: time passes, or one of them closes.
fn nothing_to_do(
    sides: &mut [Side; 2],
    scratch: &mut Scratch,
    now: &mut u64,
    random: &mut StdRng,
    silent: bool,
) {
    let first = random.random_range(0..2);
    if !silent || random.random_range(0..3) == 0 {
        for at in [first, 1 - first] {
            if sides[at].state() == Some(State::Open) {
                return sides[at].say(scratch, *now, true);
            }
        }
    }
    let due = [0, 1].map(|at| sides[at].next_deadline(*now));
    if let Some(at) = [0, 1].into_iter().filter(|&at| due[at].is_some()).min_by_key(|&at| due[at]) {
        *now = due[at].unwrap().max(*now);
        return sides[at].drive(scratch, *now, Ready::NONE);
    }
    let open = sides.iter().any(|side| side.state() == Some(State::Open));
    assert!(open, "this conversation never ends: {:?}", [sides[0].state(), sides[1].state()]);
}

#[test]
fn two_ends_in_bad_weather() {
    run(ours);
}

#[test]
fn our_end_and_tungstenite_over_faulty_transports() {
    run(theirs::with_tungstenite);
}

#[test]
fn after_a_transport_error_nothing_is_sent_and_each_call_reports_the_end() {
    // The call looks once for input that the peer sent before.
    let script = [Step::FailSend(ErrorKind::BrokenPipe), Step::FailRecv(ErrorKind::ConnectionReset)];
    let mut stream = WebSocketStream::new(Scripted::new(script)).unwrap();
    let mut scratch = Scratch::new();
    // Batched, and sent without a copy.
    for len in [10, 10, 100_000] {
        let sent = stream.send(&mut scratch.at(0), &vec![0; len][..]);
        assert!(matches!(sent, Err(Error::System(_))), "{sent:?}");
    }
    assert!(matches!(stream.flush(&mut scratch.at(0)), Err(Error::System(_))));
    let mut end = None;
    let driven = stream.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
        assert!(matches!(event, Event::Closed(closed) if end.replace(closed).is_none()));
        Ok(())
    });
    assert!(driven.is_err(), "{driven:?}");
    assert!(matches!(end, Some(Closed { cause: Cause::System(_), .. })), "{end:?}");
    assert!(matches!(stream.send(&mut scratch.at(0), "x"), Err(Error::Send(SendError::Closed))));
    assert_eq!(stream.into_parts().transport.finish(), Ok(()));
}

#[test]
fn a_transport_that_fails_while_its_handler_fails_is_not_used_again() {
    let timeouts = Timeouts::default().idle(Duration::from_millis(1000));
    let config = Arc::new(Config::default().timeouts(timeouts));
    let script = [Step::FailSend(ErrorKind::WouldBlock), Step::FailRecv(ErrorKind::ConnectionReset)];
    let mut stream = WebSocketStream::with_config(Scripted::new(script), Role::Server, config).unwrap();
    let mut scratch = Scratch::new();
    stream.send(&mut scratch.at(0), "queued").unwrap();
    let mut end = None;
    for now in [1000, 1001] {
        let driven = stream.drive(&mut scratch.at(now), Ready::READABLE, |event, _| {
            assert!(matches!(event, Event::Closed(closed) if end.replace(closed).is_none()));
            Err(SendError::Full)
        });
        let wants = driven.unwrap();
        assert!(wants.closed || wants.refused == Some(SendError::Full) && wants.again);
    }
    assert!(matches!(end, Some(Closed { cause: Cause::System(_), .. })), "{end:?}");
    assert_eq!(stream.into_parts().transport.finish(), Ok(()));
}

#[test]
fn messages_that_arrived_before_the_transport_failed_are_delivered_before_the_end() {
    let limits = Limits::default().call_events(1);
    let config = Arc::new(Config::default().limits(limits));
    let messages = b"\x82\x01a\x82\x01b\x82\x01c".to_vec();
    let script = [Step::Give(messages), Step::FailSend(ErrorKind::BrokenPipe), Step::End];
    let keys = Box::new(|| [0; 4]);
    let mut stream = WebSocketStream::with_config(Scripted::new(script), Role::Client, config).unwrap();
    let mut scratch = Scratch::with_keys(keys);
    let (mut received, mut end) = (Vec::new(), None);
    let result = loop {
        let driven = stream.drive(&mut scratch.at(0), Ready::READABLE, |event, out| {
            match event {
                Event::Message(message) => {
                    received.extend_from_slice(message.as_bytes());
                    out.send(message)?;
                }
                Event::Closed(closed) => assert!(end.replace(closed).is_none()),
                other => panic!("{other:?}"),
            }
            Ok(())
        });
        match driven {
            Ok(wants) => assert!(wants.again && !wants.closed && end.is_none()),
            Err(error) => break error,
        }
    };
    assert_eq!(result.kind(), ErrorKind::BrokenPipe);
    assert_eq!(received, b"abc");
    assert!(matches!(end, Some(Closed { cause: Cause::System(_), .. })), "{end:?}");
    assert_eq!(stream.into_parts().transport.finish(), Ok(()));
}
