//! Sending compressed messages (RFC 7692): between messages and frames.
#![forbid(unsafe_code)]

use super::contexts::{COMPRESSED, Compressor, Directions};
use crate::deflate::{Agreed, Deflate, Deflaters, History, WindowBits};
use crate::frame::OpCode;
use crate::protocol::millis::Stamp;
use crate::protocol::send::Planned;
use crate::protocol::{Connection, Output, SendError};

impl Connection {
    /// Enables compression with the parameters that the opening handshake negotiated.
    ///
    /// The settings are [`Config::deflate`](crate::Config::deflate), or the defaults if that is `None`.
    ///
    /// ```
    /// use websocket_stream::deflate::Deflate;
    /// use websocket_stream::protocol::{Connection, Event, Input, Message, Output, Role};
    ///
    /// let answer = Deflate::default().accept([[("client_max_window_bits", None)]]).ok_or("declined")?;
    /// let mut server = Connection::new(Role::Server).with_deflate(answer.agreed());
    /// let mut client = Connection::new(Role::Client).with_deflate(answer.agreed());
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
    pub fn with_deflate(mut self, agreed: Agreed) -> Self {
        self.directions = Some(Directions::new(self.role, agreed));
        self
    }

    /// Returns whether compression was negotiated.
    pub fn has_deflate(&self) -> bool {
        self.directions.is_some()
    }

    /// Drops the window of sent messages, so that the next message is compressed alone.
    ///
    /// The window of received messages is kept, because the peer may refer to it.
    pub fn park(&mut self) {
        self.contexts.drop_sent();
    }

    /// Returns when to drop the window of sent messages.
    #[inline]
    pub(in crate::protocol) fn park_deadline(&self, now: u64) -> Option<u64> {
        let contexts = self.contexts.get()?;
        contexts.sent.as_ref()?;
        let age = contexts.sent_at.map_or(0, |stamp| stamp.age(now));
        Some(now.saturating_add(u64::from(self.policy().idle?.saturating_sub(age))))
    }

    /// Drops the window of sent messages if it is time.
    #[inline]
    pub(in crate::protocol) fn park_if_due(&mut self, now: u64) {
        if let Some(contexts) = self.contexts.get_mut() {
            contexts.sent_at.get_or_insert(Stamp::at(now));
            if self.park_deadline(now).is_some_and(|at| at <= now) {
                self.park();
            }
        }
    }

    fn policy(&self) -> &Deflate {
        self.config().deflate.as_ref().unwrap_or(&Deflate::DEFAULT)
    }

    /// Returns whether a message of `len` bytes is to be compressed.
    #[inline]
    pub(crate) fn compresses(&self, len: usize) -> bool {
        self.directions.is_some() && len >= self.policy().threshold
    }

    /// Returns whether a fragment is to be compressed. The first fragment decides for the whole message.
    #[inline]
    pub(crate) fn compresses_fragment(&self, opcode: OpCode, len: usize) -> bool {
        match opcode {
            OpCode::Continuation => self.contexts.get().is_some_and(|contexts| contexts.fragmenting),
            _ => self.compresses(len),
        }
    }

    /// Returns the maximum size of a payload of `len` bytes after compression.
    ///
    /// A whole message, or the first fragment of one, is sent uncompressed if it would grow.
    pub(crate) fn most_compressed(opcode: OpCode, len: usize) -> usize {
        if opcode == OpCode::Continuation { Deflaters::most_of_fragment(len) } else { len }
    }

    /// Sends a frame's payload compressed, if the message is to be compressed.
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
        let most = Self::most_compressed(opcode, payload.len());
        self.admit(self.data_bound(), opcode, fin, most, output)
            .map_err(|error| self.refusal(error, most))?;
        let mut compressor = output.take_compressor();
        let (planned, payload) = self.compress(opcode, fin, payload, &mut compressor, output);
        output.push(&planned.header, payload, planned.key);
        output.put_compressor(compressor);
        Ok(())
    }

    /// Builds the frame for an admitted payload, and compresses the payload if that was decided.
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
    ) -> (Planned, &'m [u8]) {
        // "set the "Per-Message Compressed" bit of the first fragment" (section 6.1), and no other.
        let rsv = if opcode == OpCode::Continuation { 0 } else { COMPRESSED };
        let compressed = self.deflated(opcode, fin, payload, &mut compressor.0, output.now());
        let (rsv, payload) = compressed.map_or((0, payload), |compressed| (rsv, compressed));
        let planned = self.planned_extended(rsv, opcode, fin, payload.len(), output);
        output.last_compressed_frame = planned.header.len() + payload.len();
        (planned, payload)
    }

    /// Returns whether the peer's window is large enough for a message compressed with a window of this size.
    pub(crate) fn can_send_within(&self, bits: WindowBits) -> bool {
        self.directions.is_some_and(|directions| directions.sending().bits() >= bits)
    }

    /// Builds the frame of an admitted message that was compressed alone, to `len` bytes.
    ///
    /// The frame must then be sent, so that the windows of both ends match.
    pub(crate) fn plan_prepared(
        &mut self,
        opcode: OpCode,
        message: &[u8],
        len: usize,
        output: &mut Output,
    ) -> Planned {
        // The peer adds the message to its window. If this end has a window of sent messages, it must contain
        // the message too.
        if let Some(sent) = self.contexts.get_mut().and_then(|contexts| contexts.sent.as_mut()) {
            sent.push(message);
        }
        self.planned_extended(COMPRESSED, opcode, true, len, output)
    }

    fn deflated<'d>(
        &mut self,
        opcode: OpCode,
        fin: bool,
        payload: &[u8],
        deflaters: &'d mut Deflaters,
        now: Option<u64>,
    ) -> Option<&'d [u8]> {
        let own = self.directions?.sending();
        let level = self.policy().level;
        if fin && opcode != OpCode::Continuation && !own.takeover() {
            return deflaters.deflate(payload, own, level);
        }
        let contexts = self.contexts.get_or_insert();
        let history = contexts.sent.get_or_insert_with(|| History::new(own.bits()));
        let compressed = match opcode {
            OpCode::Continuation => Some(deflaters.deflate_next(payload, fin, history, level)),
            _ if fin => deflaters.deflate_after(payload, history, level),
            _ => deflaters.deflate_first(payload, history, level),
        };
        contexts.sent_at = now.map(Stamp::at);
        contexts.fragmenting = compressed.is_some() && !fin;
        // Without takeover, a window is only needed for the fragments of one message.
        if !(own.takeover() || contexts.fragmenting) || history.held() == 0 {
            self.park();
        }
        compressed
    }
}
