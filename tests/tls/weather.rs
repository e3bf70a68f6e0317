//! TLS over a transport that refuses, cuts, interrupts and breaks: until it breaks nothing is lost, repeated
//! or reordered, and what arrives is always a beginning of what was sent. A failing seed is printed.

use crate::certificates::Authority;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustls::{ClientConfig, ServerConfig};
use std::io::ErrorKind;
use std::sync::Arc;
use websocket_stream::NonBlockingTransport;
use websocket_stream::tls::TlsStream;
use websocket_stream::transport::testing::faulty::{Disaster, Faulty, Weather};
use websocket_stream::transport::testing::memory::{self, MemoryStream};

type End = TlsStream<Faulty<MemoryStream>>;

/// One direction of a conversation.
#[derive(Default)]
struct Direction {
    sent: Vec<u8>,
    received: Vec<u8>,
    /// The sender has ended its direction; the receiver knows it.
    ended: bool,
    end_received: bool,
}

struct Conversation {
    random: StdRng,
    ends: [End; 2],
    /// From the end with this index.
    directions: [Direction; 2],
    failed: [bool; 2],
}

impl Conversation {
    fn new(seed: u64, server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let (a, b) = memory::pair(random.random_range(1..40_000));
        let mut faulty = |end, name| {
            let shorts = [0, 40, 200];
            let weather = Weather {
                refused: random.random_range(0..120),
                short: shorts[random.random_range(0..3)],
                interrupted: random.random_range(0..60),
            };
            let end = Faulty::new(end, seed * 2 + name).weather(weather);
            let disasters = [Disaster::Reset, Disaster::EndOfStream, Disaster::BrokenPipe];
            match random.random_range(0..8) {
                0 => end.disaster(random.random_range(0..400), disasters[random.random_range(0..3)]),
                _ => end,
            }
        };
        let (a, b) = (faulty(a, 0), faulty(b, 1));
        let server = TlsStream::server(a, Arc::clone(server)).unwrap();
        let client = TlsStream::client(b, Arc::clone(client), "localhost".try_into().unwrap()).unwrap();
        let (directions, failed) = Default::default();
        Self { random, ends: [server, client], directions, failed }
    }

    fn run(mut self) {
        let lens = [self.random.random_range(0..60_000), self.random.random_range(0..60_000)];
        for calls in 0.. {
            assert!(calls < 3_000_000, "no progress");
            for (index, len) in lens.into_iter().enumerate() {
                if !self.failed[index] {
                    self.send(index, len);
                    self.receive(index);
                }
            }
            let all = self.directions.iter().all(|direction| direction.end_received);
            if all || self.failed.contains(&true) {
                break;
            }
        }
        for (index, Direction { sent, received, end_received, .. }) in self.directions.iter().enumerate() {
            assert!(sent.starts_with(received), "from {index}");
            if *end_received {
                assert!(sent.len() == lens[index] && sent == received, "from {index}");
            }
        }
    }

    fn send(&mut self, index: usize, len: usize) {
        let (end, direction) = (&mut self.ends[index], &mut self.directions[index]);
        let outcome = if direction.sent.len() < len {
            let n = self.random.random_range(1..30_000).min(len - direction.sent.len());
            let bytes: Vec<u8> =
                (0..n).map(|at| ((direction.sent.len() + at) / 7).to_le_bytes()[0]).collect();
            end.send(&bytes).map(|n| direction.sent.extend_from_slice(&bytes[..n]))
        } else if !direction.ended && !end.common_state().is_handshaking() {
            direction.ended = true;
            end.shutdown_write()
        } else if end.wants_write() {
            end.flush()
        } else {
            Ok(())
        };
        self.note(index, outcome);
    }

    fn receive(&mut self, index: usize) {
        let mut buffer = vec![0; self.random.random_range(1..20_000)];
        let from = 1 - index;
        let held = self.ends[index].holds_input();
        let outcome = self.ends[index].recv(&mut buffer).map(|n| {
            let direction = &mut self.directions[from];
            assert!(n == 0 || !direction.end_received, "bytes behind the end");
            direction.end_received |= n == 0;
            direction.received.extend_from_slice(&buffer[..n]);
        });
        if held {
            let blocked = outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            assert!(!blocked, "it had announced input");
        }
        self.note(index, outcome);
    }

    fn note(&mut self, index: usize, outcome: std::io::Result<()>) {
        match outcome {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => {
                // Only after a disaster at one end, never because TLS was confused.
                let disaster = self.ends.iter().any(|end| end.get_ref().happened().is_some());
                assert!(disaster, "{error}");
                assert_ne!(error.kind(), ErrorKind::InvalidData, "{error}");
                self.failed[index] = true;
            }
        }
    }
}

#[test]
fn what_arrives_is_a_beginning_of_what_was_sent() {
    struct Failing(u64);
    impl Drop for Failing {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the seed was TLS_SEED={}", self.0);
            }
        }
    }
    let authority = Authority::new();
    let (server, client) = (Arc::new(authority.issue("localhost").server()), Arc::new(authority.client()));
    let seeds = match std::env::var("TLS_SEED") {
        Ok(seed) => seed.parse().unwrap()..=seed.parse().unwrap(),
        Err(_) => 0..=1000,
    };
    for seed in seeds {
        let _failing = Failing(seed);
        Conversation::new(seed, &server, &client).run();
    }
}
