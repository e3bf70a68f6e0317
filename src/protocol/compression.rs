//! Compressed messages (RFC 7692): between messages and frames, in both directions.
#![forbid(unsafe_code)]

use super::contexts::{COMPRESSED, Compressor, Directions};
use super::send::Planned;
use super::stamp::Stamp;
use super::{Connection, Fault, Input, Message, Output, SendError};
use crate::deflate::{Agreed, Deflate, Deflater, Deflaters, History, InflateError};
use alloc::boxed::Box;

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

    /// Gives back the memory for compressing behind earlier messages: the next one is compressed
    /// alone. What the peer may still refer to is kept.
    pub fn park(&mut self) {
        if let Some(contexts) = &mut self.contexts {
            contexts.deflater = None;
            if contexts.history.is_none() {
                self.contexts = None;
            }
        }
    }

    /// When it is to be [parked](Self::park).
    #[inline]
    pub(super) fn park_deadline(&self, now: u64) -> Option<u64> {
        let contexts = self.contexts.as_ref()?;
        contexts.deflater.as_ref()?;
        let age = contexts.deflated.map_or(0, |stamp| stamp.age(now));
        Some(now.saturating_add(u64::from(self.policy().idle?.saturating_sub(age))))
    }

    /// Parks it where its time has come.
    #[inline]
    pub(super) fn park_if_due(&mut self, now: u64) {
        if let Some(contexts) = &mut self.contexts {
            contexts.deflated.get_or_insert(Stamp::at(now));
            if self.park_deadline(now).is_some_and(|at| at <= now) {
                self.park();
            }
        }
    }

    fn policy(&self) -> &Deflate {
        self.config().deflate.as_ref().unwrap_or(&Deflate::DEFAULT)
    }

    /// Inflates the message that was just received, if it is compressed.
    pub(super) fn inflate(&mut self, input: &mut Input) -> Result<(), Fault> {
        if !input.is_compressed() {
            return Ok(());
        }
        let limit = self.config().limits.message;
        let window = self.directions.and_then(Directions::receiving);
        let history = window.map(|bits| {
            let contexts = self.contexts.get_or_insert_default();
            contexts.history.get_or_insert_with(|| History::new(bits))
        });
        input.inflate(history, limit).map_err(|error| match error {
            InflateError::Corrupt => Fault::InvalidDeflate,
            InflateError::TooLong => Fault::MessageTooLong,
            InflateError::NotUtf8 => Fault::InvalidUtf8,
        })
    }

    /// Whether a message of this length is sent compressed.
    #[inline]
    pub(crate) fn compresses(&self, len: usize) -> bool {
        self.directions.is_some() && len >= self.policy().threshold
    }

    #[inline(never)]
    pub(super) fn send_compressed(
        &mut self,
        message: Message<'_>,
        output: &mut Output,
    ) -> Result<(), SendError> {
        self.admit(message.opcode(), true, message.as_bytes().len(), output)?;
        let mut compressor = output.take_compressor();
        let (planned, payload) = self.compress(message, &mut compressor, output);
        output.push(&planned.header, payload, planned.key);
        output.put_compressor(compressor);
        Ok(())
    }

    /// Makes the frame of a message that was admitted; it must be sent then, so that the peer's window
    /// gets what this end's has. One that would grow stays as it is.
    pub(crate) fn compress<'m>(
        &mut self,
        message: Message<'m>,
        compressor: &'m mut Compressor,
        output: &mut Output,
    ) -> (Planned, &'m [u8]) {
        let (rsv, payload) = match self.deflated(message.as_bytes(), &mut compressor.0, output.now()) {
            Some(compressed) => (COMPRESSED, compressed),
            None => (0, message.as_bytes()),
        };
        let planned = self.planned_extended(rsv, message.opcode(), true, payload.len(), output);
        output.last_compressed_frame = planned.header.len() + payload.len();
        (planned, payload)
    }

    fn deflated<'d>(
        &mut self,
        message: &[u8],
        deflaters: &'d mut Deflaters,
        now: Option<u64>,
    ) -> Option<&'d [u8]> {
        let own = self.directions?.sending();
        let level = self.policy().level;
        if !own.takeover() {
            return deflaters.deflate(message, own, level);
        }
        let contexts = self.contexts.get_or_insert_default();
        contexts.deflated = now.map(Stamp::at);
        let deflater = contexts.deflater.get_or_insert_with(|| Box::new(Deflater::new(own.bits(), level)));
        deflaters.deflate_after(message, deflater)
    }
}

impl Output {
    /// Takes the compressor, made for the first message that is compressed.
    pub(crate) fn take_compressor(&mut self) -> Compressor {
        self.compressor.take().unwrap_or_default()
    }

    pub(crate) fn put_compressor(&mut self, mut compressor: Compressor) {
        compressor.0.trim();
        self.compressor = Some(compressor);
    }
}
