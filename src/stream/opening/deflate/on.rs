//! permessage-deflate in the opening handshake (RFC 7692, section 7.1).
#![forbid(unsafe_code)]

use crate::config::Config;
use crate::deflate::{DeflateParams, InvalidAnswer, NAME};
use crate::handshake::{
    ClientHandshake, ClientRequest, Extensions, Params, Request, Response, ResponseFault,
};
use crate::protocol::Connection;

/// The negotiated parameters, if compression was negotiated.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::stream::opening) struct Negotiated(Option<DeflateParams>);

impl Negotiated {
    /// Enables compression on a connection, if it was negotiated.
    pub(in crate::stream::opening) fn apply_to(self, connection: Connection) -> Connection {
        match self.0 {
            Some(params) => connection.with_deflate(params),
            None => connection,
        }
    }
}

/// Adds the client's offer to its request.
pub(in crate::stream::opening) fn offer(request: ClientRequest, config: &Config) -> ClientRequest {
    match &config.deflate {
        Some(policy) => request.more_extensions(&policy.offer()),
        None => request,
    }
}

/// Adds the server's answer to an accepting response, unless that response already chooses extensions.
pub(in crate::stream::opening) fn accept(
    response: &Response,
    request: Request<'_>,
    config: &Config,
) -> Option<(Response, Negotiated)> {
    let policy = config.deflate?;
    if !response.is_accept() || response.chosen_extensions().is_some() {
        return None;
    }
    let answer = policy.accept(params(request.extensions()))?;
    Some((response.clone().extensions(&answer.to_string()), Negotiated(Some(answer.params()))))
}

/// Checks the server's answer.
pub(in crate::stream::opening) fn confirm(
    handshake: &ClientHandshake,
    config: &Config,
) -> Result<Negotiated, ResponseFault> {
    let Some(policy) = config.deflate else { return Ok(Negotiated::default()) };
    let mut answers = handshake.extensions().into_iter().flat_map(params);
    let Some(answer) = answers.next() else { return Ok(Negotiated::default()) };
    if answers.next().is_some() {
        return Err(ResponseFault::Extensions);
    }
    match policy.confirm(answer) {
        Ok(params) => Ok(Negotiated(Some(params))),
        Err(InvalidAnswer::Params) => Err(ResponseFault::ExtensionParams),
        Err(InvalidAnswer::ContextTakeover) => Err(ResponseFault::ContextTakeover),
        Err(InvalidAnswer::WindowBits) => Err(ResponseFault::WindowBits),
    }
}

/// Returns the parameters of each `permessage-deflate` in a list.
fn params(extensions: Extensions<'_>) -> impl Iterator<Item = Params<'_>> {
    extensions.filter(|extension| extension.name == NAME).map(|extension| extension.params())
}
