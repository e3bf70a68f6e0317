//! A client for the Autobahn test suite's fuzzing server: runs every case and echoes each message it
//! receives.
//!
//! ```text
//! cargo run --release --example autobahn_client -- ws://127.0.0.1:9002 AGENT [--deflate[=BITS]]
//! ```

use mio::{Events, Poll, Token};
use std::error::Error;
use std::io;
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use websocket_stream::{
    ClientOpening, ClientRequest, Config, Event, Message, Progress, Ready, Scratch, Wants, WebSocketStream,
};

#[path = "common/deflate.rs"]
mod deflate;
#[path = "common/socket.rs"]
#[expect(dead_code, reason = "it connects by TCP only")]
mod socket;

use socket::Socket;

const USAGE: &str = "usage: autobahn_client ws://HOST:PORT AGENT [--deflate[=BITS]]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (url, agent, config) = match &arguments[..] {
        [url, agent] => (url, agent, Ok(Arc::default())),
        [url, agent, option] if option == "--deflate" => (url, agent, deflate::config(None)),
        [url, agent, option] if option.starts_with("--deflate=") => {
            (url, agent, deflate::config(option.strip_prefix("--deflate=")))
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    match config.map_err(Into::into).and_then(|config| run(url, agent, config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autobahn_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(url: &str, agent: &str, config: Arc<Config>) -> Result<(), Box<dyn Error>> {
    let host = url.strip_prefix("ws://").map(|rest| rest.trim_end_matches('/')).ok_or(USAGE)?;
    let mut client = Client::new(host, config);

    let mut count = None;
    client.session("/getCaseCount", |message| {
        if let Message::Text(text) = message {
            count = Some(text.parse::<u32>());
        }
        false
    })?;
    let count = count.ok_or("the server reported no number of cases")??;

    for case in 1..=count {
        // A case may end in any way; the server judges the result.
        if let Err(error) = client.session(&format!("/runCase?case={case}&agent={agent}"), |_| true) {
            eprintln!("case {case}: {error}");
        }
    }
    client.session(&format!("/updateReports?agent={agent}"), |_| false)?;
    println!("{count} cases were run; the server wrote its reports");
    Ok(())
}

struct Client<'h> {
    host: &'h str,
    config: Arc<Config>,
    scratch: Scratch,
    start: Instant,
}

impl<'h> Client<'h> {
    fn new(host: &'h str, config: Arc<Config>) -> Self {
        Self { host, config, scratch: Scratch::new(), start: Instant::now() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Runs one connection from its opening to its end. Echoes the messages for which `echo` returns true.
    fn session(
        &mut self,
        target: &str,
        mut echo: impl FnMut(Message<'_>) -> bool,
    ) -> Result<(), Box<dyn Error>> {
        let socket = TcpStream::connect(self.host)?;
        socket.set_nonblocking(true)?;
        let mut socket = Socket::Tcp(mio::net::TcpStream::from_std(socket));
        let mut waiter = Waiter::new(&mut socket)?;
        let mut stream = self.open(socket, target, &mut waiter)?;
        let mut ready = Ready::NONE;
        let mut clean = false;
        loop {
            let now = self.now();
            let driven = stream.drive(&mut self.scratch.at(now), ready, |event, out| match event {
                Event::Message(message) if echo(message) => out.send(message),
                Event::Closed(end) => {
                    clean = end.is_clean();
                    Ok(())
                }
                _ => Ok(()),
            });
            let wants = match driven {
                // The server resets connections after the closing handshake.
                Err(_) if clean => return Ok(()),
                driven => driven?,
            };
            if wants.closed {
                return Ok(());
            }
            ready = waiter.wait(wants, stream.next_deadline(now), now)?;
        }
    }

    fn open(
        &mut self,
        socket: Socket,
        target: &str,
        waiter: &mut Waiter,
    ) -> Result<WebSocketStream<Socket>, Box<dyn Error>> {
        let request = ClientRequest::new(self.host, target);
        let mut opening = ClientOpening::with_config(socket, request, Arc::clone(&self.config))?;
        loop {
            let now = self.now();
            match opening.advance(&mut self.scratch.at(now))? {
                Progress::Pending(wants) => {
                    waiter.wait(wants, opening.next_deadline(now), now)?;
                }
                // A client has no request to answer.
                Progress::Open | Progress::Decide(_) | Progress::Answered { .. } => {
                    return Ok(opening.into_stream()?);
                }
            }
        }
    }
}

/// Waits for one socket, edge-triggered.
struct Waiter {
    poll: Poll,
    events: Events,
}

impl Waiter {
    fn new(socket: &mut Socket) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(socket, Token(0), socket::INTERESTS)?;
        Ok(Self { poll, events: Events::with_capacity(4) })
    }

    /// Waits until something is ready or the deadline has passed.
    fn wait(&mut self, wants: Wants, deadline: Option<u64>, now: u64) -> io::Result<Ready> {
        if wants.again {
            return Ok(Ready::READABLE);
        }
        let timeout = deadline.map(|at| Duration::from_millis(at.saturating_sub(now)));
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Ready::NONE),
            other => other?,
        }
        let mut ready = Ready::NONE;
        for event in &self.events {
            ready.readable |= event.is_readable();
            ready.writable |= event.is_writable();
            ready.closed |= event.is_read_closed() || event.is_error() || event.is_priority();
        }
        Ok(ready)
    }
}
