//! What is sent and what must come back, made beforehand.
//!
//! No WebSocket library here: the bytes are put together from RFC 6455, section 5.2, so that none of
//! the servers is measured against its own code.

/// An opening handshake's request; the key is RFC 6455's own example (section 1.3).
pub const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What a server makes of that key.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// One connection's messages: a batch that is sent in one piece, and the bytes that must come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub request: Vec<u8>,
    pub reply: Vec<u8>,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub bytes: usize,
    pub text: bool,
}

impl Batch {
    /// So many messages of this shape; each connection's, and each message of it, is another.
    pub fn new(shape: Shape, messages: usize, connection: usize) -> Self {
        let mut batch = Self { request: Vec::new(), reply: Vec::new() };
        for message in 0..messages {
            let mut random = Random::new((connection as u64) << 32 | message as u64);
            let payload = payload(shape, &mut random);
            let key = random.next().to_le_bytes();
            let key = [key[0], key[1], key[2], key[3]];
            frame(&mut batch.request, shape.text, Some(key), &payload);
            frame(&mut batch.reply, shape.text, None, &payload);
        }
        batch
    }

    /// The same for a server that knows no protocol: what is sent comes back.
    pub fn raw(mut self) -> Self {
        self.reply.clone_from(&self.request);
        self
    }
}

/// Appends a whole message in one frame.
fn frame(to: &mut Vec<u8>, text: bool, key: Option<[u8; 4]>, payload: &[u8]) {
    let mask_bit = if key.is_some() { 0x80 } else { 0 };
    to.push(if text { 0x81 } else { 0x82 });
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

/// Text is ASCII, as most of what is sent as JSON.
fn payload(shape: Shape, random: &mut Random) -> Vec<u8> {
    let byte = |_| {
        let byte = random.next().to_le_bytes()[0];
        if shape.text { b' ' + byte % 95 } else { byte }
    };
    (0..shape.bytes).map(byte).collect()
}

/// Whether a response accepts [`REQUEST`]. `None`: it goes on.
pub fn accepted(response: &[u8]) -> Option<bool> {
    let text = std::str::from_utf8(response).unwrap_or("");
    let head = text.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().is_some_and(|line| line.starts_with("HTTP/1.1 101"));
    let accept = lines
        .filter_map(|line| line.split_once(':'))
        .any(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == ACCEPT);
    Some(status && accept)
}

/// Numbers without end from a seed (splitmix64): the same load in every run.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_text_frame_is_that_of_the_rfc() {
        let mut bytes = Vec::new();
        frame(&mut bytes, true, Some([0x37, 0xfa, 0x21, 0x3d]), b"Hello");
        assert_eq!(bytes, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        let head = |len: usize| {
            let mut bytes = Vec::new();
            frame(&mut bytes, false, None, &vec![0; len]);
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
        let shape = Shape { bytes: 200, text: true };
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
    fn no_two_messages_are_the_same() {
        let shape = Shape { bytes: 32, text: false };
        let (one, two) = (Batch::new(shape, 2, 0), Batch::new(shape, 2, 1));
        assert_ne!(one.reply[..34], one.reply[34..]);
        assert_ne!(one, two);
        assert_eq!(one, Batch::new(shape, 2, 0));
    }

    #[test]
    fn only_the_right_response_accepts() {
        let right =
            b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-ACCEPT: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert_eq!(accepted(right), Some(true));
        assert_eq!(accepted(&right[..right.len() - 1]), None);
        assert_eq!(
            accepted(b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\n\r\n"),
            Some(false)
        );
        assert_eq!(accepted(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Some(false));
    }
}
