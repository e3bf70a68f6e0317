//! Two streams on a connection in memory whose pieces are arbitrarily small: each end receives what the other
//! sends, and the closing handshake is clean.

use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::collections::VecDeque;
use std::io::ErrorKind;
use websocket_stream::protocol::State;
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{CloseCode, Closed, Event, Initiator, Message, Ready, Scratch, WebSocketStream};

/// What one end sends.
#[derive(Debug, Clone, PartialEq)]
enum Sending {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
}

impl Arbitrary for Sending {
    fn arbitrary(g: &mut Gen) -> Self {
        // Sometimes large enough to be sent without a copy, and received directly into its final buffer.
        let times = *g.choose(&[1, 1, 1, 1, 1, 1, 80, 900]).unwrap();
        match u8::arbitrary(g) % 3 {
            0 => Sending::Text(String::arbitrary(g).repeat(times)),
            1 => Sending::Binary(Vec::arbitrary(g).repeat(times)),
            _ => {
                let mut payload = Vec::arbitrary(g);
                payload.truncate(125);
                Sending::Ping(payload)
            }
        }
    }
}

/// A transport's first results: one byte, some bytes, or none. Afterwards only its limits apply.
#[derive(Debug, Clone)]
struct Moods(Vec<Result<usize, ErrorKind>>);

impl Arbitrary for Moods {
    fn arbitrary(g: &mut Gen) -> Self {
        Moods(Vec::<u8>::arbitrary(g).into_iter().map(mood).collect())
    }
}

fn mood(n: u8) -> Result<usize, ErrorKind> {
    match n % 4 {
        0 => Err(ErrorKind::WouldBlock),
        1 => Ok(1),
        2 => Ok(0),
        _ => Ok(usize::from(n)),
    }
}

#[derive(Debug, Clone)]
struct Transport {
    recv: Moods,
    send: Moods,
    recv_limit: usize,
    send_limit: usize,
}

impl Arbitrary for Transport {
    fn arbitrary(g: &mut Gen) -> Self {
        let limits = [13, 100, 5_000, 40_000, usize::MAX];
        Transport {
            recv: Arbitrary::arbitrary(g),
            send: Arbitrary::arbitrary(g),
            recv_limit: *g.choose(&limits).unwrap(),
            send_limit: *g.choose(&limits).unwrap(),
        }
    }
}

/// One end, and everything it received.
struct Side {
    stream: WebSocketStream<MemoryStream>,
    scratch: Scratch,
    to_send: VecDeque<Sending>,
    received: Vec<Sending>,
    pongs: Vec<Vec<u8>>,
    close: Option<(CloseCode, String)>,
    end: Option<Closed>,
    is_closed: bool,
}

impl Side {
    fn new(stream: WebSocketStream<MemoryStream>, tuning: &Transport, to_send: &[Sending]) -> Self {
        let transport = stream.get_ref();
        transport.limit_recv(tuning.recv_limit);
        transport.limit_send(tuning.send_limit);
        transport.plan_recv(tuning.recv.0.iter().copied());
        transport.plan_send(tuning.send.0.iter().copied());
        Side {
            stream,
            scratch: Scratch::new(),
            to_send: to_send.iter().cloned().collect(),
            received: Vec::new(),
            pongs: Vec::new(),
            close: None,
            end: None,
            is_closed: false,
        }
    }

    fn send_next(&mut self) {
        let turn = &mut self.scratch.at(0);
        match self.to_send.pop_front() {
            Some(Sending::Text(text)) => self.stream.send(turn, &text[..]).map(drop).unwrap(),
            Some(Sending::Binary(bytes)) => self.stream.send(turn, &bytes[..]).map(drop).unwrap(),
            Some(Sending::Ping(payload)) => {
                self.stream.send_with(turn, |out| out.ping(&payload)).map(drop).unwrap();
            }
            None => {}
        }
    }

    fn drive(&mut self) {
        if self.is_closed {
            return;
        }
        let Side { stream, scratch, received, pongs, close, end, .. } = self;
        let wants = stream
            .drive(&mut scratch.at(0), Ready::UNKNOWN, |event, _| {
                assert_eq!(*end, None, "{event:?} after the end");
                assert!(close.is_none() || matches!(event, Event::Closed(_)), "{event:?} after Close");
                match event {
                    Event::Message(Message::Text(text)) => received.push(Sending::Text(text.into())),
                    Event::Message(Message::Binary(bytes)) => received.push(Sending::Binary(bytes.into())),
                    Event::Ping(payload) => received.push(Sending::Ping(payload.into())),
                    Event::Pong(payload) => pongs.push(payload.into()),
                    Event::Close(frame) => *close = Some((frame.code, frame.reason.into())),
                    Event::Closed(closed) => *end = Some(closed),
                    other => panic!("{other:?}"),
                }
                Ok(())
            })
            .unwrap();
        self.is_closed = wants.closed;
        // If any bytes are unsent, even only a pong, the stream asks to be called.
        assert!(self.is_closed || wants.write || self.stream.unsent() == 0);
    }

    /// Checks that the connection is finished, with a clean end.
    fn check_end(self, by: Initiator, close: (CloseCode, &str), peer_sent: &[Sending], pings: &[Sending]) {
        assert_eq!(self.received, peer_sent);
        let mut pings = pings.iter();
        for pong in self.pongs {
            let ping = Sending::Ping(pong);
            assert!(pings.any(|sent| *sent == ping), "{ping:?} was unsolicited or out of order");
        }
        let (code, reason) = self.close.expect("a Close frame");
        assert_eq!((code, &reason[..]), close);
        let end = self.end.expect("an end");
        assert!(end.is_clean());
        assert_eq!((end.code, end.by), (CloseCode::NORMAL, by));
        assert_eq!(self.stream.state(), State::Closed(end));
        assert_eq!((self.stream.unsent(), self.stream.heap_bytes(), self.stream.partial()), (0, 0, None));
        let parts = self.stream.into_parts();
        assert_eq!((parts.unread, parts.unsent), (vec![], vec![]));
        assert_eq!(parts.transport.unread(), 0);
    }
}

/// A stream that usually has compression.
#[cfg(feature = "deflate")]
fn agree(stream: WebSocketStream<MemoryStream>, choice: u8) -> WebSocketStream<MemoryStream> {
    use websocket_stream::deflate::{Context, DeflateParams, WindowBits};
    let context = |choice: u8| Context::new(WindowBits::new(8 + (choice & 7)).unwrap(), choice & 8 != 0);
    match choice % 3 {
        0 => stream,
        _ => stream.with_deflate(DeflateParams { server: context(choice), client: context(choice >> 4) }),
    }
}

#[cfg(not(feature = "deflate"))]
fn agree(stream: WebSocketStream<MemoryStream>, _choice: u8) -> WebSocketStream<MemoryStream> {
    stream
}

#[test]
fn each_end_receives_what_the_other_sends_and_the_end_is_clean() {
    fn prop(
        capacity: u16,
        tunings: (Transport, Transport),
        sent: (Vec<Sending>, Vec<Sending>),
        order: Vec<u8>,
        client_closes: bool,
        compressed: u8,
    ) {
        let (a, b) = memory::pair(usize::from(capacity) + 20);
        let (client_sends, server_sends) = (&sent.0[..sent.0.len().min(8)], &sent.1[..sent.1.len().min(8)]);
        let mut client =
            Side::new(agree(WebSocketStream::client(a).unwrap(), compressed), &tunings.0, client_sends);
        let mut server =
            Side::new(agree(WebSocketStream::new(b).unwrap(), compressed), &tunings.1, server_sends);

        for step in order {
            let side = if step & 1 == 0 { &mut client } else { &mut server };
            if step & 2 == 0 { side.send_next() } else { side.drive() }
        }
        for side in [&mut client, &mut server] {
            while !side.to_send.is_empty() {
                side.send_next();
            }
        }
        let closer = if client_closes { &mut client } else { &mut server };
        closer.stream.close(&mut closer.scratch.at(0), CloseCode::NORMAL, "done").unwrap();

        let mut rounds = 0;
        while !(client.is_closed && server.is_closed) {
            client.drive();
            server.drive();
            rounds += 1;
            assert!(rounds < 1_000_000, "the connection does not end");
        }
        // The answer to a Close frame repeats its code and reason.
        let close = (CloseCode::NORMAL, "done");
        let of = |closes| (if closes { Initiator::Local } else { Initiator::Peer }, close);
        let (client_end, server_end) = (of(client_closes), of(!client_closes));
        client.check_end(client_end.0, client_end.1, server_sends, client_sends);
        server.check_end(server_end.0, server_end.1, client_sends, server_sends);
    }
    QuickCheck::new().tests(60).quickcheck(prop as fn(_, _, _, _, _, _));
}
