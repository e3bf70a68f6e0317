//! Who is subscribed to what. Joining and leaving take constant time, and a membership takes twelve bytes.
//!
//! ```text
//! topic    members: the slots of its members, in any order
//! member   subscriptions: each topic, and the member's position in it
//! ```
#![forbid(unsafe_code)]

use super::slots::index32;
use slab::Slab;
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

/// The number of subscriptions from which a member's are found by hashing.
const MANY: usize = 16;

/// The topics of a thread. A topic exists while it has members.
#[derive(Default)]
pub(super) struct Topics {
    names: HashMap<Arc<str>, u32>,
    topics: Slab<Topic>,
    /// By slot.
    subscriptions: Vec<Subscriptions>,
    /// The subscriptions of members with more than one.
    several: Slab<Several>,
    /// Topics that lost their last member since [`release`](Topics::release).
    emptied: Vec<u32>,
    memberships: usize,
}

struct Topic {
    name: Arc<str>,
    members: Vec<u32>,
}

/// A member's subscriptions in eight bytes: none, a topic and the position in it, or an index of `several`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Subscriptions(u64);

/// Subscriptions to two or more topics, each with the position in it. Also to one or none, after some ended.
enum Several {
    Few(Vec<(u32, u32)>),
    Many(HashMap<u32, u32>),
}

enum Kind {
    None,
    One(u32, u32),
    Several(usize),
}

impl Subscriptions {
    const NONE: Self = Self(u64::MAX);
    /// Set if this is an index. A topic has fewer bits.
    const SEVERAL: u64 = 1 << 63;

    fn one(topic: u32, position: u32) -> Self {
        Self(u64::from(topic) << 32 | u64::from(position))
    }

    fn several(index: usize) -> Self {
        Self(Self::SEVERAL | index as u64)
    }

    #[inline]
    fn kind(self) -> Kind {
        match self.0 {
            u64::MAX => Kind::None,
            bits if bits & Self::SEVERAL != 0 => Kind::Several((bits & !Self::SEVERAL) as usize),
            bits => Kind::One((bits >> 32) as u32, (bits << 32 >> 32) as u32),
        }
    }
}

impl Several {
    fn position(&self, topic: u32) -> Option<u32> {
        match self {
            Self::Few(few) => few.iter().find(|entry| entry.0 == topic).map(|entry| entry.1),
            Self::Many(many) => many.get(&topic).copied(),
        }
    }

    /// Sets the position in a topic, which may be new.
    fn set(&mut self, topic: u32, position: u32) {
        match self {
            Self::Few(few) => match few.iter().position(|entry| entry.0 == topic) {
                Some(index) => few[index].1 = position,
                None if few.len() < MANY => few.push((topic, position)),
                None => *self = Self::Many(few.iter().copied().chain([(topic, position)]).collect()),
            },
            Self::Many(many) => _ = many.insert(topic, position),
        }
    }

    fn remove(&mut self, topic: u32) -> Option<u32> {
        match self {
            Self::Few(few) => {
                let index = few.iter().position(|entry| entry.0 == topic)?;
                Some(few.swap_remove(index).1)
            }
            Self::Many(many) => many.remove(&topic),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }
}

impl Topics {
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// Adds a member, and returns the topic and whether the member is new.
    pub(super) fn subscribe(&mut self, slot: usize, name: &str) -> (u32, bool) {
        let topic = self.find(name).unwrap_or_else(|| self.add(name));
        if self.position(slot, topic).is_some() {
            return (topic, false);
        }
        if self.subscriptions.len() <= slot {
            self.subscriptions.resize(slot + 1, Subscriptions::NONE);
        }
        let members = &mut self.topics[topic as usize].members;
        let position = index32(members.len());
        members.push(index32(slot));
        self.set_position(slot, topic, position);
        self.memberships += 1;
        (topic, true)
    }

    fn add(&mut self, name: &str) -> u32 {
        let name: Arc<str> = name.into();
        let topic = self.topics.insert(Topic { name: Arc::clone(&name), members: Vec::new() });
        let topic = index32(topic);
        self.names.insert(name, topic);
        topic
    }

    /// Removes a member, and returns whether it was one.
    pub(super) fn unsubscribe(&mut self, slot: usize, name: &str) -> bool {
        let topic = self.find(name);
        topic.is_some_and(|topic| self.end_subscription(slot, topic))
    }

    /// Removes a member from all of its topics.
    #[inline]
    pub(super) fn forget(&mut self, slot: usize) {
        let Some(subscriptions) = self.subscriptions.get_mut(slot) else { return };
        // Positions stay valid while the member leaves: only other members move.
        match mem::replace(subscriptions, Subscriptions::NONE).kind() {
            Kind::None => {}
            Kind::One(topic, position) => self.leave(topic, position),
            Kind::Several(index) => match self.several.remove(index) {
                Several::Few(few) => few.into_iter().for_each(|entry| self.leave(entry.0, entry.1)),
                Several::Many(many) => many.into_iter().for_each(|entry| self.leave(entry.0, entry.1)),
            },
        }
    }

    fn end_subscription(&mut self, slot: usize, topic: u32) -> bool {
        let Some(position) = self.position(slot, topic) else { return false };
        match self.subscriptions[slot].kind() {
            Kind::None | Kind::One(..) => self.subscriptions[slot] = Subscriptions::NONE,
            Kind::Several(index) => {
                self.several[index].remove(topic);
                if self.several[index].len() == 0 {
                    self.several.remove(index);
                    self.subscriptions[slot] = Subscriptions::NONE;
                }
            }
        }
        self.leave(topic, position);
        true
    }

    /// Removes the member at a position. The last member takes its place.
    fn leave(&mut self, topic: u32, position: u32) {
        self.memberships -= 1;
        let members = &mut self.topics[topic as usize].members;
        members.swap_remove(position as usize);
        // A topic that was once large does not keep its memory.
        if members.capacity() > 64 && members.len() < members.capacity() / 4 {
            members.shrink_to(members.capacity() / 2);
        }
        if members.is_empty() {
            self.emptied.push(topic);
        } else if let Some(&moved) = members.get(position as usize) {
            self.set_position(moved as usize, topic, position);
        }
    }

    fn position(&self, slot: usize, topic: u32) -> Option<u32> {
        match self.subscriptions.get(slot)?.kind() {
            Kind::None => None,
            Kind::One(only, position) => (only == topic).then_some(position),
            Kind::Several(index) => self.several[index].position(topic),
        }
    }

    /// Sets the position of a member in a topic, which may be new to it.
    fn set_position(&mut self, slot: usize, topic: u32, position: u32) {
        self.subscriptions[slot] = match self.subscriptions[slot].kind() {
            Kind::None => Subscriptions::one(topic, position),
            Kind::One(only, _) if only == topic => Subscriptions::one(topic, position),
            Kind::One(only, old) => {
                let few = Several::Few(vec![(only, old), (topic, position)]);
                Subscriptions::several(self.several.insert(few))
            }
            Kind::Several(index) => return self.several[index].set(topic, position),
        };
    }

    fn kind_of(&self, slot: usize) -> Kind {
        self.subscriptions.get(slot).map_or(Kind::None, |subscriptions| subscriptions.kind())
    }

    /// Returns the number of topics of a member.
    pub(super) fn count_of(&self, slot: usize) -> usize {
        match self.kind_of(slot) {
            Kind::None => 0,
            Kind::One(..) => 1,
            Kind::Several(index) => self.several[index].len(),
        }
    }

    /// Passes each topic of a member to `f`.
    pub(super) fn each_of(&self, slot: usize, mut f: impl FnMut(u32)) {
        match self.kind_of(slot) {
            Kind::None => {}
            Kind::One(topic, _) => f(topic),
            Kind::Several(index) => match &self.several[index] {
                Several::Few(few) => few.iter().for_each(|entry| f(entry.0)),
                Several::Many(many) => many.keys().copied().for_each(f),
            },
        }
    }

    /// Removes the topics without members. Until then, an index means the same topic.
    pub(super) fn release(&mut self) {
        while let Some(topic) = self.emptied.pop() {
            let is_empty = |topic: &Topic| topic.members.is_empty();
            if self.topics.get(topic as usize).is_some_and(is_empty) {
                let topic = self.topics.remove(topic as usize);
                self.names.remove(&topic.name);
            }
        }
    }

    /// Returns the slots of a topic's members.
    #[inline]
    pub(super) fn members(&self, topic: u32) -> &[u32] {
        self.topics.get(topic as usize).map_or(&[], |topic| &topic.members)
    }

    /// Returns whether a member is subscribed to more than one topic, or was before.
    #[inline]
    pub(super) fn has_several(&self, slot: usize) -> bool {
        self.subscriptions.get(slot).is_some_and(|bits| matches!(bits.kind(), Kind::Several(_)))
    }

    #[inline]
    pub(super) fn is_member(&self, slot: usize, topic: u32) -> bool {
        self.position(slot, topic).is_some()
    }

    /// Returns the number of topics, and of memberships.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.names.len(), self.memberships)
    }
}
