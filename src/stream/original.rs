//! The original crate's way: `read` and `write`, one message a call, no buffers to hand in.
//!
//! They work from a scratch of the thread's own, also inside another connection's handler. They know
//! no time: deadlines count only in calls that are given it.
#![forbid(unsafe_code)]

use super::call::Call;
use super::driving::Stopped;
use super::{Interest, Outgoing, ReadError, ReadResult, Ready, Scratch, Sent, WebSocketStream, WriteResult};
use crate::frame::{CloseCode, OpCode, utf8};
use crate::protocol::{Event, Message, SendError, Status};
use crate::transport::NonBlockingTransport;
use std::cell::Cell;

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Lends the thread's scratch. Where it is lent already, or the thread is ending, a new one.
fn with_scratch<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
    let mut scratch = SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_default();
    let result = f(&mut scratch);
    // A thread that is ending keeps none.
    let _ = SCRATCH.try_with(|cell| cell.set(Some(scratch)));
    result
}

impl<T: NonBlockingTransport> WebSocketStream<T> {
    /// Receives one message or control frame: its opcode and its payload. Call it until
    /// [`ReadError::NoData`] or [`ReadError::DataStop`].
    ///
    /// A fragmented message comes whole, with the opcode of its first fragment. Pings and Close
    /// frames are already answered. Where [`Config::in_parts`](crate::Config::in_parts) is on, a call gives
    /// a part: the first one with the message's opcode, the others with [`OpCode::Continuation`]. After the
    /// last one, and only then, [`ReadError::NoData`] takes the place of [`ReadError::DataStop`].
    ///
    /// It sends what is unsent, too: while [`interest`](Self::interest) says `writable`, call it also when
    /// the transport is that. It knows no time, and no deadline passes in it: where one is to count,
    /// [`drive`](Self::drive) the stream.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: nothing is there, a part is there, the connection has ended (each further call
    /// says so again, and does what is left of closing: drop the stream once its `interest` is `over`), or
    /// a system call failed.
    pub fn read(&mut self) -> ReadResult {
        let mut found = None;
        let mut ready = Ready::ALL;
        let result = with_scratch(|scratch| {
            loop {
                let result = Call::new(self, &mut scratch.untimed()).run(ready, |event, _| {
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
                // A call takes so much at most: a message may be longer.
                match result {
                    Ok(Interest { again: true, .. }) if self.connection.goes_on() => ready = Ready::READABLE,
                    result => break result,
                }
            }
        });
        if let Some(found) = found {
            return Ok(found);
        }
        match (result, self.connection.status()) {
            (Err(Stopped::System(error)), _) => Err(ReadError::System(error)),
            (_, Status::Finishing(end) | Status::Over(end)) => Err(ReadError::Closed(end)),
            _ if self.connection.is_receiving() => Err(ReadError::DataStop),
            _ => Err(ReadError::NoData),
        }
    }

    /// Sends one whole message or control frame and gives the bytes of its frame that the transport
    /// took at once. The rest is queued; [`unsent`](Self::unsent) tells how much, and later calls of
    /// any kind send it.
    ///
    /// A Close frame's payload is a close code in two bytes and a reason, or nothing.
    ///
    /// # Errors
    ///
    /// [`WriteError::Refused`](super::WriteError::Refused) with the reason, where nothing was taken: too much is unsent, the
    /// connection is closing, or the payload does not fit the opcode. [`WriteError::System`](super::WriteError::System) where a
    /// system call failed.
    pub fn write(&mut self, opcode: OpCode, payload: &[u8]) -> WriteResult {
        with_scratch(|scratch| {
            let sent = self.send_with(&mut scratch.untimed(), |out| send_payload(out, opcode, payload))?;
            let frame = self.connection.frame_size(payload.len());
            #[cfg(feature = "deflate")]
            let frame = match self.connection.compresses(payload.len()) && !opcode.is_control() {
                true => scratch.output.last_compressed_frame,
                false => frame,
            };
            // What of the frame is not among the queued frames, of which it is the last, was taken.
            Ok(match sent {
                Sent::Written => frame,
                Sent::Queued(_) => frame.saturating_sub(self.unsent_frames()),
                // Nothing here asks for it.
                Sent::Dropped => 0,
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
