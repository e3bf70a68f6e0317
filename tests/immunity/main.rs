//! What broke other libraries: a test for each case, in both roles where both apply. Each asserts what
//! comes of it, the close code or status, and the memory or the work that it costs.
//!
//! | case | module |
//! | --- | --- |
//! | heads without end, 2,000 headers, hostile lists, window bits | `opening` |
//! | a page of another site, smuggled bodies, injected lines | `opening` |
//! | claimed lengths, sums of fragments, fragments without end, deflate bombs | `lengths` |
//! | wrong masks, control frames, close codes, cut characters, any two bytes | `frames` |
//! | masking keys that can be foreseen, echoes lost to a fault | `frames` |
//! | pongs out of turn, floods of pings, ten at once, peers that never read | `control` |
//! | the same over TCP, and resets in the middle of a frame | `sockets` |

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

/// A payload compressed, as a message that stands alone.
#[cfg(feature = "deflate")]
fn deflated(message: &[u8]) -> Vec<u8> {
    use websocket_stream::deflate::{Context, Deflaters, WindowBits};
    Deflaters::new().deflate(message, Context::new(WindowBits::MAX, false), 9).expect("it shrinks").to_vec()
}

/// One end, its peer's transport, and what it was told.
struct Side {
    role: Role,
    stream: WebSocketStream<MemoryStream>,
    peer: MemoryStream,
    scratch: Scratch,
    messages: Vec<usize>,
    pings: usize,
    pongs: usize,
    /// It sends each message back.
    echo: bool,
    /// What the peer's Close frame said.
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

    /// The same end with compression.
    #[cfg(feature = "deflate")]
    fn with_deflate(mut self) -> Self {
        use websocket_stream::deflate::{Agreed, Context, WindowBits};
        let context = Context::new(WindowBits::MAX, false);
        self.stream = self.stream.with_deflate(Agreed { server: context, client: context });
        self
    }

    /// A header from the peer, masked with zeros where it masks.
    fn header(&self, opcode: OpCode, fin: bool, len: u64) -> Vec<u8> {
        let mask = (self.role == Role::Server).then_some([0; 4]);
        Header { fin, mask, ..Header::new(opcode, len) }.encode().to_vec()
    }

    fn frame(&self, opcode: OpCode, fin: bool, payload: &[u8]) -> Vec<u8> {
        [self.header(opcode, fin, payload.len() as u64), payload.to_vec()].concat()
    }

    /// Receives these bytes of the peer's.
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

    /// What this end has sent, without its masks: first bytes and payloads of short frames.
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

    /// It has failed with this fault, told this code, and holds nothing more.
    fn check_failed(&mut self, fault: Fault, code: CloseCode) {
        let Status::Finishing(end) = self.stream.status() else { panic!("{:?}", self.stream.status()) };
        assert_eq!((end.cause, end.code, end.by), (Cause::Fault(fault), code, Endpoint::Local));
        assert_eq!(self.sent(), [(0x88, code.get().to_be_bytes().to_vec())]);
        assert_eq!((self.stream.held(), self.stream.partial()), (0, None));
    }
}
