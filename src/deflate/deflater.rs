//! Compresses messages (RFC 7692, section 7.2.1).
#![forbid(unsafe_code)]

use super::short::{self, ShortDeflater};
use super::{Context, Window, WindowBits};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use zlib_rs::{Deflate as Engine, DeflateConfig, DeflateFlush};

/// The end of every message, which is not sent: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail
/// end."
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The number of symbols gathered before a block is written, as a power of two less 6: 4,096. A larger number
/// hardly improves compression.
const MEMORY_LEVEL: u8 = 6;

/// The bytes at the far end of a window that zlib never refers to: room for its longest match, and some more.
const MARGIN: usize = 262;

/// The maximum size of a stored block, and the size of its header.
const STORED: usize = 0xFFFF;
const STORED_HEADER: usize = 5;

/// A larger result buffer is freed after use.
const KEPT: usize = 1 << 20;

/// The compressors of a thread, for all its connections, and the buffer for their output.
///
/// Nothing is kept from one message to the next: the window is passed with each message.
///
/// ```
/// use websocket_stream::deflate::{Context, Deflaters, Window, WindowBits};
///
/// let message = br#"{"symbol":"ACME","bid":31.41,"ask":31.59,"currency":"EUR"}"#;
/// let (mut deflaters, mut window) = (Deflaters::new(), Window::new(WindowBits::MAX));
/// let alone = deflaters.deflate(message, Context::new(WindowBits::MAX, false), 5).map(<[u8]>::len);
/// deflaters.deflate_after(message, &mut window, 5).ok_or("it grew")?;
/// // With the window of a connection, a similar message takes a few bytes.
/// let next = deflaters.deflate_after(message, &mut window, 5).ok_or("it grew")?.len();
/// assert!(next < 10 && alone.is_none_or(|alone| alone > 4 * next));
/// # Ok::<(), &str>(())
/// ```
#[derive(Default)]
pub struct Deflaters {
    /// Indexed by window bits, starting at 9. Created on first use; usually only the last one is.
    compressors: [Option<Box<Compressor>>; 7],
    /// For short messages, whatever the window. Created on first use.
    short: Option<Box<ShortDeflater>>,
    result: Vec<u8>,
}

/// A compressor for one window size, for messages that are not short.
struct Compressor {
    engine: Engine,
    bits: WindowBits,
    level: u8,
}

/// The outcome of a run.
struct Made {
    /// The number of bytes written, including [`TAIL`].
    len: usize,
    /// Whether this is the complete output.
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

    /// Starts again, primed with these bytes.
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
            // zlib-rs 0.6.8 must not be reset after its output ran out of room.
            *self = Self::new(self.bits, self.level);
        }
        Made { len, whole }
    }
}

impl Deflaters {
    /// Creates a set without compressors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses a message without reference to others.
    ///
    /// `level` is from 1 to 9; other values count as the nearest of these. Returns `None` if the message
    /// would not get smaller and should be sent uncompressed.
    pub fn deflate(&mut self, message: &[u8], context: Context, level: u8) -> Option<&[u8]> {
        self.shrink(message, context.bits(), None, level)
    }

    /// Compresses a message that may refer to `window`, and adds it to `window`.
    ///
    /// Returns `None`, and leaves `window` unchanged, if the message would not get smaller.
    pub fn deflate_after(&mut self, message: &[u8], window: &mut Window, level: u8) -> Option<&[u8]> {
        let payload = self.shrink(message, window.bits(), Some(window), level)?;
        window.push(message);
        Some(payload)
    }

    /// Compresses the first fragment of a message, and adds it to `window`.
    ///
    /// Returns `None`, and leaves `window` unchanged, if the fragment would not get smaller. The whole
    /// message should then be sent uncompressed.
    pub fn deflate_first(&mut self, piece: &[u8], window: &mut Window, level: u8) -> Option<&[u8]> {
        let Made { len, whole } = self.run(piece, window.bits(), Some(window), level)?;
        if !whole || len >= piece.len() {
            return None;
        }
        window.push(piece);
        self.result.get(..len)
    }

    /// Compresses a further fragment of a message whose first fragment was compressed; `fin` marks the last
    /// one.
    ///
    /// The result has at most [`most_of_fragment`](Self::most_of_fragment) bytes.
    pub fn deflate_next(&mut self, piece: &[u8], fin: bool, window: &mut Window, level: u8) -> &[u8] {
        let made = match piece {
            [] => None,
            _ => self.run(piece, window.bits(), Some(window), level),
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
        window.push(piece);
        &self.result[..len]
    }

    /// Returns the maximum compressed size of a fragment of `len` bytes.
    pub const fn most_of_fragment(len: usize) -> usize {
        len + (len / STORED + 1) * STORED_HEADER + 1
    }

    /// Writes stored blocks (RFC 1951, section 3.2.4) and, at the end of a message, an empty block without
    /// its tail.
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
        before: Option<&Window>,
        level: u8,
    ) -> Option<&[u8]> {
        let Made { len, whole } = self.run(message, bits, before, level)?;
        let payload = self.result.get(..len)?.strip_suffix(&TAIL)?;
        (whole && payload.len() < message.len()).then_some(payload)
    }

    /// Compresses `input` into the result buffer.
    ///
    /// Returns `None` only if `input` would not get smaller.
    fn run(&mut self, input: &[u8], bits: WindowBits, before: Option<&Window>, level: u8) -> Option<Made> {
        let level = level.clamp(1, 9);
        if input.len() <= short::LONGEST {
            let reach = bits.size().min(short::reach(input.len()));
            let before = before.map_or([&[][..]; 2], |window| window.last(reach));
            let short = self.short.get_or_insert_default();
            let len = short.deflate(input, before, bits.size(), level, &mut self.result)?;
            return Some(Made { len, whole: true });
        }
        // "The zlib library doesn't support 8 bits" (RFC 7692, section 7.1.2.1). With 9 bits it refers at
        // most 512 - 262 bytes back, which is within a window of 256.
        let engine_bits = bits.max(WindowBits::NINE);
        let reach = (engine_bits.size() - MARGIN).min(short::reach(input.len()));
        let before = before.map_or([&[][..]; 2], |window| window.last(reach));
        // If these bytes and the input fit in the negotiated window, no reference can reach beyond it.
        let fits = before[0].len() + before[1].len() + input.len() <= bits.size();
        let engine_bits = if fits { WindowBits::MAX } else { engine_bits };
        // Level 1 writes up to 9 bits for each byte; the others add 5 bytes per few thousand.
        let room = input.len() + input.len() / 8 + 64;
        if self.result.len() < room {
            // Not more, so that it can be kept.
            self.result.reserve_exact(room - self.result.len());
            self.result.resize(room, 0);
        }
        let slot = self.compressors.get_mut(usize::from(engine_bits.get() - WindowBits::NINE.get()))?;
        let compressor = slot.get_or_insert_with(|| Box::new(Compressor::new(engine_bits, level)));
        compressor.begin(level, before);
        Some(compressor.compress(input, &mut self.result))
    }

    /// Frees a result buffer that a large message has grown.
    pub fn trim(&mut self) {
        if self.result.capacity() > KEPT {
            self.result = Vec::new();
        }
    }
}

impl fmt::Debug for Deflaters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflaters").finish_non_exhaustive()
    }
}
