//! The interface of the original crate: `read` and `write`, one message per call, without a scratch.
//!
//! Both use a scratch that belongs to the thread. They also work inside another connection's handler. Neither
//! call has a time, so no deadline passes in it.
#![forbid(unsafe_code)]

use super::call::{CallGuard, Never, Stopped};
use super::scratch::with_thread_scratch;
use super::{Outgoing, ReadError, ReadResult, Ready, Sent, Wants, WebSocketStream, WriteResult};
use crate::frame::{CloseCode, OpCode, utf8};
use crate::protocol::{Event, Message, SendError, State};
use crate::transport::NonBlockingTransport;

impl<T: NonBlockingTransport> WebSocketStream<T> {
    /// Receives one message or control frame, and returns its opcode and payload.
    ///
    /// Call it until it returns [`ReadError::NoData`] or [`ReadError::DataStop`].
    ///
    /// A fragmented message is returned whole, with the opcode of its first fragment. Pings and Close
    /// frames are already answered.
    ///
    /// With [`Config::streaming`](crate::Config::streaming), a call returns one chunk of a message: the first
    /// chunk with the message's opcode, the others with [`OpCode::Continuation`]. If no further chunk has
    /// arrived, the error is [`ReadError::DataStop`], and after the last chunk [`ReadError::NoData`].
    ///
    /// A call also sends the unsent bytes: while [`wants`](Self::wants) has `write` set, call `read` when the
    /// transport is writable, too. No deadline passes in this call; to use timeouts, [`drive`](Self::drive)
    /// the stream.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: no data, an incomplete message, the end of the connection, or the error of a system
    /// call. After the end, each further call continues the closing and returns the end again: drop the
    /// stream when its [`wants`](Self::wants) has `closed` set.
    pub fn read(&mut self) -> ReadResult {
        let mut found = None;
        let mut ready = Ready::UNKNOWN;
        let result = with_thread_scratch(|scratch| {
            loop {
                let result =
                    CallGuard::new(&mut self.state, &mut scratch.untimed()).run(ready, Never, |event, _| {
                        found = match event {
                            Event::Message(message) => Some((message.opcode(), message.as_bytes().to_vec())),
                            Event::Chunk(chunk) => Some((chunk.opcode(), chunk.as_bytes().to_vec())),
                            Event::Ping(payload) => Some((OpCode::Ping, payload.to_vec())),
                            Event::Pong(payload) => Some((OpCode::Pong, payload.to_vec())),
                            Event::Close(frame) if frame.code == CloseCode::NO_STATUS => {
                                Some((OpCode::Close, Vec::new()))
                            }
                            Event::Close(frame) => {
                                let mut payload = frame.code.get().to_be_bytes().to_vec();
                                payload.extend_from_slice(frame.reason.as_bytes());
                                Some((OpCode::Close, payload))
                            }
                            Event::Closed(_) => return Ok(()),
                        };
                        Err(())
                    });
                // A message can be longer than the budget of a call.
                match result {
                    Ok(Some(Wants { again: true, .. })) if self.state.connection.can_receive() => {
                        ready = Ready::READABLE
                    }
                    result => break result,
                }
            }
        });
        if let Some(found) = found {
            return Ok(found);
        }
        match (result, self.state.connection.state()) {
            (Err(Stopped::System(error)), _) => Err(ReadError::System(error)),
            (_, State::Draining(end) | State::Closed(end)) => Err(ReadError::Closed(end)),
            _ if self.state.connection.is_receiving() => Err(ReadError::DataStop),
            _ => Err(ReadError::NoData),
        }
    }

    /// Sends one whole message or control frame.
    ///
    /// Returns the number of the frame's bytes that the transport took at once. The rest is queued, counts as
    /// [`unsent`](Self::unsent), and is sent by later calls of `write`, [`read`](Self::read),
    /// [`drive`](Self::drive) and [`flush`](Self::flush).
    ///
    /// The payload of a Close frame is empty, or a close code in two bytes followed by a reason.
    ///
    /// # Errors
    ///
    /// [`WriteError::Refused`](super::WriteError::Refused) if the message was not accepted: too many bytes
    /// are unsent, the connection is closing, or the payload is not valid for the opcode.
    /// [`WriteError::System`](super::WriteError::System) if a system call failed.
    pub fn write(&mut self, opcode: OpCode, payload: &[u8]) -> WriteResult {
        with_thread_scratch(|scratch| {
            // A program that only writes has no other call that sends them.
            if self.unsent() > 0 {
                self.flush(&mut scratch.untimed())?;
            }
            let sent = self.send_with(&mut scratch.untimed(), |out| send_payload(out, opcode, payload))?;
            let frame = self.state.connection.frame_size(payload.len());
            let frame = match self.state.connection.compresses(payload.len()) && !opcode.is_control() {
                true => scratch.output.last_compressed_frame,
                false => frame,
            };
            // This frame is the last one in the queue, so the transport took the bytes that are not queued.
            Ok(match sent {
                Sent::Written => frame,
                Sent::Queued(_) => frame.saturating_sub(self.state.unsent_frames()),
            })
        })
    }
}

fn send_payload(out: &mut Outgoing<'_>, opcode: OpCode, payload: &[u8]) -> Result<(), SendError> {
    match opcode {
        OpCode::Text => out.send(Message::Text(utf8::validate(payload).map_err(|_| SendError::NotUtf8)?)),
        OpCode::Binary => out.send(Message::Binary(payload)),
        OpCode::Ping => out.ping(payload),
        OpCode::Pong => out.pong(payload),
        OpCode::Continuation => Err(SendError::NoMessageBegun),
        OpCode::Close => match payload {
            [] => out.close(CloseCode::NO_STATUS, ""),
            [_] => Err(SendError::InvalidCloseCode),
            [high, low, reason @ ..] => {
                let reason = utf8::validate(reason).map_err(|_| SendError::NotUtf8)?;
                match CloseCode::new(u16::from_be_bytes([*high, *low])) {
                    // It stands for an empty payload.
                    CloseCode::NO_STATUS => Err(SendError::InvalidCloseCode),
                    code => out.close(code, reason),
                }
            }
        },
    }
}
