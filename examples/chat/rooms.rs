//! The rooms of this server: who is in them, and what was said last.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The rooms, those without members included. Such a room is forgotten when there are more.
const ROOMS: usize = 1000;

/// The messages that a room keeps for new members, and their bytes.
const HISTORY: usize = 50;
const HISTORY_BYTES: usize = 64 << 10;

/// The longest name of a room in bytes.
const NAME: usize = 40;

#[derive(Default)]
pub(crate) struct Rooms {
    rooms: HashMap<Arc<str>, Room>,
}

#[derive(Default)]
struct Room {
    members: usize,
    history: VecDeque<Arc<str>>,
    /// The bytes of the history.
    bytes: usize,
}

/// Returns the room of a path. `/` is a room, too.
pub(crate) fn room_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix('/')?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (name.len() <= NAME && name.bytes().all(is_plain) && name != "health").then_some(path)
}

impl Rooms {
    /// Makes a room if it does not exist. Returns `None` if there are too many.
    pub(crate) fn prepare(&mut self, name: &str) -> Option<Arc<str>> {
        if let Some((name, _)) = self.rooms.get_key_value(name) {
            return Some(Arc::clone(name));
        }
        if self.rooms.len() >= ROOMS {
            let empty = self.rooms.iter().find(|(_, room)| room.members == 0);
            let empty = Arc::clone(empty?.0);
            self.rooms.remove(&empty);
        }
        let name: Arc<str> = name.into();
        self.rooms.insert(Arc::clone(&name), Room::default());
        Some(name)
    }

    /// Adds a member, and returns whether it is the first.
    pub(crate) fn join(&mut self, name: &Arc<str>) -> bool {
        let room = self.rooms.entry(Arc::clone(name)).or_default();
        room.members += 1;
        room.members == 1
    }

    /// Removes a member, and returns whether it was the last.
    pub(crate) fn leave(&mut self, name: &str) -> bool {
        let Some(room) = self.rooms.get_mut(name) else { return false };
        room.members = room.members.saturating_sub(1);
        room.members == 0
    }

    /// Keeps a message for new members.
    pub(crate) fn remember(&mut self, name: &str, message: &str) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.bytes += message.len();
        room.history.push_back(message.into());
        while room.history.len() > HISTORY || room.bytes > HISTORY_BYTES {
            let Some(oldest) = room.history.pop_front() else { break };
            room.bytes -= oldest.len();
        }
    }

    /// Returns a room's last messages.
    pub(crate) fn history(&self, name: &str) -> impl Iterator<Item = &str> {
        self.rooms.get(name).into_iter().flat_map(|room| room.history.iter().map(|message| &**message))
    }

    /// Returns the rooms with members.
    pub(crate) fn occupied(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rooms.iter().filter(|(_, room)| room.members > 0).map(|(name, _)| name)
    }
}
