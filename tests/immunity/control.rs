//! Floods of pings, unsolicited pongs, and peers that do not read.

use super::{ROLES, Side};
use websocket_stream::{CloseCode, Error, Limits, OpCode, Ready, Role, SendError, State, WebSocketStream};

#[test]
fn an_unsolicited_or_repeated_pong_or_one_while_much_is_unsent_changes_nothing() {
    for role in ROLES {
        for blocked in [false, true] {
            let mut side = Side::new(role, Limits::default());
            if blocked {
                side.stream.get_ref().limit_send(0);
            }
            side.stream.send_with(&mut side.scratch.at(0), |out| out.ping(b"asked")).unwrap();
            let unsent = side.stream.unsent();
            assert_eq!(unsent > 0, blocked);
            let asked = side.frame(OpCode::Pong, true, b"asked");
            let other = side.frame(OpCode::Pong, true, &[7; 125]);
            let bytes = [&asked[..], &asked, &other, &side.frame(OpCode::Pong, true, b"")].concat();
            for _ in 0..100 {
                let wants = side.receive(&bytes);
                assert_eq!((wants.write, wants.closed), (blocked, false));
                assert_eq!((side.stream.state(), side.stream.unsent()), (State::Open, unsent));
            }
            assert_eq!(side.pongs, 400);
            side.stream.get_ref().limit_send(usize::MAX);
            let _ = side.drive(Ready::WRITABLE);
            assert_eq!(side.sent(), [(0x89, b"asked".to_vec())]);
            assert_eq!(side.stream.heap_bytes(), 0);
        }
    }
}

#[test]
fn ten_pings_in_one_read_are_each_answered_in_order() {
    for role in ROLES {
        let mut side = Side::new(role, Limits::default());
        let pings: Vec<u8> =
            (0..10).flat_map(|n| side.frame(OpCode::Ping, true, &vec![n; usize::from(n)])).collect();
        let _ = side.receive(&pings);
        assert_eq!((side.pings, side.stream.get_ref().calls().recv), (10, 1));
        let expected: Vec<_> = (0..10).map(|n| (0x8a, vec![n; usize::from(n)])).collect();
        assert_eq!(side.sent(), expected);
        assert_eq!(side.stream.state(), State::Open);
    }
}

#[test]
fn a_pong_while_closing_or_after_the_end_changes_nothing() {
    for role in ROLES {
        let mut side = Side::new(role, Limits::default());
        side.stream.send_with(&mut side.scratch.at(0), |out| out.ping(b"asked")).unwrap();
        side.stream.close(&mut side.scratch.at(0), CloseCode::NORMAL, "").unwrap();
        let expected = vec![(0x89, b"asked".to_vec()), (0x88, b"\x03\xe8".to_vec())];
        assert_eq!(side.sent(), expected);
        let late = side.frame(OpCode::Pong, true, b"asked").repeat(100);
        let _ = side.receive(&late);
        assert_eq!((side.stream.state(), side.pongs), (State::Closing, 100));
        let close = side.frame(OpCode::Close, true, b"\x03\xe8");
        let _ = side.receive(&[&close[..], &late].concat());
        let State::Draining(end) = side.stream.state() else { panic!("{:?}", side.stream.state()) };
        assert_eq!((end.is_clean(), side.closed), (true, Some(CloseCode::NORMAL)));
        assert_eq!((side.pongs, side.sent(), side.stream.heap_bytes()), (100, vec![], 0));
    }
}

/// `tests/overload/run` sends tens of millions of pings to the echo server, over sockets.
#[test]
fn a_million_pings_from_a_peer_that_never_reads_leave_one_pong() {
    // A client receives a tenth of them, because it chose its peer.
    for (role, batches) in [(Role::Server, 50), (Role::Client, 5_u8)] {
        let mut side = Side::new(role, Limits::default());
        // Some bytes are already unsent.
        side.stream.get_ref().limit_send(0);
        side.stream.send(&mut side.scratch.at(0), "unsent").unwrap();
        let before = side.stream.heap_bytes();
        for number in 0..batches {
            let pings = side.frame(OpCode::Ping, true, &[number; 4]).repeat(20_000);
            let _ = side.receive(&pings);
            assert!(side.stream.heap_bytes() < before + 512, "{}", side.stream.heap_bytes());
        }
        assert_eq!(side.pings, usize::from(batches) * 20_000);
        side.stream.get_ref().limit_send(usize::MAX);
        let _ = side.drive(Ready::WRITABLE);
        let newest = (0x8a, vec![batches - 1; 4]);
        assert_eq!((side.sent(), side.stream.heap_bytes()), (vec![(0x81, b"unsent".to_vec()), newest], 0));
    }
}

#[test]
fn messages_to_a_peer_that_never_reads_are_refused_at_the_bound_in_constant_memory() {
    const UNSENT: usize = 100_000;
    for role in ROLES {
        let mut side = Side::new(role, Limits::default().unsent(UNSENT));
        side.stream.get_ref().limit_send(0);
        let mut accepted = 0;
        while side.stream.send(&mut side.scratch.at(0), &[7; 100]).is_ok() {
            accepted += 1;
            assert!(side.stream.unsent() <= UNSENT);
        }
        let (unsent, heap) = (side.stream.unsent(), side.stream.heap_bytes());
        assert!((UNSENT - 1000..=UNSENT).contains(&unsent) && heap < UNSENT + 512, "{unsent} {heap}");
        for _ in 0..100_000 {
            let refused = side.stream.send(&mut side.scratch.at(0), &[8; 100]);
            assert!(matches!(refused, Err(Error::Send(SendError::Full))), "{refused:?}");
        }
        assert_eq!((side.stream.unsent(), side.stream.heap_bytes()), (unsent, heap));
        // When the peer reads again, it receives exactly the accepted messages.
        side.stream.get_ref().limit_send(usize::MAX);
        let _ = side.drive(Ready::WRITABLE);
        assert_eq!(side.sent(), vec![(0x82, vec![7; 100]); accepted]);
    }
}

#[test]
fn a_pending_pong_survives_taking_the_stream_apart() {
    for role in ROLES {
        let mut side = Side::new(role, Limits::default());
        side.stream.get_ref().limit_send(0);
        side.stream.send(&mut side.scratch.at(0), "unsent").unwrap();
        for payload in [&b"older"[..], b"newest"] {
            let ping = side.frame(OpCode::Ping, true, payload);
            let _ = side.receive(&ping);
        }
        let unsent = side.stream.unsent();
        let parts = side.stream.into_parts();
        assert_eq!(parts.unsent.len(), unsent);
        // The debug output shows only the lengths of its contents.
        assert!(format!("{parts:?}").contains(&format!("unsent: {unsent}")), "{parts:?}");
        parts.transport.limit_send(usize::MAX);
        side.stream = WebSocketStream::from_parts(parts).unwrap();
        let _ = side.drive(Ready::WRITABLE);
        assert_eq!(side.sent(), [(0x81, b"unsent".to_vec()), (0x8a, b"newest".to_vec())]);
        assert_eq!(side.stream.heap_bytes(), 0);
    }
}
