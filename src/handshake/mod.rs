//! Floor 1: the opening handshake (RFC 6455, section 4), in both roles.
//!
//! [`ServerHandshake`] parses a client's request and writes the response. [`ClientHandshake`] writes a
//! request and parses the server's response. [`ParsedHandshake`] judges a request that an HTTP stack has
//! parsed. None of them uses a socket, a clock or a source of random numbers: the bytes and the nonce are
//! arguments.
//!
//! # Laws
//!
//! 1. Any split of the input has the same outcome. Each byte is read a fixed number of times, however it
//!    arrives.
//! 2. Bytes after the head are not consumed: they belong to the first frame.
//! 3. Memory is bounded by the head limits of [`Limits`](crate::Limits) and by the bytes received, never by a
//!    length that the peer announces.
//! 4. A value from the application cannot break out of its header line: it is refused before a byte is
//!    written.
//! 5. A fault is final: later calls repeat it.
//!
//! ```
//! use websocket_stream::handshake::{ClientHandshake, HeadStatus, ServerHandshake};
//! use websocket_stream::{ClientRequest, Limits, OriginPolicy, Response};
//!
//! let request = ClientRequest::new("example.com", "/chat").subprotocol("superchat");
//! let mut client = ClientHandshake::new(request, *b"the sample nonce", &Limits::default())?;
//! let mut server = ServerHandshake::new(&Limits::default());
//! let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
//!
//! client.write_request(&mut to_server);
//! assert_eq!(server.receive(&to_server)?, HeadStatus::Complete { used: to_server.len() });
//!
//! let request = server.request().ok_or("no request")?;
//! let response = match request.path() {
//!     _ if !OriginPolicy::Same.allows(&request) => Response::forbidden(),
//!     "/chat" => Response::accept().subprotocol(request.select_subprotocol(&["superchat", "chat"])),
//!     _ => Response::new(404),
//! };
//! server.answer(&response, &mut to_client)?;
//!
//! assert_eq!(client.receive(&to_client)?, HeadStatus::Complete { used: to_client.len() });
//! assert_eq!(client.subprotocol(), Some("superchat"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod answer;
mod authority;
mod check;
mod client;
mod client_request;
mod extensions;
mod fault;
mod fields;
mod head;
#[cfg(feature = "http")]
mod http_types;
mod key;
mod list;
mod origin;
mod parsed;
mod query;
mod request;
mod response;
mod server;
mod token;
mod uri;

pub use answer::Answer;
pub use client::{ClientHandshake, ReceivedResponse, ResponseFault};
pub use client_request::{ClientRequest, RequestError};
pub use extensions::{Extension, Extensions, MalformedExtensions, Params};
pub use fault::RequestFault;
pub use head::{HeadStatus, Headers, Values};
pub use key::accept_key;
pub use list::Subprotocols;
pub use origin::OriginPolicy;
pub use parsed::{ParsedHandshake, ParsedRequest};
pub use query::QueryPairs;
pub use request::Request;
pub use response::{Response, ResponseError};
pub use server::ServerHandshake;
#[cfg(feature = "std")]
pub(crate) use server::Verdict;
