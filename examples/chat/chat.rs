//! The handler: what happens when a member joins, says something and leaves.

use crate::http;
use crate::link::Link;
use crate::protocol::{self, FromMember, Shared};
use crate::redis_link;
use crate::rooms::{Rooms, room_of};
use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use websocket_stream::server::{Answer, Failure, Handle, Handler, NewPeer, Peer};
use websocket_stream::{CloseCode, Closed, Message, Request, Response};

pub(crate) struct Chat {
    /// Shared with closures that run on this thread, so nobody waits for it.
    rooms: Arc<Mutex<Rooms>>,
    link: Option<Link>,
    /// Distinguishes the ids of this server's messages.
    origin: Arc<str>,
    next: u64,
}

#[derive(Default)]
pub(crate) struct Member {
    room: Arc<str>,
    name: Arc<str>,
}

pub(crate) fn lock(rooms: &Mutex<Rooms>) -> MutexGuard<'_, Rooms> {
    rooms.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chat {
    pub(crate) fn new(handle: &Handle, redis: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let rooms = Arc::default();
        let origin: Arc<str> = format!("{:016x}", rand::random::<u64>()).into();
        let link = match redis {
            Some(url) => {
                let link = Link::new(handle.clone(), Arc::clone(&rooms), Arc::clone(&origin));
                redis_link::start(url, &link)?;
                Some(link)
            }
            None => None,
        };
        Ok(Self { rooms, link, origin, next: 0 })
    }

    fn next_id(&mut self) -> String {
        self.next += 1;
        format!("{}-{}", self.origin, self.next)
    }
}

impl Handler for Chat {
    type Session = Member;

    fn open(&mut self, _: &mut NewPeer<'_>, member: &mut Member, request: &Request<'_>) -> Answer {
        let Some(room) = room_of(request.path()) else { return Response::new(404).into() };
        let Some(room) = lock(&self.rooms).prepare(room) else { return Response::new(503).into() };
        let name = request.query_pairs().find(|(key, _)| key == "name").map(|(_, name)| name);
        let name = protocol::accepted_name(name.as_deref().unwrap_or_default()).into();
        *member = Member { room, name };
        Response::accept().into()
    }

    fn http(&mut self, _: &mut NewPeer<'_>, request: &Request<'_>) -> Answer {
        http::answer(request, |path| room_of(path).map(|_| include_str!("page.html"))).into()
    }

    fn opened(&mut self, peer: &mut Peer<'_>, member: &mut Member) -> Result<(), Failure> {
        let mut rooms = lock(&self.rooms);
        if rooms.join(&member.room)
            && let Some(link) = &self.link
        {
            link.enter(&member.room);
        }
        peer.subscribe(&member.room);
        peer.send(&protocol::welcome(&member.name, self.link.as_ref().map(Link::is_up)))?;
        for message in rooms.history(&member.room) {
            peer.send(message)?;
        }
        Ok(())
    }

    fn message(
        &mut self,
        peer: &mut Peer<'_>,
        member: &mut Member,
        message: Message<'_>,
    ) -> Result<(), Failure> {
        let name = member.name.to_string();
        let shared = match FromMember::parse(message) {
            Some(FromMember::Say(text)) if text.trim().is_empty() => return Ok(()),
            Some(FromMember::Say(text)) => Shared::Message { id: self.next_id(), name, text, time: now() },
            Some(FromMember::Typing) => Shared::Typing { id: self.next_id(), name },
            None => return Err(Failure::close(CloseCode::POLICY_VIOLATION, "not a message of this chat")),
        };
        let json = shared.to_json();
        match shared {
            Shared::Message { .. } => {
                lock(&self.rooms).remember(&member.room, &json);
                peer.publish(&member.room, &json);
            }
            Shared::Typing { .. } => peer.publish_to_others(&member.room, &json),
        }
        if let Some(link) = &self.link {
            link.send(&member.room, json);
        }
        Ok(())
    }

    fn drained(&mut self, peer: &mut Peer<'_>, _: &mut Member, missed: u64) -> Result<(), Failure> {
        if missed > 0 {
            peer.send(&protocol::note(&format!("(you missed {missed} messages)")))?;
        }
        Ok(())
    }

    fn closed(&mut self, _: &mut Peer<'_>, member: &mut Member, _: Closed) {
        if lock(&self.rooms).leave(&member.room)
            && let Some(link) = &self.link
        {
            link.leave(&member.room);
        }
    }

    fn cannot_accept(&mut self, error: &io::Error) {
        eprintln!("chat: {error}");
    }
}

/// Returns the time in milliseconds since 1970.
fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
