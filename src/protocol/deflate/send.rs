//! Sending compressed messages (RFC 7692): between messages and frames.
#![forbid(unsafe_code)]

use super::windows::{COMPRESSED, Compressor, PackedParams};
use crate::config::millis;
use crate::deflate::{Context, Deflate, DeflateParams, Deflaters, Window, WindowBits};
use crate::frame::OpCode;
use crate::protocol::millis32::Millis32;
use crate::protocol::send::FrameHead;
use crate::protocol::{Connection, Output, SendError};
use alloc::boxed::Box;

impl Connection {
    /// Enables compression with the parameters that the opening handshake negotiated.
    ///
    /// The settings are those of [`Config::deflate`](crate::Config::deflate), or the defaults if that field
    /// is `None`.
    ///
    /// ```
    /// use websocket_stream::deflate::Deflate;
    /// use websocket_stream::protocol::{Connection, Event, Input, Message, Output, Role};
    ///
    /// let answer = Deflate::default().accept([[("client_max_window_bits", None)]]).ok_or("declined")?;
    /// let mut server = Connection::new(Role::Server).with_deflate(answer.params());
    /// let mut client = Connection::new(Role::Client).with_deflate(answer.params());
    ///
    /// let text = "over and ".repeat(100);
    /// let mut output = Output::new();
    /// server.send(Message::Text(&text), &mut output)?;
    /// assert!(output.len() < 40);
    ///
    /// let mut input = Input::default();
    /// input.extend(output.as_bytes());
    /// let event = client.receive(&mut input, &mut Output::new());
    /// assert_eq!(event, Some(Event::Message(Message::Text(&text))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_deflate(mut self, params: DeflateParams) -> Self {
        self.deflate_params = Some(PackedParams::new(self.role, params));
        self
    }

    /// Returns whether compression was negotiated.
    pub fn has_deflate(&self) -> bool {
        self.deflate_params.is_some()
    }

    /// Drops the window of sent messages, so that the next message is compressed on its own.
    ///
    /// The window of received messages is kept, because the peer may refer to it.
    pub fn drop_send_window(&mut self) {
        self.kept_windows.drop_sent();
    }

    /// Returns when to drop the window of sent messages.
    #[inline]
    pub(in crate::protocol) fn send_window_deadline(&self, now: u64) -> Option<u64> {
        let kept_windows = self.kept_windows.get()?;
        kept_windows.sent.as_ref()?;
        let age = kept_windows.sent_at.map_or(0, |stamp| stamp.age(now));
        Some(now.saturating_add(u64::from(millis(self.policy().drop_window_after)?.saturating_sub(age))))
    }

    /// Drops the window of sent messages if its deadline has passed.
    #[inline]
    pub(in crate::protocol) fn drop_send_window_if_due(&mut self, now: u64) {
        if let Some(kept_windows) = self.kept_windows.get_mut() {
            kept_windows.sent_at.get_or_insert(Millis32::at(now));
            if self.send_window_deadline(now).is_some_and(|at| at <= now) {
                self.drop_send_window();
            }
        }
    }

    fn policy(&self) -> &Deflate {
        self.config().deflate.as_ref().unwrap_or(&Deflate::DEFAULT)
    }

    /// Returns whether to compress a message of `len` bytes.
    #[inline]
    pub(crate) fn compresses(&self, len: usize) -> bool {
        self.deflate_params.is_some() && len >= self.policy().threshold
    }

    /// Returns whether to compress a fragment. The first fragment decides for the whole message.
    #[inline]
    pub(crate) fn compresses_fragment(&self, opcode: OpCode, len: usize) -> bool {
        match opcode {
            OpCode::Continuation => {
                self.kept_windows.get().is_some_and(|kept_windows| kept_windows.fragmenting)
            }
            _ => self.compresses(len),
        }
    }

    /// Returns the maximum size of a payload of `len` bytes after compression.
    ///
    /// A whole message, or the first fragment of one, is sent uncompressed if it would grow.
    pub(crate) fn max_compressed_len(opcode: OpCode, len: usize) -> usize {
        if opcode == OpCode::Continuation { Deflaters::most_of_fragment(len) } else { len }
    }

    /// Sends a frame with compressed payload. Returns `None` if the message is not to be compressed.
    #[inline]
    pub(in crate::protocol) fn try_send_compressed(
        &mut self,
        opcode: OpCode,
        fin: bool,
        payload: &[u8],
        output: &mut Output,
    ) -> Option<Result<(), SendError>> {
        let compresses = self.compresses_fragment(opcode, payload.len());
        compresses.then(|| self.send_compressed(opcode, fin, payload, output))
    }

    #[inline(never)]
    fn send_compressed(
        &mut self,
        opcode: OpCode,
        fin: bool,
        payload: &[u8],
        output: &mut Output,
    ) -> Result<(), SendError> {
        let most = Self::max_compressed_len(opcode, payload.len());
        self.admit(self.data_bound(), opcode, fin, most, output)
            .map_err(|error| self.refusal(error, most))?;
        let mut compressor = output.take_compressor();
        let (head, payload) = self.compress(opcode, fin, payload, &mut compressor, output);
        output.push(&head.header, payload, head.key);
        output.put_compressor(compressor);
        Ok(())
    }

    /// Builds the frame for an admitted payload. Compresses the payload if that makes it smaller, or if the
    /// first fragment was compressed.
    ///
    /// The frame must then be sent, because this end's window already contains the payload and the peer's
    /// must match.
    pub(crate) fn compress<'m>(
        &mut self,
        opcode: OpCode,
        fin: bool,
        payload: &'m [u8],
        compressor: &'m mut Compressor,
        output: &mut Output,
    ) -> (FrameHead, &'m [u8]) {
        // "set the "Per-Message Compressed" bit of the first fragment" (section 6.1), and no other.
        let rsv = if opcode == OpCode::Continuation { 0 } else { COMPRESSED };
        let compressed = self.deflated(opcode, fin, payload, &mut compressor.0, output.now());
        let (rsv, payload) = compressed.map_or((0, payload), |compressed| (rsv, compressed));
        let head = self.frame_head_extended(rsv, opcode, fin, payload.len(), output);
        output.last_compressed_frame = head.header.len() + payload.len();
        (head, payload)
    }

    /// Returns whether the peer's window is large enough for a standalone message.
    pub(crate) fn can_send_standalone(&self, message: &Standalone) -> bool {
        self.deflate_params.is_some_and(|deflate_params| deflate_params.sending().bits() >= message.bits)
    }

    /// Builds the head of an admitted standalone message, whose uncompressed payload is `payload`.
    ///
    /// The frame must then be sent, so that the windows of both ends match.
    pub(crate) fn standalone_head(
        &mut self,
        opcode: OpCode,
        payload: &[u8],
        message: &Standalone,
        output: &mut Output,
    ) -> FrameHead {
        // The peer adds the message to its window. If this end has a window of sent messages, it must contain
        // the message too.
        if let Some(sent) = self.kept_windows.get_mut().and_then(|kept_windows| kept_windows.sent.as_mut()) {
            sent.push(payload);
        }
        self.frame_head_extended(COMPRESSED, opcode, true, message.payload.len(), output)
    }

    fn deflated<'d>(
        &mut self,
        opcode: OpCode,
        fin: bool,
        payload: &[u8],
        deflaters: &'d mut Deflaters,
        now: Option<u64>,
    ) -> Option<&'d [u8]> {
        let own = self.deflate_params?.sending();
        let level = self.policy().level;
        if fin && opcode != OpCode::Continuation && !own.takeover() {
            return deflaters.deflate(payload, own, level);
        }
        let kept_windows = self.kept_windows.get_or_insert();
        let window = kept_windows.sent.get_or_insert_with(|| Window::new(own.bits()));
        let compressed = match opcode {
            OpCode::Continuation => Some(deflaters.deflate_next(payload, fin, window, level)),
            _ if fin => deflaters.deflate_after(payload, window, level),
            _ => deflaters.deflate_first(payload, window, level),
        };
        kept_windows.sent_at = now.map(Millis32::at);
        kept_windows.fragmenting = compressed.is_some() && !fin;
        // Without takeover, a window is only needed for the fragments of one message.
        if !(own.takeover() || kept_windows.fragmenting) || window.heap_bytes() == 0 {
            self.drop_send_window();
        }
        compressed
    }
}

/// A message that was compressed on its own, for any number of connections.
#[derive(PartialEq, Eq)]
pub(crate) struct Standalone {
    payload: Box<[u8]>,
    /// The window that inflating the message needs.
    bits: WindowBits,
}

impl Standalone {
    /// Compresses a payload. Returns `None` if it is below the threshold or would grow.
    #[cfg(feature = "std")]
    pub(crate) fn new(payload: &[u8], policy: &Deflate, output: &mut Output) -> Option<Self> {
        if payload.len() < policy.threshold {
            return None;
        }
        let bits = WindowBits::of(payload.len());
        let mut compressor = output.take_compressor();
        let compressed = compressor.0.deflate(payload, Context::new(bits, false), policy.level);
        let standalone = compressed.map(|payload| Self { payload: payload.into(), bits });
        output.put_compressor(compressor);
        standalone
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }
}
