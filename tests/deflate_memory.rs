//! What compression costs in memory, by an allocator that counts.
#![cfg(feature = "deflate")]

mod counting;

use counting::{LIVE, PEAK};
use std::sync::Arc;
use websocket_stream::deflate::{Agreed, Context, Deflaters, WindowBits};
use websocket_stream::frame::Header;
use websocket_stream::protocol::{Connection, Event, Input, Output, Role};
use websocket_stream::{Cause, Config, End, Fault, Limits, Message, OpCode, Status};

fn both(bits: u8, takeover: bool) -> Agreed {
    let context = Context::new(WindowBits::new(bits).unwrap(), takeover);
    Agreed { server: context, client: context }
}

/// A server, a client, and what they share with all others of their thread.
struct Pair {
    server: Connection,
    client: Connection,
}

#[derive(Default)]
struct Thread {
    input: Input,
    output: Output,
}

impl Thread {
    /// A message from one end to the other.
    fn say(&mut self, from: &mut Connection, to: &mut Connection, message: &str) {
        from.send(Message::Text(message), &mut self.output).unwrap();
        assert!(self.output.len() < message.len());
        self.input.extend(self.output.as_bytes());
        self.output.consume(usize::MAX);
        let event = to.receive(&mut self.input, &mut self.output);
        assert_eq!(event, Some(Event::Message(Message::Text(message))));
        assert_eq!(to.receive(&mut self.input, &mut self.output), None);
    }
}

impl Pair {
    fn new(agreed: Agreed) -> Self {
        let end = |role| Connection::new(role).with_deflate(agreed);
        Self { server: end(Role::Server), client: end(Role::Client) }
    }

    /// A message there, and the same one back.
    fn echo(&mut self, thread: &mut Thread, message: &str) {
        let Self { server, client } = self;
        thread.say(client, server, message);
        thread.say(server, client, message);
    }

    fn held(&self) -> usize {
        self.server.held() + self.client.held()
    }
}

fn message(len: usize) -> String {
    (0..).map(|n| format!("{n} is followed by ")).take(len / 15).collect()
}

#[test]
fn a_connection_without_takeover_holds_nothing_between_two_messages() {
    let (mut thread, text) = (Thread::default(), message(9000));
    Pair::new(both(15, false)).echo(&mut thread, &text);
    let mut pairs: Vec<Pair> = (0..200).map(|_| Pair::new(both(15, false))).collect();
    let before = LIVE.get();
    for pair in &mut pairs {
        pair.echo(&mut thread, &text);
    }
    assert_eq!(LIVE.get(), before);
    assert_eq!(pairs.iter().map(Pair::held).sum::<usize>(), 0);
}

#[test]
fn ten_thousand_windows_that_were_never_used_hold_nothing() {
    let mut connections = Vec::with_capacity(10_000);
    let before = LIVE.get();
    for _ in 0..10_000 {
        connections.push(Connection::new(Role::Server).with_deflate(both(15, true)));
    }
    assert_eq!(LIVE.get(), before);
    assert_eq!(connections.iter().map(Connection::held).sum::<usize>(), 0);
}

#[test]
fn windows_cost_what_the_documentation_says_active_and_parked() {
    let text = message(100_000);
    for bits in 8..=15 {
        let window = (1 << bits).max(512);
        let mut thread = Thread::default();
        Pair::new(both(bits, true)).echo(&mut thread, &text);
        let before = LIVE.get();
        let mut pair = Pair::new(both(bits, true));
        for _ in 0..3 {
            pair.echo(&mut thread, &text);
        }
        let beside = 88;
        for (end, expected) in [(&pair.server, 2 * window + beside), (&pair.client, 2 * window + beside)] {
            assert_eq!(end.held(), expected, "{bits} bits");
        }
        assert_eq!(LIVE.get() - before, pair.held(), "{bits} bits");
        pair.server.park();
        pair.client.park();
        assert_eq!(pair.server.held(), window + beside, "{bits} bits, parked");
        assert_eq!(LIVE.get() - before, pair.held(), "{bits} bits, parked");
        // As much as there was.
        let mut small = Pair::new(both(bits, true));
        small.echo(&mut thread, &text[..300]);
        assert!(small.server.held() <= 2 * 512 + beside, "{}", small.server.held());
    }
}

#[test]
fn a_bomb_makes_no_more_than_the_limit_and_a_window_of_memory() {
    const LIMIT: usize = 8 << 20;
    const WINDOW: usize = 1 << 15;
    // What a thread's inflater is, beside its window.
    const INFLATER: usize = 16 << 10;
    // 6 MiB that would become more than 6 GiB.
    let block = {
        let mut deflaters = Deflaters::new();
        let alone = Context::new(WindowBits::MAX, false);
        let payload = deflaters.deflate(&[0; 1 << 20], alone, 9).unwrap();
        [payload, &[0x00, 0x00, 0xFF, 0xFF]].concat()
    };
    let bomb = block.repeat((6 << 20) / block.len());
    assert!((bomb.len() / block.len()) << 20 > 5 << 30);
    let limits = Limits { message: LIMIT, frame: LIMIT as u64, ..Limits::default() };
    let config = Arc::new(Config { limits, ..Config::default() });
    for piece in [bomb.len(), 100_000] {
        let mut connection =
            Connection::with_config(Role::Client, config.clone()).with_deflate(both(15, true));
        let (mut input, mut output) = (Input::default(), Output::new());
        let pieces: Vec<&[u8]> = bomb.chunks(piece).collect();
        for (index, piece) in pieces.iter().enumerate() {
            let (opcode, rsv) = if index == 0 { (OpCode::Binary, 4) } else { (OpCode::Continuation, 0) };
            let fin = index + 1 == pieces.len();
            input.extend(&Header { fin, rsv, ..Header::new(opcode, piece.len() as u64) }.encode());
            input.extend(piece);
            // Beside what has come.
            PEAK.set(LIVE.get());
            let before = LIVE.get() - connection.held();
            let collected = connection.held().max(if fin { 0 } else { LIMIT });
            assert_eq!(connection.receive(&mut input, &mut output), None);
            let most = before + collected + LIMIT + 1 + WINDOW + INFLATER;
            assert!(PEAK.get() <= most, "{} over it", PEAK.get() - most);
        }
        let Status::Finishing(End { cause: Cause::Fault(fault), code, .. }) = connection.status() else {
            panic!("{:?}", connection.status());
        };
        assert_eq!((fault, code.get()), (Fault::MessageTooLong, 1009));
        assert_eq!(connection.held(), 0);
    }
}
