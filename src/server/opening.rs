//! A connection before it is open: the PROXY protocol's header, the request, and the decision about it.
#![forbid(unsafe_code)]

use super::config::ServerConfig;
use super::handler::{Answer, Handler};
use super::hub::Hub;
use super::peer::NewPeer;
use super::proxy::{self, ProxyHeader, Received};
use super::secure::TlsState;
use crate::Config;
use crate::config::millis;
use crate::handshake::Response;
use crate::stream::{OpeningError, Progress, ServerOpening, Turn, Wants, WebSocketStream};
use crate::transport::NonBlockingTransport;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

pub(super) struct Opening<T, S> {
    stage: Stage<T>,
    pub(super) session: S,
    ip: Option<IpAddr>,
    /// Whether the handler was asked.
    asked: bool,
}

enum Stage<T> {
    /// Waits for the header of the PROXY protocol. The time counts from the first call.
    Proxied {
        transport: T,
        header: ProxyHeader,
        began: Option<u64>,
    },
    Handshake(ServerOpening<T>),
    /// The transport was dropped or has become a stream.
    Gone,
}

/// How far a call came.
pub(super) enum Step {
    Wait(Wants),
    Open,
    /// Answered, and to be dropped.
    Answered {
        is_upgrade: bool,
    },
    Failed,
}

/// What every opening of a server has in common.
pub(super) struct Terms<T> {
    pub(super) connection: Arc<Config>,
    pub(super) config: ServerConfig,
    /// Whether new requests are refused with 503.
    pub(super) shutting_down: bool,
    pub(super) after_proxy_header: ContinueWith<T>,
    pub(super) tls_state: fn(&T) -> Option<&TlsState>,
}

/// Continues with a transport after the header of the PROXY protocol. Takes and returns the bytes that were
/// received after it.
pub(super) type ContinueWith<T> = fn(T, Vec<u8>) -> io::Result<(T, Vec<u8>)>;

impl<T> Terms<T> {
    /// Returns when a connection that waits for the header of the PROXY protocol times out.
    fn deadline(&self, began: u64) -> Option<u64> {
        let timeout = millis(self.connection.timeouts.opening)?;
        Some(began.saturating_add(timeout.into()))
    }
}

impl<T: NonBlockingTransport, S> Opening<T, S> {
    pub(super) fn new(
        mut transport: T,
        session: S,
        ip: Option<IpAddr>,
        terms: &Terms<T>,
    ) -> io::Result<Self> {
        let stage = if terms.config.proxy_protocol {
            transport.set_nonblocking()?;
            Stage::Proxied { transport, header: ProxyHeader::default(), began: None }
        } else {
            Stage::Handshake(ServerOpening::with_config(transport, Arc::clone(&terms.connection))?)
        };
        Ok(Self { stage, session, ip, asked: false })
    }

    pub(super) fn transport(&mut self) -> Option<&mut T> {
        match &mut self.stage {
            Stage::Proxied { transport, .. } => Some(transport),
            Stage::Handshake(opening) => Some(opening.get_mut()),
            Stage::Gone => None,
        }
    }

    pub(super) fn into_transport(self) -> Option<T> {
        match self.stage {
            Stage::Proxied { transport, .. } => Some(transport),
            Stage::Handshake(opening) => Some(opening.into_parts().transport),
            Stage::Gone => None,
        }
    }

    /// Returns the stream and the session after [`Step::Open`].
    pub(super) fn into_stream(self) -> Option<(WebSocketStream<T>, S)> {
        match self.stage {
            Stage::Handshake(opening) => Some((opening.into_stream().ok()?, self.session)),
            Stage::Proxied { .. } | Stage::Gone => None,
        }
    }

    pub(super) fn next_deadline(&self, terms: &Terms<T>, now: u64) -> Option<u64> {
        match &self.stage {
            Stage::Proxied { began, .. } => began.map_or(Some(now), |began| terms.deadline(began)),
            Stage::Handshake(opening) => opening.next_deadline(now),
            Stage::Gone => None,
        }
    }

    /// Advances as far as possible without waiting.
    pub(super) fn advance<H: Handler<Session = S>>(
        &mut self,
        hub: &mut Hub,
        turn: &mut Turn<'_>,
        now: u64,
        terms: &Terms<T>,
        handler: &mut H,
    ) -> Step {
        match self.try_advance(hub, turn, now, terms, handler) {
            Ok(step) => step,
            Err(error) => {
                let tls = match &self.stage {
                    Stage::Handshake(opening) => (terms.tls_state)(opening.get_ref()),
                    Stage::Proxied { .. } | Stage::Gone => None,
                };
                handler.not_opened(&mut NewPeer { id: hub.peer(), ip: self.ip, hub, tls }, &error);
                Step::Failed
            }
        }
    }

    fn try_advance<H: Handler<Session = S>>(
        &mut self,
        hub: &mut Hub,
        turn: &mut Turn<'_>,
        now: u64,
        terms: &Terms<T>,
        handler: &mut H,
    ) -> Result<Step, OpeningError> {
        if let Stage::Proxied { .. } = self.stage
            && let Some(wants) = self.receive_proxy_header(now, terms)?
        {
            return Ok(Step::Wait(wants));
        }
        let Stage::Handshake(opening) = &mut self.stage else { return Ok(Step::Failed) };
        loop {
            match opening.advance(turn)? {
                Progress::Pending(wants) => return Ok(Step::Wait(wants)),
                Progress::Open => return Ok(Step::Open),
                Progress::Answered { .. } => {
                    let is_upgrade = opening.request().is_some_and(|request| request.is_upgrade());
                    return Ok(Step::Answered { is_upgrade });
                }
                Progress::Decide(_) => {}
            }
            let Some(request) = opening.request() else { return Ok(Step::Failed) };
            if mem::replace(&mut self.asked, true) {
                // Nothing is received before the answer.
                return Ok(Step::Wait(Wants { read: false, ..Wants::READ }));
            }
            if let Some(name) = &terms.config.client_ip_header {
                self.ip = proxy::ip_in_header(&request, name).or(self.ip);
            }
            let tls = (terms.tls_state)(opening.get_ref());
            let peer = &mut NewPeer { id: hub.peer(), ip: self.ip, hub: &mut *hub, tls };
            let answer = match request.is_upgrade() {
                _ if terms.shutting_down => Response::new(503).into(),
                false => handler.http(peer, &request),
                true if terms.config.origin.allows(&request) => {
                    handler.open(peer, &mut self.session, &request)
                }
                true => Response::forbidden().into(),
            };
            match answer {
                Answer::Now(response) => _ = opening.answer_or_500(&response),
                Answer::Later => {}
            }
        }
    }

    /// Returns what to wait for, or `None` once the header was received.
    fn receive_proxy_header(&mut self, now: u64, terms: &Terms<T>) -> Result<Option<Wants>, OpeningError> {
        let Stage::Proxied { transport, header, began } = &mut self.stage else { return Ok(None) };
        let began = *began.get_or_insert(now);
        if terms.deadline(began).is_some_and(|at| at <= now) {
            return Err(OpeningError::Timeout);
        }
        let (ip, len) = match header.receive(transport)? {
            // The transport may have bytes of its own, such as those of a TLS handshake.
            Received::Partial => return Ok(Some(Wants { write: transport.wants_write(), ..Wants::READ })),
            Received::Invalid => {
                let error = io::Error::new(ErrorKind::InvalidData, "no header of the PROXY protocol");
                return Err(error.into());
            }
            Received::Whole { ip, len } => (ip, len),
        };
        self.ip = ip.or(self.ip);
        if let Stage::Proxied { transport, header, .. } = mem::replace(&mut self.stage, Stage::Gone) {
            let config = Arc::clone(&terms.connection);
            let (transport, received) = (terms.after_proxy_header)(transport, header.rest(len).to_vec())?;
            let mut opening = ServerOpening::with_received(transport, config, &received)?;
            opening.count_from(began);
            self.stage = Stage::Handshake(opening);
        }
        Ok(None)
    }

    /// Gives the answer to a request that waits for it, and returns whether one did.
    pub(super) fn answer(&mut self, response: &Response) -> bool {
        let Stage::Handshake(opening) = &mut self.stage else { return false };
        if !self.asked {
            return false;
        }
        // Fails only if the request is answered already.
        let _ = opening.answer_or_500(response);
        true
    }
}
