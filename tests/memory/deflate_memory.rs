//! The memory cost of compression, measured by a counting allocator.

use crate::counting::{ALLOCATIONS, LIVE, PEAK};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::ErrorKind;
use std::sync::Arc;
use websocket_stream::deflate::{Context, DeflateParams, Deflaters, WindowBits};
use websocket_stream::frame::Header;
use websocket_stream::protocol::{Connection, Event, Input, Output, Role};
use websocket_stream::transport::testing::memory;
use websocket_stream::{
    Cause, CloseCode, Closed, Config, Fault, Limits, Message, NonBlockingTransport, OpCode, Ready, Scratch,
    State, WebSocketStream,
};

fn both(bits: u8, takeover: bool) -> DeflateParams {
    let context = Context::new(WindowBits::new(bits).unwrap(), takeover);
    DeflateParams { server: context, client: context }
}

/// A server, a client, and the state that they share with all connections of their thread.
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
    /// Sends a message from one end to the other.
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
    fn new(agreed: DeflateParams) -> Self {
        let end = |role| Connection::new(role).with_deflate(agreed);
        Self { server: end(Role::Server), client: end(Role::Client) }
    }

    /// Sends a message, and echoes it.
    fn echo(&mut self, thread: &mut Thread, message: &str) {
        let Self { server, client } = self;
        thread.say(client, server, message);
        thread.say(server, client, message);
    }

    fn heap_bytes(&self) -> usize {
        self.server.heap_bytes() + self.client.heap_bytes()
    }
}

fn message(len: usize) -> String {
    (0..).map(|n| format!("{n} is followed by ")).take(len / 15).collect()
}

#[test]
fn a_connection_that_keeps_no_window_holds_nothing_between_two_messages() {
    let (mut thread, text) = (Thread::default(), message(9000));
    Pair::new(both(15, false)).echo(&mut thread, &text);
    let mut pairs: Vec<Pair> = (0..200).map(|_| Pair::new(both(15, false))).collect();
    let before = LIVE.get();
    for pair in &mut pairs {
        pair.echo(&mut thread, &text);
    }
    assert_eq!(LIVE.get(), before);
    assert_eq!(pairs.iter().map(Pair::heap_bytes).sum::<usize>(), 0);
}

#[test]
fn a_thread_creates_its_compressor_and_inflater_once() {
    let (mut thread, text) = (Thread::default(), message(9000));
    Pair::new(both(15, false)).echo(&mut thread, &text);
    let before = ALLOCATIONS.get();
    Pair::new(both(15, false)).echo(&mut thread, &text);
    assert_eq!(ALLOCATIONS.get(), before);
}

#[test]
fn the_output_of_compressing_a_large_message_is_freed() {
    let mut server = Connection::new(Role::Server).with_deflate(both(15, false));
    let mut output = Output::new();
    let mut live_after = |len: usize| {
        server.send(Message::Text(&"a".repeat(len)), &mut output).unwrap();
        output.consume(usize::MAX);
        LIVE.get()
    };
    // The compressor for short messages, and the one for all others.
    live_after(9000);
    let before = live_after(20_000);
    assert!(live_after(8 << 20) < before + (16 << 10));
}

#[test]
fn the_buffers_of_a_compressed_message_are_reused_even_if_it_is_refused() {
    let mut deflaters = Deflaters::new();
    let text = message(20_000);
    let payload = deflaters.deflate(text.as_bytes(), Context::new(WindowBits::MAX, false), 6).unwrap();
    for (payload, whole) in [(payload, true), (&payload[..payload.len() - 10], false)] {
        let bytes = frames(payload, payload.len() / 2);
        let (mut input, mut output) = (Input::with_capacity(bytes.len()), Output::new());
        for round in 0..3 {
            let mut connection = Connection::new(Role::Client).with_deflate(both(15, false));
            let before = ALLOCATIONS.get();
            let mut received = false;
            for piece in bytes.chunks(1000) {
                input.extend(piece);
                received |= matches!(connection.receive(&mut input, &mut output), Some(Event::Message(_)));
            }
            assert_eq!((received, connection.receive(&mut input, &mut output)), (whole, None));
            // The state of the unfinished message, which is small.
            let allocations = ALLOCATIONS.get() - before;
            assert!(round == 0 || allocations == 1, "{allocations} allocations, whole: {whole}");
        }
    }
}

#[test]
fn ten_thousand_unused_windows_hold_no_memory() {
    let mut connections = Vec::with_capacity(10_000);
    let before = LIVE.get();
    for _ in 0..10_000 {
        connections.push(Connection::new(Role::Server).with_deflate(both(15, true)));
    }
    assert_eq!(LIVE.get(), before);
    assert_eq!(connections.iter().map(Connection::heap_bytes).sum::<usize>(), 0);
}

#[test]
fn windows_cost_the_documented_memory_until_they_are_dropped() {
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
        let beside = if cfg!(target_pointer_width = "64") { 88 } else { 48 };
        for (end, expected) in [(&pair.server, 2 * window + beside), (&pair.client, 2 * window + beside)] {
            assert_eq!(end.heap_bytes(), expected, "{bits} bits");
        }
        assert_eq!(LIVE.get() - before, pair.heap_bytes(), "{bits} bits");
        pair.server.drop_send_window();
        pair.client.drop_send_window();
        assert_eq!(pair.server.heap_bytes(), window + beside, "{bits} bits, dropped");
        assert_eq!(LIVE.get() - before, pair.heap_bytes(), "{bits} bits, dropped");
        // At most the bytes of the messages so far.
        let mut small = Pair::new(both(bits, true));
        small.echo(&mut thread, &text[..300]);
        assert!(small.server.heap_bytes() <= 2 * 512 + beside, "{}", small.server.heap_bytes());
    }
}

/// The most bytes of a message that are kept compressed: as many as a window.
const CHUNK: usize = 32 << 10;
/// The size of an inflater, most of which is its window.
const INFLATER: usize = 48 << 10;
/// The fault's text, the list of a message's pieces, and the half page before a large message.
const BESIDE: usize = (1 << 10) + 2048;

/// Returns about 6 MiB that would inflate to at least `times` as many bytes.
fn bomb(times: usize) -> Vec<u8> {
    let mut random = 1_u64;
    let mut noise = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random.to_be_bytes()[0]
    };
    // Zeros compress to a thousandth, noise not at all.
    let noisy = (1_100_000 / times - 1_100).min(1 << 20);
    let block: Vec<u8> = (0..1 << 20).map(|at| if at < noisy { noise() } else { 0 }).collect();
    let mut deflaters = Deflaters::new();
    let alone = Context::new(WindowBits::MAX, false);
    let payload = deflaters.deflate(&block, alone, 9).unwrap();
    let block = [payload, &[0x00, 0x00, 0xFF, 0xFF]].concat();
    let bomb = block.repeat((6 << 20) / block.len());
    assert!(bomb.len() / block.len() > 5 * times);
    bomb
}

/// Returns the frames of a compressed message to a client, in fragments of at most this length.
fn frames(payload: &[u8], fragment: usize) -> Vec<u8> {
    crate::framed::fragments(Header { rsv: 4, ..Header::new(OpCode::Binary, 0) }, payload, fragment)
}

fn limited(message: usize) -> Arc<Config> {
    let limits = Limits::default().message(message).frame(u64::MAX);
    Arc::new(Config::default().limits(limits))
}

fn assert_too_long(status: State) {
    let State::Draining(Closed { cause: Cause::Fault(fault), code, .. }) = status else {
        panic!("{status:?}");
    };
    assert_eq!((fault, code.get()), (Fault::MessageTooLong, 1009));
}

#[test]
fn a_bomb_costs_no_more_memory_than_the_limit_and_a_window() {
    for (times, limit, fragment, piece) in [
        (1000, 16 << 20, usize::MAX, 1 << 16),
        (1000, 16 << 20, usize::MAX, usize::MAX),
        (1000, 16 << 20, 100_000, 1 << 14),
        (1000, 16 << 20, 1000, 1 << 16),
        (1000, 1 << 20, usize::MAX, 1 << 16),
        (1000, 1 << 20, 100_000, 1 << 16),
        (1000, 1 << 20, 100_000, usize::MAX),
        (1000, 1 << 20, 1000, 1 << 10),
        (100, 16 << 20, usize::MAX, 1 << 16),
        (100, 16 << 20, 100_000, 1 << 16),
        (5, 16 << 20, usize::MAX, 1 << 16),
        (5, 16 << 20, 100_000, 1 << 14),
        (5, 1 << 20, 10_000, 1 << 16),
    ] {
        let bytes = frames(&bomb(times), fragment.min(6 << 20));
        let mut connection =
            Connection::with_config(Role::Client, limited(limit)).with_deflate(both(15, true));
        // The receive buffer belongs to the caller.
        let mut input = Input::with_capacity(piece.min(bytes.len()).max(1000));
        let mut output = Output::new();
        // So does the inflater, which any compressed message leaves there.
        receive_one(&mut input, &mut output);
        let before = LIVE.get();
        PEAK.set(before);
        for piece in bytes.chunks(piece.min(bytes.len())) {
            input.extend(piece);
            assert_eq!(connection.receive(&mut input, &mut output), None);
            assert!(input.unread().is_empty());
            if connection.state() != State::Open {
                break;
            }
        }
        let case = format!("{times} times, in fragments of {fragment} and pieces of {piece} bytes");
        assert_too_long(connection.state());
        assert_eq!(connection.heap_bytes(), 0, "{case}");
        let (grown, most) = (PEAK.get() - before, limit + CHUNK + BESIDE);
        assert!(grown <= most, "{} over it: {case}", grown - most);
        // Back to the start, except for the buffers that the input keeps for other messages.
        let kept = LIVE.get().saturating_sub(before);
        assert!(kept <= (8 << 20) + BESIDE, "{kept}: {case}");
    }
}

/// Lets another connection receive a compressed message.
fn receive_one(input: &mut Input, output: &mut Output) {
    let mut deflaters = Deflaters::new();
    let payload = deflaters.deflate(&[b'a'; 1000], Context::new(WindowBits::MAX, false), 6).unwrap();
    let mut other = Connection::new(Role::Client).with_deflate(both(15, true));
    input.extend(&frames(payload, usize::MAX));
    assert!(
        matches!(other.receive(input, output), Some(Event::Message(message)) if message.as_bytes().len() == 1000)
    );
    assert_eq!(other.receive(input, output), None);
}

/// Bytes to receive, at most `most` at a time.
struct Wire {
    bytes: Vec<u8>,
    at: usize,
    most: usize,
}

impl NonBlockingTransport for Wire {
    fn set_nonblocking(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(self.bytes.len() - self.at).min(self.most);
        buffer[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        if n == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(n) }
    }

    fn send(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn shutdown_write(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns a stream that receives this message, at most `most` bytes at a time.
fn stream(payload: &[u8], fragment: usize, most: usize, limit: usize) -> WebSocketStream<Wire> {
    let wire = Wire { bytes: frames(payload, fragment), at: 0, most };
    WebSocketStream::with_config(wire, Role::Client, limited(limit)).unwrap().with_deflate(both(15, true))
}

#[test]
fn a_bomb_costs_a_stream_no_more_memory_than_the_limit_and_a_window() {
    for (times, limit, fragment, most) in [
        (1000, 16 << 20, 6 << 20, usize::MAX),
        (1000, 16 << 20, 100_000, 1460),
        (1000, 1 << 20, 10_000, usize::MAX),
        (100, 16 << 20, 100_000, usize::MAX),
        (5, 16 << 20, 6 << 20, 10_000),
        (5, 1 << 20, 10_000, usize::MAX),
    ] {
        let mut stream = stream(&bomb(times), fragment, most, limit);
        let mut scratch = Scratch::new();
        let before = LIVE.get();
        PEAK.set(before);
        while stream.state() == State::Open {
            let wants =
                stream.drive(&mut scratch.at(0), Ready::READABLE, |event, _| panic!("{event:?}")).unwrap();
            assert!(!wants.closed);
        }
        let case = format!("{times} times, in fragments of {fragment} bytes, {most} at a time");
        assert_too_long(stream.state());
        assert_eq!(stream.heap_bytes(), 0, "{case}");
        let (grown, most) = (PEAK.get() - before, limit + CHUNK + INFLATER + BESIDE);
        assert!(grown <= most, "{} over it: {case}", grown - most);
    }
}

#[test]
fn a_call_inflates_no_more_than_its_budget_and_one_receive() {
    // The budget is about 1 MiB, one receive is 64 KiB, and the message is 600 MiB.
    let (once, limit) = (64 << 10, 1 << 30);
    let mut stream = stream(&bomb(100), 6 << 20, usize::MAX, limit);
    let mut scratch = Scratch::new();
    let mut calls = 0;
    while calls < 20 {
        let before = (stream.get_ref().at, stream.heap_bytes());
        let wants =
            stream.drive(&mut scratch.at(0), Ready::READABLE, |event, _| panic!("{event:?}")).unwrap();
        assert!(wants.again);
        let received = stream.get_ref().at - before.0;
        assert!(received <= once, "{received} in the call {calls}, {before:?}");
        calls += 1;
    }
    assert!(stream.heap_bytes() > 64 << 20, "{}", stream.heap_bytes());
}

#[test]
fn a_large_compressed_message_gets_a_used_buffer_once_part_of_it_has_arrived() {
    // Six mebibytes in which some of each thousand bytes are new: they compress to a seventieth.
    let mut random = 7_u64;
    let mut noise = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random.to_be_bytes()[0]
    };
    let message: Vec<u8> = (0..6 << 20).map(|at| if at % 1000 < 10 { noise() } else { 0 }).collect();
    let payload =
        Deflaters::new().deflate(&message, Context::new(WindowBits::MAX, false), 6).unwrap().to_vec();
    assert!((2 * CHUNK..4 * CHUNK).contains(&payload.len()), "{}", payload.len());
    let bytes = frames(&payload, payload.len());
    let (mut input, mut output) = (Input::with_capacity(CHUNK), Output::new());
    // A buffer as large as this limit is reused, and has room for the whole message.
    let limit = 7 << 20;
    for round in 0..2 {
        let mut connection =
            Connection::with_config(Role::Client, limited(limit)).with_deflate(both(15, false));
        let (start, rest) = bytes.split_at(CHUNK + 1000);
        let mut received = 0;
        for piece in start.chunks(1000) {
            input.extend(piece);
            assert_eq!(connection.receive(&mut input, &mut output), None);
        }
        // More than two mebibytes have arrived, and there is room for four: the buffer did not double in
        // advance.
        assert!(connection.heap_bytes() < (4 << 20) + INFLATER + BESIDE, "{}", connection.heap_bytes());
        let before = ALLOCATIONS.get();
        for piece in rest.chunks(1000) {
            input.extend(piece);
            if let Some(Event::Message(message)) = connection.receive(&mut input, &mut output) {
                received = message.as_bytes().len();
            }
        }
        assert_eq!((received, connection.receive(&mut input, &mut output)), (message.len(), None));
        let allocations = ALLOCATIONS.get() - before;
        assert!(round == 0 || allocations == 0, "{allocations} allocations");
    }
}

#[test]
fn an_inflater_taken_by_a_message_is_returned_with_it() {
    let mut deflaters = Deflaters::new();
    let mut frames_of = |text: &str| {
        let payload = deflaters.deflate(text.as_bytes(), Context::new(WindowBits::MAX, false), 6).unwrap();
        frames(payload, payload.len())
    };
    let (large, small) = (frames_of(&message(1_000_000)), frames_of(&message(1000)));
    assert!(large.len() > 2 * CHUNK, "{}", large.len());
    let (mut input, mut output) = (Input::with_capacity(CHUNK), Output::new());
    let mut connection = Connection::new(Role::Client).with_deflate(both(15, false));
    let mut received = 0;
    let mut say = |bytes: &[u8]| {
        for piece in bytes.chunks(1000) {
            input.extend(piece);
            while let Some(event) = connection.receive(&mut input, &mut output) {
                received += usize::from(matches!(event, Event::Message(_)));
            }
        }
    };
    say(&large);
    let before = ALLOCATIONS.get();
    say(&small);
    assert_eq!((received, ALLOCATIONS.get()), (2, before));
}

#[test]
fn the_estimated_output_of_a_piece_takes_no_more_room_than_the_output_so_far() {
    // Zeros compress to a thousandth, noise not at all.
    let mut random = 1_u64;
    let noise = std::iter::repeat_with(|| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random.to_be_bytes()[0]
    });
    let message: Vec<u8> = std::iter::repeat_n(0, 40 << 20).chain(noise.take(1 << 20)).collect();
    let mut deflaters = Deflaters::new();
    let payload = deflaters.deflate(&message, Context::new(WindowBits::MAX, false), 6).unwrap();
    let bytes = frames(payload, payload.len());
    let mut connection =
        Connection::with_config(Role::Client, limited(1 << 30)).with_deflate(both(15, false));
    let (mut input, mut output) = (Input::default(), Output::new());
    for piece in [&bytes[..CHUNK + 1000], &bytes[CHUNK + 1000..bytes.len() - 1]] {
        input.extend(piece);
        assert_eq!(connection.receive(&mut input, &mut output), None);
    }
    // The buffer may have doubled just before, and now.
    assert!(connection.heap_bytes() < 4 * message.len(), "{}", connection.heap_bytes());
}

#[test]
fn a_slow_peer_has_no_inflater_before_its_first_chunk_and_a_counted_one_afterwards() {
    let payload = bomb(5);
    let bytes = frames(&payload, payload.len());
    let mut connections: Vec<Connection> =
        (0..100).map(|_| Connection::new(Role::Client).with_deflate(both(15, false))).collect();
    let (mut input, mut output) = (Input::with_capacity(64 << 10), Output::new());
    let before = LIVE.get();
    let mut say = |connection: &mut Connection, bytes: &[u8]| {
        for piece in bytes.chunks(1000) {
            input.extend(piece);
            assert_eq!(connection.receive(&mut input, &mut output), None);
        }
        connection.heap_bytes()
    };
    for connection in &mut connections {
        assert!(say(connection, &bytes[..31 << 10]) <= CHUNK + 512);
    }
    assert_eq!(LIVE.get() - before, connections.iter().map(Connection::heap_bytes).sum::<usize>());
    // One connection continues: it now has an inflater and inflated bytes, which are counted.
    let beside: usize = connections.iter().skip(1).map(Connection::heap_bytes).sum();
    let heap = say(&mut connections[0], &bytes[31 << 10..64 << 10]);
    assert!(heap <= 2 * 64 * 5 * 1024 + INFLATER + 512, "{heap}");
    let really = LIVE.get() - before - beside;
    assert!(really <= heap && heap <= really + (4 << 10), "{heap}, and really {really}");
    // Dropping the connections frees all of it.
    connections.clear();
    assert_eq!(LIVE.get(), before);
}

/// The most that a scratch keeps, as [`Scratch`] and the module `guarantees` document it.
mod kept {
    /// The input, with room for the longest header at its end.
    pub(crate) const INPUT: usize = (64 << 10) + 14;
    /// Used message buffers.
    pub(crate) const POOL: usize = 8 << 20;
    /// The send buffer.
    pub(crate) const OUTPUT: usize = 1 << 20;
    /// One compressor for each of seven window sizes, and one for short messages.
    pub(crate) const COMPRESSORS: usize = 8 * (300 << 10);
    /// The compressors' output.
    pub(crate) const COMPRESSED: usize = 1 << 20;
    pub(crate) const INFLATER: usize = 48 << 10;
    /// The lists of the buffers.
    pub(crate) const BESIDE: usize = 1 << 10;
    pub(crate) const ALL: usize = INPUT + POOL + OUTPUT + COMPRESSORS + COMPRESSED + INFLATER + BESIDE;
}

/// The longest message of a soak.
const LARGEST: usize = 1 << 16;

type Echo = WebSocketStream<memory::MemoryStream>;

/// A server and a client in any state: open, closing, or without a peer.
type Ends = (Option<Echo>, Option<Echo>);

/// Opens 2,000 connections, at most 200 at a time, and kills each in a random state.
fn soak(random: &mut StdRng, scratch: &mut Scratch) {
    const TOGETHER: usize = 200;
    let (mut clients, mut ends) = (Scratch::new(), Vec::<Ends>::new());
    let (mut opened, mut echoes) = (0, 0);
    let mut noise = vec![0; LARGEST];
    random.fill(&mut noise[..]);
    // It compresses to three quarters, so that some messages arrive in more than one chunk.
    noise.iter_mut().for_each(|byte| *byte &= 0x3F);
    let words = message(LARGEST + 100);
    while opened < 2000 || !ends.is_empty() {
        if opened < 2000 && ends.len() < TOGETHER {
            let agreed = both(random.random_range(8..=15), random.random());
            // With less room, a frame arrives in more pieces, and more replies wait.
            let (a, b) = memory::pair(1 << random.random_range(6..18));
            let server = WebSocketStream::new(a).unwrap().with_deflate(agreed);
            let client = WebSocketStream::client(b).unwrap().with_deflate(agreed);
            ends.push((Some(server), Some(client)));
            opened += 1;
        }
        let at = random.random_range(0..ends.len());
        let (server, client) = &mut ends[at];
        let len = 1 << random.random_range(0..=LARGEST.ilog2());
        let len = random.random_range(len / 2..=len);
        match random.random_range(0..100) {
            0 => drop(client.take()),
            1 => drop(server.take()),
            2 => _ = client.as_mut().map(|client| client.close(&mut clients.at(0), CloseCode::NORMAL, "")),
            // A compressed message that cannot be inflated.
            3 => _ = client.as_mut().map(|client| client.get_mut().send(b"\xC2\x85\0\0\0\0noise")),
            4..40 if client.is_some() => {
                let from = random.random_range(0..100);
                let message = match random.random() {
                    true => Message::Text(&words[from..from + len.min(words.len() - from)]),
                    false => Message::Binary(&noise[noise.len() - len..]),
                };
                // A closing client refuses it.
                _ = client.as_mut().map(|client| client.send(&mut clients.at(0), message));
            }
            4..70 => {
                let received = client.as_mut().map(|client| receive_echoes(client, &mut clients));
                echoes += received.unwrap_or_default();
            }
            _ => {
                let closed = server.as_mut().is_some_and(|server| echo(server, scratch));
                if closed {
                    *server = None;
                }
            }
        }
        if server.is_none() || client.is_none() && random.random_range(0..4) == 0 {
            ends.swap_remove(at);
        }
    }
    assert!(echoes > 2000, "{echoes}");
}

/// Makes `rand` create the thread's generator, which lives as long as the thread.
fn mask_once() {
    let mut client = WebSocketStream::client(Wire { bytes: Vec::new(), at: 0, most: 0 }).unwrap();
    client.send(&mut Scratch::new().at(0), "masked").unwrap();
}

/// Makes one call, which echoes messages. Returns whether the connection is closed.
fn echo(server: &mut Echo, scratch: &mut Scratch) -> bool {
    let wants = server.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, out| match event {
        Event::Message(message) => out.send(message),
        _ => Ok(()),
    });
    wants.map_or(true, |wants| wants.closed)
}

/// Makes one call. Returns the number of messages received.
fn receive_echoes(client: &mut Echo, scratch: &mut Scratch) -> usize {
    let mut received = 0;
    // Fails if the peer is gone.
    let _ = client.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
        received += usize::from(matches!(event, Event::Message(_)));
        Ok(())
    });
    received
}

#[test]
fn connections_killed_at_random_leave_only_the_documented_memory_in_a_scratch() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    mask_once();
    let before = LIVE.get();
    let mut scratch = Scratch::new();
    // Of messages up to this length. Buffers that grow while bytes arrive may have doubled.
    let pool = 4 * 2 * (LARGEST + (4 << 10));
    let bound = kept::ALL - kept::POOL + pool;
    let mut first = None;
    for round in 0..2 {
        soak(&mut random, &mut scratch);
        let kept = LIVE.get() - before;
        assert!(kept <= bound, "{kept} bytes after round {round}, documented are {bound}");
        let first = *first.get_or_insert(kept);
        // The reused buffers may be different ones.
        let grown = kept.saturating_sub(first);
        assert!(grown <= pool, "{grown} bytes more after round {round}");
    }
    // All of it belongs to the scratch.
    drop(scratch);
    assert_eq!(LIVE.get(), before);
}

#[test]
fn a_scratch_can_be_dropped_between_any_two_calls() {
    let text = message(200_000);
    let (a, b) = memory::pair(20_000);
    let mut server = WebSocketStream::new(a).unwrap().with_deflate(both(15, true));
    let mut client = WebSocketStream::client(b).unwrap().with_deflate(both(15, true));
    for _ in 0..3 {
        client.send(&mut Scratch::new().at(0), &text[..]).unwrap();
        let mut received = 0;
        while received == 0 {
            echo(&mut server, &mut Scratch::new());
            let result = client.drive(&mut Scratch::new().at(0), Ready::UNKNOWN, |event, _| {
                assert_eq!(event, Event::Message(Message::Text(&text)));
                received += 1;
                Ok(())
            });
            assert!(!result.unwrap().closed);
        }
    }
}

#[test]
fn a_scratch_keeps_the_documented_memory_after_messages_of_any_length() {
    let documented = include_str!("../../src/guarantees.md");
    for (bytes, compression) in
        [(kept::INPUT + kept::POOL + kept::OUTPUT, ""), (kept::ALL, " with compression")]
    {
        let tenths = (bytes * 10).div_ceil(1 << 20);
        let sum = format!("{}.{} MiB{compression}", tenths / 10, tenths % 10);
        assert!(documented.contains(&sum), "{sum}");
    }
    let text = message(5 << 20);
    mask_once();
    let before = LIVE.get();
    let mut scratch = Scratch::new();
    let (compressed, plain) = (|bits| Some(both(bits, true)), None);
    // A large message begins half a page after the start of its buffer.
    echo_side_by_side(5, plain, &text[..(2 << 20) - 2048], &mut scratch);
    // Each window size.
    for bits in 9..=15 {
        echo_side_by_side(1, compressed(bits), &text[..100_000], &mut scratch);
    }
    // A short message, and a long one.
    echo_side_by_side(1, compressed(15), &text[..9_000], &mut scratch);
    echo_side_by_side(1, compressed(15), &text[..930_000], &mut scratch);
    // A client batches the bytes that it masks.
    let mut sink = WebSocketStream::client(Wire { bytes: Vec::new(), at: 0, most: 0 }).unwrap();
    sink.send(&mut scratch.at(0), &text[..(1 << 20) - 100]).unwrap();
    let kept = LIVE.get() - before;
    assert!(kept <= kept::ALL, "{kept} bytes, documented are {}", kept::ALL);
    assert!(kept > kept::ALL / 10 * 9, "documented are {}, but only {kept} bytes", kept::ALL);
    // Larger messages: their buffers replace smaller ones, or are freed.
    for agreed in [compressed(15), plain] {
        for count in [1, 2, 5] {
            echo_side_by_side(count, agreed, &text, &mut scratch);
            let kept = LIVE.get() - before;
            assert!(kept <= kept::ALL, "{kept} bytes, documented are {}", kept::ALL);
        }
    }
    sink.send(&mut scratch.at(0), &text[..]).unwrap();
    let kept = LIVE.get() - before;
    assert!(kept <= kept::ALL - kept::OUTPUT, "{kept} bytes, documented are {}", kept::ALL - kept::OUTPUT);
    drop((sink, scratch));
    assert_eq!(LIVE.get(), before);
}

/// Makes `count` servers echo this message side by side, each piece by piece.
fn echo_side_by_side(count: usize, agreed: Option<DeflateParams>, text: &str, scratch: &mut Scratch) {
    let mut clients = Scratch::new();
    let open = |stream: Echo| match agreed {
        Some(agreed) => stream.with_deflate(agreed),
        None => stream,
    };
    let mut ends: Vec<_> = (0..count)
        .map(|_| {
            let (a, b) = memory::pair(20_000);
            (open(WebSocketStream::new(a).unwrap()), open(WebSocketStream::client(b).unwrap()))
        })
        .collect();
    for (_, client) in &mut ends {
        client.send(&mut clients.at(0), text).unwrap();
    }
    let mut received = 0;
    while received < count {
        for (server, client) in &mut ends {
            echo(server, scratch);
            received += receive_echoes(client, &mut clients);
        }
    }
}
