//! Requests that another HTTP stack has parsed: judged and answered as if they had arrived as bytes, and by
//! the rules of RFC 8441 in HTTP/2.

use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::sync::Arc;
use websocket_stream::handshake::*;
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    Accepted, ClientOpening, Config, Event, Limits, NonBlockingTransport, Progress, Ready, Scratch, Upgrade,
    WebSocketStream,
};

const KEY: &[u8] = b"dGhlIHNhbXBsZSBub25jZQ==";

const HEADERS: [(&str, &[u8]); 7] = [
    ("Host", b"example.com"),
    ("Upgrade", b"websocket"),
    ("Connection", b"Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", b"13"),
    ("Sec-WebSocket-Protocol", b"chat, superchat"),
    ("Sec-WebSocket-Extensions", b"permessage-deflate; client_max_window_bits, x-other"),
];

fn judge(request: &ParsedRequest<'_>) -> Result<ParsedHandshake, RequestFault> {
    ParsedHandshake::new(request, &Limits::default())
}

fn fault_of(request: &ParsedRequest<'_>) -> Option<RequestFault> {
    judge(request).err()
}

/// A request, as a start line and header lines.
#[derive(Debug, Clone)]
struct Case {
    method: &'static str,
    target: &'static str,
    is_1_1: bool,
    headers: Vec<(&'static str, &'static [u8])>,
    limits: Limits,
}

impl Case {
    fn parsed(&self) -> ParsedRequest<'_> {
        let new = if self.is_1_1 { ParsedRequest::http11 } else { ParsedRequest::http10 };
        new(self.method, self.target).headers(self.headers.iter().copied())
    }

    fn bytes(&self) -> Vec<u8> {
        let version = if self.is_1_1 { "HTTP/1.1" } else { "HTTP/1.0" };
        let mut bytes = format!("{} {} {version}\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes
    }
}

/// A valid request with up to four changes.
impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Self {
        let names = HEADERS.map(|(name, _)| name);
        let names =
            [&names[..], &["Content-Length", "Transfer-Encoding", "Origin", "X", "bad name", ""]].concat();
        let values: [&[u8]; 22] = [
            b"",
            b"0",
            b"7",
            b"13",
            b"8",
            b"chunked",
            b"gzip, chunked",
            b"websocket",
            b"h2c, WebSocket",
            b"keep-alive, upgrade",
            KEY,
            b"short",
            b"example.com:81",
            b"user@example.com",
            b"a,,b ;",
            b"permessage-deflate; =",
            b"https://example.com",
            b"\xFF",
            b" \tpadded\t ",
            b"\x01",
            b"a\rb",
            b"\x7F",
        ];
        let mut case = Self {
            method: "GET",
            target: "/chat?room=1",
            is_1_1: true,
            headers: HEADERS.to_vec(),
            limits: Limits::default(),
        };
        for _ in 0..usize::arbitrary(g) % 5 {
            let at = usize::arbitrary(g) % case.headers.len().max(1);
            let header = (*g.choose(&names).unwrap(), *g.choose(&values).unwrap());
            match u8::arbitrary(g) % 10 {
                0 => {
                    case.method = g.choose(&["POST", "HEAD", "OPTIONS", "CONNECT", "G T", "", "get"]).unwrap()
                }
                1 => {
                    let targets =
                        ["*", "http://example.org", "wss://u@h/", "a:1", "", "/a#b", "x://y", "/\u{e4}"];
                    case.target = g.choose(&targets).unwrap();
                }
                2 => case.is_1_1 = false,
                3 => case.limits = Limits::default().head_headers(7),
                4 => case.limits = Limits::default().head_bytes(250),
                5 | 6 if !case.headers.is_empty() => drop(case.headers.remove(at)),
                7 if !case.headers.is_empty() => case.headers[at].1 = header.1,
                _ => case.headers.insert(at.min(case.headers.len()), header),
            }
        }
        case
    }
}

/// Returns everything that a request reports.
fn view(request: Request<'_>) -> impl PartialEq + std::fmt::Debug + '_ {
    let headers: Vec<_> = request.headers().collect();
    let extensions: Vec<_> = request.extensions().map(|extension| extension.name).collect();
    let policies = [OriginPolicy::Any, OriginPolicy::Same, OriginPolicy::List(&["https://example.com"])];
    (
        (request.method(), request.path(), request.query(), request.host(), request.origin()),
        (headers, extensions, request.subprotocols().collect::<Vec<_>>(), request.is_upgrade()),
        (policies.map(|policy| policy.allows(&request)), request.as_bytes()),
    )
}

fn responses() -> Vec<Response> {
    vec![
        Response::accept(),
        Response::accept().subprotocol("superchat").header("Set-Cookie", "a: b"),
        Response::accept().subprotocol("absent"),
        Response::accept().extensions("permessage-deflate"),
        Response::accept().body("none"),
        Response::forbidden(),
        Response::new(200).header("Content-Type", "text/plain").header("X", "").body("up\n"),
        Response::new(204),
        Response::new(304),
        Response::new(426).header("X", "1"),
        Response::new(999),
        Response::new(404).header("Connection", "close"),
        Response::new(404).header("X", "a\r\nY: b"),
    ]
}

type Pairs = Vec<(String, Vec<u8>)>;

/// Returns the status, the headers and the body that an HTTP stack would be given to send these bytes.
fn as_data(bytes: &[u8]) -> (u16, Pairs, Vec<u8>) {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let pairs = lines.map(|line| line.split_once(": ").unwrap());
    let pairs = pairs.filter(|pair| *pair != ("Connection", "close") && pair.0 != "Content-Length");
    let pairs = pairs.map(|(name, value)| (name, value.strip_suffix(", close").unwrap_or(value)));
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    (status, pairs.collect(), body.as_bytes().to_vec())
}

/// Checks that two answers are equal: one in bytes, and one as data.
fn is_same_answer(
    method: &str,
    bytes: &[u8],
    written: Result<(), ResponseError>,
    answer: Result<Answer, ResponseError>,
) -> bool {
    let answer = match (written, answer) {
        (Ok(()), Ok(answer)) => answer,
        (written, answer) => return written == answer.map(drop),
    };
    let (status, headers, body) = as_data(bytes);
    let owned = answer.headers().map(|(name, value)| (name.to_owned(), value.to_vec()));
    status == answer.status()
        && headers == owned.collect::<Pairs>()
        && (body == answer.body() || method == "HEAD" && body.is_empty())
}

#[test]
fn bytes_and_pairs_get_the_same_verdict_view_and_answers() {
    fn prop(case: Case) -> bool {
        let bytes = case.bytes();
        let mut received = ServerHandshake::new(&case.limits);
        let verdict = received
            .receive(&bytes)
            .map(|status| assert_eq!(status, HeadStatus::Complete { used: bytes.len() }));
        let parsed = case.parsed();
        let answered = |response: &Response| {
            let (mut handshake, mut out) = (ServerHandshake::new(&case.limits), Vec::new());
            let _ = handshake.receive(&bytes);
            let written = handshake.answer(response, &mut out);
            (out, written)
        };
        match (verdict, ParsedHandshake::new(&parsed, &case.limits)) {
            (Ok(()), Ok(handshake)) => {
                let request = received.request().unwrap();
                assert_eq!(view(request), view(handshake.request()));
                responses().iter().all(|response| {
                    let (out, written) = answered(response);
                    is_same_answer(case.method, &out, written, handshake.answer(response))
                })
            }
            // The grammar of bytes is judged when the head is whole, and that of pairs line by line.
            (Err(RequestFault::TooLarge), Err(RequestFault::Malformed)) => true,
            (Err(fault), Err(other)) => {
                let response = Response::from(fault);
                let (out, written) = answered(&response);
                fault == other && is_same_answer(case.method, &out, written, parsed.refuse(&response))
            }
            _ => false,
        }
    }
    QuickCheck::new().tests(5_000).quickcheck(prop as fn(Case) -> bool);
}

#[test]
fn no_pair_method_or_target_can_begin_another_line() {
    let valid = || ParsedRequest::http11("GET", "/").headers(HEADERS);
    assert_eq!(fault_of(&valid()), None);
    let malformed = Some(RequestFault::Malformed);
    let attacks =
        ["\r\nX: 1", "\r\n", "\n", "\r", "\0", "\r\n\r\nGET / HTTP/1.1\r\nHost: b", "\n\n", "\x0B", "\x7F"];
    for attack in attacks {
        for text in [format!("a{attack}"), format!("{attack}a"), attack.to_owned()] {
            assert_eq!(fault_of(&valid().header("X", &text)), malformed, "value {text:?}");
            assert_eq!(fault_of(&valid().header(&text, "x")), malformed, "name {text:?}");
            let request = ParsedRequest::http11(&text, "/").headers(HEADERS);
            assert_eq!(fault_of(&request), malformed, "method {text:?}");
            for text in [format!("/{text}"), text.clone()] {
                let request = ParsedRequest::http11("GET", text.as_str()).headers(HEADERS);
                assert_eq!(fault_of(&request), malformed, "target {text:?}");
                let request = ParsedRequest::http2("CONNECT", "a", &text, "websocket");
                assert_eq!(fault_of(&request), malformed, "path {text:?}");
            }
            let request = ParsedRequest::http2("CONNECT", text.as_str(), "/", "websocket");
            assert_eq!(fault_of(&request), malformed, "authority {text:?}");
        }
    }
    for name in ["", "a b", "a:", ":path", " a", "a\t", "\u{e4}"] {
        assert_eq!(fault_of(&valid().header(name, "x")), malformed, "name {name:?}");
    }
    for target in ["", " ", "/ HTTP/1.0", "/a b"] {
        assert_eq!(fault_of(&ParsedRequest::http11("GET", target).headers(HEADERS)), malformed, "{target:?}");
    }
    for method in ["", "GET /x", "G\u{e4}T"] {
        assert_eq!(fault_of(&ParsedRequest::http11(method, "/").headers(HEADERS)), malformed, "{method:?}");
    }
}

#[test]
fn a_request_that_exceeds_the_limits_is_too_large() {
    let value = vec![b'x'; Limits::default().head_bytes];
    let request = ParsedRequest::http11("GET", "/").headers(HEADERS);
    assert_eq!(fault_of(&request.clone().header("X", &value)), Some(RequestFault::TooLarge));
    let many = std::iter::repeat_n(("a", &b""[..]), Limits::default().head_headers);
    assert_eq!(fault_of(&request.headers(many)), Some(RequestFault::TooLarge));
}

const EXTENDED: [(&str, &[u8]); 4] = [
    ("sec-websocket-version", b"13"),
    ("sec-websocket-protocol", b"chat, superchat"),
    ("sec-websocket-extensions", b"permessage-deflate"),
    ("origin", b"https://example.com"),
];

/// Returns a WebSocket request in HTTP/2.
fn extended() -> ParsedRequest<'static> {
    ParsedRequest::http2("CONNECT", "example.com", "/chat?room=1", "websocket").headers(EXTENDED)
}

#[test]
fn an_extended_connect_is_an_upgrade_without_upgrade_connection_and_key() {
    let handshake = judge(&extended()).unwrap();
    let request = handshake.request();
    assert!(request.is_upgrade() && OriginPolicy::Same.allows(&request));
    assert_eq!((request.method(), request.path(), request.query()), ("CONNECT", "/chat", Some("room=1")));
    // "The Host information is conveyed as part of the :authority pseudo-header field" (RFC 8441, section 5).
    assert_eq!((request.host(), request.header("host")), (Some("example.com"), Some(&b"example.com"[..])));
    assert_eq!(request.origin(), Some("https://example.com"));
    assert!(request.subprotocols().eq(["chat", "superchat"]));
    assert_eq!(request.extensions().count(), 1);
}

#[test]
fn an_accepting_answer_in_http2_is_a_200_without_the_headers_of_http1() {
    let handshake = judge(&extended()).unwrap();
    let response = Response::accept().subprotocol("chat").extensions("permessage-deflate").header("x", "1");
    let answer = handshake.answer(&response).unwrap();
    assert_eq!((answer.status(), answer.body()), (200, &b""[..]));
    let headers: Vec<_> = answer.headers().collect();
    let expected: [(&str, &[u8]); 3] = [
        ("Sec-WebSocket-Protocol", b"chat"),
        ("Sec-WebSocket-Extensions", b"permessage-deflate"),
        ("x", b"1"),
    ];
    assert_eq!(headers, expected);
    let foreign = handshake.answer(&Response::accept().subprotocol("other"));
    assert_eq!(foreign.unwrap_err(), ResponseError::Subprotocol);
    let foreign = handshake.answer(&Response::accept().extensions("x-other"));
    assert_eq!(foreign.unwrap_err(), ResponseError::Extensions);
}

#[test]
fn a_key_in_http2_is_not_processed() {
    // "Implementations using this extended CONNECT to bootstrap WebSockets do not do the processing of the
    // Sec-WebSocket-Key and Sec-WebSocket-Accept header fields" (RFC 8441, section 5).
    for key in [KEY, b"wrong"] {
        let handshake = judge(&extended().header("sec-websocket-key", key)).unwrap();
        let answer = handshake.answer(&Response::accept()).unwrap();
        assert_eq!((answer.status(), answer.headers().count()), (200, 0));
    }
}

#[test]
fn headers_of_the_connection_are_malformed_in_http2() {
    // "[RFC6455] requires the use of Connection and Upgrade header fields that are not part of HTTP/2. They
    // MUST NOT be included in the CONNECT request defined here" (RFC 8441, section 5).
    for name in ["connection", "Upgrade", "proxy-connection", "keep-alive", "transfer-encoding"] {
        assert_eq!(fault_of(&extended().header(name, "websocket")), Some(RequestFault::Malformed), "{name}");
        let plain = ParsedRequest::http2("GET", "a", "/", None).header(name, "x");
        assert_eq!(fault_of(&plain), Some(RequestFault::Malformed), "{name}");
    }
}

#[test]
fn a_protocol_needs_connect_and_a_path() {
    // ":protocol MAY be included on request HEADERS indicating the desired protocol to be spoken on the
    // tunnel created by CONNECT" (RFC 8441, section 4).
    let get = ParsedRequest::http2("GET", "example.com", "/", "websocket").headers(EXTENDED);
    assert_eq!(fault_of(&get), Some(RequestFault::Malformed));
    // "the :scheme and :path pseudo-header fields of the target URI ... MUST also be included".
    for (path, fault) in [
        ("", RequestFault::Malformed),
        ("chat", RequestFault::Target),
        ("*", RequestFault::Target),
        ("example.com:443", RequestFault::Target),
        ("wss://evil.example/chat", RequestFault::Target),
        ("/chat#top", RequestFault::Target),
    ] {
        let request = ParsedRequest::http2("CONNECT", "example.com", path, "websocket").headers(EXTENDED);
        assert_eq!(fault_of(&request), Some(fault), "{path:?}");
    }
}

#[test]
fn only_the_protocol_websocket_is_an_upgrade_in_http2() {
    // "it MUST have a value of "websocket" to initiate a WebSocket connection on an HTTP/2 stream" (RFC 8441,
    // section 5).
    let is_upgrade = |protocol| {
        let request = ParsedRequest::http2("CONNECT", "example.com", "/", protocol).headers(EXTENDED);
        judge(&request).unwrap().request().is_upgrade()
    };
    assert!(is_upgrade("websocket") && is_upgrade("WebSocket"));
    assert!(!is_upgrade("connect-udp") && !is_upgrade("websockets") && !is_upgrade(""));
    for plain in [
        ParsedRequest::http2("CONNECT", "example.com:443", "", None),
        ParsedRequest::http2("GET", "example.com", "/health", None),
        ParsedRequest::http2("OPTIONS", "example.com", "*", None),
    ] {
        let handshake = judge(&plain).unwrap();
        assert!(!handshake.request().is_upgrade());
        assert_eq!(handshake.answer(&Response::accept()).unwrap_err(), ResponseError::NotAnUpgrade);
        assert_eq!(handshake.answer(&Response::new(200).body("up")).unwrap().body(), b"up");
    }
    let headers = ParsedRequest::http2("GET", "example.com", "/", None).headers(EXTENDED);
    assert_eq!(Upgrade::new(&headers, Arc::default()).unwrap_err(), RequestFault::NotAnUpgrade);
}

#[test]
fn the_authority_is_required_valid_and_equal_to_a_host() {
    // The ":authority pseudo-header field ... is required on every HTTP/2 transaction" (RFC 8441, section 5).
    // RFC 9113, section 8.3.1, lets a request that was HTTP/1 have a Host instead.
    let connect = |authority| ParsedRequest::http2("CONNECT", authority, "/", "websocket").headers(EXTENDED);
    assert_eq!(fault_of(&connect(None)), Some(RequestFault::Host));
    assert_eq!(judge(&connect(None).header("host", "a")).unwrap().request().host(), Some("a"));
    for authority in ["", "user@example.com", "a:b", "a/b", "a b"] {
        assert_eq!(fault_of(&connect(Some(authority))), Some(RequestFault::Host), "{authority:?}");
    }
    // "A server SHOULD treat a request as malformed if it contains a Host header field that identifies an
    // entity that differs from the entity in the ":authority" pseudo-header field".
    let equal = extended().header("host", "EXAMPLE.com");
    assert_eq!(judge(&equal).unwrap().request().values("host").count(), 1);
    assert_eq!(fault_of(&equal.header("host", "example.com")), Some(RequestFault::Host));
    assert_eq!(fault_of(&extended().header("host", "example.org")), Some(RequestFault::Host));
}

#[test]
fn version_origin_subprotocols_and_extensions_have_the_rules_of_http1() {
    // "The Origin [RFC6454], Sec-WebSocket-Version, Sec-WebSocket-Protocol, and Sec-WebSocket-Extensions
    // header fields are used in the CONNECT request and response-header fields as defined in [RFC6455]" (RFC
    // 8441, section 5).
    let without = |absent: &str| {
        let rest = EXTENDED.iter().copied().filter(|(name, _)| *name != absent);
        ParsedRequest::http2("CONNECT", "example.com", "/", "websocket").headers(rest)
    };
    let version = "sec-websocket-version";
    assert_eq!(fault_of(&without(version)), Some(RequestFault::Version));
    assert_eq!(fault_of(&without(version).header(version, "8")), Some(RequestFault::Version));
    assert_eq!(fault_of(&extended().header(version, "13")), Some(RequestFault::DoubledVersion));
    assert_eq!(fault_of(&extended().header("origin", "https://a")), Some(RequestFault::Origin));
    assert_eq!(fault_of(&without("origin").header("origin", "\u{e4}")), Some(RequestFault::Origin));
    let protocol = extended().header("sec-websocket-protocol", "a b");
    assert_eq!(fault_of(&protocol), Some(RequestFault::Subprotocols));
    let extensions = extended().header("sec-websocket-extensions", ";");
    assert_eq!(fault_of(&extensions), Some(RequestFault::Extensions));
    assert_eq!(fault_of(&extended().header("content-length", "5")), Some(RequestFault::Body));
    assert_eq!(fault_of(&extended().header("content-length", "x")), Some(RequestFault::BodyLength));
    let foreign = without("origin").header("origin", "https://evil.example");
    assert!(!OriginPolicy::Same.allows(&judge(&foreign).unwrap().request()));
}

#[test]
fn no_refusal_in_http2_has_a_header_of_the_connection() {
    for response in [Response::from(RequestFault::Version), Response::new(426), Response::forbidden()] {
        let answer = extended().refuse(&response).unwrap();
        let owned = ["Connection", "Upgrade", "Content-Length", "Transfer-Encoding"];
        assert!(answer.headers().all(|(name, _)| !owned.contains(&name)), "{:?}", response.status());
    }
    // A 426 must have an Upgrade (RFC 9110, section 7.8), which HTTP/2 does not have.
    let answer = extended().refuse(&RequestFault::Version.into()).unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.headers().any(|header| header == ("Sec-WebSocket-Version", b"13")));
}

/// What an HTTP stack does with a request in bytes: parses it, has it answered and sends the answer. Returns
/// the bytes that followed the request.
fn serve(stack: &mut MemoryStream, config: Arc<Config>) -> (Accepted, Vec<u8>) {
    let mut bytes = [0; 4096];
    let received = stack.recv(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let head = std::str::from_utf8(&bytes[..end - 4]).unwrap();
    let mut lines = head.split("\r\n");
    let target = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    let request =
        ParsedRequest::http11("GET", target).headers(headers.map(|(name, value)| (name, value.as_bytes())));

    let upgrade = Upgrade::new(&request, config).unwrap();
    let (answer, accepted) = upgrade.answer(&Response::accept()).unwrap();
    let mut head = format!("HTTP/1.1 {} Switching Protocols\r\n", answer.status()).into_bytes();
    for (name, value) in answer.headers() {
        head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    assert_eq!(stack.send(&head).unwrap(), head.len());
    (accepted.unwrap(), bytes[end..received].to_vec())
}

/// Opens a client on one end and serves the other one as an HTTP stack.
fn open(config: Arc<Config>) -> (Accepted, MemoryStream, WebSocketStream<MemoryStream>) {
    let (mut stack, transport) = memory::pair(4096);
    let mut scratch = Scratch::new();
    let request = ClientRequest::new("localhost", "/chat");
    let mut client = ClientOpening::with_config(transport, request, Arc::clone(&config)).unwrap();
    assert!(matches!(client.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    let (accepted, unread) = serve(&mut stack, config);
    assert_eq!(unread, b"");
    assert!(matches!(client.advance(&mut scratch.at(0)), Ok(Progress::Open)));
    (accepted, stack, client.into_stream().unwrap())
}

#[test]
fn bytes_that_the_stack_has_received_are_delivered_first_however_they_are_split() {
    for split in 0..=15 {
        let (accepted, mut stack, mut client) = open(Arc::default());
        let mut scratch = Scratch::new();
        client.send(&mut scratch.at(0), "first one").unwrap();
        let mut unread = vec![0; split];
        if split > 0 {
            assert_eq!(stack.recv(&mut unread).unwrap(), split);
        }
        // What is left has arrived before the poller watches the transport.
        let mut server = accepted.into_stream(stack, &unread).unwrap();
        let mut received = Vec::new();
        let ready = if split == 15 { Ready::NONE } else { Ready::READABLE };
        let wants = server
            .drive(&mut scratch.at(0), ready, |event, out| match event {
                Event::Message(message) => {
                    received.push(message.as_bytes().to_vec());
                    out.send(message)
                }
                _ => Ok(()),
            })
            .unwrap();
        assert!(wants.read && !wants.closed);
        assert_eq!(received, [b"first one"], "{split} bytes");
        assert_eq!(client.read().unwrap().1, b"first one");
    }
}

#[test]
fn a_refusing_answer_opens_nothing() {
    let request = ParsedRequest::http11("GET", "/").headers(HEADERS);
    let upgrade = Upgrade::new(&request, Arc::default()).unwrap();
    let (answer, accepted) = upgrade.answer(&Response::forbidden().body("no")).unwrap();
    assert_eq!((answer.status(), answer.body(), accepted.is_none()), (403, &b"no"[..], true));
    assert_eq!(answer.headers().count(), 0);
    assert_eq!(upgrade.answer(&Response::new(7)).unwrap_err(), ResponseError::Status);
    assert_eq!(upgrade.answer(&Response::accept().body("x")).unwrap_err(), ResponseError::Body);
}

#[test]
fn an_accepted_connection_can_move_to_another_thread_and_is_small() {
    fn movable<T: Send + Sync + 'static>() {}
    movable::<Accepted>();
    movable::<Upgrade>();
    movable::<Answer>();
    assert!(size_of::<Accepted>() <= 24, "{}", size_of::<Accepted>());
}

#[cfg(feature = "deflate")]
mod deflate {
    use super::*;
    use websocket_stream::deflate::Deflate;

    fn config() -> Arc<Config> {
        Arc::new(Config::default().deflate(Deflate::default().threshold(0)))
    }

    #[test]
    fn compression_that_the_client_offers_is_agreed_and_used() {
        let (accepted, stack, mut client) = open(config());
        let mut server = accepted.into_stream(stack, b"").unwrap();
        let (mut scratch, text) = (Scratch::new(), "hello ".repeat(600));
        client.send(&mut scratch.at(0), text.as_str()).unwrap();
        assert_eq!(server.read().unwrap().1, text.as_bytes());
        server.send(&mut scratch.at(0), text.as_str()).unwrap();
        // A compressed frame has RSV1.
        let mut first = [0; 100];
        let received = client.get_mut().recv(&mut first).unwrap();
        assert!(received < 100 && first[0] & 0x40 != 0, "{received} bytes");
    }

    #[test]
    fn compression_is_declined_without_an_offer_and_left_to_a_response_that_chooses() {
        let answer = |request: &ParsedRequest<'_>, response: Response| {
            let (answer, _) = Upgrade::new(request, config()).unwrap().answer(&response).unwrap();
            let extensions = answer.headers().find(|(name, _)| *name == "Sec-WebSocket-Extensions");
            extensions.map(|(_, value)| String::from_utf8(value.to_vec()).unwrap())
        };
        let offered = ParsedRequest::http11("GET", "/").headers(HEADERS);
        assert!(answer(&offered, Response::accept()).unwrap().starts_with("permessage-deflate"));
        assert!(answer(&extended(), Response::accept()).unwrap().starts_with("permessage-deflate"));
        let chosen = answer(&offered, Response::accept().extensions("x-other"));
        assert_eq!(chosen.as_deref(), Some("x-other"));
        let bare = ParsedRequest::http11("GET", "/").headers(HEADERS.into_iter().take(6));
        assert_eq!(answer(&bare, Response::accept()), None);
    }
}
