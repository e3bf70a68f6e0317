//! The event loop: mio tells what is ready, edge-triggered; the connections lie in a slab.

use crate::connection::Connection;
use crate::listener::Listener;
use mio::unix::SourceFd;
use mio::{Events, Poll, Token, Waker};
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use websocket_stream::{Config, Ready, Scratch};

const LISTENER: Token = Token(usize::MAX - 1);
const WAKER: Token = Token(usize::MAX - 2);

/// How often deadlines are looked at, in milliseconds.
const TICK: u64 = 1000;

pub(crate) struct Server {
    poll: Poll,
    listener: Option<Listener>,
    /// Connections wait to be accepted that could not be: no descriptor was free.
    starved: bool,
    connections: Slab<Connection>,
    /// Connections that said "again".
    again: VecDeque<usize>,
    scratch: Scratch,
    config: Arc<Config>,
    start: Instant,
    next_tick: u64,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn new(listener: Listener, config: Arc<Config>) -> io::Result<Self> {
        raise_open_files();
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, mio::Interest::READABLE)?;
        let stop = Arc::new(AtomicBool::new(false));
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        watch_signals(&stop, waker)?;
        Ok(Self {
            poll,
            listener: Some(listener),
            starved: false,
            connections: Slab::new(),
            again: VecDeque::new(),
            scratch: Scratch::new(),
            config,
            start: Instant::now(),
            next_tick: TICK,
            stop,
        })
    }

    /// Serves until a signal has stopped it and every connection is closed.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while self.listener.is_some() || !self.connections.is_empty() {
            let wait = if self.again.is_empty() { self.wait() } else { Some(Duration::ZERO) };
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    WAKER => {}
                    Token(key) => {
                        let ready = Ready {
                            readable: event.is_readable(),
                            writable: event.is_writable(),
                            closed: event.is_read_closed() || event.is_error(),
                        };
                        self.advance(key, ready);
                    }
                }
            }
            // One turn each, behind the others.
            for _ in 0..self.again.len() {
                if let Some(key) = self.again.pop_front() {
                    self.advance(key, Ready::READABLE);
                }
            }
            if self.stop.load(Ordering::Relaxed) && self.listener.take().is_some() {
                self.go_away();
            }
            self.deadlines();
            if self.starved {
                self.accept()?;
            }
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How long to wait: to the next tick, where anyone has a deadline or waits for a descriptor.
    fn wait(&self) -> Option<Duration> {
        if self.connections.is_empty() && !self.starved {
            return None;
        }
        Some(Duration::from_millis(self.next_tick.saturating_sub(self.now()).max(1)))
    }

    fn accept(&mut self) -> io::Result<()> {
        self.starved = false;
        while let Some(listener) = &self.listener {
            match listener.accept() {
                Ok(socket) => {
                    // A peer that is gone already is nobody's error.
                    if let Ok(connection) = Connection::new(socket, Arc::clone(&self.config)) {
                        self.register(connection);
                    }
                }
                Err(error) => match error.raw_os_error() {
                    _ if error.kind() == io::ErrorKind::WouldBlock => break,
                    // Out of descriptors or memory: those who wait are taken when one is free.
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                        self.starved = true;
                        break;
                    }
                    Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EFAULT) => return Err(error),
                    // Errors of the one connection that was to be accepted.
                    _ => {}
                },
            }
        }
        Ok(())
    }

    fn register(&mut self, connection: Connection) {
        let fd = connection.as_raw_fd();
        let key = self.connections.insert(connection);
        let both = mio::Interest::READABLE | mio::Interest::WRITABLE;
        if self.poll.registry().register(&mut SourceFd(&fd), Token(key), both).is_err() {
            self.connections.remove(key);
        }
    }

    fn advance(&mut self, key: usize, ready: Ready) {
        let now = self.now();
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.advance(&mut self.scratch, now, ready) {
            Some(interest) if interest.again => self.again.push_back(key),
            Some(_) => {}
            // Dropping it closes its descriptor, which takes it out of the poll.
            None => drop(self.connections.remove(key)),
        }
    }

    fn go_away(&mut self) {
        let now = self.now();
        let scratch = &mut self.scratch;
        self.connections.retain(|_, connection| connection.go_away(scratch, now).is_some());
    }

    fn deadlines(&mut self) {
        let now = self.now();
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        let due: Vec<usize> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.next_deadline(now).is_some_and(|at| at <= now))
            .map(|(key, _)| key)
            .collect();
        for key in due {
            self.advance(key, Ready::NONE);
        }
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
            // A loop that cannot be woken is over.
            let _ = waker.wake();
        }
    })?;
    Ok(())
}

/// Raises the limit of open files to what the system allows.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("echo_server: the limit of open files stays at {:?}: {error}", limit.current);
    }
}
