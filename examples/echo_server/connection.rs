//! One connection: first its opening handshake, then its messages.

use crate::socket::Socket;
use std::error::Error;
use std::sync::Arc;
use websocket_stream::{
    CloseCode, Config, Event, OriginPolicy, Progress, Ready, Scratch, ServerOpening, State, Wants,
    WebSocketStream,
};

pub(crate) enum Connection {
    /// Boxed: few connections are opening, many are open.
    Opening(Box<ServerOpening<Socket>>),
    Open(WebSocketStream<Socket>),
    /// Only during the change from one state to the other.
    Gone,
}

impl Connection {
    pub(crate) fn new(socket: Socket, config: Arc<Config>) -> std::io::Result<Self> {
        Ok(Self::Opening(Box::new(ServerOpening::with_config(socket, config)?)))
    }

    /// Does the connection's work and returns what to wait for, or `None` if it was closed. An error is the
    /// reason for any other end; the connection can then be dropped, too.
    pub(crate) fn advance(
        &mut self,
        scratch: &mut Scratch,
        now: u64,
        ready: Ready,
    ) -> Result<Option<Wants>, Box<dyn Error>> {
        if let Self::Opening(opening) = self {
            loop {
                match opening.advance(&mut scratch.at(now))? {
                    Progress::Pending(wants) => return Ok(Some(wants)),
                    Progress::Open => break,
                    // A page of another site, or no WebSocket: the answer was sent.
                    Progress::Answered { .. } => return Ok(None),
                    // Any site may have its own messages echoed.
                    Progress::Decide(request) => {
                        let response = OriginPolicy::Any.answer(&request);
                        opening.answer(&response)?;
                    }
                }
            }
            if let Self::Opening(opening) = std::mem::replace(self, Self::Gone) {
                *self = Self::Open(opening.into_stream()?);
            }
        }
        let Self::Open(stream) = self else { return Ok(None) };
        let wants = stream.drive(&mut scratch.at(now), ready, |event, out| match event {
            Event::Message(message) => out.send(message),
            _ => Ok(()),
        })?;
        match stream.state() {
            _ if !wants.closed => Ok(Some(wants)),
            State::Closed(end) if !end.is_clean() => Err(end.to_string().into()),
            _ => Ok(None),
        }
    }

    /// Begins to close and returns what to wait for, or `None` if nothing is open.
    pub(crate) fn go_away(&mut self, scratch: &mut Scratch, now: u64) -> Option<Wants> {
        let Self::Open(stream) = self else { return None };
        // If it is already closing, it continues to.
        let _ = stream.close(&mut scratch.at(now), CloseCode::GOING_AWAY, "");
        Some(stream.wants())
    }

    /// Returns when to call it although nothing is ready.
    pub(crate) fn next_deadline(&self, now: u64) -> Option<u64> {
        match self {
            Self::Opening(opening) => opening.next_deadline(now),
            Self::Open(stream) => stream.next_deadline(now),
            Self::Gone => None,
        }
    }
}
