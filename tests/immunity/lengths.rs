//! Announced lengths, sums above the limit, endless fragments, bombs.

use super::{ROLES, Side};
use websocket_stream::{CloseCode, Fault, Limits, OpCode, Role, State};

#[test]
fn an_announced_length_above_the_limit_is_refused_at_its_header() {
    let claims = [
        (u64::MAX >> 1, Fault::MessageTooLong, CloseCode::TOO_BIG),
        ((u64::MAX >> 1) + 1, Fault::LengthTopBit, CloseCode::PROTOCOL_ERROR),
        (u64::MAX, Fault::LengthTopBit, CloseCode::PROTOCOL_ERROR),
    ];
    for role in ROLES {
        for (claim, fault, code) in claims {
            for in_message in [false, true] {
                let mut side = Side::new(role, Limits::default());
                let mut bytes = if in_message { side.frame(OpCode::Text, false, b"x") } else { vec![] };
                let opcode = if in_message { OpCode::Continuation } else { OpCode::Binary };
                // Replaces the length of a long frame.
                let mut header = side.header(opcode, true, 1 << 20);
                header[2..10].copy_from_slice(&claim.to_be_bytes());
                bytes.extend(header);
                let _ = side.receive(&bytes);
                side.check_failed(fault, code);
            }
        }
    }
}

// If a `usize` has 32 bits, no message limit allows this length.
#[cfg(target_pointer_width = "64")]
#[test]
fn an_unlimited_announcement_of_2_63_less_1_bytes_costs_only_the_bytes_received() {
    for role in ROLES {
        let mut side = Side::new(role, Limits::default().message(usize::MAX));
        let header = side.header(OpCode::Binary, true, u64::MAX >> 1);
        let _ = side.receive(&[&header[..], b"abcd"].concat());
        assert_eq!((side.stream.state(), side.stream.partial()), (State::Open, Some(&b"abcd"[..])));
        assert!(side.stream.heap_bytes() < 512, "{}", side.stream.heap_bytes());
        // The sum with the bytes already received does not wrap around.
        let mut side = Side::new(role, Limits::default().message(usize::MAX));
        let begun = side.frame(OpCode::Binary, false, &[7; 100]);
        let header = side.header(OpCode::Continuation, true, u64::MAX >> 1);
        let _ = side.receive(&[&begun[..], &header, b"abcd"].concat());
        assert_eq!(side.stream.partial().map(<[u8]>::len), Some(104));
        assert!(side.stream.heap_bytes() < 1024, "{}", side.stream.heap_bytes());
    }
}

#[test]
fn a_million_fragments_of_a_byte_and_a_million_empty_ones_cost_only_their_payload() {
    // A client receives a tenth of them, because it chose its peer.
    for (role, batches) in [(Role::Server, 100), (Role::Client, 10)] {
        for payload in [&b"x"[..], b""] {
            let mut side = Side::new(role, Limits::default().fragments(u32::MAX));
            let first = side.frame(OpCode::Binary, false, payload);
            let _ = side.receive(&first);
            let batch = side.frame(OpCode::Continuation, false, payload).repeat(10_000);
            for _ in 0..batches {
                let _ = side.receive(&batch);
                let carried = side.stream.partial().map_or(0, <[u8]>::len);
                assert!(
                    side.stream.heap_bytes() <= 2 * carried + 512,
                    "{} for {carried}",
                    side.stream.heap_bytes()
                );
            }
            let last = side.frame(OpCode::Continuation, true, payload);
            let _ = side.receive(&last);
            assert_eq!(side.messages, [(batches * 10_000 + 2) * payload.len()]);
            assert_eq!((side.stream.heap_bytes(), side.sent()), (0, vec![]));
        }
    }
}

#[test]
fn the_first_fragment_above_the_limit_is_refused_even_if_empty() {
    let allowed = Limits::default().fragments as usize;
    for role in ROLES {
        for payload in [&b"x"[..], b""] {
            let mut side = Side::new(role, Limits::default());
            let mut bytes = side.frame(OpCode::Text, false, payload);
            bytes.extend(side.frame(OpCode::Continuation, false, payload).repeat(allowed - 1));
            for piece in bytes.chunks(1 << 20) {
                let _ = side.receive(piece);
            }
            // Control frames in between are not counted as fragments.
            let ping = side.frame(OpCode::Ping, true, b"");
            let _ = side.receive(&ping);
            assert_eq!(side.stream.state(), State::Open);
            assert_eq!(side.sent(), [(0x8a, vec![])]);
            let one_more = side.frame(OpCode::Continuation, true, payload);
            let _ = side.receive(&one_more);
            side.check_failed(Fault::TooManyFragments, CloseCode::POLICY_VIOLATION);
            assert!(side.messages.is_empty());
        }
    }
}

#[test]
fn fragments_whose_sum_exceeds_the_limit_are_refused_at_that_header() {
    const LIMIT: usize = 1_000;
    for role in ROLES {
        for parts in [&[999, 1][..], &[1, 999], &[400, 300, 300], &[1_000, 0], &[0, 1_000]] {
            for over in [0, 1, 2, 10_000] {
                let mut side = Side::new(role, Limits::default().message(LIMIT));
                let (last, before) = parts.split_last().unwrap();
                for (index, &len) in before.iter().enumerate() {
                    let opcode = if index == 0 { OpCode::Binary } else { OpCode::Continuation };
                    let fragment = side.frame(opcode, false, &vec![7; len]);
                    let _ = side.receive(&fragment);
                }
                let header = side.header(OpCode::Continuation, true, (last + over) as u64);
                let (end, start) = header.split_last().unwrap();
                for byte in start {
                    assert_eq!((side.messages.len(), side.sent()), (0, vec![]));
                    let _ = side.receive(&[*byte]);
                }
                let _ = side.receive(&[*end]);
                if over > 0 {
                    // No byte of its payload was needed.
                    side.check_failed(Fault::MessageTooLong, CloseCode::TOO_BIG);
                } else {
                    let _ = side.receive(&vec![7; *last]);
                    assert_eq!((side.stream.state(), &side.messages[..]), (State::Open, &[LIMIT][..]));
                }
            }
        }
    }
}

#[cfg(feature = "deflate")]
#[test]
fn a_deflate_bomb_ends_with_1009_at_the_limit_whole_and_in_fragments() {
    use super::deflated;
    const LIMIT: usize = 1 << 18;
    let zeros = deflated(&vec![0; 100 * LIMIT]);
    assert!(zeros.len() * 1000 < 101 * LIMIT, "a bomb of {}", zeros.len());
    for role in ROLES {
        for piece in [zeros.len(), 1000] {
            let mut side = Side::new(role, Limits::default().message(LIMIT)).with_deflate();
            let mut pieces = zeros.chunks(piece).peekable();
            let mut opcode = OpCode::Binary;
            while let Some(piece) = pieces.next() {
                let mut frame = side.frame(opcode, pieces.peek().is_none(), piece);
                frame[0] |= if opcode == OpCode::Binary { 0x40 } else { 0 };
                opcode = OpCode::Continuation;
                let _ = side.receive(&frame);
            }
            side.check_failed(Fault::MessageTooLong, CloseCode::TOO_BIG);
            assert!(side.messages.is_empty());
        }
        // One byte less than the excessive length is a valid message.
        for (len, fits) in [(LIMIT, true), (LIMIT + 1, false)] {
            let mut side = Side::new(role, Limits::default().message(LIMIT)).with_deflate();
            let mut frame = side.frame(OpCode::Binary, true, &deflated(&vec![0; len]));
            frame[0] |= 0x40;
            let _ = side.receive(&frame);
            assert_eq!(side.messages.len(), usize::from(fits));
            assert_eq!(side.stream.state() == State::Open, fits);
        }
    }
}
