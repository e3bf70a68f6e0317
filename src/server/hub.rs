//! What all connections of a thread share, and messages from one connection to others.
//!
//! A handler runs while its connection is driven, so nothing can be sent to another connection at that time.
//! Messages are collected here, and delivered at the end of the round: all messages for a receiver in one
//! write.
#![forbid(unsafe_code)]

use super::config::SlowPeer;
use super::counters::{Cells, Counters, Traffic};
use super::posts::{Abroad, Following, Note, Payload, Post, Published};
use super::slots::{self, Id};
use super::topics::Topics;
use crate::frame::CloseCode;
use crate::handshake::Response;
use crate::protocol::Message;
use crate::stream::PreparedMessage;
use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// All connections of one thread, for sending to others than the current peer.
///
/// [`Peer::hub`](super::Peer::hub), [`Connections::hub`](super::Connections::hub) and
/// [`Handle::run`](super::Handle::run) lend it. What is sent through it is delivered at the end of the round.
/// For one receiver, messages are delivered in the order in which they were sent or published.
///
/// ```
/// # use websocket_stream::server::{Failure, Handler, Peer};
/// use websocket_stream::{Message, testing::TestServer};
/// # struct Room;
/// # impl Handler for Room {
/// #     type Session = ();
/// #     fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
/// #         Ok(())
/// #     }
/// #     fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
/// #         Ok(drop(peer.subscribe("room")))
/// #     }
/// # }
///
/// let mut server = TestServer::new(Room); // its handler subscribes each peer
/// let client = server.connect("/")?;
/// let hub = server.hub(); // in a program, from `Connections::hub` or in `Handle::run`
/// assert_eq!((hub.members("room"), hub.topics()), (1, 1));
/// hub.publish("room", "news");
/// assert_eq!(server.receive(client)?, Some(Message::Text("news")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Hub {
    pub(super) thread: u32,
    /// The key of the connection whose handler is being called, or was called last.
    pub(super) key: usize,
    /// The generation of its slot.
    pub(super) generation: u32,
    /// Whether its handler is being called: still set after a panic.
    pub(super) in_handler: bool,
    pub(super) topics: Topics,
    /// Answers to requests of this thread's connections.
    pub(super) answers: VecDeque<(Id, Response)>,
    pub(super) posts: Vec<Post>,
    /// The bytes of the posts.
    pub(super) posted_bytes: usize,
    /// For each topic with posts, their indices.
    pub(super) published: HashMap<u32, Published>,
    /// Notes to this thread's connections, and what was sent after the first of them. A note is delivered
    /// after the posts; its handler may subscribe the peer to what follows.
    following: VecDeque<Following>,
    /// Whether the handler is being called with a note: still set after a panic.
    pub(super) in_note: bool,
    /// Messages for other threads.
    pub(super) abroad: Vec<Abroad>,
    pub(super) has_abroad: bool,
    pub(super) traffic: Traffic,
    pub(super) cells: Arc<Cells>,
    pub(super) slow_peer: SlowPeer,
    /// The time of the current call.
    pub(super) now: u64,
    pub(super) shutting_down: bool,
}

impl Hub {
    pub(super) fn new(thread: u32, slow_peer: SlowPeer, cells: Arc<Cells>) -> Self {
        Self {
            thread,
            key: 0,
            generation: 0,
            in_handler: false,
            topics: Topics::default(),
            answers: VecDeque::new(),
            posts: Vec::new(),
            posted_bytes: 0,
            published: HashMap::new(),
            following: VecDeque::new(),
            in_note: false,
            abroad: Vec::new(),
            has_abroad: false,
            traffic: Traffic::default(),
            cells,
            slow_peer,
            now: 0,
            shutting_down: false,
        }
    }

    /// Sends a message to all members of a topic, on all threads.
    ///
    /// It is encoded and compressed once. On a server with one thread, a topic without members costs nothing,
    /// unless notes wait.
    pub fn publish<'m>(&mut self, topic: &str, message: impl Into<Message<'m>>) {
        self.publish_to(topic, message.into(), None, self.slow_peer);
    }

    /// Publishes a message with its own policy for members that are too slow.
    pub fn publish_with<'m>(&mut self, topic: &str, message: impl Into<Message<'m>>, slow_peer: SlowPeer) {
        self.publish_to(topic, message.into(), None, slow_peer);
    }

    /// Publishes a message that is encoded already.
    pub fn publish_prepared(&mut self, topic: &str, message: &PreparedMessage) {
        self.publish_payload(topic, Payload::Prepared(message.clone()), None, self.slow_peer);
    }

    /// Sends a message to one connection, on any thread. If it has ended, or is not open yet, the message is
    /// dropped.
    ///
    /// If its send buffer is full, or a message in [fragments](super::Peer::send_fragment) is unfinished, it
    /// is closed with 1013 (try again later).
    pub fn send_to<'m>(&mut self, id: Id, message: impl Into<Message<'m>>) {
        let message = Payload::from(message.into());
        self.post(Post::Send { to: id, message });
    }

    /// Calls [`Handler::notified`](super::Handler::notified) for one connection, on any thread, with its
    /// session: after what was sent before, and before what is sent later. If the connection is not open,
    /// the value is dropped.
    pub fn notify(&mut self, id: Id, value: impl Any + Send) {
        self.post(Post::Notify(Note { to: id, value: Box::new(value) }));
    }

    /// Begins the closing handshake with a connection, on any thread.
    ///
    /// A code that cannot be sent counts as 1011, and a reason is cut off after 123 bytes.
    pub fn close(&mut self, id: Id, code: CloseCode, reason: &str) {
        self.post(Post::Close { to: id, code, reason: reason.to_owned() });
    }

    /// Answers a request that was answered with [`Answer::Later`](super::Answer::Later).
    ///
    /// A request that was answered before, or whose client has gone, is not answered again.
    pub fn answer(&mut self, id: Id, response: Response) {
        self.post(Post::Answer { to: id, response });
    }

    /// Returns the number of members of a topic on this thread.
    pub fn members(&self, topic: &str) -> usize {
        self.topics.find(topic).map_or(0, |topic| self.topics.members(topic).len())
    }

    /// Returns the number of topics with members on this thread.
    pub fn topics(&self) -> usize {
        self.topics.len().0
    }

    /// Returns the number of subscriptions of all connections of this thread.
    pub fn subscriptions(&self) -> usize {
        self.topics.len().1
    }

    /// Returns the time of this call, since the server began to run on this thread, or since the start of the
    /// clock of [`Connections`](super::Connections). Between two calls of `Connections`, the time of the
    /// last one.
    ///
    /// In a [`TestServer`](crate::testing::TestServer), only its `advance` changes it.
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.now)
    }

    /// Returns whether the server is being [shut down](super::Handle::shut_down).
    pub fn is_shutting_down(&self) -> bool {
        self.shutting_down
    }

    /// Returns the counters of this thread.
    pub fn counters(&self) -> Counters {
        self.traffic.store(&self.cells);
        let mut counters = Counters::default();
        self.cells.add_to(&mut counters);
        counters
    }

    /// Notes that the handler is called for a connection.
    #[inline]
    pub(super) fn enter(&mut self, key: usize, generation: u32) {
        self.key = key;
        self.generation = generation;
        self.in_handler = true;
    }

    /// Returns the id of the connection whose handler is being called, or was called last.
    #[inline]
    pub(super) fn peer(&self) -> Id {
        slots::id(self.thread, self.key, self.generation)
    }

    pub(super) fn publish_to(
        &mut self,
        topic: &str,
        message: Message<'_>,
        except: Option<Id>,
        slow_peer: SlowPeer,
    ) {
        if self.has_abroad || self.notes() > 0 || self.members(topic) > 0 {
            self.publish_payload(topic, message.into(), except, slow_peer);
        }
    }

    fn publish_payload(&mut self, topic: &str, message: Payload, except: Option<Id>, slow_peer: SlowPeer) {
        self.publish_in_order(topic, message, except, slow_peer, self.has_abroad);
    }

    fn publish_in_order(
        &mut self,
        topic: &str,
        message: Payload,
        except: Option<Id>,
        slow_peer: SlowPeer,
        goes_abroad: bool,
    ) {
        let topic_of = || topic.into();
        if self.notes() > 0 {
            let (topic, late) = (topic_of(), Vec::new());
            return self.follow(Following::Publish { topic, message, except, slow_peer, goes_abroad, late });
        }
        let abroad = goes_abroad.then(topic_of);
        let local = self.topics.find(topic);
        if let Some(local) = local {
            self.published.entry(local).or_default().posts.push(self.posts.len());
        }
        if local.is_some() || abroad.is_some() {
            self.push(Post::Publish { message, except, slow_peer, abroad });
        }
    }

    /// Keeps something for one receiver, on this thread or on another.
    pub(super) fn post(&mut self, post: Post) {
        match post {
            Post::Answer { to, response } if to.thread() == self.thread as usize => {
                self.answers.push_back((to, response));
            }
            Post::Notify(note) if note.to.thread() == self.thread as usize => {
                self.follow(Following::Note(note));
            }
            post if self.notes() > 0 => self.follow(Following::Post(post)),
            post => self.push(post),
        }
    }

    fn follow(&mut self, following: Following) {
        self.posted_bytes += following.bytes();
        self.following.push_back(following);
    }

    /// Returns the number of notes for this thread's connections and of what waits for them, together.
    #[inline]
    pub(super) fn notes(&self) -> usize {
        self.following.len()
    }

    /// Takes the next note, when everything before it has been delivered.
    pub(super) fn next_note(&mut self) -> Option<Note> {
        match self.following.pop_front()? {
            Following::Note(note) => Some(note),
            other => {
                self.following.push_front(other);
                None
            }
        }
    }

    /// Posts what waited for the notes before it, up to the next note.
    pub(super) fn post_following(&mut self) {
        let mut following = std::mem::take(&mut self.following);
        while let Some(next) = following.pop_front() {
            match next {
                Following::Note(note) => {
                    following.push_front(Following::Note(note));
                    break;
                }
                Following::Publish { topic, message, except, slow_peer, goes_abroad, late } => {
                    self.publish_in_order(&topic, message, except, slow_peer, goes_abroad);
                    if let Some(topic) = self.topics.find(&topic)
                        && let Some(published) = self.published.get_mut(&topic)
                    {
                        let posts = published.posts.len();
                        published.late.extend(late.into_iter().map(|slot| (slot, posts)));
                    }
                }
                Following::Post(post) => self.push(post),
            }
        }
        self.following = following;
    }

    fn push(&mut self, post: Post) {
        self.posted_bytes += post.bytes();
        self.posts.push(post);
    }

    /// Returns whether something is to be delivered.
    pub(super) fn has_posts(&self) -> bool {
        !self.posts.is_empty() || !self.answers.is_empty() || self.notes() > 0
    }

    /// Adds a member, which receives what is published from now on.
    pub(super) fn subscribe(&mut self, id: Id, topic: &str) -> bool {
        let (index, is_new) = self.topics.subscribe(id.slot(), topic);
        if is_new && let Some(published) = self.published.get_mut(&index) {
            published.late.insert(id.slot(), published.posts.len());
        }
        if is_new && !self.in_note {
            self.miss_following(id.slot(), topic);
        }
        is_new
    }

    /// Notes that a new member does not receive what was published to a topic and waits for notes.
    fn miss_following(&mut self, slot: usize, subscribed: &str) {
        for following in &mut self.following {
            if let Following::Publish { topic, late, .. } = following
                && **topic == *subscribed
            {
                late.push(slot);
            }
        }
    }

    /// Publishes what was sent through a handle.
    pub(super) fn publish_letter(&mut self, topic: &str, message: Payload, slow_peer: Option<SlowPeer>) {
        let slow_peer = slow_peer.unwrap_or(self.slow_peer);
        self.publish_payload(topic, message, None, slow_peer);
    }

    /// Publishes what another thread has published.
    pub(super) fn publish_here(&mut self, topic: &str, message: PreparedMessage, slow_peer: SlowPeer) {
        self.publish_in_order(topic, Payload::Prepared(message), None, slow_peer, false);
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("thread", &self.thread)
            .field("topics", &self.topics())
            .field("subscriptions", &self.subscriptions())
            .finish_non_exhaustive()
    }
}
