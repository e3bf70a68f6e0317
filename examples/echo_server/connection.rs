//! One connection: first its opening handshake, then its messages.

use crate::socket::Socket;
use std::error::Error;
use std::sync::Arc;
use websocket_stream::handshake::OriginPolicy;
use websocket_stream::{
    CloseCode, Config, Event, Interest, Progress, Ready, Scratch, ServerOpening, Status, WebSocketStream,
};

pub(crate) enum Connection {
    /// Boxed: few are opening, many are open.
    Opening(Box<ServerOpening<Socket>>),
    Open(WebSocketStream<Socket>),
    /// Only for the moment in which one becomes the other.
    Gone,
}

impl Connection {
    pub(crate) fn new(socket: Socket, config: Arc<Config>) -> std::io::Result<Self> {
        Ok(Self::Opening(Box::new(ServerOpening::with_config(socket, config)?)))
    }

    /// Does what there is to do, and says what to wait for. `None`: it was closed. An error says why it
    /// ended otherwise; it can be dropped, too.
    pub(crate) fn advance(
        &mut self,
        scratch: &mut Scratch,
        now: u64,
        ready: Ready,
    ) -> Result<Option<Interest>, Box<dyn Error>> {
        if let Self::Opening(opening) = self {
            loop {
                match opening.advance(&mut scratch.at(now))? {
                    Progress::Pending(interest) => return Ok(Some(interest)),
                    Progress::Open => break,
                    // Pages of any site may have their own words back.
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
        let interest = stream.drive(&mut scratch.at(now), ready, |event, out| match event {
            Event::Message(message) => out.send(message),
            _ => Ok(()),
        })?;
        match stream.status() {
            _ if !interest.over => Ok(Some(interest)),
            Status::Over(end) if !end.is_clean() => Err(end.to_string().into()),
            _ => Ok(None),
        }
    }

    /// Begins to close it, and says what to wait for. `None`: there is nothing.
    pub(crate) fn go_away(&mut self, scratch: &mut Scratch, now: u64) -> Option<Interest> {
        let Self::Open(stream) = self else { return None };
        // One that is closing already goes on so.
        let _ = stream.close(&mut scratch.at(now), CloseCode::GOING_AWAY, "");
        Some(stream.interest())
    }

    /// When it wants to be called though nothing is ready.
    pub(crate) fn next_deadline(&self, now: u64) -> Option<u64> {
        match self {
            Self::Opening(opening) => opening.next_deadline(now),
            Self::Open(stream) => stream.next_deadline(now),
            Self::Gone => None,
        }
    }
}
