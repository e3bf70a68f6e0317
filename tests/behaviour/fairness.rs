//! One thread serves connections that flood it, and an honest one. However the others flood, a message of the
//! honest connection is answered after at most one budget of work of each of them. The loop is virtual: its
//! transports are in memory, its poller inspects them, and nothing blocks.

use crate::framed::from_client;
use std::collections::VecDeque;
use std::sync::Arc;
use websocket_stream::transport::NonBlockingTransport;
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    Config, Event, Limits, PauseReading, Progress, Ready, Role, Scratch, ServerOpening, WebSocketStream,
};

/// Endless streams of bytes from a client.
fn floods() -> Vec<(&'static str, Vec<u8>)> {
    let small = from_client(0x81, b"x");
    let ping = from_client(0x89, &[7; 125]);
    let large = from_client(0x82, &[7; 300_000]);
    let mut fragments = from_client(0x01, b"x");
    fragments.extend(from_client(0x00, b"x").repeat(1_000));
    fragments.extend(from_client(0x80, b""));
    let mixed = [&small[..], &ping, &large, &fragments, &small, &ping].concat();
    vec![
        ("small", small),
        ("empty", from_client(0x82, b"")),
        ("pings", ping),
        ("large", large),
        ("fragments", fragments),
        ("mixed", mixed),
    ]
}

/// A connection in the loop, and its client.
struct Entry {
    stream: WebSocketStream<MemoryStream>,
    client: MemoryStream,
    /// What the poller has reported.
    reported: u64,
    in_queue: bool,
    /// What the poller has reported and no call has used yet.
    ready: Ready,
    /// Work since the honest message arrived.
    work: Work,
    /// Calls since the start.
    total: usize,
}

/// Work that a connection caused in its thread.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    calls: usize,
    bytes: u64,
    events: usize,
}

impl Entry {
    fn new(limits: &Limits, capacity: usize) -> Self {
        let (a, client) = memory::pair(capacity);
        let config = Arc::new(Config::default().limits(limits.clone()));
        let stream = WebSocketStream::with_config(a, Role::Server, config).unwrap();
        Entry {
            stream,
            client,
            reported: 0,
            in_queue: false,
            ready: Ready::NONE,
            work: Work::default(),
            total: 0,
        }
    }

    /// Returns whether the poller reports it. Writability is reported each time.
    fn is_reported(&mut self, edge: bool) -> bool {
        let sent = self.client.calls().sent;
        let news = std::mem::replace(&mut self.reported, sent) < sent;
        let transport = self.stream.get_ref();
        let readable = if edge { news } else { transport.is_readable() };
        self.ready.readable |= readable;
        self.ready.writable |= transport.is_writable();
        readable
    }

    /// Makes one call, which stays within its budget. Returns whether it asks for another.
    fn drive(&mut self, scratch: &mut Scratch, limits: &Limits) -> bool {
        let received = self.stream.get_ref().calls().received;
        let ready = std::mem::replace(&mut self.ready, Ready::NONE);
        let mut events = 0;
        let wants = self
            .stream
            .drive(&mut scratch.at(0), ready, |event, out| {
                events += 1;
                if let Event::Message(message) = event {
                    // A client that takes no answers gets none once its transport is full.
                    let _ = out.send(message);
                }
                Ok(())
            })
            .unwrap();
        assert!(!wants.closed);
        let received = self.stream.get_ref().calls().received - received;
        assert!(received <= limits.call_bytes.max(1) as u64, "{received} bytes in a call");
        assert!(events <= limits.call_events.max(1), "{events} events in a call");
        self.work.calls += 1;
        self.work.bytes += received;
        self.work.events += events;
        self.total += 1;
        wants.again
    }
}

/// A client that repeats its bytes as fast as they are taken.
struct Flooder {
    flood: Vec<u8>,
    at: usize,
    takes_answers: bool,
}

impl Flooder {
    fn send(&mut self, client: &mut MemoryStream) {
        if self.takes_answers {
            let mut answers = [0; 16 << 10];
            while let Ok(1..) = client.recv(&mut answers) {}
        }
        while let Ok(sent) = client.send(&self.flood[self.at..]) {
            self.at = (self.at + sent) % self.flood.len();
        }
    }
}

/// The documented loop: connections that the poller reports, then those that returned `again`, each once a
/// round. The honest connection is the last entry.
struct Loop {
    entries: Vec<Entry>,
    flooders: Vec<Flooder>,
    queue: VecDeque<usize>,
    limits: Limits,
    edge: bool,
    /// Each flooder's work between the honest message and its answer.
    waited: Option<Vec<Work>>,
}

impl Loop {
    fn new(limits: &Limits, capacity: usize, flooders: Vec<Flooder>, edge: bool) -> Self {
        let entries = (0..=flooders.len()).map(|_| Entry::new(limits, capacity)).collect();
        Loop { entries, flooders, queue: VecDeque::new(), limits: limits.clone(), edge, waited: None }
    }

    /// Fills every flooder's transport.
    fn flood(&mut self) {
        for (flooder, entry) in self.flooders.iter_mut().zip(&mut self.entries) {
            flooder.send(&mut entry.client);
        }
    }

    /// Runs one round; the honest client sends `message` before call number `at`, where 0 is the poll.
    fn round(&mut self, scratch: &mut Scratch, mut message: Option<(usize, &[u8])>) {
        let honest = self.entries.len() - 1;
        let mut call = 0;
        let mut arrive = |entries: &mut [Entry], call: usize| {
            if let Some((_, bytes)) = message.take_if(|(at, _)| *at <= call) {
                for entry in entries.iter_mut() {
                    entry.work = Work::default();
                }
                assert_eq!(entries[honest].client.send(bytes).unwrap(), bytes.len());
            }
        };
        self.flood();
        arrive(&mut self.entries, call);
        let reported: Vec<_> = (0..=honest)
            .filter(|&key| self.entries[key].is_reported(self.edge) && !self.entries[key].in_queue)
            .collect();
        for key in reported.into_iter().chain(std::mem::take(&mut self.queue)) {
            call += 1;
            self.entries[key].ready.readable |= self.entries[key].in_queue;
            arrive(&mut self.entries, call);
            let again = self.entries[key].drive(scratch, &self.limits);
            assert!(again || key == honest, "a flood is longer than a budget");
            self.entries[key].in_queue = again;
            if self.waited.is_none() && self.entries[honest].client.unread() > 0 {
                self.waited = Some(self.entries[..honest].iter().map(|entry| entry.work).collect());
            }
            if again {
                self.queue.push_back(key);
            }
            self.flood();
        }
        arrive(&mut self.entries, usize::MAX);
    }
}

/// Checks that each flooder's work is bounded between the honest message's arrival and its answer.
fn check(limits: &Limits, capacity: usize, floods: &[(&str, Vec<u8>)], flooders: usize, messages: usize) {
    // Clients that take no answers flood too.
    let limits = &limits.clone().pause_reading(PauseReading::Never);
    for (name, flood) in floods {
        for variant in 0..4 {
            let (edge, takes_answers) = (variant & 1 == 0, variant & 2 == 0);
            let flooder = |_| Flooder { flood: flood.clone(), at: 0, takes_answers };
            let mut thread = Loop::new(limits, capacity, (0..flooders).map(flooder).collect(), edge);
            let mut scratch = Scratch::new();
            let honest = flooders;
            let mut has_waited = false;
            thread.round(&mut scratch, None);
            thread.round(&mut scratch, None);
            for index in 0..messages {
                let text = format!("honest {index}");
                let bytes = from_client(0x81, text.as_bytes());
                // The honest connection has a budget too.
                let own_calls = bytes.len().div_ceil(limits.call_bytes.max(1));
                thread.round(&mut scratch, Some((index % (honest + 2), &bytes)));
                for _ in 0..own_calls {
                    if thread.waited.is_none() {
                        thread.round(&mut scratch, None);
                    }
                }
                let waited = thread.waited.take().expect(name);
                let mut answer = [0; 100];
                let len = thread.entries[honest].client.recv(&mut answer).unwrap();
                assert_eq!((answer[0], &answer[2..len]), (0x81, text.as_bytes()));
                has_waited |= waited.iter().any(|work| work.calls == own_calls);
                for Work { calls, bytes, events } in waited {
                    assert!(calls <= own_calls, "{name} {variant}: {calls} calls");
                    assert!(bytes <= (own_calls * limits.call_bytes.max(1)) as u64, "{name}: {bytes} bytes");
                    assert!(events <= own_calls * limits.call_events.max(1), "{name}: {events} events");
                }
            }
            assert!(has_waited, "{name}: the worst moment was tested");
            // The flooders are served too.
            assert!(thread.entries.iter().all(|entry| entry.total >= messages), "{name}");
        }
    }
}

#[test]
fn with_the_default_limits_a_flood_delays_an_honest_message_by_one_budget() {
    check(&Limits::default(), 2 << 20, &floods(), 1, 6);
}

#[test]
fn several_floods_delay_it_by_one_budget_each() {
    let limits = Limits::default().call_bytes(8 << 10).call_events(100);
    check(&limits, 20 << 10, &floods(), 3, 10);
}

#[test]
fn a_tiny_budget_is_kept() {
    for (call_bytes, call_events) in [(0, 0), (1, 1), (1, 1_000), (1_000, 1), (100, 3)] {
        let limits = Limits::default().call_bytes(call_bytes).call_events(call_events);
        check(&limits, 4 << 10, &floods(), 1, 10);
        check(&limits, 4 << 10, &floods(), 3, 10);
    }
}

#[test]
fn a_refused_client_that_floods_is_drained_in_small_calls() {
    const FLOOD: u64 = 1 << 20;
    let (a, mut client) = memory::pair(1 << 20);
    let mut opening = ServerOpening::new(a).unwrap();
    let mut scratch = Scratch::new();
    assert_eq!(client.send(b"no request at all\r\n\r\n").unwrap(), 21);
    assert!(matches!(opening.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    let refused = opening.get_ref().take_calls().received;
    while client.send(&[0; 4096]).is_ok() {}
    let mut drained = 0;
    loop {
        let wants = match opening.advance(&mut scratch.at(0)) {
            Ok(Progress::Pending(wants)) => wants,
            other => panic!("{other:?}"),
        };
        let received = opening.get_ref().take_calls().received;
        assert!(received <= 64 << 10, "{received} bytes in a call");
        drained += received;
        if !wants.again {
            break;
        }
    }
    assert!((FLOOD..=FLOOD + refused).contains(&(refused + drained)), "{refused} {drained}");
}
