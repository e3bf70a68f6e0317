//! A chat room: each member receives what any member sends.
//!
//! ```text
//! cargo run --features mio --example chat [ADDRESS]
//! ```
//!
//! Each message is encoded once and shared. If a member does not take its messages, they are queued up to a
//! bound; beyond it, the member misses messages and receives a note with their number. A member that takes
//! nothing for a long time is disconnected. Nobody waits for a slow member.

#[path = "common/interests.rs"]
mod interests;

use interests::INTERESTS;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use websocket_stream::{
    Config, Delivery, Event, IfFull, Limits, PreparedMessage, Progress, Ready, Response, Scratch,
    ServerOpening, Timeouts, Wants, WebSocketStream,
};

const LISTENER: Token = Token(usize::MAX);

/// Milliseconds until the next attempt to accept, after the system could not.
const RETRY: u64 = 1000;

/// A connected peer: in the opening handshake, or in the room.
struct Member {
    opening: Option<ServerOpening<TcpStream>>,
    stream: Option<WebSocketStream<TcpStream>>,
    /// Messages missed since the last note.
    missed: u64,
}

struct Room {
    poll: Poll,
    members: Slab<Member>,
    config: Arc<Config>,
    scratch: Scratch,
    /// The messages of this round.
    said: Vec<PreparedMessage>,
    /// Members that need another call although no poller reports them.
    again: Vec<usize>,
    /// When to accept, if that does not wait for the poller.
    accept_at: Option<u64>,
    start: Instant,
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9002".to_owned());
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    println!("listening on ws://{}", listener.local_addr()?);
    let limits = Limits::default().message(64 << 10).frame(64 << 10).unsent(256 << 10);
    let timeouts = Timeouts::default()
        .ping_interval(Duration::from_secs(20))
        .idle(Duration::from_secs(60))
        .write(Duration::from_secs(30));
    let mut room = Room {
        poll: Poll::new()?,
        members: Slab::new(),
        config: Arc::new(Config::default().limits(limits).timeouts(timeouts)),
        scratch: Scratch::new(),
        said: Vec::new(),
        again: Vec::new(),
        accept_at: None,
        start: Instant::now(),
    };
    let mut events = Events::with_capacity(1024);
    room.poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    loop {
        room.wait(&mut events)?;
        let mut calls: Vec<_> = room.again.drain(..).map(|index| (index, Ready::READABLE)).collect();
        for event in &events {
            match event.token() {
                LISTENER => room.accept_at = Some(0),
                Token(index) => calls.push((index, Ready::from(event))),
            }
        }
        let now = room.now();
        let due =
            room.members.iter().filter(|(_, member)| member.next_deadline(now).is_some_and(|at| at <= now));
        calls.extend(due.map(|(index, _)| (index, Ready::NONE)));
        for (index, ready) in calls {
            // An error concerns one member, and ends it.
            if room.call(index, ready).unwrap_or(true) {
                room.members.remove(index);
            }
        }
        room.broadcast();
        if room.accept_at.is_some_and(|at| at <= now) {
            room.accept_at = room.accept(&listener);
        }
    }
}

impl Member {
    fn next_deadline(&self, now: u64) -> Option<u64> {
        let opening = self.opening.as_ref().map(|opening| opening.next_deadline(now));
        opening.or(self.stream.as_ref().map(|stream| stream.next_deadline(now)))?
    }
}

impl Room {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// With many members, use a `Wheel` for their timeouts.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let now = self.now();
        let timeouts = self.members.iter().filter_map(|(_, member)| member.next_deadline(now));
        let next = timeouts.chain(self.accept_at).min();
        let next = if self.again.is_empty() { next } else { Some(now) };
        match self.poll.poll(events, next.map(|at| Duration::from_millis(at.saturating_sub(now)))) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Accepts waiting connections. Returns when to try again.
    fn accept(&mut self, listener: &TcpListener) -> Option<u64> {
        loop {
            // An error of one socket concerns only that socket.
            let error = match listener.accept() {
                Ok((socket, _)) => match self.admit(socket) {
                    Ok(()) => continue,
                    Err(error) => error,
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => error,
                // Probably out of descriptors. The poller does not report the waiting connections again.
                Err(error) => {
                    eprintln!("chat: {error}");
                    return Some(self.now() + RETRY);
                }
            };
            eprintln!("chat: {error}");
        }
    }

    fn admit(&mut self, mut socket: TcpStream) -> io::Result<()> {
        let entry = self.members.vacant_entry();
        self.poll.registry().register(&mut socket, Token(entry.key()), INTERESTS)?;
        let opening = Some(ServerOpening::with_config(socket, Arc::clone(&self.config))?);
        entry.insert(Member { opening, stream: None, missed: 0 });
        Ok(())
    }

    /// Does one member's work. Returns whether the member is gone.
    fn call(&mut self, index: usize, ready: Ready) -> Result<bool, Box<dyn Error>> {
        let now = self.now();
        let Some(member) = self.members.get_mut(index) else { return Ok(false) };
        while let Some(opening) = &mut member.opening {
            match opening.advance(&mut self.scratch.at(now))? {
                Progress::Pending(wants) => {
                    self.again.extend(wants.again.then_some(index));
                    return Ok(false);
                }
                Progress::Decide(_) => opening.answer(&Response::accept())?,
                // Never here: every request is accepted.
                Progress::Answered { .. } => return Ok(true),
                Progress::Open => {
                    member.stream = member.opening.take().map(ServerOpening::into_stream).transpose()?;
                }
            }
        }
        let Some(stream) = &mut member.stream else { return Ok(true) };
        let Wants { again, closed, .. } = stream.drive(&mut self.scratch.at(now), ready, |event, _| {
            if let Event::Message(message) = event {
                self.said.push(PreparedMessage::new(message));
            }
            Ok(())
        })?;
        if member.missed > 0 && stream.unsent() == 0 {
            let note = format!("(you missed {} messages)", std::mem::take(&mut member.missed));
            // A closing member refuses it.
            let _ = stream.send(&mut self.scratch.at(now), &note);
        }
        self.again.extend(again.then_some(index));
        Ok(closed)
    }

    /// Sends this round's messages to all members.
    fn broadcast(&mut self) {
        let now = self.now();
        let said = std::mem::take(&mut self.said);
        for (index, member) in &mut self.members {
            let Some(stream) = &mut member.stream else { continue };
            for message in &said {
                // An error is reported again, as the end, in the member's next call.
                if let Ok(Delivery::Dropped) =
                    stream.send_prepared(&mut self.scratch.at(now), message, IfFull::Drop)
                {
                    member.missed += 1;
                }
            }
            self.again.extend(stream.wants().again.then_some(index));
        }
    }
}
