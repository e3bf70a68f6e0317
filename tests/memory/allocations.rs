//! The cost of a connection: bytes, allocations, copies and calls of its transport.

use crate::counting::{ALLOCATIONS, LIVE, PEAK};
use std::cell::Cell;
use std::io::{ErrorKind, IoSlice};
use std::net::TcpStream;
use std::sync::Arc;
use websocket_stream::frame::Header;
use websocket_stream::protocol::{Connection, Input, Output};
use websocket_stream::transport::testing::memory;
use websocket_stream::{
    Config, Event, Limits, Message, NonBlockingTransport, OpCode, Ready, Role, Scratch, SendError, State,
    WebSocketStream,
};

type Echo = WebSocketStream<memory::MemoryStream>;

fn echo(server: &mut Echo, scratch: &mut Scratch) {
    loop {
        let ready = Ready { writable: true, ..Ready::READABLE };
        let wants = server
            .drive(&mut scratch.at(0), ready, |event, out| match event {
                Event::Message(message) => out.send(message),
                _ => Ok(()),
            })
            .unwrap();
        assert!(!wants.closed);
        if !wants.again {
            return;
        }
    }
}

fn ends() -> (Echo, Echo, Scratch) {
    let (a, b) = memory::pair(4 << 20);
    (WebSocketStream::new(a).unwrap(), WebSocketStream::client(b).unwrap(), Scratch::new())
}

#[test]
fn a_stream_is_at_most_64_bytes_or_72_on_windows() {
    // A socket of Windows takes 8 bytes, a descriptor 4.
    let most = if cfg!(windows) { 72 } else { 64 };
    assert!(size_of::<WebSocketStream<TcpStream>>() <= most);
}

#[test]
fn an_idle_connection_uses_no_heap_after_a_message_of_a_mebibyte() {
    let (mut server, mut client, mut scratch) = ends();
    client.send(&mut scratch.at(0), &vec![7; 1 << 20][..]).unwrap();
    echo(&mut server, &mut scratch);
    while server.unsent() > 0 {
        echo(&mut server, &mut scratch);
    }
    let mut received = 0;
    loop {
        let wants = client
            .drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
                if let Event::Message(message) = event {
                    received = message.as_bytes().len();
                }
                Ok(())
            })
            .unwrap();
        if !wants.again {
            break;
        }
    }
    assert_eq!(received, 1 << 20);
    assert_eq!((server.heap_bytes(), client.heap_bytes()), (0, 0));
}

thread_local! {
    /// The bytes that the next `recv` of any [`Descriptor`] returns.
    static WIRE: Cell<&'static [u8]> = const { Cell::new(&[]) };
    /// The calls of the descriptors, and the addresses of the bytes.
    static SEEN: Cell<Seen> = const { Cell::new(Seen::NOTHING) };
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    recv: usize,
    /// The largest number of bytes received at once.
    longest: usize,
    send: usize,
    send_vectored: usize,
    sent: usize,
    /// The addresses of the last bytes received and sent.
    received_to: usize,
    sent_from: usize,
}

impl Seen {
    const NOTHING: Self =
        Self { recv: 0, longest: 0, send: 0, send_vectored: 0, sent: 0, received_to: 0, sent_from: 0 };

    fn note(change: impl FnOnce(&mut Self)) {
        let mut seen = SEEN.get();
        change(&mut seen);
        SEEN.set(seen);
    }
}

/// A transport as large as a descriptor, which allocates nothing: it receives the bytes in [`WIRE`], and
/// takes everything.
struct Descriptor(#[expect(dead_code, reason = "only its size matters")] i32);

impl NonBlockingTransport for Descriptor {
    fn set_nonblocking(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wire = WIRE.get();
        let n = wire.len().min(buffer.len());
        buffer[..n].copy_from_slice(&wire[..n]);
        WIRE.set(&wire[n..]);
        Seen::note(|seen| {
            seen.recv += 1;
            seen.longest = seen.longest.max(n);
            seen.received_to = buffer.as_ptr().addr();
        });
        if n == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(n) }
    }

    fn send(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Seen::note(|seen| {
            seen.send += 1;
            seen.sent += bytes.len();
            seen.sent_from = bytes.as_ptr().addr();
        });
        Ok(bytes.len())
    }

    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> std::io::Result<usize> {
        let len = pieces.iter().map(|piece| piece.len()).sum();
        Seen::note(|seen| {
            seen.send_vectored += 1;
            seen.sent += len;
            seen.sent_from = pieces.last().map_or(0, |piece| piece.as_ptr().addr());
        });
        Ok(len)
    }

    fn shutdown_write(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns a client's message as it is sent.
fn masked(opcode: OpCode, len: usize) -> &'static [u8] {
    let header = Header { mask: Some([1, 2, 3, 4]), ..Header::new(opcode, len as u64) };
    let mut bytes = header.encode().to_vec();
    bytes.resize(bytes.len() + len, 7);
    bytes.leak()
}

/// Echoes the bytes in [`WIRE`]. Returns the address of the message.
fn echo_once(stream: &mut WebSocketStream<Descriptor>, scratch: &mut Scratch) -> usize {
    let mut lay = 0;
    let wants = stream
        .drive(&mut scratch.at(0), Ready::READABLE, |event, out| match event {
            Event::Message(message) => {
                lay = message.as_bytes().as_ptr().addr();
                out.send(message)
            }
            _ => Ok(()),
        })
        .unwrap();
    assert!(!wants.again && !wants.write && !wants.closed);
    lay
}

#[test]
fn an_echo_allocates_nothing_makes_two_calls_and_copies_a_small_payload_once_and_a_large_one_never() {
    let mut stream = WebSocketStream::new(Descriptor(3)).unwrap();
    let mut scratch = Scratch::new();
    let lens = [0, 32, 125, 126, 4095, 4096, 16 << 10, 60 << 10];
    for (opcode, len) in lens.into_iter().flat_map(|len| [(OpCode::Binary, len), (OpCode::Text, len)]) {
        let message = masked(opcode, len);
        let header = if len < 126 { 6 } else { 8 };
        for round in 0..3 {
            WIRE.set(message);
            SEEN.set(Seen::NOTHING);
            let before = ALLOCATIONS.with(Cell::get);
            let lay = echo_once(&mut stream, &mut scratch);
            let allocations = ALLOCATIONS.with(Cell::get) - before;
            // The scratch grows once to the size that its thread needs, and never again.
            assert!(round == 0 || allocations == 0, "{len}: {allocations} allocations");
            let seen = SEEN.get();
            let in_place = len >= 4096;
            assert_eq!((seen.recv, seen.send, seen.send_vectored), (1, (!in_place).into(), in_place.into()));
            assert_eq!(seen.sent, len + header - 4);
            // No copy on receive: the message was lent from the receive buffer.
            assert_eq!(lay, seen.received_to + header, "{len}");
            // One copy on send, next to its header, or none.
            assert_eq!(seen.sent_from == lay, in_place, "{len}");
            assert_eq!(stream.heap_bytes(), 0);
        }
    }
}

#[test]
fn a_large_message_is_received_directly_into_its_buffer_and_not_through_the_scratch() {
    let mut stream = WebSocketStream::new(Descriptor(3)).unwrap();
    let mut scratch = Scratch::new();
    for opcode in [OpCode::Binary, OpCode::Text] {
        WIRE.set(masked(opcode, 1 << 20));
        SEEN.set(Seen::NOTHING);
        let mut received = 0;
        while stream
            .drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
                received += usize::from(matches!(event, Event::Message(_)));
                Ok(())
            })
            .unwrap()
            .again
        {}
        assert_eq!(received, 1);
        // The scratch has 64 KiB.
        assert!(SEEN.get().longest > 64 << 10, "{:?}", SEEN.get());
    }
}

#[test]
fn a_message_as_long_as_the_limit_is_lent_from_its_receive_buffer() {
    let limits = Limits::default().message(1000);
    let config = Arc::new(Config::default().limits(limits));
    let mut stream = WebSocketStream::with_config(Descriptor(3), Role::Server, config).unwrap();
    let mut scratch = Scratch::new();
    WIRE.set(masked(OpCode::Binary, 1000));
    assert_eq!(echo_once(&mut stream, &mut scratch), SEEN.get().received_to + 8);
}

#[test]
fn a_control_frame_that_is_whole_in_the_input_takes_no_memory() {
    let mut stream = WebSocketStream::new(Descriptor(3)).unwrap();
    let mut scratch = Scratch::new();
    for opcode in [OpCode::Ping, OpCode::Pong] {
        let mut frame = masked(OpCode::Binary, 125).to_vec();
        frame[0] = 0x80 | opcode as u8;
        let frame = frame.leak();
        for round in 0..2 {
            WIRE.set(frame);
            let before = ALLOCATIONS.get();
            echo_once(&mut stream, &mut scratch);
            // The scratch grows once to the size that its thread needs.
            assert!(round == 0 || ALLOCATIONS.get() == before, "{opcode:?}");
        }
    }
}

#[test]
fn at_most_four_used_buffers_of_eight_mebibytes_together_are_kept() {
    // A large message begins half a page after the start of its buffer.
    let off = 2048;
    for (buffer, kept) in [(1 << 20, 4), (2 << 20, 4), ((2 << 20) + 1, 3), (3 << 20, 2), ((8 << 20) + 1, 0)] {
        let len = buffer - off;
        let (start, end) = masked(OpCode::Binary, len).split_at(len / 10 * 9);
        let (mut input, mut output) = (Input::with_capacity(len), Output::new());
        let mut receive = |connection: &mut Connection, bytes| {
            input.extend(bytes);
            let received = connection.receive(&mut input, &mut output).is_some();
            assert_eq!(connection.receive(&mut input, &mut output), None);
            received
        };
        let mut connections: Vec<_> = (0..6).map(|_| Connection::new(Role::Server)).collect();
        let before = LIVE.get();
        // Each connection has room for the rest before any message is finished, so that none reuses another's
        // buffer.
        for connection in &mut connections {
            for piece in start.chunks(len / 10 * 6) {
                assert!(!receive(connection, piece));
            }
        }
        for connection in &mut connections {
            assert!(receive(connection, end));
        }
        let used = LIVE.get() - before;
        assert!((kept * buffer..kept * buffer + 1000).contains(&used), "{used}, not {kept} of {buffer}");
    }
}

#[test]
fn input_unread_after_a_failed_handler_is_kept_and_counted() {
    let mut stream = WebSocketStream::new(Descriptor(3)).unwrap();
    let mut scratch = Scratch::new();
    WIRE.set(masked(OpCode::Binary, 1000).repeat(2).leak());
    let failed = |_: Event<'_>, _: &mut websocket_stream::Outgoing<'_>| Err(SendError::Full);
    // The scratch is created by the first call.
    let _ = stream.drive(&mut scratch.at(0), Ready::NONE, failed);
    let before = LIVE.get();
    let wants = stream.drive(&mut scratch.at(0), Ready::READABLE, failed).unwrap();
    assert_eq!(wants.refused, Some(SendError::Full));
    assert!(stream.heap_bytes() > 1008);
    assert_eq!(stream.heap_bytes(), LIVE.get() - before);
}

#[test]
fn a_call_without_readable_receives_nothing() {
    let mut stream = WebSocketStream::new(Descriptor(3)).unwrap();
    let mut scratch = Scratch::new();
    WIRE.set(masked(OpCode::Binary, 32));
    for ready in [Ready::NONE, Ready::WRITABLE] {
        SEEN.set(Seen::NOTHING);
        let wants = stream.drive(&mut scratch.at(0), ready, |event, _| panic!("{event:?}")).unwrap();
        assert!(!wants.again && !wants.closed);
        assert_eq!(SEEN.get(), Seen::NOTHING);
    }
}

#[test]
fn a_million_idle_connections_that_have_each_echoed_hold_at_most_80_megabytes() {
    const MANY: usize = 1_000_000;
    let (small, fragmented) = (masked(OpCode::Binary, 32), b"\x02\x82\0\0\0\0ab\x80\x81\0\0\0\0c");
    let mut scratch = Scratch::new();
    let before = LIVE.with(Cell::get);
    let mut streams = Vec::with_capacity(MANY);
    for fd in 0..MANY {
        streams.push(WebSocketStream::new(Descriptor(i32::try_from(fd).unwrap())).unwrap());
    }
    for group in streams.chunks_mut(1000) {
        SEEN.set(Seen::NOTHING);
        for (index, stream) in group.iter_mut().enumerate() {
            // One in ten receives its message in two halves, and holds the first one in between.
            let parts = if index % 10 == 0 { fragmented.split_at(10) } else { (small, &[][..]) };
            for part in [parts.0, parts.1] {
                if !part.is_empty() {
                    WIRE.set(part);
                    echo_once(stream, &mut scratch);
                    assert_eq!(stream.heap_bytes() > 0, index % 10 == 0 && part.len() == 10);
                }
            }
        }
        assert_eq!(SEEN.get().sent, 900 * 34 + 100 * 5);
    }
    let used = LIVE.with(Cell::get) - before;
    assert!(used <= 80_000_000, "{used} bytes");
    assert!(used >= MANY * size_of::<WebSocketStream<Descriptor>>(), "they were not counted");
}

#[test]
fn a_frame_that_announces_gigabytes_allocates_none_of_them() {
    let (a, mut b) = memory::pair(4096);
    let mut server = WebSocketStream::new(a).unwrap();
    let mut scratch = Scratch::new();
    // A masked text frame of 16 MiB, of which four bytes arrive.
    b.send(b"\x81\xff\0\0\0\0\x01\0\0\0\0\0\0\0abcd").unwrap();
    echo(&mut server, &mut scratch);
    assert_eq!(server.partial(), Some(&b"abcd"[..]));
    assert!(server.heap_bytes() < 512, "{}", server.heap_bytes());
}

#[test]
fn announced_lengths_around_2_63_are_refused_without_an_allocation() {
    let mut scratch = Scratch::new();
    for round in 0..2 {
        for (claim, code) in [(u64::MAX >> 1, 1009), (1 << 63, 1002), (u64::MAX, 1002)] {
            for role in [Role::Server, Role::Client] {
                let mut stream = match role {
                    Role::Server => WebSocketStream::new(Descriptor(3)).unwrap(),
                    Role::Client => WebSocketStream::client(Descriptor(3)).unwrap(),
                };
                let mask = (role == Role::Server).then_some([0; 4]);
                let mut header = Header { mask, ..Header::new(OpCode::Binary, 1 << 20) }.encode().to_vec();
                header[2..10].copy_from_slice(&claim.to_be_bytes());
                WIRE.set(header.leak());
                let before = ALLOCATIONS.get();
                let _ = stream.drive(&mut scratch.at(0), Ready::READABLE, |_, _| Ok(())).unwrap();
                let allocations = ALLOCATIONS.get() - before;
                // The scratch grows once to the size that its thread needs, and never again.
                assert!(round == 0 || allocations == 0, "{claim}: {allocations} allocations");
                assert!(matches!(stream.state(), State::Draining(end) if end.code.get() == code));
            }
        }
    }
}

/// Counts the stream's allocations while it receives these bytes in pieces, each in its own call.
fn allocations_of_receiving(bytes: &[u8], piece: usize) -> usize {
    let (a, mut b) = memory::pair(1 << 20);
    let mut server = WebSocketStream::new(a).unwrap();
    let mut scratch = Scratch::new();
    let (mut allocations, mut messages) = (0, 0);
    for piece in bytes.chunks(piece) {
        b.send(piece).unwrap();
        let before = ALLOCATIONS.get();
        let _ = server
            .drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
                messages += usize::from(matches!(event, Event::Message(_)));
                Ok(())
            })
            .unwrap();
        allocations += ALLOCATIONS.get() - before;
        assert!(server.heap_bytes() < (128 << 10) + 2 * server.partial().map_or(0, <[u8]>::len));
    }
    assert_eq!(messages, 1);
    allocations
}

#[test]
fn a_message_that_arrives_in_many_pieces_grows_only_a_few_times() {
    let payload = vec![0; 4 << 20];
    let mut frame = Header { mask: Some([0; 4]), ..Header::new(OpCode::Binary, 4 << 20) }.encode().to_vec();
    frame.extend(&payload);
    let segments = allocations_of_receiving(&frame, 1448);
    assert!(segments < 16, "{segments} allocations");

    let fragments: Vec<u8> = (0..1 << 16)
        .flat_map(|n| {
            let opcode = if n == 0 { OpCode::Binary } else { OpCode::Continuation };
            let header = Header { mask: Some([0; 4]), fin: n == 0xffff, ..Header::new(opcode, 64) };
            [&header.encode()[..], &[0; 64]].concat()
        })
        .collect();
    let fragments = allocations_of_receiving(&fragments, 60_000);
    assert!(fragments < 32, "{fragments} allocations");
}

#[test]
fn a_large_message_gets_a_used_buffer_once_part_of_it_has_arrived() {
    let (mut server, mut client, mut scratch) = ends();
    let mut other = ends();
    let payload = vec![7; 1 << 20];
    let mut allocations = 0;
    // More often than there are places for used buffers.
    for _ in 0..8 {
        client.send(&mut other.2.at(0), &payload[..]).unwrap();
        let before = ALLOCATIONS.get();
        let mut messages = 0;
        while messages == 0 {
            let _ = server
                .drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
                    messages += usize::from(matches!(event, Event::Message(_)));
                    Ok(())
                })
                .unwrap();
        }
        allocations = ALLOCATIONS.get() - before;
    }
    // The state of the unfinished message, which is small.
    assert_eq!(allocations, 1);

    // A header that announces this length gets no buffer.
    let (a, mut peer) = memory::pair(4096);
    let mut server = WebSocketStream::new(a).unwrap();
    peer.send(b"\x82\xff\0\0\0\0\0\x10\0\0\0\0\0\0abcd").unwrap();
    echo(&mut server, &mut scratch);
    peer.send(b"e").unwrap();
    echo(&mut server, &mut scratch);
    assert_eq!(server.partial(), Some(&b"abcde"[..]));
    assert!(server.heap_bytes() < 512, "{}", server.heap_bytes());
}

#[test]
fn a_large_message_in_a_used_buffer_takes_no_bytes_of_the_next_one() {
    let (a, mut peer) = memory::pair(4 << 20);
    let (mut server, mut scratch) = (WebSocketStream::new(a).unwrap(), Scratch::new());
    // In the last call, the missing bytes are fewer than one receive and than the free room.
    for len in [2 << 20, (1 << 20) - 100_000] {
        let bytes = [masked(OpCode::Binary, len), masked(OpCode::Binary, 100_000)].concat();
        assert_eq!(peer.send(&bytes).unwrap(), bytes.len());
        let mut received = Vec::new();
        while received.len() < 2 {
            let wants = server
                .drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
                    let Event::Message(message) = event else { panic!("{event:?}") };
                    received.push(message.as_bytes().len());
                    Ok(())
                })
                .unwrap();
            assert!(wants.again || received.len() == 2);
        }
        assert_eq!(received, [len, 100_000]);
    }
}

#[test]
fn a_message_received_directly_into_its_buffer_gets_a_used_one_once_enough_has_arrived() {
    let (a, mut peer) = memory::pair(4 << 20);
    let (mut server, mut scratch) = (WebSocketStream::new(a).unwrap(), Scratch::new());
    let bytes = masked(OpCode::Binary, 2 << 20);
    for round in 0..2 {
        let (mut messages, mut allocations) = (0, 0);
        // First too few bytes for a used buffer, then twice as many, then all.
        for piece in [&bytes[..40_000], &bytes[40_000..75_000], &bytes[75_000..]] {
            peer.send(piece).unwrap();
            loop {
                let before = ALLOCATIONS.get();
                let wants = server
                    .drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
                        messages += usize::from(matches!(event, Event::Message(_)));
                        Ok(())
                    })
                    .unwrap();
                allocations += ALLOCATIONS.get() - before;
                if !wants.again {
                    break;
                }
            }
        }
        assert_eq!(messages, 1);
        // The state of the unfinished message, which is small, and room for the first and the second piece.
        assert!(round == 0 || allocations == 3, "{allocations} allocations");
    }
}

#[test]
fn large_messages_that_arrive_side_by_side_are_not_moved() {
    let mut scratch = Scratch::new();
    let mut pairs: Vec<_> = (0..4)
        .map(|_| {
            let (a, b) = memory::pair(64 << 10);
            (WebSocketStream::new(a).unwrap(), WebSocketStream::client(b).unwrap())
        })
        .collect();
    let payload = vec![7; 1 << 20];
    // Used buffers of a smaller message do not interfere.
    for (round, len) in [(0, 1 << 20), (1, 100_000), (2, 1 << 20), (3, 1 << 20)] {
        for (_, client) in &mut pairs {
            client.send(&mut scratch.at(0), &payload[..len]).unwrap();
        }
        let (mut messages, mut allocations) = (0, 0);
        let mut places = [None; 4];
        while messages < pairs.len() {
            for ((server, client), place) in pairs.iter_mut().zip(&mut places) {
                let before = ALLOCATIONS.get();
                let _ = server
                    .drive(&mut scratch.at(0), Ready::READABLE, |event, _| {
                        if let Event::Message(message) = event {
                            assert_eq!(message.as_bytes().len(), len);
                            messages += 1;
                        }
                        Ok(())
                    })
                    .unwrap();
                allocations += ALLOCATIONS.get() - before;
                if let Some(partial) = server.partial() {
                    let here = *place.get_or_insert(partial.as_ptr());
                    assert!(round < 2 || here == partial.as_ptr(), "moved, with {} bytes", partial.len());
                }
                client.flush(&mut scratch.at(0)).unwrap();
            }
        }
        assert!(places.iter().all(Option::is_some));
        // The state of each unfinished message, which is small.
        assert!(round < 2 || allocations == pairs.len(), "{allocations} allocations");
    }
}

#[test]
fn a_large_message_that_is_unsent_is_kept_once_and_leaves_nothing_in_the_scratch() {
    let payload = vec![7; 8 << 20];
    let (a, peer) = memory::pair(4096);
    let mut client = WebSocketStream::client(a).unwrap();
    let mut scratch = Scratch::new();
    let before = LIVE.get();
    PEAK.set(before);
    client.send(&mut scratch.at(0), &payload).unwrap();
    assert!(client.unsent() > 7 << 20);
    // The message was never in memory twice.
    let used = PEAK.get() - before;
    assert!(used < 9 << 20, "{used} bytes");
    drop((client, peer));
    assert!(LIVE.get() < before + (1 << 20), "{} bytes stay", LIVE.get().wrapping_sub(before));
}

#[test]
fn the_unsent_rest_of_a_large_message_costs_only_its_length() {
    let (a, _peer) = memory::pair(4_000_000);
    let mut client = WebSocketStream::client(a).unwrap();
    client.send(&mut Scratch::new().at(0), &[7; 4_100_000][..]).unwrap();
    assert!(client.unsent() > 100_000);
    assert!(client.heap_bytes() < 200_000, "{} bytes", client.heap_bytes());
}

#[test]
fn a_buffer_that_doubled_beyond_the_bound_is_not_kept() {
    let (a, _peer) = memory::pair(1);
    let limits = Limits::default().unsent(3 << 20);
    let config = Arc::new(Config::default().limits(limits));
    let mut client = WebSocketStream::with_config(a, Role::Client, config).unwrap();
    let gathered = client.send_with(&mut Scratch::new().at(0), |out| {
        for size in [1_200_000, 1_200_000, 500_000] {
            out.send(&vec![7; size])?;
        }
        Ok(())
    });
    assert!(gathered.is_ok() && client.unsent() > 2_800_000, "{gathered:?}");
    assert!(client.heap_bytes() < (3 << 20) + 1024, "{} bytes", client.heap_bytes());
}

/// Takes everything and returns nothing.
struct Sink;

impl NonBlockingTransport for Sink {
    fn set_nonblocking(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn shutdown_write(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_scratch_keeps_room_for_usual_messages_and_frees_that_of_large_ones() {
    let mut client = WebSocketStream::client(Sink).unwrap();
    let mut scratch = Scratch::new();
    let payload = vec![7; 2 << 20];
    let before = LIVE.get();
    client.send(&mut scratch.at(0), &payload[..900_000]).unwrap();
    let kept = LIVE.get() - before;
    assert!((900_000..1 << 20).contains(&kept), "{kept} bytes");
    PEAK.set(LIVE.get());
    client.send(&mut scratch.at(0), &payload[..900_000]).unwrap();
    assert!(PEAK.get() < before + kept + 1024, "nothing more for the second one");
    client.send(&mut scratch.at(0), &payload[..]).unwrap();
    assert!(PEAK.get() > before + payload.len());
    assert!(LIVE.get() < before + 1024, "{} bytes stay", LIVE.get() - before);
}

#[test]
fn an_output_that_is_never_quite_empty_does_not_grow_and_keeps_its_order() {
    const PAYLOAD: usize = 1000;
    let header = Header::new(OpCode::Binary, PAYLOAD as u64).encode();
    let frame = header.len() + PAYLOAD;
    let (mut server, mut output) = (Connection::new(Role::Server), Output::new());
    let (before, mut sent) = (LIVE.get(), 0);
    // Each byte of a payload is its number, modulo 256.
    let payload = |turn: usize| [turn.to_le_bytes()[0]; PAYLOAD];
    for turn in 0..10_000 {
        server.send(Message::Binary(&payload(turn)), &mut output).unwrap();
        // A transport that is always half a message behind.
        let taken = output.len() - PAYLOAD / 2;
        for (at, byte) in output.as_bytes()[..taken].iter().enumerate() {
            let (turn, place) = ((sent + at) / frame, (sent + at) % frame);
            assert_eq!(*byte, header.get(place).copied().unwrap_or(payload(turn)[0]));
        }
        output.consume(taken);
        sent += taken;
    }
    assert!(LIVE.get() - before <= 8 * PAYLOAD, "{} bytes", LIVE.get() - before);
}

#[test]
fn an_output_grows_exactly_for_a_large_message_and_doubles_for_small_ones() {
    let mut server = Connection::new(Role::Server);
    let (before, large) = (LIVE.get(), vec![7; 1 << 20]);
    let mut output = Output::new();
    server.send(Message::Binary(&large), &mut output).unwrap();
    let taken = LIVE.get() - before - large.len();
    assert!(taken <= (1 << 20) + 4096, "{taken} bytes");

    let (before, mut output) = (ALLOCATIONS.get(), Output::new());
    for _ in 0..10_000 {
        server.send(Message::Binary(&[7; 100]), &mut output).unwrap();
    }
    // For a mebibyte, starting at one kibibyte.
    let grown = ALLOCATIONS.get() - before;
    assert!(grown <= 13, "{grown} allocations");
}

#[test]
fn debug_output_shows_no_payload() {
    let frame = |first, payload| [&[first, 0x84, 0, 0, 0, 0][..], payload].concat();
    // An unfinished message, and one that is unread behind an unsent reply.
    for bytes in [frame(2, b"\xaa\xaa"), [frame(0x82, &[0xaa; 4]), frame(0x82, &[0xaa; 4])].concat()] {
        let (a, mut b) = crate::socket_pair::socket_pair().unwrap();
        let mut server = WebSocketStream::new(a).unwrap();
        let mut scratch = Scratch::new();
        b.send(&bytes).unwrap();
        let _ = server.drive(&mut scratch.at(0), Ready::UNKNOWN, |_, out| {
            out.send(&[0xaa; 1 << 20][..])?;
            Err(websocket_stream::SendError::Full)
        });
        assert!(server.heap_bytes() > 0);
        let shown = format!("{server:?} {scratch:?}");
        assert!(!shown.contains("170, 170"), "{}", &shown[..1000]);
        assert!(shown.len() < 2000, "{}", &shown[..2000]);
    }
}

#[test]
fn connections_never_meet_in_the_scratch() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use websocket_stream::SendError;
    let secret = "the secret of the first connection";
    // A handler that fails, one that panics, and one that stops while more is unread.
    for way in 0..3 {
        let (mut first, mut peer, mut scratch) = ends();
        let (mut second, mut other, _) = ends();
        for _ in 0..3 {
            peer.send(&mut scratch.at(0), secret).unwrap();
        }
        let result = catch_unwind(AssertUnwindSafe(|| {
            first.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, out| {
                if let Event::Message(message) = event {
                    out.send(message)?;
                }
                match way {
                    0 => Err(SendError::Full),
                    1 => panic!("a handler that panics"),
                    _ => Ok(()),
                }
            })
        }));
        assert_eq!(result.is_err(), way == 1);

        other.send(&mut scratch.at(0), "hello").unwrap();
        let mut received = Vec::new();
        let _ = second
            .drive(&mut scratch.at(0), Ready::UNKNOWN, |event, out| {
                if let Event::Message(Message::Text(text)) = event {
                    received.push(text.to_owned());
                    out.send(text)?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(received, ["hello"]);
        assert_eq!(other.read().unwrap().1, b"hello");
        assert!(other.read().is_err(), "nothing of the first connection reached the second's peer");

        // The first connection lost nothing: it keeps its replies and its unread input.
        let mut replies = 0;
        for _ in 0..4 {
            let _ = first
                .drive(&mut scratch.at(0), Ready::UNKNOWN, |event, out| match event {
                    Event::Message(message) => out.send(message),
                    _ => Ok(()),
                })
                .unwrap();
            while let Ok((_, payload)) = peer.read() {
                assert_eq!(payload, secret.as_bytes());
                replies += 1;
            }
        }
        assert_eq!(replies, 3);
        assert_eq!(first.heap_bytes(), 0);
    }
}

#[test]
fn connections_that_share_a_scratch_obey_their_own_limits() {
    let mut scratch = Scratch::new();
    // One after the other: a configuration may be allocated at the address of the previous one.
    for longest in (1..100).chain((1..100).rev()) {
        let (a, b) = memory::pair(4096);
        let limits = Limits::default().message(longest).unsent(Limits::CONTROL_ROOM + longest);
        let config = Arc::new(Config::default().limits(limits));
        let mut strict = WebSocketStream::with_config(a, Role::Server, config).unwrap();
        let mut peer = WebSocketStream::client(b).unwrap();
        for (len, is_received) in [(longest, true), (longest + 1, false)] {
            peer.send(&mut scratch.at(0), &vec![7; len]).unwrap();
            let mut received = None;
            let _ = strict
                .drive(&mut scratch.at(0), Ready::READABLE, |event, out| {
                    if let Event::Message(message) = event {
                        received = Some(message.as_bytes().len());
                        assert_eq!(out.send(&vec![7; longest]), Err(SendError::TooLong), "with its header");
                    }
                    Ok(())
                })
                .unwrap();
            assert_eq!(received, is_received.then_some(len));
        }
    }
}
