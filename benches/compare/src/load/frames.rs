//! The bytes to send and the expected replies, made in advance.
//!
//! There is no WebSocket library here: frames are built as in RFC 6455, section 5.2, so that no server is
//! measured with its own code.

use super::Script;
use super::random::Random;
use std::io;

/// One connection's messages: a batch that is sent at once, and the expected reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub request: Vec<u8>,
    pub reply: Vec<u8>,
    /// Bytes of the reply received so far.
    received: usize,
}

/// The length and type of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub bytes: usize,
    pub payload: Payload,
}

/// What a message consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    Binary,
    /// Text of printable ASCII characters, like most JSON.
    Ascii,
    /// Text of characters of one to four bytes.
    Mixed,
}

/// The characters of mixed text.
pub const MIXED: &str = "Franz jagt im völlig verwahrlosten Taxi, Съешь же ещё, 色は匂へど 🦊 ";

impl Batch {
    /// Makes this number of messages of this shape; each message of each connection is different.
    pub fn new(shape: Shape, messages: usize, connection: usize) -> Self {
        let mut batch = Self::from((Vec::new(), Vec::new()));
        for message in 0..messages {
            let mut random = Random::new((connection as u64) << 32 | message as u64);
            let payload = payload(shape, &mut random);
            let first = if shape.payload == Payload::Binary { BINARY } else { TEXT };
            frame(&mut batch.request, first, Some(random.key()), &payload);
            frame(&mut batch.reply, first, None, &payload);
        }
        batch
    }

    /// Returns the script for a server without protocol, which echoes the request.
    pub fn raw(mut self) -> Self {
        self.reply.clone_from(&self.request);
        self
    }
}

impl From<(Vec<u8>, Vec<u8>)> for Batch {
    /// Makes a script from the request and the expected reply.
    fn from((request, reply): (Vec<u8>, Vec<u8>)) -> Self {
        Self { request, reply, received: 0 }
    }
}

impl Script for Batch {
    fn next(&mut self) {
        self.received = 0;
    }

    fn request(&self) -> &[u8] {
        &self.request
    }

    fn receive(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let expected = &self.reply[self.received..];
        let Some(expected) = expected.get(..bytes.len()) else {
            return Err(io::Error::other("more comes back than was sent"));
        };
        if let Some(at) = first_difference(bytes, expected) {
            let at = self.received + at;
            return Err(io::Error::other(format!("byte {at} of a reply differs from what was sent")));
        }
        self.received += bytes.len();
        Ok(self.received == self.reply.len())
    }

    fn payload(&self) -> u64 {
        0
    }
}

/// Returns the first position at which two slices of equal length differ.
fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    if a == b {
        return None;
    }
    a.iter().zip(b).position(|(a, b)| a != b)
}

/// The first byte of a whole message's frame.
pub const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// Appends a whole message in one frame.
pub fn frame(to: &mut Vec<u8>, first: u8, key: Option<[u8; 4]>, payload: &[u8]) {
    let mask_bit = if key.is_some() { 0x80 } else { 0 };
    to.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..126), _) => to.push(mask_bit | short),
        (_, Ok(medium)) => {
            to.push(mask_bit | 126);
            to.extend(medium.to_be_bytes());
        }
        _ => {
            to.push(mask_bit | 127);
            to.extend((payload.len() as u64).to_be_bytes());
        }
    }
    match key {
        None => to.extend(payload),
        Some(key) => {
            to.extend(key);
            to.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        }
    }
}

fn payload(shape: Shape, random: &mut Random) -> Vec<u8> {
    let mut byte = || random.next().to_le_bytes()[0];
    match shape.payload {
        Payload::Binary => (0..shape.bytes).map(|_| byte()).collect(),
        Payload::Ascii => (0..shape.bytes).map(|_| b' ' + byte() % 95).collect(),
        Payload::Mixed => {
            let characters: Vec<char> = MIXED.chars().collect();
            let mut text = String::new();
            while text.len() < shape.bytes {
                let next = characters[usize::from(byte()) % characters.len()];
                // Spaces replace a character that would be cut.
                text.push(if text.len() + next.len_utf8() <= shape.bytes { next } else { ' ' });
            }
            text.into_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_text_frame_is_that_of_the_rfc() {
        let mut bytes = Vec::new();
        frame(&mut bytes, TEXT, Some([0x37, 0xfa, 0x21, 0x3d]), b"Hello");
        assert_eq!(bytes, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        let head = |len: usize| {
            let mut bytes = Vec::new();
            frame(&mut bytes, BINARY, None, &vec![0; len]);
            bytes[..bytes.len() - len].to_vec()
        };
        assert_eq!(head(0), [0x82, 0]);
        assert_eq!(head(125), [0x82, 125]);
        assert_eq!(head(126), [0x82, 126, 0, 126]);
        assert_eq!(head(65535), [0x82, 126, 0xff, 0xff]);
        assert_eq!(head(65536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn requests_unmask_to_their_replies() {
        let shape = Shape { bytes: 200, payload: Payload::Ascii };
        let batch = Batch::new(shape, 3, 7);
        assert_eq!((batch.request.len(), batch.reply.len()), (3 * 208, 3 * 204));
        for (request, reply) in batch.request.chunks(208).zip(batch.reply.chunks(204)) {
            assert_eq!((request[0], reply[0]), (0x81, 0x81));
            let unmasked: Vec<u8> =
                request[8..].iter().enumerate().map(|(i, byte)| byte ^ request[4 + i % 4]).collect();
            assert_eq!(unmasked, reply[4..]);
            assert!(unmasked.iter().all(|byte| (b' '..=b'~').contains(byte)));
        }
    }

    #[test]
    fn mixed_text_has_its_length_and_characters_of_every_width() {
        let text = payload(Shape { bytes: 1021, payload: Payload::Mixed }, &mut Random::new(1));
        assert_eq!(text.len(), 1021);
        let text = String::from_utf8(text).unwrap();
        assert!((1..=4).all(|width| text.chars().any(|character| character.len_utf8() == width)));
    }

    #[test]
    fn all_messages_are_different() {
        let shape = Shape { bytes: 32, payload: Payload::Binary };
        let (one, two) = (Batch::new(shape, 2, 0), Batch::new(shape, 2, 1));
        assert_ne!(one.reply[..34], one.reply[34..]);
        assert_ne!(one, two);
        assert_eq!(one, Batch::new(shape, 2, 0));
    }
}
