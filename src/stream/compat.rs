//! The original crate's interface: `read` and `write`, one message a call, without a scratch.
//!
//! Both borrow a scratch that belongs to the thread, even inside another connection's handler. Neither
//! has a time: deadlines count only in calls that have one.
#![forbid(unsafe_code)]

use super::call::{CallGuard, Stopped};
use super::{Interest, Outgoing, ReadError, ReadResult, Ready, Scratch, Sent, WebSocketStream, WriteResult};
use crate::frame::{CloseCode, OpCode, utf8};
use crate::protocol::{Event, Message, SendError, Status};
use crate::transport::NonBlockingTransport;
use std::cell::Cell;

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Lends the thread's scratch, or a new one if it is lent already or the thread is ending.
fn with_scratch<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
    let mut scratch = SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_default();
    let result = f(&mut scratch);
    // Fails if the thread is ending.
    let _ = SCRATCH.try_with(|cell| cell.set(Some(scratch)));
    result
}

impl<T: NonBlockingTransport> WebSocketStream<T> {
    /// Receives one message or control frame, and returns its opcode and payload.
    ///
    /// Call it until it returns [`ReadError::NoData`] or [`ReadError::DataStop`].
    ///
    /// A fragmented message is returned whole, with the opcode of its first fragment. Pings and Close
    /// frames are already answered. With [`Config::in_parts`](crate::Config::in_parts), a call returns one
    /// part of a message: the first with the message's opcode, the others with [`OpCode::Continuation`].
    /// Between two parts the error is [`ReadError::DataStop`], after the last one [`ReadError::NoData`].
    ///
    /// A call also sends what is unsent: while [`interest`](Self::interest) asks for `writable`, call it
    /// when the transport is writable, too. Deadlines do not pass in it; to use them,
    /// [`drive`](Self::drive) the stream.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: no data, a part of a message, the end of the connection, or a system call's error.
    /// After the end, each further call repeats it and continues the closing: drop the stream once its
    /// `interest` is `over`.
    pub fn read(&mut self) -> ReadResult {
        let mut found = None;
        let mut ready = Ready::ALL;
        let result = with_scratch(|scratch| {
            loop {
                let result =
                    CallGuard::new(&mut self.state, &mut scratch.untimed()).run(ready, |event, _| {
                        found = match event {
                            Event::Message(message) => Some((message.opcode(), message.as_bytes().to_vec())),
                            Event::Part(part) => Some((part.opcode(), part.as_bytes().to_vec())),
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
                            Event::End(_) => return Ok(()),
                        };
                        Err(())
                    });
                // A message may be longer than the budget of a call.
                match result {
                    Ok(Interest { again: true, .. }) if self.state.connection.goes_on() => {
                        ready = Ready::READABLE
                    }
                    result => break result,
                }
            }
        });
        if let Some(found) = found {
            return Ok(found);
        }
        match (result, self.state.connection.status()) {
            (Err(Stopped::System(error)), _) => Err(ReadError::System(error)),
            (_, Status::Finishing(end) | Status::Over(end)) => Err(ReadError::Closed(end)),
            _ if self.state.connection.is_receiving() => Err(ReadError::DataStop),
            _ => Err(ReadError::NoData),
        }
    }

    /// Sends one whole message or control frame.
    ///
    /// Returns how many bytes of the frame the transport took at once. The rest is queued, counts as
    /// [`unsent`](Self::unsent), and is sent by later calls of any kind.
    ///
    /// The payload of a Close frame is empty, or a close code in two bytes and a reason.
    ///
    /// # Errors
    ///
    /// [`WriteError::Refused`](super::WriteError::Refused) with the reason, if nothing was taken: too many bytes are unsent, the
    /// connection is closing, or the payload does not fit the opcode.
    /// [`WriteError::System`](super::WriteError::System) if a system call failed.
    pub fn write(&mut self, opcode: OpCode, payload: &[u8]) -> WriteResult {
        with_scratch(|scratch| {
            let sent = self.send_with(&mut scratch.untimed(), |out| send_payload(out, opcode, payload))?;
            let frame = self.state.connection.frame_size(payload.len());
            #[cfg(feature = "deflate")]
            let frame = match self.state.connection.compresses(payload.len()) && !opcode.is_control() {
                true => scratch.output.last_compressed_frame,
                false => frame,
            };
            // The frame is the last of the queued ones: the transport took what is not queued of it.
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
                out.close(CloseCode::new(u16::from_be_bytes([*high, *low])), reason)
            }
        },
    }
}
