//! Messages to compressed payloads (RFC 7692, section 7.2.1).
#![forbid(unsafe_code)]

use super::{Context, History, WindowBits};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use zlib_rs::{Deflate as Engine, DeflateConfig, DeflateFlush};

/// The end of every message, which is left out: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from
/// the tail end."
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// How many symbols are gathered before a block is written, as a power of two less 6: 4,096. More
/// hardly compress better.
const MEMORY_LEVEL: u8 = 6;

/// zlib refers to nothing that is nearer to the window's end: room for the longest match and a bit.
const MARGIN: usize = 262;

/// How much of earlier messages a message may refer to, beside as much as it is long: what it refers to
/// is looked through first, and what is further back makes the message hardly smaller (1% of 512 bytes
/// of JSON, 2% of 8 KiB).
const REACH: usize = 12 << 10;

/// The most bytes of a block with no compression, and what is written before them.
const STORED: usize = 0xFFFF;
const STORED_HEADER: usize = 5;

/// A result buffer that is larger is given back after its use.
const KEPT: usize = 1 << 20;

/// The compressors of a thread, for the messages of all its connections, and the room for what they
/// make. Nothing of one message stays for the next: what that may refer to is given with it.
#[derive(Default)]
pub struct Deflaters {
    /// By window bits from 9. Made when they are needed; mostly only the last one is.
    compressors: [Option<Box<Compressor>>; 7],
    result: Vec<u8>,
}

/// A compressor for a window of one size.
struct Compressor {
    engine: Engine,
    bits: WindowBits,
    level: u8,
}

/// What a run has written.
struct Made {
    /// The bytes, the [`TAIL`] among them.
    len: usize,
    /// That is all of it.
    whole: bool,
}

impl Compressor {
    fn new(bits: WindowBits, level: u8) -> Self {
        let config = DeflateConfig {
            level: i32::from(level),
            window_bits: -i32::from(bits.get()),
            mem_level: i32::from(MEMORY_LEVEL),
            ..DeflateConfig::default()
        };
        Self { engine: Engine::new_with_config(config), bits, level }
    }

    /// Begins anew, behind these bytes.
    fn begin(&mut self, level: u8, before: [&[u8]; 2]) {
        self.engine.reset();
        if level != self.level {
            self.level = level;
            if self.engine.set_level(i32::from(level)).is_err() {
                *self = Self::new(self.bits, level);
            }
        }
        for bytes in before {
            if !bytes.is_empty() && self.engine.set_dictionary(bytes).is_err() {
                *self = Self::new(self.bits, level);
            }
        }
    }

    fn compress(&mut self, input: &[u8], result: &mut [u8]) -> Made {
        let (took, made) = (self.engine.total_in(), self.engine.total_out());
        let status = self.engine.compress(input, result, DeflateFlush::SyncFlush);
        let took = usize::try_from(self.engine.total_in() - took).unwrap_or(usize::MAX);
        let len = usize::try_from(self.engine.total_out() - made).unwrap_or(usize::MAX);
        let whole = status.is_ok() && took == input.len() && len < result.len();
        if !whole {
            // zlib-rs 0.6.8 is not fit for use when it is reset with output that had no room.
            *self = Self::new(self.bits, self.level);
        }
        Made { len, whole }
    }
}

impl Deflaters {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses a message that stands alone, with a level from 1 to 9 (others are taken for the
    /// nearest). `None` means that it would not get smaller, and is to be sent as it is.
    pub fn deflate(&mut self, message: &[u8], context: Context, level: u8) -> Option<&[u8]> {
        self.shrink(message, context.bits(), None, level)
    }

    /// Compresses a message that may refer to those before it, and adds it to them; but for `None`,
    /// which leaves them as they were.
    pub fn deflate_after(&mut self, message: &[u8], history: &mut History, level: u8) -> Option<&[u8]> {
        let payload = self.shrink(message, history.bits(), Some(history), level)?;
        history.push(message);
        Some(payload)
    }

    /// Compresses the first fragment of a message, and adds it to what the next may refer to; but for
    /// `None`: it would not get smaller, and the whole message is to be sent as it is.
    pub fn deflate_first(&mut self, piece: &[u8], history: &mut History, level: u8) -> Option<&[u8]> {
        let Made { len, whole } = self.run(piece, history.bits(), Some(history), level)?;
        if !whole || len >= piece.len() {
            return None;
        }
        history.push(piece);
        self.result.get(..len)
    }

    /// Compresses a further fragment of a message whose first one was, `fin` for the last; to at most
    /// [`most_of_fragment`](Self::most_of_fragment) bytes.
    pub fn deflate_next(&mut self, piece: &[u8], fin: bool, history: &mut History, level: u8) -> &[u8] {
        let made = match piece {
            [] => None,
            _ => self.run(piece, history.bits(), Some(history), level),
        };
        let len = made.filter(|made| made.whole).and_then(|made| {
            let payload = self.result.get(..made.len)?;
            let payload = if fin { payload.strip_suffix(&TAIL)? } else { payload };
            Some(payload.len())
        });
        let len = match len {
            Some(len) if len <= Self::most_of_fragment(piece.len()) => len,
            _ => self.store(piece, fin),
        };
        history.push(piece);
        &self.result[..len]
    }

    /// What a fragment of so many bytes becomes at most.
    pub const fn most_of_fragment(len: usize) -> usize {
        len + (len / STORED + 1) * STORED_HEADER + 1
    }

    /// Blocks with no compression (RFC 1951, section 3.2.4); at a message's end, what is left of an
    /// empty one without its tail.
    fn store(&mut self, piece: &[u8], fin: bool) -> usize {
        self.result.clear();
        for block in piece.chunks(STORED) {
            let [low, high] = u16::try_from(block.len()).unwrap_or(u16::MAX).to_le_bytes();
            self.result.extend([0x00, low, high, !low, !high]);
            self.result.extend_from_slice(block);
        }
        if fin {
            self.result.push(0x00);
        }
        self.result.len()
    }

    fn shrink(
        &mut self,
        message: &[u8],
        bits: WindowBits,
        before: Option<&History>,
        level: u8,
    ) -> Option<&[u8]> {
        let Made { len, whole } = self.run(message, bits, before, level)?;
        let payload = self.result.get(..len)?.strip_suffix(&TAIL)?;
        (whole && payload.len() < message.len()).then_some(payload)
    }

    /// Compresses `input` into the result.
    fn run(&mut self, input: &[u8], bits: WindowBits, before: Option<&History>, level: u8) -> Option<Made> {
        // "The zlib library doesn't support 8 bits" (RFC 7692, section 7.1.2.1); but with 9 it refers
        // at most 512 - 262 bytes back, which a window of 256 has.
        let engine_bits = bits.max(WindowBits::NINE);
        let reach = (engine_bits.size() - MARGIN).min(REACH.saturating_add(input.len()));
        let before = before.map_or([&[][..]; 2], |history| history.last(reach));
        // Nothing refers back further than all is long.
        let fits = before[0].len() + before[1].len() + input.len() <= bits.size();
        let engine_bits = if fits { WindowBits::MAX } else { engine_bits };
        let level = level.clamp(1, 9);
        // Level 1 writes up to nine bits for each byte; the others write 5 bytes more for some thousands.
        let room = input.len() + input.len() / 8 + 64;
        if self.result.len() < room {
            self.result.resize(room, 0);
        }
        let slot = self.compressors.get_mut(usize::from(engine_bits.get() - WindowBits::NINE.get()))?;
        let compressor = slot.get_or_insert_with(|| Box::new(Compressor::new(engine_bits, level)));
        compressor.begin(level, before);
        Some(compressor.compress(input, &mut self.result))
    }

    /// Gives back what a large message has grown.
    pub fn trim(&mut self) {
        if self.result.len() > KEPT {
            self.result = Vec::new();
        }
    }
}

impl fmt::Debug for Deflaters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflaters").finish_non_exhaustive()
    }
}
