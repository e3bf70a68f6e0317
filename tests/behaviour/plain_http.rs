//! Requests that do not ask for a WebSocket, and responses that do not open one.

use websocket_stream::handshake::{ClientRequest, RequestFault, Response, ResponseError, ResponseFault};
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{ClientOpening, NonBlockingTransport, OpeningError, Progress, Scratch, ServerOpening};

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: a\r\nUser-Agent: probe\r\n\r\n";

/// Returns an opening whose peer has sent these bytes, `at_a_time` per call, up to the decision on the
/// request.
fn asked(bytes: &[u8], at_a_time: usize) -> (ServerOpening<MemoryStream>, MemoryStream) {
    let (a, mut peer) = memory::pair(4096);
    let mut opening = ServerOpening::new(a).unwrap();
    let mut scratch = Scratch::new();
    for piece in bytes.chunks(at_a_time) {
        assert_eq!(peer.send(piece).unwrap(), piece.len());
        if let Progress::Decide(_) = opening.advance(&mut scratch.at(0)).unwrap() {
            return (opening, peer);
        }
    }
    panic!("nothing to decide");
}

/// Sends the answer and ends the connection as the peer. Returns the response, and the opening's status or
/// error.
fn answered(
    mut opening: ServerOpening<MemoryStream>,
    mut peer: MemoryStream,
) -> (String, Result<u16, OpeningError>) {
    let mut scratch = Scratch::new();
    assert!(matches!(opening.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    let mut answer = [0; 4096];
    let n = peer.recv(&mut answer).unwrap();
    assert_eq!(peer.recv(&mut [0]).unwrap(), 0, "the connection ends after it");
    drop(peer);
    let outcome = match opening.advance(&mut scratch.at(0)) {
        Ok(Progress::Answered { status }) => Ok(status),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    (String::from_utf8(answer[..n].to_vec()).unwrap(), outcome)
}

#[test]
fn a_health_check_is_answered_with_a_page_however_it_arrives() {
    for at_a_time in 1..=HEALTH.len() {
        let (mut opening, peer) = asked(HEALTH, at_a_time);
        let request = opening.request().unwrap();
        assert!(!request.is_upgrade());
        assert_eq!((request.path(), request.as_bytes()), ("/health", HEALTH));
        let page = Response::new(200).header("Cache-Control", "no-store").body("up\n");
        opening.answer(&page).unwrap();
        assert_eq!(opening.answer(&page), Err(ResponseError::Answered));
        let (answer, outcome) = answered(opening, peer);
        assert_eq!(
            answer,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\
            Cache-Control: no-store\r\n\r\nup\n"
        );
        assert!(matches!(outcome, Ok(200)), "{outcome:?}");
    }
}

#[test]
fn accepting_a_plain_request_answers_that_an_upgrade_is_required() {
    let request = b"HEAD / HTTP/1.0\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    for request in [HEALTH, request] {
        let (mut opening, peer) = asked(request, 4096);
        opening.answer(&Response::accept()).unwrap();
        assert_eq!(opening.answer(&Response::accept()), Err(ResponseError::Answered));
        let (answer, outcome) = answered(opening, peer);
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
        assert!(answer.contains("\r\nUpgrade: websocket\r\n"), "{answer}");
        assert_eq!(answer.ends_with("\r\n\r\n"), request.starts_with(b"HEAD"));
        assert!(matches!(outcome, Err(OpeningError::Request(RequestFault::NotAnUpgrade))), "{outcome:?}");
    }
}

#[test]
fn a_faulty_upgrade_is_answered_once_and_not_decided() {
    let (a, mut peer) = memory::pair(4096);
    let mut opening = ServerOpening::new(a).unwrap();
    peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n").unwrap();
    assert!(matches!(opening.advance(&mut Scratch::new().at(0)), Ok(Progress::Pending(_))));
    assert_eq!(opening.answer(&Response::new(200)), Err(ResponseError::Answered));
    let mut answer = [0; 4096];
    let n = peer.recv(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..n]);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.matches("HTTP/1.1").count() == 1, "{answer}");
}

#[test]
fn the_transport_and_all_bytes_can_be_handed_to_another_server() {
    let upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    for request in [HEALTH, upgrade] {
        let bytes = [request, b"and what is behind it"].concat();
        for at_a_time in 1..=bytes.len() {
            let (opening, mut peer) = asked(&bytes, at_a_time);
            let mut parts = opening.into_parts();
            // The bytes received so far, unchanged; the peer would send the rest later.
            let came = request.len().div_ceil(at_a_time) * at_a_time;
            assert_eq!(parts.unread, bytes[..came.min(bytes.len())]);
            assert_eq!(parts.unsent, b"");
            parts.transport.send(b"served").unwrap();
            assert_eq!(peer.recv(&mut [0; 9]).unwrap(), 6);
        }
        // Before the request is complete, and when it is answered.
        let (a, mut peer) = memory::pair(4096);
        let mut opening = ServerOpening::new(a).unwrap();
        peer.send(&bytes[..20]).unwrap();
        let _ = opening.advance(&mut Scratch::new().at(0)).unwrap();
        assert_eq!(opening.into_parts().unread, bytes[..20]);
        let (mut opening, _peer) = asked(&bytes, 4096);
        opening.answer(&Response::new(404)).unwrap();
        let parts = opening.into_parts();
        assert_eq!(parts.unread, b"and what is behind it");
        assert!(parts.unsent.starts_with(b"HTTP/1.1 404 "));
    }
}

#[test]
fn a_redirected_client_can_read_the_location_and_the_body() {
    let (a, mut server) = memory::pair(4096);
    let request = ClientRequest::new("localhost", "/old").basic_auth("Aladdin", "open sesame");
    let mut opening = ClientOpening::new(a, request).unwrap();
    let mut scratch = Scratch::new();
    assert!(matches!(opening.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    let mut sent = [0; 4096];
    let n = server.recv(&mut sent).unwrap();
    let sent = String::from_utf8_lossy(&sent[..n]);
    assert!(sent.contains("\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"), "{sent}");
    server.send(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: wss://b.example/new\r\n\r\nmov").unwrap();
    for repeated in [false, true] {
        match opening.advance(&mut scratch.at(0)) {
            Err(OpeningError::Response(ResponseFault::Refused { status: 307, used })) => {
                assert_eq!(used == 0, repeated);
            }
            other => panic!("{other:?}"),
        }
        let response = opening.response().unwrap();
        assert_eq!(response.header("location"), Some(&b"wss://b.example/new"[..]));
    }
    server.send(b"ed").unwrap();
    let mut parts = opening.into_parts();
    let mut rest = [0; 9];
    let n = parts.transport.recv(&mut rest).unwrap();
    assert_eq!([&parts.unread, &rest[..n]].concat(), b"moved");
}

/// Returns whether the request reaches the decision; if not, the status of its answer.
fn verdict(request: &[u8]) -> Result<(), u16> {
    let (a, mut peer) = memory::pair(4096);
    let mut opening = ServerOpening::new(a).unwrap();
    peer.send(request).unwrap();
    if let Progress::Decide(request) = opening.advance(&mut Scratch::new().at(0)).unwrap() {
        assert!(!request.is_upgrade());
        return Ok(());
    }
    let mut answer = [0; 4096];
    let n = peer.recv(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..n]);
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).expect("an answer");
    Err(status.parse().unwrap())
}

/// RFC 9112, sections 2.2, 3.2, 5.1, 5.2, 6.1 and 6.3: requests that a server must refuse, whatever their
/// target.
#[test]
fn a_plain_request_that_is_not_valid_http_is_answered_with_400_and_not_decided() {
    for (line, headers) in [
        // A Host header must be present once and valid.
        ("GET / HTTP/1.1", ""),
        ("GET / HTTP/1.1", "Host: a\r\nHost: a\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nhost: b\r\n"),
        ("GET / HTTP/1.1", "Host:\r\n"),
        ("GET / HTTP/1.1", "Host: a b\r\n"),
        ("GET / HTTP/1.1", "Host: user@a\r\n"),
        ("GET / HTTP/1.1", "Host: a/b\r\n"),
        ("GET / HTTP/1.1", "Host: [1]\r\n"),
        ("GET / HTTP/1.1", "Host: a:x\r\n"),
        ("GET http://a/ HTTP/1.1", ""),
        ("GET / HTTP/1.0", "Host: a\r\nHost: a\r\n"),
        ("GET / HTTP/1.0", "Host: a b\r\n"),
        // A body must have one length.
        ("GET / HTTP/1.1", "Host: a\r\nContent-Length: -5\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nContent-Length: -123456789123456789123456789\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nContent-Length: abc\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nContent-Length: +5\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nContent-Length: 0x5\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nContent-Length: 5 5\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nContent-Length: 5, 6\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nContent-Length:\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nContent-Length: 5\r\ncontent-length: 05\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nTransfer-Encoding: gzip\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nTransfer-Encoding: chunked, gzip\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nTransfer-Encoding: chunked, chunked\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nTransfer-Encoding: xchunked\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nTransfer-Encoding:\r\n"),
        ("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n"),
        ("POST / HTTP/1.0", "Content-Length: -5\r\n"),
        // A request target must have one of the four forms.
        ("GET chat HTTP/1.1", "Host: a\r\n"),
        ("GET * HTTP/1.1", "Host: a\r\n"),
        ("GET /a#b HTTP/1.1", "Host: a\r\n"),
        ("GET /\u{e4} HTTP/1.1", "Host: a\r\n"),
        ("GET http://user@a/ HTTP/1.1", "Host: a\r\n"),
        ("GET http:///a HTTP/1.1", "Host: a\r\n"),
        ("GET 1http://a/ HTTP/1.1", "Host: a\r\n"),
        ("GET a:443 HTTP/1.1", "Host: a\r\n"),
        ("CONNECT / HTTP/1.1", "Host: a\r\n"),
        ("CONNECT a HTTP/1.1", "Host: a\r\n"),
        // Lines must follow the grammar.
        ("GET /", "Host: a\r\n"),
        ("GET / a HTTP/1.1", "Host: a\r\n"),
        ("GET / http/1.1", "Host: a\r\n"),
        ("G\u{e4}T / HTTP/1.1", "Host: a\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nInvalid[]: test\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nX : a\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nX\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\n: a\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nX: a\r\n b\r\n"),
        ("GET / HTTP/1.1", " Host: a\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nX: a\rb\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nX: a\x01b\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nX: a\x7Fb\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nX: a\0b\r\n"),
        ("GET / HTTP/1.1", "Host: a\nX: a\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nX: a\r\r\n"),
    ] {
        let request = format!("{line}\r\n{headers}\r\n");
        assert_eq!(verdict(request.as_bytes()), Err(400), "{request:?}");
    }
}

#[test]
fn any_plain_request_that_is_valid_http_is_decided() {
    for (line, headers) in [
        // Old load balancers send this as a health check.
        ("GET / HTTP/1.0", ""),
        ("HEAD /health HTTP/1.0", "Content-Length: 0\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nX-Empty:\r\n"),
        ("GET / HTTP/1.1", "Host: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"),
        ("GET http://a/b?c HTTP/1.1", "Host: a\r\n"),
        ("GET ftp://a/b HTTP/1.1", "Host: a\r\n"),
        ("GET /a[]|{}?b=\"<>%zz HTTP/1.1", "Host: a\r\n"),
        ("OPTIONS * HTTP/1.1", "Host: a\r\n"),
        ("CONNECT a:443 HTTP/1.1", "Host: a:443\r\n"),
        ("BREW /pot HTTP/1.1", "Host: a\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nContent-Length: 5\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nContent-Length: 99999999999999999999999999\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nTransfer-Encoding: Chunked\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nTransfer-Encoding: gzip,, chunked ,\r\n"),
        ("POST / HTTP/1.1", "Host: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
    ] {
        let request = format!("{line}\r\n{headers}\r\n");
        assert_eq!(verdict(request.as_bytes()), Ok(()), "{request:?}");
    }
    assert_eq!(verdict(b"GET / HTTP/9.9\r\nHost: a\r\n\r\n"), Err(505));
}

/// A peer that does not read the answer, and has sent more than its request: a poller that is not
/// edge-triggered would report that without end.
#[test]
fn nothing_is_waited_for_but_room_while_an_answer_is_being_sent() {
    let upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let large = "x".repeat(10_000);
    let page = Response::new(200).body(large.clone());
    for (request, answer) in
        [(HEALTH, page), (upgrade, Response::accept().header("X-Large", &large[..5_000]))]
    {
        let (mut opening, mut peer) = asked(request, 4096);
        peer.send(&[b'x'; 2_000]).unwrap();
        opening.answer(&answer).unwrap();
        let mut scratch = Scratch::new();
        let Ok(Progress::Pending(wants)) = opening.advance(&mut scratch.at(0)) else { panic!("{answer:?}") };
        assert!(wants.write && !wants.read && !wants.again, "{wants:?}");
        let (mut received, mut buffer) = (0, [0; 4096]);
        for _ in 0..4 {
            received += peer.recv(&mut buffer).unwrap_or(0);
            let _ = opening.advance(&mut scratch.at(0)).unwrap();
        }
        assert!(received > 5_000, "{received}");
    }
}
