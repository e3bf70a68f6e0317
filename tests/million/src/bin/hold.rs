//! Opens connections, holds them all, and uses each of them: an echo on every one, then a message to all,
//! twice. Answers pings. Fails if one connection is lost, or if a message is lost or doubled. Prints the
//! server's memory.
//!
//! Prints a sample at the start, every second, when all are open, when all have echoed, and at the end: the
//! seconds since the start, the open connections and the server's resident memory. For example:
//!
//! ```text
//! sample: 61.5 s, 70250 open, 8812 KiB
//! ```
//!
//! `compare million` in `benches/compare` draws a chart from these lines.
//!
//! usage: hold ADDRESS SERVER-PID CONNECTIONS

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use websocket_stream::{
    ClientOpening, ClientRequest, Config, Event, Message, Progress, Ready, Scratch, Timeouts, WebSocketStream,
};

/// Connections that may be opening at the same time, and echoes that may be on their way.
const WINDOW: usize = 400;

/// Connections from one source address: the system has about 64,000 ports for each.
const PER_ADDRESS: usize = 20_000;

/// The time without any progress after which the run fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// Milliseconds between two samples.
const SAMPLING: u64 = 1_000;

enum Client {
    Opening(Box<ClientOpening<TcpStream>>),
    Open(WebSocketStream<TcpStream>),
    Lost,
}

struct Load {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    scratch: Scratch,
    config: Arc<Config>,
    start: Instant,
    /// The process whose memory is sampled.
    server: String,
    /// The time of the next sample, in milliseconds since the start.
    next_sample: u64,
    /// Connections that need another call.
    again: VecDeque<usize>,
    opened: usize,
    /// The number of echoes, and of messages to all, that have arrived.
    echoed: usize,
    announced: usize,
    /// The message to all that each connection waits for.
    round: Vec<u8>,
    pings: usize,
    lost: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |name: &str| arguments.next().ok_or(format!("{name} is missing"));
    let (address, server) = (argument("ADDRESS")?.parse()?, argument("SERVER-PID")?);
    let connections: usize = argument("CONNECTIONS")?.parse()?;
    let mut load = Load {
        poll: Poll::new()?,
        events: Events::with_capacity(1024),
        clients: Vec::with_capacity(connections),
        scratch: Scratch::new(),
        // An emulated machine can be slow.
        config: Arc::new(Config::default().timeouts(Timeouts::default().opening(PATIENCE))),
        start: Instant::now(),
        server,
        next_sample: 0,
        again: VecDeque::new(),
        opened: 0,
        echoed: 0,
        announced: 0,
        round: vec![0; connections],
        pings: 0,
        lost: 0,
    };
    let before = load.sample()?;
    load.open_all(address, connections)?;
    load.report("opened", connections);
    load.sample()?;
    load.echo_on_each()?;
    load.report("echoed", load.echoed);
    load.sample()?;
    for round in 1..=2 {
        load.announce(round)?;
        load.report("received the message to all", load.announced);
    }
    let after = load.sample()?;
    println!("{} pings were answered", load.pings);
    println!(
        "server: {after} KiB resident, {before} KiB before; {} bytes for each connection",
        (after - before) * 1024 / connections as u64
    );
    println!("all {connections} connections are open");
    Ok(())
}

/// Returns the resident memory of a process in KiB.
fn memory(process: &str) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Connects from a source address of its own for every `PER_ADDRESS` connections.
fn connect(to: SocketAddr, index: usize) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let on: libc::c_int = 1;
    // The port is chosen when connecting, so that each may be used for several source addresses.
    // SAFETY: the option's value is an integer of this size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let group = index / PER_ADDRESS;
    let from = Ipv4Addr::new(127, 1, (group / 250) as u8, (group % 250 + 1) as u8);
    socket.bind(&SocketAddr::V4(SocketAddrV4::new(from, 0)).into())?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    Ok(TcpStream::from_std(socket.into()))
}

impl Load {
    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    fn report(&self, what: &str, count: usize) {
        println!("{:>7.1} s  {count} {what}", self.start.elapsed().as_secs_f64());
    }

    /// Prints a sample, and returns the server's resident memory in KiB.
    fn sample(&mut self) -> Result<u64, Box<dyn Error>> {
        let now = self.now();
        let resident = memory(&self.server)?;
        println!("sample: {}.{} s, {} open, {resident} KiB", now / 1000, now % 1000 / 100, self.opened);
        self.next_sample = now + SAMPLING;
        Ok(resident)
    }

    fn open_all(&mut self, address: SocketAddr, connections: usize) -> Result<(), Box<dyn Error>> {
        while self.opened < connections {
            while self.clients.len() < connections && self.clients.len() - self.opened < WINDOW {
                let key = self.clients.len();
                let mut socket = connect(address, key)?;
                let interests = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut socket, Token(key), interests)?;
                let request = ClientRequest::new("localhost", "/");
                let opening = ClientOpening::with_config(socket, request, Arc::clone(&self.config))?;
                self.clients.push(Client::Opening(Box::new(opening)));
                if key.is_multiple_of(100_000) {
                    self.report("opened", self.opened);
                }
            }
            self.wait()?;
        }
        Ok(())
    }

    fn echo_on_each(&mut self) -> Result<(), Box<dyn Error>> {
        let mut sent = 0;
        while self.echoed < self.clients.len() {
            while sent < self.clients.len() && sent - self.echoed < WINDOW {
                let now = self.now();
                if let Client::Open(stream) = &mut self.clients[sent] {
                    stream.send(&mut self.scratch.at(now), &sent.to_string())?;
                }
                sent += 1;
            }
            self.wait()?;
        }
        Ok(())
    }

    /// One connection sends a message to all.
    fn announce(&mut self, round: u8) -> Result<(), Box<dyn Error>> {
        self.announced = 0;
        let now = self.now();
        if let Client::Open(stream) = &mut self.clients[0] {
            stream.send(&mut self.scratch.at(now), &format!("={round}"))?;
        }
        while self.announced < self.clients.len() {
            self.wait()?;
        }
        Ok(())
    }

    /// Waits for events, and handles them.
    fn wait(&mut self) -> Result<(), Box<dyn Error>> {
        let timeout = if self.again.is_empty() { PATIENCE } else { Duration::ZERO };
        self.poll.poll(&mut self.events, Some(timeout))?;
        if self.events.is_empty() && self.again.is_empty() {
            return Err(format!("nothing has happened for {PATIENCE:?}").into());
        }
        let mut calls: Vec<_> =
            self.events.iter().map(|event| (event.token().0, Ready::from(event))).collect();
        calls.extend(self.again.drain(..).map(|key| (key, Ready::UNKNOWN)));
        for (key, ready) in calls {
            self.call(key, ready)?;
        }
        if self.now() >= self.next_sample {
            self.sample()?;
        }
        if self.lost > 0 {
            return Err(format!("{} connections were lost", self.lost).into());
        }
        Ok(())
    }

    fn call(&mut self, key: usize, ready: Ready) -> Result<(), Box<dyn Error>> {
        let now = self.now();
        if let Client::Opening(opening) = &mut self.clients[key] {
            match opening.advance(&mut self.scratch.at(now))? {
                Progress::Pending(_) => return Ok(()),
                Progress::Open => {}
                progress => return Err(format!("connection {key}: {progress:?}").into()),
            }
            if let Client::Opening(opening) = std::mem::replace(&mut self.clients[key], Client::Lost) {
                self.clients[key] = Client::Open(opening.into_stream()?);
                self.opened += 1;
            }
        }
        let Client::Open(stream) = &mut self.clients[key] else { return Ok(()) };
        let Self { scratch, round, echoed, announced, pings, .. } = self;
        let mut wrong = None;
        let wants = stream.drive(&mut scratch.at(now), ready, |event, _| {
            match event {
                Event::Message(Message::Text(text)) => match text.strip_prefix('=').map(str::parse) {
                    None if text == key.to_string() => *echoed += 1,
                    Some(Ok(number)) if number == round[key] + 1 => {
                        round[key] = number;
                        *announced += 1;
                    }
                    _ => wrong = Some(text.to_owned()),
                },
                Event::Ping(_) => *pings += 1,
                event => wrong = Some(format!("{event:?}")),
            }
            Ok(())
        })?;
        if let Some(wrong) = wrong {
            return Err(format!("connection {key} received {wrong}").into());
        }
        if wants.closed {
            self.lost += 1;
        } else if wants.again {
            self.again.push_back(key);
        }
        Ok(())
    }
}
