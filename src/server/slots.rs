//! A table of connections whose ids are never reused.
#![forbid(unsafe_code)]

use std::fmt;

/// The identity of a connection of a [`Server`](super::Server) or of [`Connections`](super::Connections).
///
/// It is never reused: what is sent to the id of a connection that has ended reaches nobody.
///
/// ```
/// # use websocket_stream::server::{Failure, Handler};
/// use websocket_stream::server::{Id, Peer};
/// use websocket_stream::{Message, testing::TestServer};
///
/// /// Sends everything to the first peer. From `Handler::message`.
/// fn forward(first: &mut Option<Id>, peer: &mut Peer<'_>, message: Message<'_>) {
///     let first = *first.get_or_insert(peer.id());
///     peer.send_to(first, message); // if it has left, the message is dropped
/// }
/// # #[derive(Default)]
/// # struct Support(Option<Id>);
/// # impl Handler for Support {
/// #     type Session = ();
/// #     fn message(&mut self, p: &mut Peer<'_>, _: &mut (), m: Message<'_>) -> Result<(), Failure> {
/// #         Ok(forward(&mut self.0, p, m))
/// #     }
/// # }
/// let mut server = TestServer::new(Support::default());
/// let (ann, ben) = (server.connect("/")?, server.connect("/")?);
/// server.send(ann, "here")?;
/// assert_eq!(server.receive(ann)?, Some(Message::Text("here")));
/// server.send(ben, "help")?;
/// assert_eq!(server.receive(ann)?, Some(Message::Text("help")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    thread: u32,
    slot: u32,
    generation: u32,
}

impl Id {
    pub(super) const fn thread(self) -> usize {
        self.thread as usize
    }

    pub(super) const fn slot(self) -> usize {
        self.slot as usize
    }
}

/// Prints the thread's index, and the slot and its generation on that thread.
impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { thread, slot, generation } = self;
        write!(f, "{thread}-{slot}-{generation}")
    }
}

/// A value that can leave its slot vacant. The generation lies in the value, so that it fits into padding.
pub(super) trait Occupant {
    fn generation(&self) -> u32;
    fn is_vacant(&self) -> bool;
}

/// Slots of occupants. A slot has a new generation each time it is occupied; after the last generation, it
/// stays vacant forever.
pub(super) struct Slots<O> {
    slots: Vec<O>,
    vacant: Vec<u32>,
    occupied: usize,
}

impl<O> Default for Slots<O> {
    fn default() -> Self {
        Self { slots: Vec::new(), vacant: Vec::new(), occupied: 0 }
    }
}

impl<O: Occupant> Slots<O> {
    /// Occupies a slot with the value that `make` returns for its generation. Returns `None` if all slots
    /// below `bound` are occupied.
    pub(super) fn insert(&mut self, bound: usize, make: impl FnOnce(u32) -> O) -> Option<usize> {
        let key = match self.vacant.pop() {
            Some(slot) => {
                let key = slot as usize;
                self.slots[key] = make(self.slots[key].generation() + 1);
                key
            }
            None => {
                let key = self.slots.len();
                if key >= bound {
                    return None;
                }
                self.slots.push(make(0));
                key
            }
        };
        self.occupied += 1;
        Some(key)
    }

    /// Marks a slot as vacant, after its occupant has become so.
    pub(super) fn vacate(&mut self, key: usize) {
        self.occupied -= 1;
        if self.slots[key].generation() < u32::MAX {
            self.vacant.push(index32(key));
        }
    }

    #[inline]
    pub(super) fn get(&self, key: usize) -> Option<&O> {
        self.slots.get(key).filter(|occupant| !occupant.is_vacant())
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: usize) -> Option<&mut O> {
        self.slots.get_mut(key).filter(|occupant| !occupant.is_vacant())
    }

    /// Returns a slot below [`end`](Self::end), occupied or vacant.
    #[inline]
    pub(super) fn any_mut(&mut self, key: usize) -> &mut O {
        &mut self.slots[key]
    }

    /// Returns the number of occupied slots.
    pub(super) fn len(&self) -> usize {
        self.occupied
    }

    /// Returns the number of slots, vacant ones included.
    #[inline]
    pub(super) fn end(&self) -> usize {
        self.slots.len()
    }

    /// Returns the key of an id's slot, if the id's connection still occupies it.
    pub(super) fn find(&self, id: Id) -> Option<usize> {
        let key = id.slot();
        self.get(key).filter(|occupant| occupant.generation() == id.generation).map(|_| key)
    }
}

/// Makes an index shorter: of a slot, of which there are at most [`Wheel::MAX_KEY`](crate::Wheel::MAX_KEY),
/// or of something that each takes more memory than an index.
#[inline]
pub(super) fn index32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Returns the id of the connection in a slot.
#[inline]
pub(super) fn id(thread: u32, key: usize, generation: u32) -> Id {
    Id { thread, slot: index32(key), generation }
}
