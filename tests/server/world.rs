//! Connections in memory with their clients, and a loop that calls them as a poller would.

use std::io::ErrorKind;
use std::sync::Arc;
use websocket_stream::server::{Connections, Handler, ServerConfig};
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    ClientOpening, ClientRequest, Closed, Config, Event, Message, OpeningError, Progress, Ready, Scratch,
    Timeouts, WebSocketStream,
};

/// The bytes that each end of a transport buffers.
pub(crate) const CAPACITY: usize = 1 << 20;

pub(crate) struct World<H: Handler> {
    pub(crate) connections: Connections<MemoryStream, H::Session>,
    pub(crate) handler: H,
    pub(crate) now: u64,
}

/// A client's end. Its messages and its end are collected by [`Client::receive`].
pub(crate) struct Client {
    pub(crate) key: usize,
    pub(crate) stream: WebSocketStream<MemoryStream>,
    pub(crate) scratch: Scratch,
    pub(crate) end: Option<Closed>,
}

impl<H: Handler> World<H> {
    pub(crate) fn new(handler: H) -> Self {
        Self::with_config(handler, ServerConfig::default())
    }

    pub(crate) fn with_config(handler: H, config: ServerConfig) -> Self {
        Self { connections: Connections::new(config), handler, now: 0 }
    }

    /// One round: each of the keys is ready, then everything else.
    pub(crate) fn round(&mut self, keys: impl IntoIterator<Item = usize>) {
        for key in keys {
            self.connections.ready(key, Ready::READABLE, self.now, &mut self.handler);
        }
        self.connections.turn(self.now, &mut self.handler);
    }

    /// Rounds with every connection ready, until no connection needs another call.
    pub(crate) fn settle(&mut self) {
        for _ in 0..1000 {
            self.round_of_all();
            if self.connections.next_deadline(self.now).is_none_or(|at| at > self.now) {
                return;
            }
        }
        panic!("the connections do not come to rest");
    }

    pub(crate) fn round_of_all(&mut self) {
        for key in 0..1000 {
            self.connections.ready(key, Ready::UNKNOWN, self.now, &mut self.handler);
        }
        self.connections.turn(self.now, &mut self.handler);
    }

    /// Adds a client that asks for a path.
    pub(crate) fn connect(&mut self, path: &str) -> Client {
        self.try_connect(ClientRequest::new("localhost", path), CAPACITY).unwrap()
    }

    pub(crate) fn try_connect(
        &mut self,
        request: ClientRequest,
        capacity: usize,
    ) -> Result<Client, OpeningError> {
        let (a, b) = memory::pair(capacity);
        let key = self.connections.insert(a, None, self.now).unwrap();
        let mut scratch = Scratch::new();
        let mut opening = ClientOpening::with_config(b, request, client_config())?;
        for _ in 0..10 {
            if let Progress::Open = opening.advance(&mut scratch.at(self.now))? {
                let stream = opening.into_stream().unwrap();
                return Ok(Client { key, stream, scratch, end: None });
            }
            self.round([key]);
        }
        panic!("the opening does not end")
    }
}

fn client_config() -> Arc<Config> {
    Arc::new(Config::default().timeouts(Timeouts::OFF))
}

impl Client {
    pub(crate) fn send<'m>(&mut self, message: impl Into<Message<'m>>) {
        self.stream.send(&mut self.scratch.at(0), message).unwrap();
    }

    /// Returns the messages that have arrived, as text, and the Close frame as `(code reason)`.
    pub(crate) fn receive(&mut self) -> Vec<String> {
        let mut received = Vec::new();
        let end = &mut self.end;
        let driven = self.stream.drive(&mut self.scratch.at(0), Ready::UNKNOWN, |event, _| {
            match event {
                Event::Message(message) => {
                    received.push(String::from_utf8_lossy(message.as_bytes()).into_owned());
                }
                Event::Close(frame) => received.push(format!("({} {})", frame.code.get(), frame.reason)),
                Event::Closed(closed) => *end = Some(closed),
                _ => {}
            }
            Ok(())
        });
        match driven {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => panic!("{error}"),
        }
        received
    }

    /// Returns the number of bytes that have been received.
    #[cfg(feature = "deflate")]
    pub(crate) fn bytes_received(&self) -> u64 {
        self.stream.get_ref().calls().received
    }
}
