//! Any bytes as the head that either end receives, whole and byte by byte: the results are equal.

use websocket_stream::Limits;
use websocket_stream::handshake::{
    ClientHandshake, ClientRequest, HeadStatus, OriginPolicy, ParsedHandshake, ParsedRequest, Request,
    RequestFault, Response, ResponseError, ServerHandshake,
};

pub(crate) fn body(bytes: &[u8]) {
    let limits = Limits::default().head_bytes(2048).head_headers(16);
    server(bytes, &limits);
    client(bytes, &limits);
}

fn server(bytes: &[u8], limits: &Limits) {
    let mut whole = ServerHandshake::new(limits);
    let verdict = whole.receive(bytes);
    let mut pieces = ServerHandshake::new(limits);
    let last = feed(bytes, |byte| pieces.receive(byte));
    assert_eq!(verdict.is_ok_and(|received| received != HeadStatus::Partial), last == Ok(true));
    assert_eq!(verdict.is_err(), last.is_err());
    if let Some(request) = whole.request() {
        assert_eq!(judge_parsed(&request), verdict.map(drop));
    }
    // The request of a faulty handshake can be inspected too, but not accepted.
    if last != Ok(true) {
        return;
    }
    if let Some(request) = whole.request() {
        let _ = (request.path(), request.query(), request.origin(), request.subprotocols().count());
        let query = request.query().unwrap_or_default().len();
        // The replacement character for an invalid byte has three bytes.
        assert!(
            request.query_pairs().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= 3 * query
        );
        assert!(OriginPolicy::Any.allows(&request));
        let _ = OriginPolicy::List(&["https://localhost"]).allows(&request);
        let is_upgrade = request.is_upgrade();
        let mut out = Vec::new();
        let accepted = whole.answer(&Response::accept(), &mut out);
        let expected = if is_upgrade { Ok(()) } else { Err(ResponseError::NotAnUpgrade) };
        assert_eq!(accepted, expected, "only an upgrade can be accepted, and always");
        assert_eq!(out.ends_with(b"\r\n\r\n"), is_upgrade);
    }
}

/// Judges a request after another HTTP stack has parsed it.
fn judge_parsed(request: &Request<'_>) -> Result<(), RequestFault> {
    let mut lines = request.as_bytes().split(|&byte| byte == b'\n').filter(|line| *line != b"\r");
    let start = std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let mut words = start.trim_end().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let new = if words.next() == Some("HTTP/1.0") { ParsedRequest::http10 } else { ParsedRequest::http11 };
    // Written again, a head may be longer.
    ParsedHandshake::new(&new(method, target).headers(request.headers()), &Limits::default()).map(drop)
}

fn client(bytes: &[u8], limits: &Limits) {
    let new = || {
        let request = ClientRequest::new("localhost", "/").subprotocol("chat");
        ClientHandshake::new(request, [7; 16], limits).expect("the request is sound")
    };
    let mut whole = new();
    let verdict = whole.receive(bytes);
    let mut pieces = new();
    let last = feed(bytes, |byte| pieces.receive(byte));
    assert_eq!(verdict.is_ok_and(|received| received != HeadStatus::Partial), last == Ok(true));
    assert_eq!(verdict.is_err(), last.is_err());
    // A refusal may have folded header lines.
    if let Some(response) = whole.response() {
        let mut values = response.headers().map(|(_, value)| value);
        assert!(!values.any(|value| value.contains(&b'\r') || value.contains(&b'\n')));
    }
}

/// Feeds byte by byte until the head is complete or faulty. Returns whether it is complete.
fn feed<E>(bytes: &[u8], mut receive: impl FnMut(&[u8]) -> Result<HeadStatus, E>) -> Result<bool, E> {
    for byte in bytes.chunks(1) {
        if let HeadStatus::Complete { .. } = receive(byte)? {
            return Ok(true);
        }
    }
    Ok(false)
}
