//! The opening handshake on a transport, the server's end.
#![forbid(unsafe_code)]

#[cfg(feature = "deflate")]
use super::wire::deflate_params;
use super::wire::{RECEIVE_BYTES, Wire, head_limits};
use super::{OpeningError, Progress};
use crate::handshake::Received as Head;
use crate::handshake::{Request, RequestFault, Response, ResponseError, ServerHandshake};
use crate::protocol::{Config, Role, SharedConfig};
use crate::stream::{Ready, Turn};
use crate::transport::NonBlockingTransport;
use std::io;
use std::sync::Arc;

/// A server's opening handshake.
///
/// ```
/// use websocket_stream::handshake::Response;
/// use websocket_stream::transport::memory;
/// use websocket_stream::{ClientOpening, Progress, Ready, Scratch, ServerOpening};
/// use websocket_stream::handshake::ClientRequest;
///
/// let (a, b) = memory::pair(4096);
/// let mut scratch = Scratch::new();
/// let mut server = ServerOpening::new(a)?;
/// let mut client = ClientOpening::new(b, ClientRequest::new("localhost", "/chat"))?;
///
/// assert!(matches!(client.advance(&mut scratch.at(0), Ready::ALL)?, Progress::Pending(_)));
/// match server.advance(&mut scratch.at(0), Ready::ALL)? {
///     Progress::Decide(request) => assert_eq!(request.path(), "/chat"),
///     _ => unreachable!(),
/// }
/// server.answer(&Response::accept())?;
/// assert!(matches!(server.advance(&mut scratch.at(0), Ready::ALL)?, Progress::Open));
/// assert!(matches!(client.advance(&mut scratch.at(0), Ready::ALL)?, Progress::Open));
/// let (_server, _client) = (server.into_stream()?, client.into_stream()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ServerOpening<T> {
    wire: Wire<T>,
    handshake: ServerHandshake,
    state: ServerState,
}

#[derive(Debug, Clone, Copy)]
enum ServerState {
    Receiving,
    Accepted,
    Refused,
    Faulty(RequestFault),
}

impl<T: NonBlockingTransport> ServerOpening<T> {
    /// Begins on a transport that was accepted. Sets it non-blocking, and `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new(transport: T) -> io::Result<Self> {
        Self::open(transport, SharedConfig::default())
    }

    /// The same with a configuration that others may share.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn with_config(transport: T, config: Arc<Config>) -> io::Result<Self> {
        Self::open(transport, SharedConfig::from(config))
    }

    fn open(transport: T, config: SharedConfig) -> io::Result<Self> {
        let handshake = ServerHandshake::new(head_limits(&config.get().limits));
        Ok(Self {
            wire: Wire::new(transport, Role::Server, config)?,
            handshake,
            state: ServerState::Receiving,
        })
    }

    /// Goes on as far as it can without waiting.
    ///
    /// # Errors
    ///
    /// Why there will be no WebSocket; the transport can be dropped then.
    pub fn advance(&mut self, turn: &mut Turn<'_>, ready: Ready) -> Result<Progress<'_>, OpeningError> {
        let begun = self.wire.begin(turn.now, ready);
        begun.map_err(|late| self.refusal().unwrap_or(late))?;
        if self.wire.open {
            return Ok(Progress::Open);
        }
        let mut buffer = [0; RECEIVE_BYTES];
        while let ServerState::Receiving = self.state {
            if self.handshake.request().is_some() {
                break;
            }
            let n = self.wire.receive(&mut buffer)?;
            if n == 0 {
                return Ok(Progress::Pending(self.wire.pending(false)));
            }
            match self.handshake.receive(&buffer[..n]) {
                Ok(Head::Partial) => {}
                Ok(Head::Complete { used }) => self.wire.unread.extend_from_slice(&buffer[used..n]),
                Err(fault) => {
                    fault.write_response(&mut self.wire.out);
                    self.state = ServerState::Faulty(fault);
                }
            }
        }
        if let Some(error) = self.refusal() {
            return match self.wire.linger() {
                Ok(Some(interest)) => Ok(Progress::Pending(interest)),
                Ok(None) | Err(_) => Err(error),
            };
        }
        if let ServerState::Accepted = self.state {
            self.wire.open = self.wire.flush()?;
            return Ok(match self.wire.open {
                true => Progress::Open,
                false => Progress::Pending(self.wire.pending(false)),
            });
        }
        Ok(match self.handshake.request() {
            Some(request) => Progress::Decide(request),
            None => Progress::Pending(self.wire.pending(false)),
        })
    }

    /// Why there will be no WebSocket, where that is decided.
    fn refusal(&self) -> Option<OpeningError> {
        match self.state {
            ServerState::Receiving | ServerState::Accepted => None,
            ServerState::Refused => Some(OpeningError::Refused),
            ServerState::Faulty(fault) => Some(OpeningError::Request(fault)),
        }
    }

    /// The request, once it is there and until it is answered.
    pub fn request(&self) -> Option<Request<'_>> {
        self.handshake.request()
    }

    /// Answers the request. [`advance`](Self::advance) sends the answer.
    ///
    /// With `Config::deflate`, compression is agreed on where the client offers it, unless the
    /// response names extensions itself.
    ///
    /// # Errors
    ///
    /// [`ResponseError`] where the answer cannot be sent as it is; another one can be given.
    pub fn answer(&mut self, response: &Response) -> Result<(), ResponseError> {
        #[cfg(feature = "deflate")]
        if let Some(answer) = self.deflate_answer(response) {
            let response = response.clone().extensions(&answer.to_string());
            self.handshake.answer(&response, &mut self.wire.out)?;
            self.wire.agreed = Some(answer.agreed());
            self.state = ServerState::Accepted;
            return Ok(());
        }
        self.handshake.answer(response, &mut self.wire.out)?;
        self.state = if response.is_accept() { ServerState::Accepted } else { ServerState::Refused };
        Ok(())
    }

    /// What is agreed on by a response that accepts.
    #[cfg(feature = "deflate")]
    fn deflate_answer(&self, response: &Response) -> Option<crate::deflate::Answer> {
        let policy = self.wire.config.get().deflate?;
        if !response.is_accept() || response.chosen_extensions().is_some() {
            return None;
        }
        policy.accept(deflate_params(self.handshake.request()?.extensions()))
    }
}

shared_methods!(ServerOpening);
