//! Replaces `on.rs` if the feature `deflate` is off: nothing is offered, accepted or confirmed.
#![forbid(unsafe_code)]

use crate::config::Config;
use crate::handshake::{ClientHandshake, ClientRequest, Request, Response, ResponseFault};
use crate::protocol::Connection;

#[derive(Debug, Clone, Copy, Default)]
pub(in crate::stream::opening) struct Negotiated {}

impl Negotiated {
    #[expect(clippy::unused_self, reason = "the interface is that of the feature")]
    pub(in crate::stream::opening) fn apply_to(self, connection: Connection) -> Connection {
        connection
    }
}

pub(in crate::stream::opening) fn offer(request: ClientRequest, _: &Config) -> ClientRequest {
    request
}

pub(in crate::stream::opening) fn accept(
    _: &Response,
    _: Request<'_>,
    _: &Config,
) -> Option<(Response, Negotiated)> {
    None
}

#[expect(clippy::unnecessary_wraps, reason = "the interface is that of the feature")]
pub(in crate::stream::opening) fn confirm(
    _: &ClientHandshake,
    _: &Config,
) -> Result<Negotiated, ResponseFault> {
    Ok(Negotiated {})
}
