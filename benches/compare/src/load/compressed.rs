//! Echoes of compressed messages (RFC 7692). Requests are compressed in advance; each connection inflates its
//! replies and compares them with its messages.
//!
//! All connections send one cycle of messages, each from a different start. The cycle is longer than the
//! largest window, so no message can refer to its own previous occurrence. In a connection's first cycle,
//! each message is compressed without context, which a sender may do for any message. In all later cycles, a
//! message is compressed with the messages before it in the cycle as context, so its bytes are always equal.

use super::Script;
use super::frames::{TEXT, frame};
use super::json::{self, Content};
use super::random::Random;
use crate::compression::Compression;
use std::io;
use std::rc::Rc;
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

/// The total length of a cycle's messages: twice the largest window.
const CIRCLE: usize = 64 << 10;

/// zlib's default, like most clients.
const LEVEL: i32 = 6;
const WINDOW_BITS: u8 = 15;

/// The bytes that a sender omits at the end of a message (section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The bit in a frame's first byte that marks a compressed message.
const RSV1: u8 = 0x40;

/// Returns the number of messages of this length in a cycle.
pub fn distinct(bytes: usize) -> usize {
    (CIRCLE / bytes).max(1)
}

/// The messages, and their frames.
pub struct Pool {
    messages: Vec<Vec<u8>>,
    /// Frames without context, and frames that may refer to earlier messages of the cycle.
    alone: Vec<Vec<u8>>,
    after: Vec<Vec<u8>>,
    compression: Compression,
}

impl Pool {
    pub fn new(content: Content, bytes: usize, compression: Compression) -> Self {
        let messages: Vec<_> =
            (0..distinct(bytes)).map(|seed| json::message(content, bytes, seed as u64)).collect();
        let mut engine = Deflate::new(LEVEL, false, WINDOW_BITS);
        let alone = messages.iter().map(|message| {
            engine.reset();
            request(&mut engine, message)
        });
        let alone: Vec<_> = alone.collect();
        engine.reset();
        let after = match compression {
            Compression::Takeover => {
                let twice = messages.iter().chain(&messages).map(|message| request(&mut engine, message));
                twice.skip(messages.len()).collect()
            }
            _ => alone.clone(),
        };
        Self { messages, alone, after, compression }
    }
}

/// Returns a message's frame, as a client sends it.
fn request(engine: &mut Deflate, message: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; message.len() + message.len() / 8 + 64];
    let before = engine.total_out();
    let status = engine.compress(message, &mut payload, DeflateFlush::SyncFlush);
    assert_eq!(status, Ok(Status::Ok), "the room is enough for any message");
    payload.truncate(usize::try_from(engine.total_out() - before).unwrap_or(usize::MAX));
    assert!(payload.ends_with(&TAIL), "a flush ends with it");
    payload.truncate(payload.len() - TAIL.len());
    let key = Random::new(engine.total_out()).key();
    let mut bytes = Vec::new();
    frame(&mut bytes, TEXT | RSV1, Some(key), &payload);
    bytes
}

/// One connection's conversation.
pub struct Conversation {
    pool: Rc<Pool>,
    in_flight: usize,
    /// The number of messages sent so far, and the position of the first one in the cycle.
    said: usize,
    first: usize,
    /// The number of replies received.
    received: usize,
    request: Vec<u8>,
    replies: Replies,
    inflate: Inflate,
    inflated: Vec<u8>,
    payload: u64,
}

impl Conversation {
    pub fn new(pool: &Rc<Pool>, in_flight: usize, index: usize) -> Self {
        // Room for one more byte than expected, to detect longer replies.
        let longest = pool.messages.iter().map(Vec::len).max().unwrap_or(0);
        Self {
            pool: Rc::clone(pool),
            in_flight,
            said: 0,
            first: index % pool.messages.len(),
            received: 0,
            request: Vec::new(),
            replies: Replies::default(),
            inflate: Inflate::new(false, WINDOW_BITS),
            inflated: vec![0; longest + 1],
            payload: 0,
        }
    }

    /// Compares a reply with its message.
    fn judge(&mut self, mut reply: Reply) -> io::Result<()> {
        let pool = &self.pool;
        let expected = &pool.messages[(self.first + self.received) % pool.messages.len()];
        self.payload += reply.payload.len() as u64;
        let same = if reply.compressed {
            if pool.compression == Compression::Alone {
                // The reply must not need context.
                self.inflate.reset(false);
            }
            reply.payload.extend(TAIL);
            let before = self.inflate.total_out();
            let status = self
                .inflate
                .decompress(&reply.payload, &mut self.inflated, InflateFlush::SyncFlush)
                .map_err(|error| io::Error::other(format!("a reply cannot be inflated: {error:?}")))?;
            if status == Status::StreamEnd && pool.compression == Compression::Takeover {
                return Err(io::Error::other("a reply has ended the stream that later ones refer to"));
            }
            let len = usize::try_from(self.inflate.total_out() - before).unwrap_or(usize::MAX);
            self.inflated.get(..len) == Some(expected)
        } else {
            reply.payload == *expected
        };
        if !same {
            return Err(io::Error::other("a reply differs from what was sent"));
        }
        self.received += 1;
        Ok(())
    }
}

impl Script for Conversation {
    fn next(&mut self) {
        self.request.clear();
        for _ in 0..self.in_flight {
            let count = self.pool.messages.len();
            let frames = if self.said < count { &self.pool.alone } else { &self.pool.after };
            self.request.extend_from_slice(&frames[(self.first + self.said) % count]);
            self.said += 1;
        }
    }

    fn request(&self) -> &[u8] {
        &self.request
    }

    fn receive(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.replies.push(bytes);
        while let Some(reply) = self.replies.next()? {
            if self.received == self.said {
                return Err(io::Error::other("more comes back than was sent"));
            }
            self.judge(reply)?;
        }
        Ok(self.received == self.said)
    }

    fn payload(&self) -> u64 {
        self.payload
    }
}

/// A text message as received.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    compressed: bool,
    payload: Vec<u8>,
}

/// Decodes bytes into messages.
#[derive(Default)]
struct Replies {
    bytes: Vec<u8>,
    /// A message whose last frame has not arrived.
    open: Option<Reply>,
}

impl Replies {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn next(&mut self) -> io::Result<Option<Reply>> {
        while let Some((first, head, len)) = head(&self.bytes) {
            let end = head + len;
            if self.bytes.len() < end {
                break;
            }
            let mut reply = match (first & 0x7f, self.open.take()) {
                (0x01 | 0x41, None) => Reply { compressed: first & RSV1 != 0, payload: Vec::new() },
                (0x00, Some(open)) => open,
                _ => return Err(io::Error::other(format!("a frame that begins with {first:#04x} came"))),
            };
            reply.payload.extend_from_slice(&self.bytes[head..end]);
            self.bytes.drain(..end);
            if first & 0x80 != 0 {
                return Ok(Some(reply));
            }
            self.open = Some(reply);
        }
        Ok(None)
    }
}

/// Parses a server's frame: returns its first byte, the length of its header and the length of its payload.
fn head(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    Some(match second {
        126 => (first, 4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127.. => (first, 10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (first, 2, usize::from(short)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the answer of an echo server without context for a batch: each message, compressed again by
    /// `engine`.
    fn answer(conversation: &mut Conversation, engine: &mut Deflate, inflate: &mut Inflate) -> Vec<u8> {
        conversation.next();
        let request = conversation.request();
        let (first, header, len) = {
            let mut unmasked = request.to_vec();
            unmasked[1] &= 0x7f;
            head(&unmasked).unwrap()
        };
        assert_eq!(first, 0xc1);
        let key = &request[header..header + 4];
        let mut payload: Vec<u8> =
            request[header + 4..].iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
        assert_eq!(payload.len(), len);
        payload.extend(TAIL);
        let mut message = vec![0; 1 << 14];
        let before = inflate.total_out();
        inflate.decompress(&payload, &mut message, InflateFlush::SyncFlush).unwrap();
        message.truncate(usize::try_from(inflate.total_out() - before).unwrap());
        let mut made = vec![0; 1 << 15];
        let before = engine.total_out();
        engine.compress(&message, &mut made, DeflateFlush::SyncFlush).unwrap();
        made.truncate(usize::try_from(engine.total_out() - before).unwrap() - TAIL.len());
        let mut reply = Vec::new();
        frame(&mut reply, TEXT | RSV1, None, &made);
        reply
    }

    fn conversation(compression: Compression) -> Conversation {
        Conversation::new(&Rc::new(Pool::new(Content::Orders, 8 << 10, compression)), 1, 3)
    }

    #[test]
    fn three_rounds_come_back_in_any_pieces() {
        let mut talk = conversation(Compression::Takeover);
        let (mut engine, mut inflate) = (Deflate::new(6, false, 15), Inflate::new(false, 15));
        for round in 0..3 * distinct(8 << 10) {
            let reply = answer(&mut talk, &mut engine, &mut inflate);
            let (one, two) = reply.split_at(round % reply.len());
            assert!(!talk.receive(one).unwrap());
            assert!(talk.receive(two).unwrap());
        }
        assert!(talk.payload() > 0);
    }

    #[test]
    fn later_rounds_are_smaller_if_messages_may_refer_to_others() {
        let total = |frames: &[Vec<u8>]| frames.iter().map(Vec::len).sum::<usize>();
        for (content, tenths) in [(Content::Orders, 9), (Content::Quotes, 4)] {
            let pool = Pool::new(content, 512, Compression::Takeover);
            assert!(total(&pool.after) < total(&pool.alone) * tenths / 10);
        }
        let pool = Pool::new(Content::Orders, 512, Compression::Alone);
        assert_eq!(pool.after, pool.alone);
    }

    #[test]
    fn a_reply_that_refers_to_others_is_refused_without_takeover() {
        let mut talk = conversation(Compression::Alone);
        let (mut engine, mut inflate) = (Deflate::new(6, false, 15), Inflate::new(false, 15));
        let first = answer(&mut talk, &mut engine, &mut inflate);
        assert!(talk.receive(&first).unwrap());
        inflate.reset(false);
        let second = answer(&mut talk, &mut engine, &mut inflate);
        assert!(talk.receive(&second).is_err());
    }

    #[test]
    fn a_wrong_or_additional_message_is_detected() {
        let mut talk = conversation(Compression::Alone);
        talk.next();
        let mut reply = Vec::new();
        frame(&mut reply, TEXT, None, &talk.pool.messages[3]);
        assert!(talk.receive(&reply).unwrap());
        assert_eq!(talk.receive(&reply).unwrap_err().to_string(), "more comes back than was sent");
        talk.next();
        assert_eq!(talk.receive(&reply).unwrap_err().to_string(), "a reply differs from what was sent");
    }

    #[test]
    fn fragments_are_put_together_and_other_frames_refused() {
        let mut replies = Replies::default();
        replies.push(&[0x41, 2, b'a', b'b', 0x80, 1, b'c']);
        let whole = Reply { compressed: true, payload: b"abc".to_vec() };
        assert_eq!(replies.next().unwrap(), Some(whole));
        for first in [0x82, 0xc0, 0x80, 0x89, 0x91] {
            let mut replies = Replies::default();
            replies.push(&[first, 0]);
            assert!(replies.next().is_err(), "{first:#04x}");
        }
    }
}
