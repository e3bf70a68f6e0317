//! The link to other servers, as the event loop sees it: nothing here waits for the network.

use crate::chat::lock;
use crate::protocol::{self, Shared};
use crate::rooms::Rooms;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use websocket_stream::server::{Handle, HandleError};

/// The messages that wait for the link. While they are too many, new ones stay on this server.
const WAITING: usize = 1000;

/// The bytes from other servers that wait for the event loop. While they are too many, new ones are lost.
const ON_THE_WAY: usize = 16 << 20;

/// Cheap to clone: all clones are one link.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    handle: Handle,
    rooms: Arc<Mutex<Rooms>>,
    origin: Arc<str>,
    queue: SyncSender<Item>,
    /// Until the publisher takes it.
    items: Mutex<Option<Receiver<Item>>>,
    /// The rooms with local members.
    wanted: Mutex<HashSet<Arc<str>>>,
    /// The subscriber must look at them.
    changed: AtomicBool,
    /// The publisher's connection has probably failed.
    suspected: AtomicBool,
    /// Whether each half is connected.
    halves: Mutex<[bool; 2]>,
    /// The bytes from other servers that wait for the event loop.
    on_the_way: AtomicUsize,
}

/// Something for the publisher.
pub(crate) enum Item {
    Message {
        room: Arc<str>,
        json: String,
    },
    /// Nothing to send: a flag has changed.
    Wake,
}

/// A half of the link, each with a thread and a connection of its own.
#[derive(Clone, Copy)]
pub(crate) enum Half {
    Publisher,
    Subscriber,
}

/// A message on its way to the event loop. Its drop ends the way.
///
/// The server does not know how many bytes a closure owns, so the link counts them itself.
struct OnTheWay {
    link: Link,
    bytes: usize,
}

impl OnTheWay {
    /// Returns `None` if too many bytes are on the way.
    fn begin(link: &Link, bytes: usize) -> Option<Self> {
        let this = Self { link: link.clone(), bytes };
        let before = link.0.on_the_way.fetch_add(bytes, Ordering::Relaxed);
        (before + bytes <= ON_THE_WAY).then_some(this)
    }
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        self.link.0.on_the_way.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Nothing panics while it holds a lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(crate) fn new(handle: Handle, rooms: Arc<Mutex<Rooms>>, origin: Arc<str>) -> Self {
        let (queue, items) = sync_channel(WAITING);
        Self(Arc::new(Inner {
            handle,
            rooms,
            origin,
            queue,
            items: Mutex::new(Some(items)),
            wanted: Mutex::default(),
            changed: AtomicBool::new(false),
            suspected: AtomicBool::new(false),
            halves: Mutex::default(),
            on_the_way: AtomicUsize::new(0),
        }))
    }

    /// Sends a message to the members of a room on other servers. While the link is down, it waits; when too
    /// many wait, it stays on this server, whose members see that the link is down.
    pub(crate) fn send(&self, room: &Arc<str>, json: String) {
        let _ = self.0.queue.try_send(Item::Message { room: Arc::clone(room), json });
    }

    /// Receives what is said in a room on other servers, from soon on.
    pub(crate) fn enter(&self, room: &Arc<str>) {
        locked(&self.0.wanted).insert(Arc::clone(room));
        self.wake_subscriber();
    }

    pub(crate) fn leave(&self, room: &str) {
        locked(&self.0.wanted).remove(room);
        self.wake_subscriber();
    }

    /// One item is enough, however often rooms change: the queue is for messages.
    pub(crate) fn wake_subscriber(&self) {
        if !self.0.changed.swap(true, Ordering::AcqRel) {
            self.wake_publisher();
        }
    }

    /// If the queue is full, the publisher is awake, and looks at the flags after its next item.
    fn wake_publisher(&self) {
        let _ = self.0.queue.try_send(Item::Wake);
    }

    /// Returns whether messages cross, as far as is known.
    pub(crate) fn is_up(&self) -> bool {
        *locked(&self.0.halves) == [true; 2]
    }

    // What follows is for the link's own threads.

    pub(crate) fn origin(&self) -> &str {
        &self.0.origin
    }

    pub(crate) fn take_items(&self) -> Option<Receiver<Item>> {
        locked(&self.0.items).take()
    }

    pub(crate) fn wanted(&self) -> HashSet<Arc<str>> {
        locked(&self.0.wanted).clone()
    }

    /// Returns whether the wanted rooms have changed since the last call.
    pub(crate) fn take_changed(&self) -> bool {
        self.0.changed.swap(false, Ordering::Acquire)
    }

    /// Makes the publisher connect again: a connection to the same place has failed.
    pub(crate) fn suspect_publisher(&self) {
        self.0.suspected.store(true, Ordering::Release);
        self.wake_publisher();
    }

    pub(crate) fn take_suspicion(&self) -> bool {
        self.0.suspected.swap(false, Ordering::Acquire)
    }

    pub(crate) fn is_connected(&self, half: Half) -> bool {
        locked(&self.0.halves)[half as usize]
    }

    /// Notes that a half is connected or not, and reports to all members if that changes the link.
    pub(crate) fn set_connected(&self, half: Half, connected: bool) -> Result<(), HandleError> {
        let mut halves = locked(&self.0.halves);
        let before = *halves == [true; 2];
        halves[half as usize] = connected;
        let is_up = *halves == [true; 2];
        if is_up == before {
            return Ok(());
        }
        let rooms = Arc::clone(&self.0.rooms);
        // Under the lock, so that reports leave in their order.
        let reported = self.0.handle.run(move |hub| {
            let report = protocol::link(is_up);
            for room in lock(&rooms).occupied() {
                hub.publish(room, &report);
            }
        });
        // If the event loop is too busy, the members are not informed.
        if reported == Err(HandleError::Full) { Ok(()) } else { reported }
    }

    /// Delivers what was received for a room, unless this server has sent it. It is lost if too much waits
    /// for the event loop.
    pub(crate) fn deliver(&self, room: &str, payload: &[u8]) -> Result<(), HandleError> {
        let Some(shared) = Shared::parse(payload) else { return Ok(()) };
        if shared.id().strip_prefix(&*self.0.origin).is_some_and(|rest| rest.starts_with('-')) {
            return Ok(());
        }
        let Some(on_the_way) = OnTheWay::begin(self, payload.len()) else { return Ok(()) };
        let (room, rooms): (Arc<str>, _) = (room.into(), Arc::clone(&self.0.rooms));
        let delivered = self.0.handle.run(move |hub| {
            drop(on_the_way);
            let json = shared.to_json();
            if let Shared::Message { .. } = shared {
                lock(&rooms).remember(&room, &json);
            }
            hub.publish(&room, &json);
        });
        if delivered == Err(HandleError::Full) { Ok(()) } else { delivered }
    }
}
