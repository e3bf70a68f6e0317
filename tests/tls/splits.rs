//! Records that arrive in two parts, cut at every byte, and transports that take records in parts.

use crate::certificates::Authority;
use crate::pair::Pair;
use rustls::version::{TLS12, TLS13};
use std::io::ErrorKind;
use std::sync::Arc;
use websocket_stream::NonBlockingTransport;

/// Three records, the announcement of the end behind them, and their plaintext.
fn sent(pair: &mut Pair) -> Vec<u8> {
    let parts = [&b"a"[..], &[b'b'; 300], b"ccc"];
    for part in parts {
        assert_eq!(pair.client.send(part).unwrap(), part.len());
    }
    pair.client.shutdown_write().unwrap();
    parts.concat()
}

/// Receives with a buffer of this size until nothing is left; the end of the stream is `true`.
fn received(pair: &mut Pair, size: usize) -> (Vec<u8>, bool) {
    let (mut all, mut buffer) = (Vec::new(), vec![0; size]);
    loop {
        match pair.server.recv(&mut buffer) {
            Ok(0) => return (all, true),
            Ok(n) => all.extend_from_slice(&buffer[..n]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                assert!(!pair.server.holds_input());
                return (all, false);
            }
        }
    }
}

#[test]
fn a_cut_at_any_byte_of_the_records_changes_nothing() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let server = Arc::new(authority.issue("localhost").server_with(&[version]));
        let client = Arc::new(authority.client());
        let (mut cut, mut total) = (1, usize::MAX);
        while cut < total {
            let mut pair = Pair::shared(Arc::clone(&server), Arc::clone(&client));
            pair.advance().none();
            let before = pair.client.get_ref().calls().sent;
            let plaintext = sent(&mut pair);
            total = usize::try_from(pair.client.get_ref().calls().sent - before).unwrap();
            pair.server.get_mut().plan_recv([Ok(cut), Err(ErrorKind::WouldBlock)]);
            // A buffer that is smaller than a record, and one that is larger than all.
            let size = if cut % 2 == 0 { 50 } else { 1_000 };
            let (mut all, mut ended) = (Vec::new(), false);
            while !ended {
                let (more, end) = received(&mut pair, size);
                all.extend(more);
                ended = end;
            }
            assert!(all == plaintext, "cut at {cut}");
            cut += 1;
        }
        assert!(total > 304 + 4 * 22);
    }
}

#[test]
fn a_message_of_many_records_arrives_whole_through_a_narrow_transport() {
    let authority = Authority::new();
    for piece in [1_000, 16_384, 16_400, 70_000] {
        let mut pair = Pair::new(authority.issue("localhost").server(), authority.client());
        pair.advance().none();
        let message: Vec<u8> = (0..200_000u32).map(|n| (n / 3).to_le_bytes()[0]).collect();
        let (mut sent, mut all, mut buffer) = (0, Vec::new(), vec![0; 70_000]);
        for calls in 0.. {
            assert!(calls < 10_000, "no progress");
            if sent < message.len() {
                pair.client.get_mut().plan_send([Ok(piece), Err(ErrorKind::WouldBlock)]);
                match pair.client.send(&message[sent..]) {
                    Ok(n) => sent += n,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                // Both end with the plan.
                let _ = pair.client.flush();
            } else if pair.client.wants_write() {
                pair.client.flush().unwrap();
            }
            match pair.server.recv(&mut buffer) {
                Ok(n) => all.extend_from_slice(&buffer[..n]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            if all.len() == message.len() {
                break;
            }
        }
        assert!(all == message, "pieces of {piece}");
    }
}
