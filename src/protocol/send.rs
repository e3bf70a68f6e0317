//! Messages to frames (RFC 6455, section 6.1).
#![forbid(unsafe_code)]

use super::close::Closing;
use super::payload::MAX_CONTROL;
use super::{Connection, Message, Output, Role, SendError};
use crate::Limits;
use crate::frame::{CloseCode, EncodedHeader, Header, MAX_HEADER_SIZE, OpCode};

/// A frame that was accepted for sending, without its payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameHead {
    pub(crate) header: EncodedHeader,
    /// The masking key; `None` for a server.
    pub(crate) key: Option<[u8; 4]>,
}

impl Connection {
    /// Sends a whole message.
    ///
    /// The message is compressed if that was negotiated and makes the message smaller.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`], [`SendError::TooLong`], [`SendError::Closed`] or
    /// [`SendError::MessageUnfinished`]. Nothing of the message was accepted. The limit applies to the length
    /// before compression.
    #[inline]
    pub fn send(&mut self, message: Message<'_>, output: &mut Output) -> Result<(), SendError> {
        if let Some(sent) = self.try_send_compressed(message.opcode(), true, message.as_bytes(), output) {
            return sent;
        }
        self.send_plain(message, output)
    }

    /// Sends a whole message without compression.
    ///
    /// Use this for a message that contains a secret beside text that others can choose: the length of the
    /// compressed message would reveal to an eavesdropper how similar the two are (RFC 7692, section 8).
    ///
    /// # Errors
    ///
    /// See [`send`](Self::send).
    #[inline]
    pub fn send_plain(&mut self, message: Message<'_>, output: &mut Output) -> Result<(), SendError> {
        let (opcode, payload) = (message.opcode(), message.as_bytes());
        self.send_within(self.data_bound(), opcode, true, payload, output)
            .map_err(|error| self.refusal(error, payload.len()))
    }

    #[inline]
    pub(super) fn data_bound(&self) -> usize {
        self.config().limits.data_bound()
    }

    /// Checks a frame, and appends it to the gathered bytes.
    #[inline(always)]
    pub(crate) fn send_within(
        &mut self,
        data_bound: usize,
        opcode: OpCode,
        fin: bool,
        payload: &[u8],
        output: &mut Output,
    ) -> Result<(), SendError> {
        self.admit(data_bound, opcode, fin, payload.len(), output)?;
        match self.role {
            Role::Server => {
                let header = Header { fin, ..Header::new(opcode, payload.len() as u64) };
                output.push(&header.encode(), payload, None);
            }
            Role::Client => self.push_masked(opcode, fin, payload, output),
        }
        Ok(())
    }

    #[inline(never)]
    fn push_masked(&self, opcode: OpCode, fin: bool, payload: &[u8], output: &mut Output) {
        let head = self.frame_head(opcode, fin, payload.len(), output);
        output.push(&head.header, payload, head.key);
    }

    /// Sends one fragment of a message (RFC 6455, section 5.4).
    ///
    /// The first fragment has [`OpCode::Text`] or [`OpCode::Binary`], further ones have
    /// [`OpCode::Continuation`], and the last one has `fin` set. Control frames may be sent between
    /// fragments.
    ///
    /// If compression was negotiated, the first fragment decides for the whole message: the message is
    /// compressed if this fragment reaches the threshold of `Config::deflate` and gets smaller.
    ///
    /// The caller must make sure that the fragments of a text message together are UTF-8.
    ///
    /// # Errors
    ///
    /// The errors of [`send`](Self::send), [`SendError::NoMessageBegun`] for a continuation without an
    /// unfinished message, and [`SendError::ControlOpcode`] for the opcode of a control frame.
    pub fn send_fragment(
        &mut self,
        opcode: OpCode,
        payload: &[u8],
        fin: bool,
        output: &mut Output,
    ) -> Result<(), SendError> {
        if opcode.is_control() {
            return Err(SendError::ControlOpcode);
        }
        if let Some(sent) = self.try_send_compressed(opcode, fin, payload, output) {
            return sent;
        }
        self.send_within(self.data_bound(), opcode, fin, payload, output)
            .map_err(|error| self.refusal(error, payload.len()))
    }

    /// Sends a ping with up to 125 bytes of payload.
    ///
    /// # Errors
    ///
    /// [`SendError::ControlTooLong`], [`SendError::Full`] or [`SendError::Closed`].
    pub fn ping(&mut self, payload: &[u8], output: &mut Output) -> Result<(), SendError> {
        self.send_control(OpCode::Ping, payload, output)
    }

    /// Sends an unsolicited pong with up to 125 bytes of payload.
    ///
    /// Pings are answered automatically.
    ///
    /// # Errors
    ///
    /// See [`ping`](Self::ping).
    pub fn pong(&mut self, payload: &[u8], output: &mut Output) -> Result<(), SendError> {
        self.send_control(OpCode::Pong, payload, output)
    }

    /// Begins the closing handshake by sending a Close frame.
    ///
    /// The reason has up to 123 bytes. [`CloseCode::NO_STATUS`] without a reason sends an empty Close frame.
    /// Messages still arrive until the peer answers; nothing more can be sent.
    ///
    /// # Errors
    ///
    /// [`SendError::InvalidCloseCode`] if the code may not be sent, or for [`CloseCode::NO_STATUS`] with a
    /// reason; [`SendError::ControlTooLong`] if the reason is too long; [`SendError::Closed`] if the closing
    /// handshake has begun or the connection has ended.
    pub fn close(&mut self, code: CloseCode, reason: &str, output: &mut Output) -> Result<(), SendError> {
        let empty = code == CloseCode::NO_STATUS && reason.is_empty();
        if !code.is_sendable() && !empty {
            return Err(SendError::InvalidCloseCode);
        }
        if reason.len() > MAX_CONTROL - 2 {
            return Err(SendError::ControlTooLong);
        }
        if self.closing != Closing::Open {
            return Err(SendError::Closed);
        }
        self.push_close(code, reason, output);
        self.closing = Closing::CloseSent(code);
        self.start_close_timer(output.now());
        Ok(())
    }

    /// Returns the error for a data frame that was refused: `TooLong` if the frame can never fit.
    #[cold]
    pub(crate) fn refusal(&self, error: SendError, len: usize) -> SendError {
        match error {
            SendError::Full if len.saturating_add(MAX_HEADER_SIZE) > self.data_bound() => SendError::TooLong,
            other => other,
        }
    }

    /// Checks whether a frame may be sent now, and fits into the send buffer.
    ///
    /// If so, also records whether the frame leaves a fragmented message unfinished.
    #[inline(always)]
    pub(crate) fn admit(
        &mut self,
        data_bound: usize,
        opcode: OpCode,
        fin: bool,
        len: usize,
        output: &Output,
    ) -> Result<(), SendError> {
        if self.closing != Closing::Open {
            return Err(SendError::Closed);
        }
        if !opcode.is_control() && (opcode == OpCode::Continuation) != self.fragmenting {
            return Err(match self.fragmenting {
                true => SendError::MessageUnfinished,
                false => SendError::NoMessageBegun,
            });
        }
        // Pings and pongs of the caller may use half of the reserved room. The rest is for an automatic pong
        // and the Close frame.
        let bound = if opcode.is_control() { data_bound + Limits::CONTROL_ROOM / 2 } else { data_bound };
        let room = bound.checked_sub(output.len() + MAX_HEADER_SIZE);
        if room.is_none_or(|room| len > room) {
            return Err(SendError::Full);
        }
        if !fin || opcode == OpCode::Continuation {
            self.fragmenting = !fin;
        }
        Ok(())
    }

    fn send_control(&mut self, opcode: OpCode, payload: &[u8], output: &mut Output) -> Result<(), SendError> {
        if payload.len() > MAX_CONTROL {
            return Err(SendError::ControlTooLong);
        }
        self.admit(self.data_bound(), opcode, true, payload.len(), output)?;
        let head = self.frame_head(opcode, true, payload.len(), output);
        output.push(&head.header, payload, head.key);
        Ok(())
    }

    /// Answers a ping.
    ///
    /// If the transport is blocked or the output is full, only the newest pong is kept.
    pub(super) fn answer_ping(&mut self, payload: &[u8], output: &mut Output) {
        if self.closing != Closing::Open {
            return;
        }
        let head = self.frame_head(OpCode::Pong, true, payload.len(), output);
        let size = head.header.len() + payload.len();
        let bound = self.data_bound();
        // An empty output always has room for a pong.
        let full = output.len() + size > bound && !output.is_empty();
        if output.holds_back_pongs() || full {
            output.hold_pong(head.header, payload, head.key);
        } else {
            output.push(&head.header, payload, head.key);
        }
    }

    /// Appends a Close frame after everything that was accepted.
    pub(super) fn push_close(&mut self, code: CloseCode, reason: &str, output: &mut Output) {
        let mut payload = [0; MAX_CONTROL];
        let mut len = 0;
        if code != CloseCode::NO_STATUS {
            payload[..2].copy_from_slice(&code.get().to_be_bytes());
            let reason = &reason.as_bytes()[..reason.len().min(MAX_CONTROL - 2)];
            payload[2..2 + reason.len()].copy_from_slice(reason);
            len = 2 + reason.len();
        }
        output.release_pong();
        let head = self.frame_head(OpCode::Close, true, len, output);
        output.push(&head.header, &payload[..len], head.key);
    }

    #[inline(always)]
    pub(crate) fn frame_head(&self, opcode: OpCode, fin: bool, len: usize, output: &mut Output) -> FrameHead {
        self.frame_head_extended(0, opcode, fin, len, output)
    }

    /// Makes the head of a frame with reserved bits that an extension defines.
    #[inline(always)]
    pub(super) fn frame_head_extended(
        &self,
        rsv: u8,
        opcode: OpCode,
        fin: bool,
        len: usize,
        output: &mut Output,
    ) -> FrameHead {
        let header = Header { fin, rsv, ..Header::new(opcode, len as u64) };
        match self.role {
            Role::Server => FrameHead { header: header.encode(), key: None },
            // "A client MUST mask all frames that it sends to the server" (section 5.1), each with "a
            // fresh masking key from the set of allowed 32-bit values" (section 5.3).
            Role::Client => {
                let key = Some(output.next_key());
                FrameHead { header: Header { mask: key, ..header }.encode(), key }
            }
        }
    }
}
