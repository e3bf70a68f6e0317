//! One attempt to connect, advanced by the program's event loop.
//!
//! ```text
//! name -> addresses -> socket -> [TLS -> tunnel of a proxy] -> [TLS] -> opening handshake -> stream
//!   ^                                                                        |
//!   +------------------------------- redirect -------------------------------+
//! ```

use super::connecting::{self, Connecting, FailedAttempt};
use super::error::ConnectError;
use super::options::Options;
use super::proxy::{Kind, Proxy, ProxyError, Tunnel};
use super::resolving::Resolving;
use super::transport::Transport;
use super::url::{Url, UrlError};
use super::waiting::{Watch, millis, millis_since, wait};
use crate::handshake::{ClientHandshake, ResponseFault};
use crate::stream::{ClientOpening, OpeningError, Progress, Scratch, Wants, WebSocketStream};
use crate::transport::NonBlockingTransport;
use rustix::fd::AsFd;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, mem};

/// The longest time that a server can ask to wait.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Connects step by step, for a program with an event loop; see
/// [`Connector::dial`](super::Connector::dial).
///
/// Call [`advance`](Self::advance) whenever one of the descriptors of [`watches`](Self::watches) is ready,
/// and at [`next_deadline`](Self::next_deadline). A call may close descriptors and open others. So remove
/// them from the poller before each call, and register those of `watches` after it.
///
/// ```no_run
/// use mio::unix::SourceFd;
/// use mio::{Events, Interest, Poll, Token};
/// use std::os::fd::AsRawFd;
/// use std::time::{Duration, Instant};
/// use websocket_stream::Scratch;
/// use websocket_stream::client::Connector;
///
/// let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(8));
/// let (mut scratch, start) = (Scratch::new(), Instant::now());
/// let mut dial = Connector::new().dial("ws://example.com/feed")?;
/// let stream = loop {
///     let now = start.elapsed().as_millis() as u64;
///     if let Some(stream) = dial.advance(&mut scratch, now)? {
///         break stream; // drive it at once
///     }
///     let mut registered = Vec::new();
///     for (key, watch) in dial.watches().into_iter().enumerate() {
///         let interest = match (watch.read, watch.write) {
///             (true, true) => Interest::READABLE | Interest::WRITABLE,
///             (true, false) => Interest::READABLE,
///             _ => Interest::WRITABLE,
///         };
///         poll.registry().register(&mut SourceFd(&watch.fd.as_raw_fd()), Token(key), interest)?;
///         registered.push(watch.fd.as_raw_fd());
///     }
///     let deadline = dial.next_deadline(now);
///     poll.poll(&mut events, deadline.map(|at| Duration::from_millis(at.saturating_sub(now))))?;
///     for fd in registered {
///         poll.registry().deregister(&mut SourceFd(&fd))?;
///     }
/// };
/// # let _ = stream;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Dial {
    options: Options,
    url: Url,
    /// The first URL. Only its origin receives the credentials.
    first: Url,
    proxy: Option<Proxy>,
    /// Where the first URL leads to. Only it has the addresses of the options.
    first_hop: Option<Hop>,
    phase: Phase,
    /// The redirects that were followed.
    redirects: u32,
    /// The time of the first call.
    began: Option<u64>,
    /// The time of the last call.
    latest: u64,
    subprotocol: Option<String>,
    /// The headers of the server's response.
    response: Vec<(String, Vec<u8>)>,
}

/// What a connection leads to: a proxy or the server.
#[derive(Debug, PartialEq, Eq)]
struct Hop {
    is_proxy: bool,
    /// In lower case.
    host: String,
    port: u16,
}

enum Phase {
    Start,
    Resolving(Resolving),
    Connecting(Connecting),
    Tunnel(Transport, Tunnel),
    Opening(Box<ClientOpening<Transport>>, Wants),
    /// Open or failed.
    Done,
}

/// What follows a step.
enum Step {
    Next(Phase),
    /// Wait for the watches, or for the deadline, of this phase.
    Wait(Phase),
    Open(WebSocketStream<Transport>),
    Redirect(Url),
}

impl Dial {
    pub(super) fn new(options: Options, url: Url) -> Result<Self, ConnectError> {
        let mut dial = Self {
            options,
            first: url.clone(),
            first_hop: None,
            url,
            proxy: None,
            phase: Phase::Start,
            redirects: 0,
            began: None,
            latest: 0,
            subprotocol: None,
            response: Vec::new(),
        };
        dial.prepare()?;
        dial.first_hop = Some(dial.hop());
        Ok(dial)
    }

    /// Checks everything that can be checked before anything is sent.
    fn prepare(&mut self) -> Result<(), ConnectError> {
        let request = self.options.request(&self.url, self.is_trusted());
        ClientHandshake::new(request, [0; 16], &self.options.config.limits).map_err(ConnectError::Request)?;
        self.proxy = self
            .options
            .proxy_for(&self.url)
            .map_err(|error| ConnectError::Proxy { proxy: "of the environment".to_owned(), error })?;
        if let Some(proxy) = self.proxy.as_ref().filter(|proxy| proxy.kind == Kind::Https)
            && !self.options.secure.check(&proxy.host)?
        {
            return Err(ConnectError::Proxy { proxy: proxy.to_string(), error: ProxyError::Host });
        }
        if self.url.is_secure() && !self.options.secure.check(self.url.host())? {
            return Err(UrlError::Host.into());
        }
        Ok(())
    }

    /// Returns whether the URL may have the credentials.
    fn is_trusted(&self) -> bool {
        self.url.has_same_origin(&self.first)
    }

    /// Advances as far as possible without waiting. Returns the stream when the connection is open: drive it
    /// at once, because bytes may have arrived after the handshake.
    ///
    /// `now` is the time in the caller's milliseconds.
    ///
    /// # Errors
    ///
    /// The reason why the connection cannot be opened; drop the dial. After the connection is open, an error
    /// of kind `InvalidInput`.
    pub fn advance(
        &mut self,
        scratch: &mut Scratch,
        now: u64,
    ) -> Result<Option<WebSocketStream<Transport>>, ConnectError> {
        self.began.get_or_insert(now);
        self.latest = now;
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            return Err(match mem::replace(&mut self.phase, Phase::Done) {
                Phase::Connecting(connecting) => self.unconnected(connecting.given_up()),
                _ => ConnectError::Timeout,
            });
        }
        loop {
            let phase = mem::replace(&mut self.phase, Phase::Done);
            match self.step(phase, scratch, now)? {
                Step::Next(phase) => self.phase = phase,
                Step::Wait(phase) => {
                    self.phase = phase;
                    return Ok(None);
                }
                Step::Open(stream) => return Ok(Some(stream)),
                Step::Redirect(url) => {
                    self.url = url;
                    self.response.clear();
                    self.prepare()?;
                    self.phase = Phase::Start;
                }
            }
        }
    }

    fn step(&mut self, phase: Phase, scratch: &mut Scratch, now: u64) -> Result<Step, ConnectError> {
        Ok(match phase {
            Phase::Start => Step::Next(self.start()?),
            Phase::Resolving(mut resolving) => match resolving.poll() {
                None => Step::Wait(Phase::Resolving(resolving)),
                Some(Ok(addresses)) => Step::Next(self.connect(addresses)),
                Some(Err(error)) => {
                    return Err(ConnectError::Resolve { host: self.next_host().0.to_owned(), error });
                }
            },
            Phase::Connecting(mut connecting) => match connecting.advance(now) {
                Some(socket) => Step::Next(self.connected(Transport::Tcp(socket))?),
                None if connecting.is_hopeless() => return Err(self.unconnected(connecting.failed)),
                None => Step::Wait(Phase::Connecting(connecting)),
            },
            Phase::Tunnel(transport, tunnel) => self.tunnel(transport, tunnel)?,
            Phase::Opening(opening, _) => self.open(opening, scratch, now)?,
            Phase::Done => return Err(finished()),
        })
    }

    /// Returns the error after every address was tried.
    fn unconnected(&self, attempts: Vec<FailedAttempt>) -> ConnectError {
        let host = match &self.proxy {
            Some(proxy) => format!("the proxy {proxy}"),
            None => self.url.host().to_owned(),
        };
        ConnectError::Connect { host, attempts }
    }

    /// Returns the host and port to connect to: the proxy's, if there is one.
    fn next_host(&self) -> (&str, u16) {
        match &self.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (self.url.host(), self.url.port()),
        }
    }

    fn hop(&self) -> Hop {
        let (host, port) = self.next_host();
        Hop { is_proxy: self.proxy.is_some(), host: host.to_ascii_lowercase(), port }
    }

    fn start(&self) -> Result<Phase, ConnectError> {
        if let Some(path) = self.url.unix_path() {
            let transport = connecting::connect_unix(path)
                .map_err(|error| ConnectError::Unix { path: path.to_owned(), error })?;
            return self.connected(transport);
        }
        if let Some(addresses) = &self.options.addresses
            && self.first_hop.as_ref() == Some(&self.hop())
        {
            return Ok(self.connect(addresses.clone()));
        }
        let (host, port) = self.next_host();
        match host.parse::<IpAddr>() {
            Ok(address) => Ok(self.connect(vec![(address, port).into()])),
            Err(_) => Resolving::start(host, port).map(Phase::Resolving).map_err(ConnectError::System),
        }
    }

    fn connect(&self, addresses: Vec<SocketAddr>) -> Phase {
        let timeout = self.options.attempt_timeout.map(millis);
        Phase::Connecting(Connecting::new(addresses, timeout))
    }

    /// Continues on a socket: with the proxy, or with the server.
    fn connected(&self, mut transport: Transport) -> Result<Phase, ConnectError> {
        transport.set_nonblocking().map_err(ConnectError::System)?;
        let Some(proxy) = &self.proxy else { return self.begin(transport, &[]) };
        if proxy.kind == Kind::Https {
            transport = self.options.secure.begin(transport, &proxy.host, &[])?;
        }
        let tunnel = Tunnel::new(proxy, self.url.host(), self.url.port())
            .map_err(|error| ConnectError::Proxy { proxy: proxy.to_string(), error })?;
        Ok(Phase::Tunnel(transport, tunnel))
    }

    /// Exchanges bytes with the proxy.
    fn tunnel(&self, mut transport: Transport, mut tunnel: Tunnel) -> Result<Step, ConnectError> {
        let proxy = self.proxy.as_ref().map(Proxy::to_string).unwrap_or_default();
        let failed = |error| ConnectError::Tunnel { proxy: proxy.clone(), error };
        let refused = |error| ConnectError::Proxy { proxy: proxy.clone(), error };
        let mut buffer = [0; 4096];
        loop {
            send(&mut transport, &mut tunnel).map_err(failed)?;
            let n = match transport.recv(&mut buffer) {
                Ok(0) => return Err(refused(ProxyError::EndOfStream)),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Step::Wait(Phase::Tunnel(transport, tunnel)));
                }
                Err(error) => return Err(failed(error)),
            };
            if let Some(used) = tunnel.receive(&buffer[..n]).map_err(refused)? {
                return self.begin(transport, &buffer[used..n]).map(Step::Next);
            }
        }
    }

    /// Begins the handshakes with the server, on a transport that leads to it. `received` are bytes after a
    /// proxy's answer.
    fn begin(&self, mut transport: Transport, mut received: &[u8]) -> Result<Phase, ConnectError> {
        if self.url.is_secure() {
            transport = self.options.secure.begin(transport, self.url.host(), received)?;
            received = &[];
        }
        let request = self.options.request(&self.url, self.is_trusted());
        let config = Arc::clone(&self.options.config);
        let opening = ClientOpening::with_received(transport, request, config, received);
        Ok(Phase::Opening(Box::new(opening.map_err(ConnectError::System)?), Wants::READ))
    }

    fn open(
        &mut self,
        mut opening: Box<ClientOpening<Transport>>,
        scratch: &mut Scratch,
        now: u64,
    ) -> Result<Step, ConnectError> {
        let advanced = opening.advance(&mut scratch.at(now)).map(|progress| match progress {
            Progress::Pending(wants) => Some(wants),
            _ => None,
        });
        if let Ok(Some(wants)) = advanced {
            return Ok(Step::Wait(Phase::Opening(opening, wants)));
        }
        let headers = opening.response().into_iter().flat_map(|response| response.headers());
        self.response = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let error = match advanced {
            Ok(_) => {
                self.subprotocol = opening.subprotocol().map(str::to_owned);
                let opened = opening.into_stream();
                return opened
                    .map(Step::Open)
                    .map_err(|_| ConnectError::System(ErrorKind::InvalidInput.into()));
            }
            Err(error) => error,
        };
        let header = |name| self.response_header(name);
        if let OpeningError::Response(ResponseFault::Refused { status: 301..=303 | 307 | 308, .. }) = error
            && self.options.redirects > 0
            && let Some(location) = header("Location")
        {
            let location = String::from_utf8_lossy(location).into_owned();
            return self.redirect(&location).map(Step::Redirect);
        }
        let retry_after =
            header("Retry-After").and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok());
        let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER));
        Err(ConnectError::Opening { error, retry_after })
    }

    fn redirect(&mut self, location: &str) -> Result<Url, ConnectError> {
        let refused = || ConnectError::Redirect { location: without_credentials(location) };
        self.redirects += 1;
        let url = self.url.join(location).map_err(|_| refused())?.with_credentials_of(&self.first);
        if self.redirects > self.options.redirects || (self.url.is_secure() && !url.is_secure()) {
            return Err(refused());
        }
        Ok(url)
    }

    fn deadline(&self) -> Option<u64> {
        if let Phase::Done = self.phase {
            return None;
        }
        Some(self.began?.saturating_add(millis(self.options.timeout?)))
    }

    /// Returns when [`advance`](Self::advance) must be called even if nothing is ready.
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        let phase = match &self.phase {
            Phase::Start => Some(now),
            Phase::Connecting(connecting) => connecting.next_deadline(),
            Phase::Opening(opening, _) => opening.next_deadline(now),
            Phase::Resolving(_) | Phase::Tunnel(..) | Phase::Done => None,
        };
        phase.into_iter().chain(self.deadline()).min()
    }

    /// Returns the descriptors to wait for: one, or several while several addresses are tried.
    pub fn watches(&self) -> Vec<Watch<'_>> {
        match &self.phase {
            Phase::Start | Phase::Done => Vec::new(),
            Phase::Resolving(resolving) => vec![Watch { fd: resolving.as_fd(), read: true, write: false }],
            Phase::Connecting(connecting) => {
                let fds = connecting.attempts().iter().map(|attempt| attempt.socket.as_fd());
                fds.map(|fd| Watch { fd, read: false, write: true }).collect()
            }
            Phase::Tunnel(transport, tunnel) => {
                let write = !tunnel.unsent().is_empty() || transport.wants_write();
                vec![Watch { fd: transport.as_fd(), read: true, write }]
            }
            Phase::Opening(opening, wants) => {
                vec![Watch { fd: opening.as_fd(), read: wants.read, write: wants.write }]
            }
        }
    }

    /// Returns the URL: after redirects, the last one.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the subprotocol that the server chose, after the connection is open.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns the value of the first header line with this name in the server's response, after the
    /// connection is open or was refused. Names are case-insensitive.
    pub fn response_header(&self, name: &str) -> Option<&[u8]> {
        let found = self.response.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_slice())
    }

    /// Blocks until the connection is open, for a program that wants more than the stream: the
    /// [subprotocol](Self::subprotocol), a [header](Self::response_header) of the response, or the
    /// [URL](Self::url) after redirects.
    ///
    /// ```no_run
    /// use websocket_stream::client::{Blocking, Connector};
    ///
    /// let mut dial = Connector::new().subprotocol("feed.v2").dial("wss://example.com/feed")?;
    /// let mut client = Blocking::new(dial.finish()?);
    /// assert_eq!(dial.subprotocol(), Some("feed.v2"));
    /// if let Some(cookie) = dial.response_header("Set-Cookie") {
    ///     println!("{}", String::from_utf8_lossy(cookie));
    /// }
    /// client.send("hello")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`advance`](Self::advance).
    pub fn finish(&mut self) -> Result<WebSocketStream<Transport>, ConnectError> {
        let (mut scratch, start) = (Scratch::new(), Instant::now());
        // After calls of the program's, its time goes on.
        let latest = self.latest;
        let now = || latest.saturating_add(millis_since(start));
        loop {
            if let Some(stream) = self.advance(&mut scratch, now())? {
                return Ok(stream);
            }
            let at = now();
            let deadline = self.next_deadline(at);
            wait(&self.watches(), deadline.map(|deadline| deadline.saturating_sub(at)))
                .map_err(ConnectError::System)?;
        }
    }
}

/// Sends what the tunnel has to send, as much as the transport takes.
fn send(transport: &mut Transport, tunnel: &mut Tunnel) -> io::Result<()> {
    let would_block = |error: io::Error| match error.kind() {
        ErrorKind::WouldBlock => Ok(0),
        _ => Err(error),
    };
    if !tunnel.unsent().is_empty() {
        let n = transport.send(tunnel.unsent()).or_else(would_block)?;
        tunnel.sent(n);
    }
    if transport.wants_write() {
        NonBlockingTransport::flush(transport).map(|()| 0).or_else(would_block)?;
    }
    Ok(())
}

fn finished() -> ConnectError {
    ConnectError::System(io::Error::new(ErrorKind::InvalidInput, "finished dial"))
}

/// Returns a location without user name and password.
fn without_credentials(location: &str) -> String {
    let start = location.find("//").map_or(0, |slashes| slashes + 2);
    let end = location[start..].find(['/', '?', '#']).map_or(location.len(), |end| start + end);
    match location[start..end].rfind('@') {
        Some(at) => format!("{}{}", &location[..start], &location[start + at + 1..]),
        None => location.to_owned(),
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match &self.phase {
            Phase::Start => "Start",
            Phase::Resolving(_) => "Resolving",
            Phase::Connecting(_) => "Connecting",
            Phase::Tunnel(..) => "Tunnel",
            Phase::Opening(..) => "Opening",
            Phase::Done => "Done",
        };
        f.debug_struct("Dial").field("url", &self.url).field("phase", &phase).finish_non_exhaustive()
    }
}
