//! Bugs found in other libraries: a test for each case, in both roles if both apply. Each test asserts the
//! result (the close code or status) and the cost in memory or work.
//!
//! | case | module |
//! | --- | --- |
//! | endless heads, 2,000 headers, hostile lists, window bits | `opening` |
//! | a page of another site, smuggled bodies, injected lines | `opening` |
//! | announced lengths, sums of fragments, endless fragments, deflate bombs | `lengths` |
//! | wrong masks, control frames, close codes, cut characters, any two bytes | `frames` |
//! | predictable masking keys, echoes lost to a fault | `frames` |
//! | unsolicited pongs, floods of pings, ten pings at once, peers that never read | `control` |
//! | these cases over TCP, and resets in the middle of a frame | `sockets` |

#[path = "../support/framed.rs"]
mod framed;

mod control;
mod frames;
mod lengths;
mod opening;
mod sockets;

use std::sync::Arc;
use websocket_stream::frame::Header;
use websocket_stream::transport::NonBlockingTransport;
use websocket_stream::transport::memory::{self, MemoryStream};
use websocket_stream::{
    Cause, CloseCode, Config, Endpoint, Event, Fault, Interest, Limits, OpCode, Ready, Role, Scratch, Status,
    WebSocketStream,
};

const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// Compresses a payload as a message without context.
#[cfg(feature = "deflate")]
fn deflated(message: &[u8]) -> Vec<u8> {
    use websocket_stream::deflate::{Context, Deflaters, WindowBits};
    Deflaters::new().deflate(message, Context::new(WindowBits::MAX, false), 9).expect("it shrinks").to_vec()
}

/// One end, its peer's transport, and the events it received.
struct Side {
    role: Role,
    stream: WebSocketStream<MemoryStream>,
    peer: MemoryStream,
    scratch: Scratch,
    messages: Vec<usize>,
    pings: usize,
    pongs: usize,
    /// Whether it echoes each message.
    echo: bool,
    /// The code in the peer's Close frame.
    closed: Option<CloseCode>,
}

impl Side {
    fn new(role: Role, limits: Limits) -> Self {
        let (a, peer) = memory::pair(1 << 20);
        let config = Arc::new(Config { limits, ..Config::default() });
        let stream = WebSocketStream::with_config(a, role, config).unwrap();
        let scratch = Scratch::new();
        Side { role, stream, peer, scratch, messages: vec![], pings: 0, pongs: 0, echo: false, closed: None }
    }

    /// Returns this end with compression.
    #[cfg(feature = "deflate")]
    fn with_deflate(mut self) -> Self {
        use websocket_stream::deflate::{Agreed, Context, WindowBits};
        let context = Context::new(WindowBits::MAX, false);
        self.stream = self.stream.with_deflate(Agreed { server: context, client: context });
        self
    }

    /// Returns a header from the peer, with a masking key of zeros if the peer masks.
    fn header(&self, opcode: OpCode, fin: bool, len: u64) -> Vec<u8> {
        let mask = (self.role == Role::Server).then_some([0; 4]);
        Header { fin, mask, ..Header::new(opcode, len) }.encode().to_vec()
    }

    fn frame(&self, opcode: OpCode, fin: bool, payload: &[u8]) -> Vec<u8> {
        [self.header(opcode, fin, payload.len() as u64), payload.to_vec()].concat()
    }

    /// Receives these bytes from the peer.
    fn receive(&mut self, bytes: &[u8]) -> Interest {
        assert_eq!(self.peer.send(bytes).unwrap(), bytes.len());
        self.drive(Ready::READABLE)
    }

    fn drive(&mut self, ready: Ready) -> Interest {
        loop {
            let Self { stream, scratch, messages, pings, pongs, closed, .. } = self;
            let interest = stream
                .drive(&mut scratch.at(0), ready, |event, out| {
                    match event {
                        Event::Message(message) if self.echo => return out.send(message),
                        Event::Message(message) => messages.push(message.as_bytes().len()),
                        Event::Close(frame) => *closed = Some(frame.code),
                        Event::Ping(_) => *pings += 1,
                        Event::Pong(_) => *pongs += 1,
                        other => panic!("{other:?}"),
                    }
                    Ok(())
                })
                .unwrap();
            if !interest.again {
                return interest;
            }
        }
    }

    /// Returns what this end has sent, unmasked: first bytes and payloads of short frames.
    fn sent(&mut self) -> Vec<(u8, Vec<u8>)> {
        let bytes = self.sent_bytes();
        let (mut rest, mut frames) = (&bytes[..], Vec::new());
        while let [first, second, after @ ..] = rest {
            let (len, masked) = (usize::from(second & 127), second & 128 != 0);
            assert!(len < 126);
            assert_eq!(masked, self.role == Role::Client);
            let (mask, after) = after.split_at(if masked { 4 } else { 0 });
            let (payload, after) = after.split_at(len);
            let key = if masked { mask } else { &[0; 4] };
            frames.push((*first, payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b).collect()));
            rest = after;
        }
        frames
    }

    fn sent_bytes(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; self.peer.unread()];
        if !bytes.is_empty() {
            assert_eq!(self.peer.recv(&mut bytes).unwrap(), bytes.len());
        }
        bytes
    }

    /// Checks that it failed with this fault, sent this code, and holds no memory.
    fn check_failed(&mut self, fault: Fault, code: CloseCode) {
        let Status::Finishing(end) = self.stream.status() else { panic!("{:?}", self.stream.status()) };
        assert_eq!((end.cause, end.code, end.by), (Cause::Fault(fault), code, Endpoint::Local));
        assert_eq!(self.sent(), [(0x88, code.get().to_be_bytes().to_vec())]);
        assert_eq!((self.stream.held(), self.stream.partial()), (0, None));
    }
}
