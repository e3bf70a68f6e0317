//! Reaching a server from other threads: a mailbox for each of its loops.
#![forbid(unsafe_code)]

use super::config::SlowPeer;
use super::counters::Counters;
use super::error::{HandleError, NotAdopted};
use super::hub::Hub;
use super::mailbox::{Adopted, Letter, Mailbox};
use super::posts::{Abroad, Note, Payload, Post};
use super::shutdown::Shutdown;
use super::slots::Id;
use crate::frame::CloseCode;
use crate::handshake::Response;
use crate::protocol::Message;
use crate::stream::{PreparedMessage, WebSocketStream};
use std::any::Any;
use std::mem;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Reaches a running [`Server`](super::Server) from any thread; [`Server::handle`](super::Server::handle)
/// returns it.
///
/// Each call puts something into the mailbox of an event loop, and wakes the loop if the mailbox was empty.
/// Many calls in a row therefore cost one wake-up. What one thread sends through a handle and its clones is
/// delivered in the order in which it was sent.
///
/// ```no_run
/// use std::time::Duration;
/// use websocket_stream::server::{Failure, HandleError, Handler, Peer, Server};
/// use websocket_stream::Message;
///
/// struct Ticks;
///
/// impl Handler for Ticks {
///     type Session = ();
///
///     fn opened(&mut self, peer: &mut Peer<'_>, _: &mut ()) -> Result<(), Failure> {
///         peer.subscribe("ticks");
///         Ok(())
///     }
///
///     fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
///         Ok(())
///     }
/// }
///
/// fn main() -> std::io::Result<()> {
///     let server = Server::bind("127.0.0.1:9001")?;
///     let handle = server.handle();
///     std::thread::spawn(move || {
///         for tick in 0_u64.. {
///             std::thread::sleep(Duration::from_secs(1));
///             if handle.publish("ticks", &tick.to_string()) == Err(HandleError::Ended) {
///                 break;
///             }
///         }
///     });
///     server.run(Ticks)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Handle {
    mailboxes: Arc<Mutex<Vec<Arc<Mailbox>>>>,
}

/// More event loops than any machine has use for. Without a bound, a wrong number would take all memory.
const MOST_THREADS: usize = 1024;

impl Handle {
    pub(super) fn new() -> Self {
        Self { mailboxes: Arc::new(Mutex::new(vec![Arc::new(Mailbox::new())])) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Mailbox>>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the number of event loops.
    pub(super) fn set_threads(&self, threads: usize) {
        self.lock().resize_with(threads.clamp(1, MOST_THREADS), || Arc::new(Mailbox::new()));
    }

    /// Sets the bytes that may wait for an event loop.
    pub(super) fn set_limit(&self, limit: usize) {
        self.lock().iter().for_each(|mailbox| mailbox.set_limit(limit));
    }

    pub(super) fn mailboxes(&self) -> Vec<Arc<Mailbox>> {
        self.lock().clone()
    }

    /// Puts a letter into the mailbox of the first thread that has not ended. That thread passes on what is
    /// for others, so that the order is kept.
    fn put(&self, letter: Letter) -> Result<(), HandleError> {
        self.first()?.offer(letter)
    }

    /// Returns the mailbox of the first thread that has not ended.
    fn first(&self) -> Result<Arc<Mailbox>, HandleError> {
        self.lock().iter().find(|mailbox| !mailbox.has_ended()).cloned().ok_or(HandleError::Ended)
    }

    /// Sends a message to all members of a topic, on all threads; see [`Hub::publish`].
    ///
    /// # Errors
    ///
    /// [`HandleError`]: the server has ended, or too much waits for the event loop.
    pub fn publish<'m>(&self, topic: &str, message: impl Into<Message<'m>>) -> Result<(), HandleError> {
        let message = Payload::from(message.into());
        self.put(Letter::Publish { topic: topic.into(), message, slow_peer: None })
    }

    /// Publishes a message with its own policy for members that are too slow.
    ///
    /// # Errors
    ///
    /// [`HandleError`]: the server has ended, or too much waits for the event loop.
    pub fn publish_with<'m>(
        &self,
        topic: &str,
        message: impl Into<Message<'m>>,
        slow_peer: SlowPeer,
    ) -> Result<(), HandleError> {
        let message = Payload::from(message.into());
        self.put(Letter::Publish { topic: topic.into(), message, slow_peer: Some(slow_peer) })
    }

    /// Publishes a message that is encoded already.
    ///
    /// # Errors
    ///
    /// [`HandleError`]: the server has ended, or too much waits for the event loop.
    pub fn publish_prepared(&self, topic: &str, message: &PreparedMessage) -> Result<(), HandleError> {
        let message = Payload::Prepared(message.clone());
        self.put(Letter::Publish { topic: topic.into(), message, slow_peer: None })
    }

    /// Sends a message to one connection; see [`Hub::send_to`].
    ///
    /// # Errors
    ///
    /// [`HandleError`]: the server has ended, or too much waits for the event loop.
    pub fn send_to<'m>(&self, id: Id, message: impl Into<Message<'m>>) -> Result<(), HandleError> {
        let message = Payload::from(message.into());
        self.put(Letter::Post(Post::Send { to: id, message }))
    }

    /// Calls [`Handler::notified`](super::Handler::notified) for one connection, on its event loop: such as
    /// with the result of slow work, which the handler puts into the session. See [`Hub::notify`].
    ///
    /// The bytes that the value owns do not count for the bound of the mailbox. After an error, the value is
    /// dropped: keep a clone to try again.
    ///
    /// # Errors
    ///
    /// [`HandleError`]: the server has ended, or too much waits for the event loop.
    pub fn notify(&self, id: Id, value: impl Any + Send) -> Result<(), HandleError> {
        self.put(Letter::Post(Post::Notify(Note { to: id, value: Box::new(value) })))
    }

    /// Begins the closing handshake with a connection; see [`Hub::close`].
    ///
    /// # Errors
    ///
    /// [`HandleError`]: the server has ended, or too much waits for the event loop.
    pub fn close(&self, id: Id, code: CloseCode, reason: &str) -> Result<(), HandleError> {
        self.put(Letter::Post(Post::Close { to: id, code, reason: reason.to_owned() }))
    }

    /// Answers a request that was answered with [`Answer::Later`](super::Answer::Later); see
    /// [`Hub::answer`].
    ///
    /// # Errors
    ///
    /// [`HandleError`]: the server has ended, or too much waits for the event loop.
    pub fn answer(&self, id: Id, response: Response) -> Result<(), HandleError> {
        self.put(Letter::Post(Post::Answer { to: id, response }))
    }

    /// Calls a closure on the event loop of the first thread.
    ///
    /// If it panics, nothing else is harmed. The bytes that a closure owns do not count for the bound of the
    /// mailbox.
    ///
    /// # Errors
    ///
    /// [`HandleError`]: the server has ended, or too much waits for the event loop.
    pub fn run(&self, f: impl FnOnce(&mut Hub) + Send + 'static) -> Result<(), HandleError> {
        self.put(Letter::Run(Box::new(f)))
    }

    /// Gives the server a connection that another HTTP stack has opened.
    ///
    /// The thread with the fewest connections takes it, and calls [`Handler::adopted`] with `value`, such as
    /// the user that the stack has identified. The stream keeps its own [`Config`](crate::Config): give it
    /// [`Timeouts::SERVER`](crate::Timeouts::SERVER), because the default timeouts send no pings, and never
    /// find a dead peer. So HTTP is served by a framework, and an idle WebSocket takes no more memory than
    /// one of the server's own.
    ///
    /// [`Handler::adopted`]: super::Handler::adopted
    ///
    /// # Errors
    ///
    /// [`NotAdopted`], with the unchanged connection: the server has ended, or too much waits for the event
    /// loop.
    pub fn adopt(
        &self,
        stream: WebSocketStream<TcpStream>,
        value: impl Any + Send,
    ) -> Result<(), NotAdopted> {
        self.adopt_with(Adopted { stream, value: Box::new(value) })
    }

    /// Tries again to give the server a connection, with the same value, such as after
    /// [`HandleError::Full`].
    ///
    /// # Errors
    ///
    /// See [`adopt`](Self::adopt).
    pub fn adopt_again(&self, refused: NotAdopted) -> Result<(), NotAdopted> {
        let (stream, value) = refused.into_parts();
        self.adopt_with(Adopted { stream, value })
    }

    fn adopt_with(&self, adopted: Adopted) -> Result<(), NotAdopted> {
        let open = |mailbox: &&Arc<Mailbox>| mailbox.cells.open.get() + mailbox.waiting();
        let mailbox = self.lock().iter().filter(|mailbox| !mailbox.has_ended()).min_by_key(open).cloned();
        let adopted = Box::new(adopted);
        let refused = match mailbox {
            Some(mailbox) => mailbox.adopt(adopted),
            None => Err((HandleError::Ended, adopted)),
        };
        refused.map_err(|(error, adopted)| NotAdopted::new(error, adopted.stream, adopted.value))
    }

    /// Stops the server gracefully: with a [`Shutdown`], or within a `Duration`.
    ///
    /// [`Server::run`](super::Server::run) returns when all connections have ended. Only the first call
    /// counts. It follows what was published before; like that, it goes through the first thread.
    ///
    /// # Errors
    ///
    /// [`HandleError::Ended`] if the server has ended already.
    pub fn shut_down(&self, shutdown: impl Into<Shutdown>) -> Result<(), HandleError> {
        // Not bounded by the size of the mailbox.
        self.first()?.put([Letter::Shutdown(shutdown.into())])
    }

    /// Stops all threads at once, whether or not the first one still works.
    pub(super) fn stop_all(&self) {
        for mailbox in self.mailboxes() {
            // Without effect if it is stopping already.
            let _ = mailbox.put([Letter::ShutdownHere(Shutdown::within(Duration::ZERO))]);
        }
    }

    /// Returns what the server has counted, on all threads. Wakes nobody.
    pub fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for mailbox in &*self.lock() {
            mailbox.cells.add_to(&mut counters);
        }
        counters
    }
}

/// The server's own handle: its mailboxes end with it, whether it has run or not.
#[derive(Debug)]
pub(super) struct Owner(pub(super) Handle);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.mailboxes().iter().for_each(|mailbox| mailbox.end());
    }
}

/// Puts what one thread has for the others into their mailboxes.
pub(super) fn send_abroad(hub: &mut Hub, mailboxes: &[Arc<Mailbox>]) {
    let here = hub.thread as usize;
    let mut letters: Vec<Vec<Letter>> = mailboxes.iter().map(|_| Vec::new()).collect();
    let to_others = |letters: &mut [Vec<Letter>], letter: &dyn Fn() -> Letter| {
        for (_, letters) in letters.iter_mut().enumerate().filter(|(thread, _)| *thread != here) {
            letters.push(letter());
        }
    };
    for item in mem::take(&mut hub.abroad) {
        match item {
            Abroad::Post(id, post) => {
                if let Some(letters) = letters.get_mut(id.thread()) {
                    letters.push(Letter::Post(post));
                }
            }
            Abroad::Publish { topic, message, slow_peer } => to_others(&mut letters, &|| {
                let (topic, message) = (Arc::clone(&topic), message.clone());
                Letter::Published { topic, message, slow_peer }
            }),
            Abroad::Shutdown(shutdown) => {
                to_others(&mut letters, &|| Letter::ShutdownHere(shutdown.clone()));
            }
        }
    }
    for (mailbox, letters) in mailboxes.iter().zip(letters).filter(|(_, letters)| !letters.is_empty()) {
        // A thread that has ended has no members.
        let _ = mailbox.put(letters);
    }
}
