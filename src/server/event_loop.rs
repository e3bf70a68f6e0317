//! The event loop of one thread, on mio: edge-triggered, one wait for each round.
#![forbid(unsafe_code)]

use super::config::ServerConfig;
use super::connections::Connections;
use super::handle;
use super::handler::Handler;
use super::listener::Listener;
use super::mailbox::{Adopted, Letter, Mailbox};
use super::posts::Abroad;
use super::secure::Socket;
use super::shutdown::Shutdown;
use crate::stream::{Parts, Ready, WebSocketStream};
use mio::{Events, Interest, Poll, Token, Waker};
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

const WAKER: Token = Token(usize::MAX);

/// The tokens from this one on are those of the listeners. No key of a connection is as large.
const FIRST_LISTENER: usize = usize::MAX / 2;

/// The milliseconds until the next attempt to accept, after the system could not.
const RETRY: u64 = 1000;

/// The connections accepted in one round; between rounds, the open ones get their share.
const ACCEPTED: usize = 256;

/// The events received in one round.
const EVENTS: usize = 1024;

/// Readable and writable, and urgent data if the system reports that: a receive stops early at urgent data.
#[cfg(any(target_os = "linux", target_os = "android"))]
const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE);

pub(super) struct EventLoop<S> {
    poll: Poll,
    events: Events,
    /// The events before this one were handled.
    handled: usize,
    listeners: Vec<Source>,
    connections: Connections<Socket, S>,
    mailbox: Arc<Mailbox>,
    /// Those of all threads.
    mailboxes: Vec<Arc<Mailbox>>,
    start: Instant,
    /// The time of this round, in milliseconds.
    now: u64,
    /// Whether connections begin with a header of the PROXY protocol.
    proxied: bool,
    stopping: bool,
    /// A shutdown that the other threads are still to make.
    leaving: Option<Shutdown>,
}

struct Source {
    listener: Listener,
    /// When to accept: now, if the poller has reported waiting connections; later, if the system could not
    /// accept them.
    accept_at: Option<u64>,
}

impl<S: Default> EventLoop<S> {
    pub(super) fn new(
        listeners: Vec<Listener>,
        config: ServerConfig,
        thread: u32,
        mailboxes: Vec<Arc<Mailbox>>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut sources = Vec::new();
        for (index, mut listener) in listeners.into_iter().enumerate() {
            let token = Token(FIRST_LISTENER + index);
            poll.registry().register(listener.source(), token, Interest::READABLE)?;
            sources.push(Source { listener, accept_at: None });
        }
        let mailbox = Arc::clone(&mailboxes[thread as usize]);
        let proxied = config.proxy_protocol;
        let mut connections = Connections::for_thread(config, thread, Arc::clone(&mailbox.cells));
        connections.set_after_proxy_header(Socket::after_proxy_header);
        connections.set_tls_state(Socket::tls_state);
        connections.hub().has_abroad = mailboxes.len() > 1;
        mailbox.begin(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            handled: usize::MAX,
            listeners: sources,
            connections,
            mailbox,
            mailboxes,
            start: Instant::now(),
            now: 0,
            proxied,
            stopping: false,
            leaving: None,
        })
    }

    /// Serves until the server is shut down and every connection has ended.
    pub(super) fn run<H: Handler<Session = S>>(&mut self, handler: &mut H) -> io::Result<()> {
        // After a panic of the handler, the round continues with the next event; the connections close the
        // one whose handler has panicked.
        let result = loop {
            if let Ok(result) = panic::catch_unwind(AssertUnwindSafe(|| self.serve(handler))) {
                break result;
            }
        };
        self.mailbox.end();
        result
    }

    fn serve<H: Handler<Session = S>>(&mut self, handler: &mut H) -> io::Result<()> {
        loop {
            self.finish_round(handler);
            if self.stopping && self.connections.is_empty() {
                if self.mailbox.end_if_empty() {
                    return Ok(());
                }
                // Whoever has put a letter in was promised that it is read.
                continue;
            }
            // Mio's poll(2), for systems without epoll and kqueue, loses a wake-up that comes while this
            // thread registers or removes a socket.
            let timeout = if self.mailbox.has_letters() { Some(Duration::ZERO) } else { self.timeout() };
            match self.poll.poll(&mut self.events, timeout) {
                Ok(()) => self.handled = 0,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.now = self.elapsed();
        }
    }

    /// Handles the events, and does everything else that is due.
    fn finish_round<H: Handler<Session = S>>(&mut self, handler: &mut H) {
        let now = self.now;
        let before = self.connections.len();
        // Closures of other threads ask for it, too.
        self.connections.hub().now = now;
        for event in self.events.iter().skip(self.handled) {
            self.handled += 1;
            match event.token() {
                Token(key) if key < FIRST_LISTENER => {
                    self.connections.ready(key, Ready::from(event), now, handler);
                }
                // Its letters are read below.
                WAKER => {}
                Token(index) => {
                    if let Some(source) = self.listeners.get_mut(index - FIRST_LISTENER) {
                        // Not before the time of the next attempt, if the last one has failed.
                        source.accept_at.get_or_insert(now);
                    }
                }
            }
        }
        // Not again after a panic in what follows.
        self.handled = usize::MAX;
        if self.mailbox.has_letters() {
            self.read_mail(now, handler);
        }
        self.connections.turn(now, handler);
        // Behind what was published before.
        let hub = self.connections.hub();
        hub.abroad.extend(self.leaving.take().filter(|_| hub.has_abroad).map(Abroad::Shutdown));
        if !self.connections.hub().abroad.is_empty() {
            handle::send_abroad(self.connections.hub(), &self.mailboxes);
        }
        let has_room = self.connections.len() < before;
        for index in 0..self.listeners.len() {
            let source = &self.listeners[index];
            // A waiting connection can have the descriptor of one that has ended.
            if source.accept_at.is_some_and(|at| at <= now || has_room) {
                let accept_at = self.accept(index, handler);
                self.listeners[index].accept_at = accept_at;
            }
        }
    }

    /// Returns how long to wait: until a deadline may have passed, or it is time to accept.
    fn timeout(&self) -> Option<Duration> {
        let accepts = self.listeners.iter().filter_map(|source| source.accept_at);
        let at = self.connections.next_deadline(self.now).into_iter().chain(accepts).min()?;
        // The round itself has taken time.
        Some(Duration::from_millis(at.saturating_sub(self.elapsed())))
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Accepts waiting connections. Returns when to accept again.
    fn accept<H: Handler<Session = S>>(&mut self, index: usize, handler: &mut H) -> Option<u64> {
        for _ in 0..ACCEPTED {
            match self.listeners[index].listener.accept(self.proxied) {
                Ok((socket, ip)) => self.insert(socket, ip),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return None,
                    // Concerns only this connection.
                    ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                    // Probably out of descriptors or memory. The poller does not report the waiting
                    // connections again: they are accepted when another connection has ended, or after a
                    // while.
                    _ => {
                        let later = Some(self.now.saturating_add(RETRY));
                        // Also if the handler panics.
                        self.listeners[index].accept_at = later;
                        handler.cannot_accept(&error);
                        return later;
                    }
                },
            }
        }
        // More of them may be waiting.
        Some(self.now)
    }

    /// An error of one socket concerns only that socket.
    fn insert(&mut self, socket: Socket, ip: Option<IpAddr>) {
        let Ok(key) = self.connections.insert(socket, ip, self.now) else { return };
        let Some(socket) = self.connections.transport(key) else { return };
        if self.poll.registry().register(socket, Token(key), INTERESTS).is_err() {
            self.connections.discard(key);
        }
    }

    #[cold]
    fn read_mail<H: Handler<Session = S>>(&mut self, now: u64, handler: &mut H) {
        for letter in self.mailbox.take() {
            let hub = self.connections.hub();
            match letter {
                Letter::Publish { topic, message, slow_peer } => {
                    hub.publish_letter(&topic, message, slow_peer)
                }
                Letter::Published { topic, message, slow_peer } => {
                    hub.publish_here(&topic, message, slow_peer)
                }
                Letter::Post(post) => hub.post(post),
                Letter::Run(f) => {
                    // A panic is printed, and concerns only the closure.
                    let _ = panic::catch_unwind(AssertUnwindSafe(|| f(hub)));
                }
                Letter::Adopt(adopted) => self.adopt(*adopted, handler),
                Letter::Shutdown(shutdown) => {
                    self.shut_down(&shutdown, now);
                    // Only the first one counts.
                    self.leaving.get_or_insert(shutdown);
                }
                Letter::ShutdownHere(shutdown) => self.shut_down(&shutdown, now),
            }
            // In parts, so that a slow peer is noticed before all of it is queued for it. A panic must not
            // lose the letters that follow.
            let connections = &mut self.connections;
            let _ = panic::catch_unwind(AssertUnwindSafe(|| connections.deliver_if_many(now, handler)));
        }
    }

    fn shut_down(&mut self, shutdown: &Shutdown, now: u64) {
        self.stopping = true;
        // Closes the sockets, which also removes them from the poll.
        self.listeners.clear();
        self.connections.shut_down(shutdown, now);
    }

    /// Takes over a connection that was opened elsewhere.
    fn adopt<H: Handler<Session = S>>(&mut self, adopted: Adopted, handler: &mut H) {
        let Adopted { stream, value } = adopted;
        let Parts { transport, connection, unread, unsent } = stream.into_parts();
        let transport = Socket::from(mio::net::TcpStream::from_std(transport));
        let stream = WebSocketStream::from_parts(Parts { transport, connection, unread, unsent });
        let Ok(stream) = stream else { return };
        let (connections, now) = (&mut self.connections, self.now);
        // A panic must not lose the letters that follow. The next call closes the one whose handler panics.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| connections.recover(now, handler)));
        let Ok(key) = connections.adopt(stream) else { return };
        let id = connections.id(key);
        let _ = panic::catch_unwind(AssertUnwindSafe(|| connections.adopted(key, value, now, handler)));
        if connections.id(key) != id {
            return;
        }
        // It may have ended already.
        let Some(socket) = self.connections.transport(key) else { return };
        if let Err(error) = self.poll.registry().register(socket, Token(key), INTERESTS) {
            let connections = &mut self.connections;
            let _ = panic::catch_unwind(AssertUnwindSafe(|| connections.fail(&error, key, now, handler)));
        }
    }
}
