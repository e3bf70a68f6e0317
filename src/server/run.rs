//! The server: listeners, settings, and one event loop for each thread.
#![forbid(unsafe_code)]

use super::config::ServerConfig;
use super::event_loop::EventLoop;
use super::handle::{Handle, Owner};
use super::handler::Handler;
use super::listener::Listener;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::{SocketAddr, ToSocketAddrs};
#[cfg(unix)]
use std::path::Path;
use std::thread;

/// A WebSocket server with its own event loop.
///
/// ```no_run
/// use websocket_stream::Message;
/// use websocket_stream::server::{Failure, Handler, Peer, Server};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     type Session = ();
///
///     fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
///         Ok(peer.send(message)?)
///     }
/// }
///
/// fn main() -> std::io::Result<()> {
///     Server::bind("127.0.0.1:9001")?.run(Echo)
/// }
/// ```
///
/// It accepts connections, also when descriptors run out, raises the limit of descriptors to the maximum that
/// the system allows, applies all timeouts, and stops gracefully ([`Handle::shut_down`]). An idle connection
/// takes about 100 bytes and the handler's session.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    config: ServerConfig,
    handle: Owner,
}

impl Server {
    /// Listens on a TCP address. If there are several, on the first that can be used.
    ///
    /// The system may choose the port, if it is 0; see [`local_addr`](Self::local_addr).
    ///
    /// # Errors
    ///
    /// The system's error, such as `AddrInUse`.
    pub fn bind(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self::with_listener(Listener::tcp(addresses)?))
    }

    /// Listens on the path of a Unix socket. The file is removed when the server stops.
    ///
    /// # Errors
    ///
    /// The system's error: `AddrInUse` if the file exists.
    #[cfg(unix)]
    pub fn bind_unix(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::with_listener(Listener::unix(path.as_ref())?))
    }

    /// Makes a server that accepts no connections itself: all of them come from
    /// [`Handle::adopt`](super::Handle::adopt).
    ///
    /// Unless listeners are added, it runs until [`Handle::shut_down`](super::Handle::shut_down).
    pub fn without_listener() -> Self {
        Self::with_listeners(Vec::new())
    }

    /// Uses a listening socket, such as one that was inherited.
    ///
    /// # Errors
    ///
    /// The system's error, if the socket cannot be made non-blocking.
    pub fn from_listener(listener: std::net::TcpListener) -> io::Result<Self> {
        Ok(Self::with_listener(Listener::from_tcp(listener)?))
    }

    fn with_listener(listener: Listener) -> Self {
        Self::with_listeners(vec![listener])
    }

    fn with_listeners(listeners: Vec<Listener>) -> Self {
        let (config, handle) = (ServerConfig::default(), Owner(Handle::new()));
        handle.0.set_limit(config.mailbox);
        Self { listeners, config, handle }
    }

    /// Listens on another TCP address as well.
    ///
    /// # Errors
    ///
    /// See [`bind`](Self::bind).
    pub fn and_bind(mut self, addresses: impl ToSocketAddrs) -> io::Result<Self> {
        self.listeners.push(Listener::tcp(addresses)?);
        Ok(self)
    }

    /// Listens on the path of a Unix socket as well.
    ///
    /// # Errors
    ///
    /// See [`bind_unix`](Self::bind_unix).
    #[cfg(unix)]
    pub fn and_bind_unix(mut self, path: impl AsRef<Path>) -> io::Result<Self> {
        self.listeners.push(Listener::unix(path.as_ref())?);
        Ok(self)
    }

    /// Uses TLS on the listeners that were added before.
    ///
    /// Takes a `rustls::ServerConfig`, or a [`SharedServerConfig`](crate::tls::SharedServerConfig) that can
    /// be replaced while the server runs. Plain HTTP on a TLS port is answered with status 400. Behind a
    /// proxy, TLS begins after the header of the PROXY protocol.
    ///
    /// ```no_run
    /// # #[cfg(feature = "ring")] {
    /// # use websocket_stream::server::{Failure, Handler, Peer, Server};
    /// # struct Echo;
    /// # impl Handler for Echo {
    /// #     type Session = ();
    /// #     fn message(
    /// #         &mut self,
    /// #         peer: &mut Peer<'_>,
    /// #         _: &mut (),
    /// #         message: websocket_stream::Message<'_>,
    /// #     ) -> Result<(), Failure> {
    /// #         Ok(peer.send(message)?)
    /// #     }
    /// # }
    /// use rustls::pki_types::pem::PemObject;
    /// use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    ///
    /// let chain = CertificateDer::pem_file_iter("chain.pem")?.collect::<Result<Vec<_>, _>>()?;
    /// let config = rustls::ServerConfig::builder()
    ///     .with_no_client_auth()
    ///     .with_single_cert(chain, PrivateKeyDer::from_pem_file("key.pem")?)?;
    /// Server::bind("0.0.0.0:443")?.tls(config).and_bind("0.0.0.0:80")?.run(Echo)?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn tls(mut self, config: impl Into<crate::tls::SharedServerConfig>) -> Self {
        let config = config.into();
        for listener in &mut self.listeners {
            listener.secure.0.get_or_insert_with(|| config.clone());
        }
        self
    }

    /// Sets the configuration.
    #[must_use]
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.handle.0.set_limit(config.mailbox);
        self.config = config;
        self
    }

    /// Returns the address of the first TCP listener.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listeners.iter().find_map(Listener::local_addr)
    }

    /// Returns a handle that reaches the server from other threads, before and while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.0.clone()
    }

    /// Prepares to run on several threads, each with an event loop, a handler and connections of its own. 0
    /// counts as 1, and more than 1,024 as 1,024.
    ///
    /// The system spreads new connections over the threads, and a connection stays on its thread. A message
    /// that is published on one thread reaches the members of the topic on all threads, in the order of each
    /// publisher; what different publishers send can arrive in a different order at different members.
    ///
    /// ```no_run
    /// # use websocket_stream::Message;
    /// # use websocket_stream::server::{Failure, Handler, Peer, Server};
    /// # struct Echo;
    /// # impl Handler for Echo {
    /// #     type Session = ();
    /// #     fn message(
    /// #         &mut self,
    /// #         peer: &mut Peer<'_>,
    /// #         _: &mut (),
    /// #         message: Message<'_>,
    /// #     ) -> Result<(), Failure> {
    /// #         Ok(peer.send(message)?)
    /// #     }
    /// # }
    /// Server::bind("127.0.0.1:9001")?.threads(4).run(|_thread| Echo)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn threads(self, threads: usize) -> Threads {
        self.handle.0.set_threads(threads);
        self.handle.0.set_limit(self.config.mailbox);
        Threads { server: self }
    }

    /// Runs on the current thread until the server is shut down and every connection has ended.
    ///
    /// # Errors
    ///
    /// The system's error, if the event loop cannot be made or its poller fails.
    pub fn run<H: Handler>(self, handler: H) -> io::Result<()> {
        raise_open_files();
        let Self { listeners, config, handle } = self;
        run_loop(listeners, config, 0, &handle.0, handler)
    }
}

/// A server on several threads; see [`Server::threads`].
///
/// See the example of [`Server::threads`].
#[derive(Debug)]
pub struct Threads {
    server: Server,
}

impl Threads {
    /// Runs on the current thread and on new ones, until the server is shut down and every connection has
    /// ended. `make` is called once for each thread, on that thread, with its index.
    ///
    /// # Errors
    ///
    /// The first error of a thread; see [`Server::run`]. The other threads then stop, and drop their
    /// connections.
    ///
    /// # Panics
    ///
    /// If `make` panics.
    pub fn run<H: Handler>(self, make: impl Fn(usize) -> H + Sync) -> io::Result<()> {
        raise_open_files();
        let Self { server: Server { listeners, config, handle } } = self;
        let mut loops = vec![listeners];
        for _ in 1..handle.0.mailboxes().len() {
            let copies = loops[0].iter().map(Listener::for_another_thread).collect::<io::Result<_>>()?;
            loops.push(copies);
        }
        let (handle, make) = (&handle.0, &make);
        let run = |thread: usize, listeners| {
            let stop = StopOthers(handle);
            let index = u32::try_from(thread).map_err(|_| ErrorKind::InvalidInput)?;
            let result = run_loop(listeners, config.clone(), index, handle, make(thread));
            if result.is_ok() {
                // A shutdown, which reaches each thread.
                mem::forget(stop);
            }
            result
        };
        let run = &run;
        thread::scope(|scope| {
            let mut loops = loops.into_iter().enumerate();
            let first = loops.next();
            let spawned: Vec<_> = loops
                .map(|(thread, listeners)| {
                    let builder = thread::Builder::new().name(format!("websocket-{thread}"));
                    builder.spawn_scoped(scope, move || run(thread, listeners))
                })
                .collect();
            let mut result = match first {
                Some((thread, listeners)) if spawned.iter().all(Result::is_ok) => run(thread, listeners),
                _ => {
                    drop(StopOthers(handle));
                    Ok(())
                }
            };
            for spawned in spawned {
                let ended = spawned.and_then(|thread| match thread.join() {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic),
                });
                result = result.and(ended);
            }
            result
        })
    }
}

/// Stops all threads when one has ended with an error or a panic.
struct StopOthers<'a>(&'a Handle);

impl Drop for StopOthers<'_> {
    fn drop(&mut self) {
        self.0.stop_all();
    }
}

fn run_loop<H: Handler>(
    listeners: Vec<Listener>,
    config: ServerConfig,
    thread: u32,
    handle: &Handle,
    mut handler: H,
) -> io::Result<()> {
    EventLoop::new(listeners, config, thread, handle.mailboxes())?.run(&mut handler)
}

/// Raises the limit of open files to the maximum that the system allows.
fn raise_open_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raise = |current| setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum });
        // If it cannot be raised, the server accepts fewer connections.
        let raised = raise(limit.maximum).is_ok();
        if cfg!(target_vendor = "apple") && !raised {
            // The maximum is usually "unlimited", which is refused, as is more than the system's own maximum
            // for a process.
            let lower = (10..=20).rev().map(|bits| 1 << bits);
            let _ = lower
                .filter(|&few| limit.current.is_some_and(|now| few > now))
                .find(|&few| raise(Some(few)).is_ok());
        }
    }
}
