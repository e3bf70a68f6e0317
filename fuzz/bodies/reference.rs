//! A naive reading of RFC 6455: the whole stream at once, by copying, with no regard for speed. The library's
//! events and output are compared with it. Only whole messages are inflated by the library itself; inflating
//! has a fuzz target and a naive reference of its own.

#[cfg(feature = "deflate")]
use websocket_stream::deflate::{InflateError, Inflater, Window, WindowBits};
#[cfg(feature = "deflate")]
use websocket_stream::frame::utf8::MessageBuffer;
use websocket_stream::{Chunk, Message};

/// What a peer sends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
}

/// Joins the chunks of a message.
#[derive(Debug, Default)]
pub(crate) struct Together(Option<(bool, Vec<u8>)>);

impl Together {
    /// Adds a chunk. Returns the message after its last chunk.
    pub(crate) fn add(&mut self, chunk: Chunk<'_>) -> Option<Said> {
        let payload = chunk.payload();
        assert_eq!(chunk.is_first(), self.0.is_none(), "one first chunk, before all others");
        let (text, bytes) = self.0.get_or_insert_with(|| (payload.is_text(), Vec::new()));
        assert_eq!(*text, payload.is_text());
        bytes.extend_from_slice(payload.as_bytes());
        if let Message::Text(text) = payload {
            assert!(std::str::from_utf8(text.as_bytes()).is_ok());
        }
        Some(match self.0.take_if(|_| chunk.is_last())? {
            (true, bytes) => Said::Text(String::from_utf8(bytes).expect("each chunk was")),
            (false, bytes) => Said::Binary(bytes),
        })
    }
}

/// Why the reading stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stop {
    /// After a Close frame.
    Closed,
    /// At a violation, reported with this close code.
    Wrong(u16),
    /// At the end of the bytes. In the middle of an extended length or a key, the header may already be
    /// invalid.
    More { in_header: bool },
}

/// The sender of the bytes, and the limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) from_client: bool,
    pub(crate) frame: u64,
    pub(crate) message: u64,
    pub(crate) fragments: u32,
    pub(crate) compression: Option<Compression>,
}

/// The agreed compression of these bytes: how far they may refer back, if beyond their own message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compression {
    pub(crate) window: Option<u8>,
    /// The number of bytes from which a message is inflated before it is whole.
    #[cfg_attr(not(feature = "deflate"), expect(dead_code, reason = "nothing is inflated"))]
    pub(crate) chunk: usize,
}

/// The piece length for messages that are not streamed.
pub(crate) const CHUNK: usize = 32 << 10;

impl Rules {
    pub(crate) fn without_limits(from_client: bool, compression: Option<Compression>) -> Self {
        Rules { from_client, frame: u64::MAX, message: u64::MAX, fragments: u32::MAX, compression }
    }
}

/// Inflates whole messages, each of which may refer to earlier ones.
#[cfg(feature = "deflate")]
struct Inflation {
    window: Option<Window>,
    limit: usize,
    chunk: usize,
}

#[cfg(feature = "deflate")]
impl Inflation {
    fn new(rules: Rules) -> Self {
        let window = rules.compression.and_then(|compression| compression.window);
        let window = window.map(|bits| Window::new(WindowBits::new(bits).unwrap()));
        let chunk = rules.compression.map_or(CHUNK, |compression| compression.chunk);
        Self { window, chunk, limit: usize::try_from(rules.message).unwrap_or(usize::MAX).min(1 << 24) }
    }

    fn inflate(&mut self, payload: &[u8], text: bool) -> Result<Vec<u8>, Stop> {
        let mut message = MessageBuffer::new(text, Vec::new());
        Inflater::new().inflate(payload, self.window.as_mut(), self.limit, &mut message).map_err(stop)?;
        Ok(message.as_bytes().to_vec())
    }

    /// Checks the received bytes of a message that is not whole.
    fn judge_chunk(&self, payload: &[u8], text: bool) -> Result<(), Stop> {
        if payload.len() < self.chunk {
            return Ok(());
        }
        let mut message = MessageBuffer::new(text, Vec::new());
        Inflater::new().feed(payload, self.window.as_ref(), self.limit, &mut message).map_err(stop)
    }
}

#[cfg(feature = "deflate")]
fn stop(error: InflateError) -> Stop {
    Stop::Wrong(if error == InflateError::TooLong { 1009 } else { 1007 })
}

/// Without the feature, nothing is negotiated.
#[cfg(not(feature = "deflate"))]
struct Inflation;

#[cfg(not(feature = "deflate"))]
impl Inflation {
    fn new(rules: Rules) -> Self {
        assert!(rules.compression.is_none_or(|compression| compression.window.is_none()));
        Self
    }

    fn inflate(&mut self, _: &[u8], _: bool) -> Result<Vec<u8>, Stop> {
        Err(Stop::Wrong(1002))
    }

    fn judge_chunk(&self, _: &[u8], _: bool) -> Result<(), Stop> {
        Err(Stop::Wrong(1002))
    }
}

struct Unfinished {
    text: bool,
    compressed: bool,
    bytes: Vec<u8>,
    fragments: u32,
}

/// Reads all of the bytes.
pub(crate) fn read(bytes: &[u8], rules: Rules) -> (Vec<Said>, Stop) {
    let mut said = Vec::new();
    let stop = read_into(bytes, rules, &mut said);
    (said, stop)
}

fn read_into(mut rest: &[u8], rules: Rules, said: &mut Vec<Said>) -> Stop {
    let mut unfinished: Option<Unfinished> = None;
    let mut inflation = Inflation::new(rules);
    loop {
        if let [first] = rest
            && !matches!(first & 15, 0..=2 | 8..=10)
        {
            return Stop::Wrong(1002);
        }
        let [first, second, tail @ ..] = rest else { return Stop::More { in_header: false } };
        let (fin, opcode, masked, len7) = (first & 128 != 0, first & 15, second & 128 != 0, second & 127);
        let control = opcode >= 8;
        // RFC 7692, section 6: the bit in a message's first frame.
        let compressed = first & 0x70 == 0x40 && rules.compression.is_some() && matches!(opcode, 1 | 2);
        let wrong = !matches!(opcode, 0..=2 | 8..=10)
            || first & 0x70 != 0 && !compressed
            || masked != rules.from_client
            || control && (!fin || len7 > 125 || opcode == 8 && len7 == 1)
            || opcode == 0 && unfinished.is_none()
            || matches!(opcode, 1 | 2) && unfinished.is_some();
        if wrong {
            return Stop::Wrong(1002);
        }
        if !control && unfinished.as_ref().map_or(0, |message| message.fragments) >= rules.fragments {
            return Stop::Wrong(1008);
        }
        let extended = match len7 {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let size = extended + if masked { 4 } else { 0 };
        if tail.len() < size {
            return Stop::More { in_header: true };
        }
        let (head, payload) = tail.split_at(size);
        let len = match extended {
            0 => u64::from(len7),
            _ => head[..extended].iter().fold(0, |len, byte| len << 8 | u64::from(*byte)),
        };
        if extended == 2 && len < 126 || extended == 8 && len < 65_536 || len >> 63 != 0 {
            return Stop::Wrong(1002);
        }
        let before = unfinished.as_ref().map_or(0, |message| message.bytes.len() as u64);
        if !control && (len > rules.frame || before + len > rules.message) {
            return Stop::Wrong(1009);
        }
        let here = usize::try_from(len).unwrap_or(usize::MAX).min(payload.len());
        let key = if masked { &head[extended..] } else { &[0; 4] };
        let content: Vec<u8> = payload[..here].iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b).collect();
        let whole = here as u64 == len;
        rest = &payload[here..];

        if control {
            if !whole {
                return Stop::More { in_header: false };
            }
            match opcode {
                9 => said.push(Said::Ping(content)),
                10 => said.push(Said::Pong(content)),
                _ => return close(&content, said),
            }
            continue;
        }
        let message = unfinished.get_or_insert(Unfinished {
            text: opcode == 1,
            compressed,
            bytes: Vec::new(),
            fragments: 0,
        });
        message.fragments += 1;
        message.bytes.extend(content);
        if message.text
            && !message.compressed
            && let Err(error) = std::str::from_utf8(&message.bytes)
            && (error.error_len().is_some() || whole && fin)
        {
            return Stop::Wrong(1007);
        }
        if message.compressed
            && !(whole && fin)
            && let Err(stop) = inflation.judge_chunk(&message.bytes, message.text)
        {
            return stop;
        }
        if !whole {
            return Stop::More { in_header: false };
        }
        if fin && let Some(mut message) = unfinished.take() {
            if message.compressed {
                match inflation.inflate(&message.bytes, message.text) {
                    Ok(bytes) => message.bytes = bytes,
                    Err(stop) => return stop,
                }
            }
            said.push(match message.text {
                true => Said::Text(String::from_utf8(message.bytes).unwrap()),
                false => Said::Binary(message.bytes),
            });
        }
    }
}

fn close(content: &[u8], said: &mut Vec<Said>) -> Stop {
    let [high, low, reason @ ..] = content else {
        said.push(Said::Close(1005, String::new()));
        return Stop::Closed;
    };
    let code = u16::from_be_bytes([*high, *low]);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Stop::Wrong(1002);
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => {
            said.push(Said::Close(code, reason.into()));
            Stop::Closed
        }
        Err(_) => Stop::Wrong(1007),
    }
}
