//! The event loop: mio reports readiness, edge-triggered; the connections are in a slab.

use crate::connection::Connection;
use crate::listener::Listener;
use crate::socket::{INTERESTS, Socket};
use mio::{Events, Poll, Token, Waker};
use slab::Slab;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use websocket_stream::{Config, Ready, Scratch, Timeouts, Wants, Wheel};

const LISTENER: Token = Token(usize::MAX - 1);
const WAKER: Token = Token(usize::MAX - 2);

/// Milliseconds between two checks of the timeouts, and between two attempts to accept.
const TICK: u32 = 1000;

/// Connections accepted in one round; between rounds, the open ones get their share.
const ACCEPTED: usize = 256;

/// Returns the configuration, adjusted for a server that only answers.
fn suited(config: &Config) -> Config {
    // Disconnects a peer that sends nothing for three minutes, or takes nothing for half a minute.
    let timeouts = Timeouts::default()
        .ping_interval(Duration::from_secs(120))
        .idle(Duration::from_secs(180))
        .write(Duration::from_secs(30));
    config.clone().timeouts(timeouts)
}

pub(crate) struct Server {
    poll: Poll,
    listener: Option<Listener>,
    /// When to accept: now, if the poller reported waiting connections; later, if the system could not accept
    /// them.
    accept_at: Option<u64>,
    connections: Slab<Connection>,
    /// When to call each connection although nothing is ready.
    wheel: Wheel,
    /// Connections that asked for another call, and the readiness for their next call.
    again: HashMap<usize, Ready>,
    config: Arc<Config>,
    scratch: Scratch,
    start: Instant,
    /// The time of this round, in milliseconds.
    now: u64,
    stop: Arc<AtomicBool>,
    /// Whether to print connections that end without a closing handshake.
    verbose: bool,
}

impl Server {
    pub(crate) fn new(mut listener: Listener, config: Arc<Config>, verbose: bool) -> io::Result<Self> {
        raise_open_files();
        let poll = Poll::new()?;
        poll.registry().register(listener.source(), LISTENER, mio::Interest::READABLE)?;
        let stop = Arc::new(AtomicBool::new(false));
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        watch_signals(&stop, waker)?;
        Ok(Self {
            poll,
            listener: Some(listener),
            accept_at: None,
            connections: Slab::new(),
            wheel: Wheel::new(TICK),
            again: HashMap::new(),
            config: Arc::new(suited(&config)),
            scratch: Scratch::new(),
            start: Instant::now(),
            now: 0,
            stop,
            verbose,
        })
    }

    /// Serves until a signal stops it and every connection is closed.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while self.listener.is_some() || !self.connections.is_empty() {
            match self.poll.poll(&mut events, self.wait()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            self.now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            // Each connection has one call in each round, with the poller's latest readiness; those that
            // asked for another call come after the others.
            let mut calls = std::mem::take(&mut self.again);
            for event in &events {
                match event.token() {
                    LISTENER => _ = self.accept_at.get_or_insert(self.now),
                    WAKER => {}
                    Token(key) => {
                        let ready = Ready {
                            readable: event.is_readable(),
                            writable: event.is_writable(),
                            closed: event.is_read_closed() || event.is_error() || event.is_priority(),
                        };
                        match calls.get_mut(&key) {
                            Some(later) => *later = *later | ready,
                            None => self.advance(key, ready),
                        }
                    }
                }
            }
            for (key, ready) in calls {
                self.advance(key, ready);
            }
            if self.stop.load(Ordering::Relaxed) && self.listener.take().is_some() {
                self.accept_at = None;
                self.go_away();
            }
            while let Some(key) = self.wheel.expired(self.now) {
                self.advance(key, Ready::NONE);
            }
            if self.accept_at.is_some_and(|at| at <= self.now) {
                self.accept_at = self.accept();
            }
        }
        Ok(())
    }

    /// Returns how long to wait: until a deadline may have passed, or it is time to accept.
    fn wait(&self) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        let next = self.wheel.next_deadline().into_iter().chain(self.accept_at).min()?;
        Some(Duration::from_millis(next.saturating_sub(self.now)))
    }

    /// Accepts waiting connections. Returns when to accept again.
    fn accept(&mut self) -> Option<u64> {
        for _ in 0..ACCEPTED {
            match self.listener.as_ref()?.accept() {
                Ok(socket) => match self.register(socket) {
                    // The timeout of its opening handshake starts now.
                    Ok(key) => self.advance(key, Ready::READABLE),
                    Err(error) => self.report(&error),
                },
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return None,
                    // Concerns only this connection.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    // Probably out of descriptors or memory. The poller does not report the waiting
                    // connections again: they are accepted when another connection is dropped, or after a
                    // while.
                    _ => {
                        self.report(&error);
                        return Some(self.now + u64::from(TICK));
                    }
                },
            }
        }
        // More of them may be waiting.
        Some(self.now)
    }

    fn report(&self, error: &dyn std::fmt::Display) {
        if self.verbose {
            eprintln!("echo_server: {error}");
        }
    }

    fn register(&mut self, mut socket: Socket) -> io::Result<usize> {
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        self.poll.registry().register(&mut socket, Token(key), INTERESTS)?;
        entry.insert(Connection::new(socket, Arc::clone(&self.config))?);
        Ok(key)
    }

    fn advance(&mut self, key: usize, ready: Ready) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.advance(&mut self.scratch, self.now, ready) {
            Ok(Some(Wants { again, .. })) => {
                if again {
                    self.again.insert(key, Ready::READABLE);
                }
                if let Some(at) = connection.next_deadline(self.now) {
                    self.wheel.set(key, at);
                }
            }
            Ok(None) => self.remove(key),
            Err(error) => {
                self.report(&error);
                self.remove(key);
            }
        }
    }

    fn remove(&mut self, key: usize) {
        // Dropping it closes its descriptor, which also removes it from the poll.
        drop(self.connections.remove(key));
        self.wheel.remove(key);
        // A waiting connection can have the descriptor.
        self.accept_at = self.accept_at.map(|_| self.now);
    }

    fn go_away(&mut self) {
        let Self { connections, wheel, again, scratch, now, .. } = self;
        connections.retain(|key, connection| {
            let Some(wants) = connection.go_away(scratch, *now) else {
                wheel.remove(key);
                return false;
            };
            if wants.again {
                again.insert(key, Ready::READABLE);
            }
            match connection.next_deadline(*now) {
                Some(at) => _ = wheel.set(key, at),
                None => wheel.remove(key),
            }
            true
        });
    }
}

/// SIGINT and SIGTERM set the flag and wake the loop.
fn watch_signals(stop: &Arc<AtomicBool>, waker: Arc<Waker>) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let stop = Arc::clone(stop);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in &mut signals {
            stop.store(true, Ordering::Relaxed);
            // The loop has ended if it cannot be woken.
            let _ = waker.wake();
        }
    })?;
    Ok(())
}

/// Raises the limit of open files to the maximum that the system allows.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("echo_server: the limit of open files stays at {:?}: {error}", limit.current);
    }
}
