//! The end of a round: messages from one connection to others, and a shutdown's next step.
//!
//! ```text
//! posts        1. publish a   2. send to x   3. publish b   4. publish a
//! to x         2, and 1, 3, 4 if it is a member of a and b: sorted, in one write
//! members of a 1, 4 (with 3, if they are members of b as well)
//! ```
#![forbid(unsafe_code)]

use super::calls::close;
use super::config::SlowPeer;
use super::handler::Handler;
use super::posts::{Abroad, Note, Payload, Post, Published};
use super::slot::{Flags, Stage};
use super::slots::{self, Id, Occupant};
use super::table::Table;
use crate::frame::CloseCode;
use crate::handshake::Response;
use crate::protocol::{SendError, State};
use crate::stream::Ready;
use crate::transport::NonBlockingTransport;
use std::collections::HashSet;
use std::mem;

/// The posted bytes above which they are delivered before the end of the round.
const POSTED_BYTES: usize = 256 << 10;

impl<T: NonBlockingTransport, S> Table<T, S> {
    /// Delivers what was posted, if that is much, after a call of the handler.
    #[inline]
    pub(super) fn deliver_if_many<H: Handler<Session = S>>(&mut self, now: u64, handler: &mut H) {
        if self.common.hub.posted_bytes > POSTED_BYTES {
            self.deliver(now, handler);
        }
    }

    /// Delivers everything that was posted in this round.
    #[inline]
    pub(super) fn deliver<H: Handler<Session = S>>(&mut self, now: u64, handler: &mut H) {
        // Bounded by what waits now: a note that causes another one does not hold the round.
        let mut notes = self.common.hub.notes();
        self.common.hub.posted_bytes = 0;
        loop {
            // First, so that what is sent to a connection after it was accepted finds it open.
            while let Some((id, response)) = self.common.hub.answers.pop_front() {
                self.answer(id, &response, now, handler);
            }
            if !self.common.hub.posts.is_empty() {
                self.deliver_posts(now, handler);
            }
            if notes == 0 {
                break;
            }
            notes -= 1;
            if let Some(note) = self.common.hub.next_note() {
                self.notify(note, now, handler);
            }
            self.common.hub.post_following();
        }
        self.common.hub.topics.release();
    }

    /// Calls the handler with a note for an open connection.
    #[cold]
    fn notify<H: Handler<Session = S>>(&mut self, note: Note, now: u64, handler: &mut H) {
        let Some(key) = self.slots.find(note.to) else { return };
        let Some(slot) = self.slots.get(key) else { return };
        let Stage::Open(stream, _) = &slot.stage else { return };
        if stream.state() == State::Open && !slot.flags.has(Flags::FAILED) {
            self.common.hub.in_note = true;
            self.with_peer(key, now, handler, |handler, peer, session| {
                handler.notified(peer, session, note.value)
            });
            self.common.hub.in_note = false;
        }
    }

    /// Answers a request that waits for it, and opens the connection if it is accepted.
    fn answer<H: Handler<Session = S>>(&mut self, id: Id, response: &Response, now: u64, handler: &mut H) {
        let Some(key) = self.slots.find(id) else { return };
        if let Some(slot) = self.slots.get_mut(key)
            && let Stage::Opening(opening) = &mut slot.stage
            && opening.answer(response)
        {
            self.call(key, Ready::NONE, now, handler);
        }
    }

    fn deliver_posts<H: Handler<Session = S>>(&mut self, now: u64, handler: &mut H) {
        let hub = &mut self.common.hub;
        hub.posted_bytes = 0;
        let mut posts = mem::take(&mut hub.posts);
        let published = mem::take(&mut hub.published);
        self.encode(&mut posts, now);
        // First those to one connection, with everything else for it.
        let mut served = HashSet::new();
        let mut direct = Vec::new();
        for (index, post) in posts.iter().enumerate() {
            if let Post::Send { to, .. } | Post::Close { to, .. } = post {
                direct.extend(self.slots.find(*to).map(|key| (key, index)));
            }
        }
        direct.sort_unstable();
        let mut list = Vec::new();
        for group in direct.chunk_by(|a, b| a.0 == b.0) {
            let key = group[0].0;
            list.clear();
            list.extend(group.iter().map(|entry| entry.1));
            self.add_published(key, &published, &mut list);
            served.insert(key);
            self.deliver_to(key, &posts, &list, now, handler);
        }
        for (&topic, messages) in &published {
            let mut position = 0;
            while let Some(&member) = self.common.hub.topics.members(topic).get(position) {
                let key = member as usize;
                let is_simple = published.len() == 1 || !self.common.hub.topics.has_several(key);
                let is_served = if is_simple { served.contains(&key) } else { !served.insert(key) };
                if !is_served && is_simple && messages.late.is_empty() {
                    self.deliver_to(key, &posts, &messages.posts, now, handler);
                } else if !is_served {
                    list.clear();
                    self.add_published(key, &published, &mut list);
                    self.deliver_to(key, &posts, &list, now, handler);
                }
                // If it has ended now, the last member has taken its position.
                if self.common.hub.topics.members(topic).get(position) == Some(&member) {
                    position += 1;
                }
            }
        }
    }

    /// Encodes each published message once for all threads, and compresses it if connections do. What is for
    /// other threads leaves in the order in which it was posted.
    fn encode(&mut self, posts: &mut [Post], now: u64) {
        for post in posts {
            if let Some(to) = post.receiver()
                && to.thread() != self.common.hub.thread as usize
            {
                let moved = Abroad::Post(to, mem::replace(post, Post::Moved));
                self.common.hub.abroad.extend(self.common.hub.has_abroad.then_some(moved));
            }
            let Post::Publish { message, slow_peer, abroad, .. } = post else { continue };
            let prepared = match &*message {
                Payload::Prepared(prepared) => prepared.clone(),
                other => self.common.prepare(other.message(), now),
            };
            if let Some(topic) = abroad.take() {
                let (message, slow_peer) = (prepared.clone(), *slow_peer);
                self.common.hub.abroad.push(Abroad::Publish { topic, message, slow_peer });
            }
            *message = Payload::Prepared(prepared);
        }
    }

    /// Adds the posts of all topics that a connection is subscribed to, in their order.
    fn add_published(
        &self,
        key: usize,
        published: &std::collections::HashMap<u32, Published>,
        list: &mut Vec<usize>,
    ) {
        let topics = &self.common.hub.topics;
        let mut add = |messages: &Published| {
            let skipped = messages.late.get(&key).copied().unwrap_or(0);
            list.extend_from_slice(&messages.posts[skipped..]);
        };
        // Whichever are fewer.
        if topics.count_of(key) < published.len() {
            topics.each_of(key, |topic| published.get(&topic).into_iter().for_each(&mut add));
        } else {
            published
                .iter()
                .filter(|&(&topic, _)| topics.is_member(key, topic))
                .for_each(|(_, messages)| add(messages));
        }
        list.sort_unstable();
    }

    /// Delivers some of the posts to a connection, in one write.
    fn deliver_to<H: Handler<Session = S>>(
        &mut self,
        key: usize,
        posts: &[Post],
        list: &[usize],
        now: u64,
        handler: &mut H,
    ) {
        let Self { slots, common } = self;
        let Some(slot) = slots.get_mut(key) else { return };
        let id = Some(slots::id(common.hub.thread, key, slot.generation()));
        let Stage::Open(stream, _) = &mut slot.stage else { return };
        let unsent = if slot.flags.has(Flags::UNSENT) { stream.unsent() } else { 0 };
        let (traffic, cells) = (&mut common.hub.traffic, &common.hub.cells);
        let missed = &mut common.missed;
        let mut missed_some = false;
        let sent = stream.send_with(&mut common.scratch.at(now), |out| {
            for &index in list {
                let (outcome, slow_peer, len) = match &posts[index] {
                    Post::Publish { except, .. } if *except == id => continue,
                    Post::Publish { message: Payload::Prepared(message), slow_peer, .. } => {
                        let outcome = match unsent > slow_peer.above() {
                            true => Err(SendError::Full),
                            false => out.send_prepared(message),
                        };
                        (outcome, Some(*slow_peer), message.payload().len())
                    }
                    Post::Publish { .. } | Post::Notify(_) | Post::Answer { .. } | Post::Moved => continue,
                    Post::Send { message, .. } => (out.send(message.message()), None, message.len()),
                    Post::Close { code, reason, .. } => {
                        // If it is already closing, it continues to.
                        let _ = close(out, *code, reason);
                        continue;
                    }
                };
                // Nothing can be sent, too, while a message in fragments is unfinished.
                let later = matches!(outcome, Err(SendError::Full | SendError::MessageUnfinished));
                match slow_peer {
                    _ if outcome.is_ok() => traffic.sent(len),
                    Some(SlowPeer::Drop { .. }) if later => {
                        cells.dropped.add(1);
                        *missed.entry(key).or_insert(0) += 1;
                        missed_some = true;
                    }
                    _ if later && out.state() == State::Open => {
                        cells.dropped.add(1);
                        let _ = close(out, CloseCode::TRY_AGAIN_LATER, "peer too slow");
                    }
                    // It is closing, or the message can never be sent.
                    _ => cells.dropped.add(1),
                }
            }
            Ok(())
        });
        if missed_some && !stream.wants().write {
            // So that `drained` reports it, although nothing is unsent. Else `note` sets it, and reports it
            // to the poller.
            slot.flags.set(Flags::UNSENT, true);
        }
        if !slot.is_unchanged(&sent) {
            self.note_sent(key, sent, now, handler);
        }
    }

    /// Makes a shutdown's next step.
    pub(super) fn depart<H: Handler<Session = S>>(&mut self, now: u64, handler: &mut H) {
        let slots = self.slots.end();
        let Some(departure) = &mut self.common.departure else { return };
        let (range, is_over) = (departure.advance(now, slots), departure.is_over(now));
        for key in range {
            self.close_for_shutdown(key, now, handler);
        }
        if is_over {
            for key in 0..slots {
                let Some(slot) = self.slots.get(key) else { continue };
                let is_open = matches!(slot.stage, Stage::Open(..));
                let cells = &self.common.hub.cells;
                if is_open { &cells.cut_off } else { &cells.failed_openings }.add(1);
                self.remove(key, now, handler);
                self.deliver_if_many(now, handler);
            }
        }
    }

    /// Closes a connection because of a shutdown.
    pub(super) fn close_for_shutdown<H: Handler<Session = S>>(
        &mut self,
        key: usize,
        now: u64,
        handler: &mut H,
    ) {
        let Self { slots, common } = self;
        let (Some(slot), Some(departure)) = (slots.get_mut(key), &common.departure) else { return };
        let stream = match &mut slot.stage {
            Stage::Open(stream, _) => stream,
            Stage::Opening(opening) => {
                if opening.answer(&Response::new(503)) {
                    return common.queue(key, &mut slot.flags);
                }
                common.hub.cells.failed_openings.add(1);
                return self.remove(key, now, handler);
            }
            Stage::Vacant => return,
        };
        let sent = stream.send_with(&mut common.scratch.at(now), |out| {
            // If it is already closing, it continues to.
            let _ = close(out, departure.code, &departure.reason);
            Ok(())
        });
        self.note_sent(key, sent, now, handler);
    }
}
