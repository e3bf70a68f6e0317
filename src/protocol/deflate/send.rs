//! Compressed messages on their way out (RFC 7692): between messages and frames.
#![forbid(unsafe_code)]

use super::contexts::{COMPRESSED, Compressor, Directions};
use crate::deflate::{Agreed, Deflate, Deflaters, History, WindowBits};
use crate::frame::OpCode;
use crate::protocol::millis::Stamp;
use crate::protocol::send::Planned;
use crate::protocol::{Connection, Output, SendError};

impl Connection {
    /// The same connection with compression, as its opening handshake agreed on it. How it is done
    /// stands in [`Config::deflate`](super::Config::deflate), or is the default.
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

    /// Whether compression was agreed on.
    pub fn has_deflate(&self) -> bool {
        self.directions.is_some()
    }

    /// Forgets what was sent: the next message is compressed alone. What the peer may still refer to
    /// is kept.
    pub fn park(&mut self) {
        self.contexts.drop_sent();
    }

    /// When it is to be [parked](Self::park).
    #[inline]
    pub(in crate::protocol) fn park_deadline(&self, now: u64) -> Option<u64> {
        let contexts = self.contexts.get()?;
        contexts.sent.as_ref()?;
        let age = contexts.sent_at.map_or(0, |stamp| stamp.age(now));
        Some(now.saturating_add(u64::from(self.policy().idle?.saturating_sub(age))))
    }

    /// Parks it where its time has come.
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

    /// Whether a message of this length is sent compressed.
    #[inline]
    pub(crate) fn compresses(&self, len: usize) -> bool {
        self.directions.is_some() && len >= self.policy().threshold
    }

    /// Whether this fragment of a message is sent compressed; the first one decides it for all.
    #[inline]
    pub(crate) fn compresses_fragment(&self, opcode: OpCode, len: usize) -> bool {
        match opcode {
            OpCode::Continuation => self.contexts.get().is_some_and(|contexts| contexts.fragmenting),
            _ => self.compresses(len),
        }
    }

    /// The most that a payload can become which is to be compressed: a whole message, or the first
    /// fragment of one, is sent as it is where it would grow.
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

    /// Makes a frame that was admitted; it must be sent then, so that the peer's window gets what this
    /// end's has.
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

    /// Whether a message that refers so far back, within itself, may be sent compressed.
    pub(crate) fn can_send_within(&self, bits: WindowBits) -> bool {
        self.directions.is_some_and(|directions| directions.sending().bits() >= bits)
    }

    /// The frame of a message that was compressed alone, to `len` bytes, and admitted; it must be sent
    /// then.
    pub(crate) fn plan_prepared(
        &mut self,
        opcode: OpCode,
        message: &[u8],
        len: usize,
        output: &mut Output,
    ) -> Planned {
        // The peer's window gets it. This end begins one for messages of its own only.
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
        // Without takeover, fragments refer to those of their own message.
        if !(own.takeover() || contexts.fragmenting) || history.held() == 0 {
            self.park();
        }
        compressed
    }
}
