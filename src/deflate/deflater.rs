//! Messages to compressed payloads (RFC 7692, section 7.2.1).
#![forbid(unsafe_code)]

use super::{Context, WindowBits};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use zlib_rs::{Deflate as Engine, DeflateConfig, DeflateFlush};

/// The end of every message, which is left out: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from
/// the tail end."
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// How many symbols are gathered before a block is written, as a power of two less 6: 4,096. More
/// hardly compress better, and cost memory for each connection.
const MEMORY_LEVEL: u8 = 6;

/// A result buffer that is larger is given back after its use.
const KEPT: usize = 1 << 20;

/// Compresses one message after the other, each referring to those before it, or not.
pub struct Deflater {
    engine: Engine,
    bits: WindowBits,
    level: u8,
    /// Something was compressed since the last reset.
    used: bool,
}

/// The compressors of a thread, for the messages of all its connections that stand alone, and the
/// room for what they make.
#[derive(Default)]
pub struct Deflaters {
    /// By window bits from 9. Made when they are needed; mostly only the last one is.
    alone: [Option<Box<Deflater>>; 7],
    result: Vec<u8>,
}

impl Deflater {
    /// Compresses within a window of this size, with a level from 1 to 9 (others are taken for the
    /// nearest).
    pub fn new(bits: WindowBits, level: u8) -> Self {
        // "The zlib library doesn't support 8 bits" (RFC 7692, section 7.1.2.1); but with 9 it refers
        // at most 512 - 262 bytes back, which a window of 256 has.
        let bits = bits.max(WindowBits::NINE);
        let level = level.clamp(1, 9);
        let config = DeflateConfig {
            level: i32::from(level),
            window_bits: -i32::from(bits.get()),
            mem_level: i32::from(MEMORY_LEVEL),
            ..DeflateConfig::default()
        };
        Self { engine: Engine::new_with_config(config), bits, level, used: false }
    }

    /// Forgets the messages so far: the next one stands alone.
    pub fn reset(&mut self) {
        if self.used {
            self.engine.reset();
            self.used = false;
        }
    }

    /// Compresses a message into `result`, whose length is only what of it can be written without
    /// growing, and tells how many bytes it became: fewer than the message has, or `None`, and the
    /// message must be sent as it is. It is forgotten then, with those before it.
    pub fn deflate(&mut self, message: &[u8], result: &mut Vec<u8>) -> Option<usize> {
        // Level 1 writes up to nine bits for each byte; the others write 5 bytes more for some thousands.
        let room = message.len() + message.len() / 8 + 64;
        if result.len() < room {
            result.resize(room, 0);
        }
        let result = &mut result[..room];
        let (took, made) = (self.engine.total_in(), self.engine.total_out());
        self.used = true;
        let status = self.engine.compress(message, result, DeflateFlush::SyncFlush);
        let took = usize::try_from(self.engine.total_in() - took).unwrap_or(usize::MAX);
        let made = usize::try_from(self.engine.total_out() - made).unwrap_or(usize::MAX);
        let whole = status.is_ok() && took == message.len() && made < room;
        let payload = result.get(..made).and_then(|made| made.strip_suffix(&TAIL));
        match payload.map(<[u8]>::len) {
            Some(len) if whole && len < message.len() => return Some(len),
            _ if whole => self.reset(),
            // zlib-rs 0.6.8 is not fit for use when it is reset with output that had no room.
            _ => *self = Self::new(self.bits, self.level),
        }
        None
    }

    /// Changes the level of one that was just reset.
    fn set_level(&mut self, level: u8) {
        let level = level.clamp(1, 9);
        if level != self.level {
            self.level = level;
            if self.engine.set_level(i32::from(level)).is_err() {
                *self = Self::new(self.bits, level);
            }
        }
    }

    /// The heap bytes it holds.
    pub fn held(&self) -> usize {
        // What zlib-rs allocates: a window twice, a link for each of its bytes, 64 Ki heads of two
        // bytes, seven for each symbol that is gathered, and its state.
        const HEADS: usize = 2 << 16;
        const STATE: usize = 6 << 10;
        4 * self.bits.size() + HEADS + (7 << (MEMORY_LEVEL + 6)) + STATE
    }
}

impl Deflaters {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses a message that stands alone. See [`deflate_after`](Self::deflate_after).
    pub fn deflate(&mut self, message: &[u8], context: Context, level: u8) -> Option<&[u8]> {
        // Nothing refers back further than the message is long.
        let fits = message.len() <= context.bits().size();
        let bits = if fits { WindowBits::MAX } else { context.bits().max(WindowBits::NINE) };
        let slot = self.alone.get_mut(usize::from(bits.get() - WindowBits::NINE.get()))?;
        let deflater = slot.get_or_insert_with(|| Box::new(Deflater::new(bits, level)));
        deflater.reset();
        deflater.set_level(level);
        let len = deflater.deflate(message, &mut self.result)?;
        self.result.get(..len)
    }

    /// Compresses a message with its connection's own compressor. `None` means that it is to be sent
    /// as it is.
    pub fn deflate_after(&mut self, message: &[u8], deflater: &mut Deflater) -> Option<&[u8]> {
        let len = deflater.deflate(message, &mut self.result)?;
        self.result.get(..len)
    }

    /// Gives back what a large message has grown.
    pub fn trim(&mut self) {
        if self.result.len() > KEPT {
            self.result = Vec::new();
        }
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("bits", &self.bits)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Deflaters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflaters").finish_non_exhaustive()
    }
}
