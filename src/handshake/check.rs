//! The rules of the opening handshake, for a request that arrived as bytes and for one that an HTTP stack has
//! parsed.
#![forbid(unsafe_code)]

use super::authority;
use super::extensions::Extensions;
use super::fault::RequestFault;
use super::head::{Only, RequestHead, Version};
use super::key::{ACCEPT_LEN, accept_key, is_key};
use super::list::Elements;
use super::request::Request;
use super::response::{Response, ResponseError};

/// Returns the value of `Sec-WebSocket-Accept`, which HTTP/2 does not have, if the client offered the
/// subprotocol and the extensions that an accepting answer chooses.
pub(super) fn accept_value(
    request: &RequestHead,
    response: &Response,
) -> Result<Option<[u8; ACCEPT_LEN]>, ResponseError> {
    let view = Request::new(request);
    if !view.is_upgrade() {
        return Err(ResponseError::NotAnUpgrade);
    }
    // "The value chosen MUST be derived from the client's handshake, specifically by selecting one of
    // the values from the |Sec-WebSocket-Protocol| field" (section 4.2.2, item 4).
    if let Some(chosen) = response.chosen_subprotocol()
        && !view.subprotocols().any(|offered| offered == chosen)
    {
        return Err(ResponseError::Subprotocol);
    }
    // "A server MUST NOT respond with any extension not requested by the client" (section 9).
    if let Some(list) = response.chosen_extensions() {
        let mut chosen = Extensions::parse(list.as_bytes()).map_err(|_| ResponseError::Extensions)?;
        if chosen.clone().next().is_none()
            || !chosen.all(|chosen| view.extensions().any(|offered| offered.name == chosen.name))
        {
            return Err(ResponseError::Extensions);
        }
    }
    // "do not do the processing of the Sec-WebSocket-Key and Sec-WebSocket-Accept header fields" (RFC 8441,
    // section 5).
    if request.version.is_http2() {
        return Ok(None);
    }
    match request.head.only("Sec-WebSocket-Key") {
        Only::One(key) => Ok(Some(accept_key(key))),
        Only::Absent | Only::Several => Err(ResponseError::Faulty),
    }
}

/// Checks a request: first what every HTTP server must refuse, then the request for a WebSocket (section
/// 4.2.1). A plain HTTP request is valid.
pub(super) fn check(request: &RequestHead) -> Result<(), RequestFault> {
    let head = &request.head;
    let view = Request::new(request);
    let require = |condition, fault| if condition { Ok(()) } else { Err(fault) };

    if let Version::Http2(protocol) = request.version {
        // "Any message containing connection-specific header fields MUST be treated as malformed" (RFC 9113,
        // section 8.2.2).
        let mut names = CONNECTION_SPECIFIC.iter();
        require(!names.any(|name| head.values(name).next().is_some()), RequestFault::Malformed)?;
        // "A new pseudo-header field :protocol MAY be included on request HEADERS indicating the desired
        // protocol to be spoken on the tunnel created by CONNECT" (RFC 8441, section 4).
        require(protocol.is_none() || view.method() == "CONNECT", RequestFault::Malformed)?;
    }
    require(view.has_valid_target(), RequestFault::Target)?;
    // A server must answer 400 "to any HTTP/1.1 request message that lacks a Host header field and to any
    // request message that contains more than one Host header field line or a Host header field with an
    // invalid field value" (RFC 9112, section 3.2). The health checks of old load balancers are in HTTP/1.0,
    // without a Host.
    require(
        match head.only("Host") {
            Only::One(value) => str::from_utf8(value).is_ok_and(|host| authority::split(host).is_some()),
            Only::Absent => request.version == Version::Http10,
            Only::Several => false,
        },
        RequestFault::Host,
    )?;
    require(has_one_length(request), RequestFault::BodyLength)?;

    // "An |Upgrade| header field containing the value "websocket", treated as an ASCII
    // case-insensitive value."
    if !view.is_upgrade() {
        return Ok(());
    }
    // "An HTTP/1.1 or higher GET request". In HTTP/2, the extended CONNECT "replaces the GET-based request in
    // [RFC6455]" (RFC 8441, section 5).
    let is_http2 = request.version.is_http2();
    require(request.version != Version::Http10, RequestFault::HttpVersion)?;
    require(is_http2 || view.method() == "GET", RequestFault::Method)?;
    // "including a "Request-URI" that should be interpreted as a /resource name/".
    require(view.target().is_valid(), RequestFault::Target)?;
    // "A |Connection| header field that includes the token "Upgrade", treated as an ASCII
    // case-insensitive value." HTTP/2 has neither: "[RFC6455] requires the use of Connection and Upgrade
    // header fields that are not part of HTTP/2" (RFC 8441, section 5).
    let connection = Elements::new(head.values("Connection"));
    require(is_http2 || connection.contain("upgrade"), RequestFault::Connection)?;
    // A proxy that finds another end of the message would read a body as frames, or a frame as a body.
    require(
        head.only("Transfer-Encoding") == Only::Absent
            && head.values("Content-Length").all(|length| length == b"0"),
        RequestFault::Body,
    )?;
    // "A |Sec-WebSocket-Key| header field with a base64-encoded (see Section 4 of [RFC4648]) value
    // that, when decoded, is 16 bytes in length." It "MUST NOT appear more than once in an HTTP
    // request" (section 11.3.1). In HTTP/2, "that functionality has been superseded by the :protocol
    // pseudo-header field" (RFC 8441, section 5).
    let is_valid_key = || matches!(head.only("Sec-WebSocket-Key"), Only::One(key) if is_key(key));
    require(is_http2 || is_valid_key(), RequestFault::Key)?;
    // "A |Sec-WebSocket-Version| header field, with a value of 13", which "MUST NOT appear more than
    // once in an HTTP request" (section 11.3.5).
    match head.only("Sec-WebSocket-Version") {
        Only::One(b"13") => {}
        Only::Several => return Err(RequestFault::DoubledVersion),
        Only::One(_) | Only::Absent => return Err(RequestFault::Version),
    }
    // "the user agent MUST NOT include more than one Origin header field" (RFC 6454, section 7.3).
    require(
        match head.only("Origin") {
            Only::Absent => true,
            Only::One(value) => value.iter().all(|&byte| byte.is_ascii_graphic() || byte == b' '),
            Only::Several => false,
        },
        RequestFault::Origin,
    )?;
    // "any violations of the ABNF grammar specified for the components of the handshake".
    require(view.subprotocols().are_well_formed(), RequestFault::Subprotocols)?;
    // "the recipient of such malformed data MUST immediately Fail the WebSocket Connection" (9.1).
    require(Extensions::over(head.values("Sec-WebSocket-Extensions")).is_ok(), RequestFault::Extensions)
}

/// The header fields that HTTP/2 does not have: "the Connection header field and those listed as having
/// connection-specific semantics" (RFC 9113, section 8.2.2).
const CONNECTION_SPECIFIC: [&str; 5] =
    ["Connection", "Proxy-Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade"];

/// Returns whether the end of the request's body is unambiguous (RFC 9112, sections 6.1 and 6.3).
fn has_one_length(request: &RequestHead) -> bool {
    let head = &request.head;
    let mut lengths = head.values("Content-Length");
    let length = lengths.next();
    // "If a message is received without Transfer-Encoding and with an invalid Content-Length header field,
    // then the message framing is invalid". Lines that repeat the number are harmless.
    let is_number = |value: &[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if length.is_some_and(|value| !is_number(value) || lengths.any(|other| other != value)) {
        return false;
    }
    if head.only("Transfer-Encoding") == Only::Absent {
        return true;
    }
    // "If a Transfer-Encoding header field is present in a request and the chunked transfer coding is not the
    // final encoding, the message body length cannot be determined reliably". In HTTP/1.0, or together with a
    // Content-Length, the header may be an attempt at request smuggling.
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let mut codings =
        Elements::new(head.values("Transfer-Encoding")).skip_while(|coding| !is_chunked(coding));
    length.is_none()
        && request.version != Version::Http10
        && codings.next().is_some()
        && codings.next().is_none()
}
