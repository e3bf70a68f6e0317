//! The opening handshake as a black box: both roles, every split, hostile input, and another implementation.

use quickcheck::QuickCheck;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use websocket_stream::Limits;
use websocket_stream::handshake::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const NONCE: [u8; 16] = *b"the sample nonce";
/// Limits that only tests of limits reach.
const WIDE: &Limits = &Limits::DEFAULT.head_bytes(1 << 20).head_headers(10_000);

/// Returns a message head: a start line, header lines, and the empty line.
fn head(start: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let lines = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    format!("{start}\r\n{lines}\r\n").into_bytes()
}

const REQUEST: [(&str, &str); 5] = [
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
];

const RESPONSE: [(&str, &str); 3] =
    [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)];

/// Returns the valid headers, with all lines of one name replaced by these values: none, one or several
/// lines.
fn with<'a>(headers: &[(&'a str, &'a str)], name: &'a str, values: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let rest = headers.iter().copied().filter(|(other, _)| *other != name);
    rest.chain(values.iter().map(|value| (name, *value))).collect()
}

fn request_with(name: &str, values: &[&str]) -> Vec<u8> {
    head("GET /chat HTTP/1.1", &with(&REQUEST, name, values))
}

fn response_with(name: &str, values: &[&str]) -> Vec<u8> {
    head("HTTP/1.1 101 Switching Protocols", &with(&RESPONSE, name, values))
}

/// Returns a server's handshake after these bytes.
fn serve(bytes: &[u8]) -> (ServerHandshake, Result<HeadStatus, RequestFault>) {
    let mut handshake = ServerHandshake::new(WIDE);
    let received = handshake.receive(bytes);
    (handshake, received)
}

fn fault_of(bytes: &[u8]) -> Option<RequestFault> {
    serve(bytes).1.err()
}

/// Returns a client's handshake, for this request, after these bytes.
fn ask(request: ClientRequest, bytes: &[u8]) -> (ClientHandshake, Result<HeadStatus, ResponseFault>) {
    let mut handshake = ClientHandshake::new(request, NONCE, WIDE).unwrap();
    let received = handshake.receive(bytes);
    (handshake, received)
}

fn plain() -> ClientRequest {
    ClientRequest::new("server.example.com", "/chat")
}

fn written(handshake: &ClientHandshake) -> Vec<u8> {
    let mut out = Vec::new();
    handshake.write_request(&mut out);
    out
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

// ---------------------------------------------------------------------------------------- a server

#[test]
fn the_example_of_rfc_6455_section_1_2_has_the_answer_given_there() {
    let mut headers = REQUEST.to_vec();
    headers.extend([("Origin", "http://example.com"), ("Sec-WebSocket-Protocol", "chat, superchat")]);
    let (mut handshake, received) = serve(&head("GET /chat HTTP/1.1", &headers));
    assert!(matches!(received, Ok(HeadStatus::Complete { .. })));
    let request = handshake.request().unwrap();
    assert_eq!((request.method(), request.path(), request.query()), ("GET", "/chat", None));
    assert_eq!(request.host(), Some("server.example.com"));
    assert_eq!(request.origin(), Some("http://example.com"));
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["chat", "superchat"]);
    assert_eq!(request.extensions().count(), 0);

    let mut out = Vec::new();
    handshake.answer(&Response::accept().subprotocol("chat"), &mut out).unwrap();
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
    assert_eq!(text(&out), expected);
}

#[test]
fn other_valid_forms_are_accepted() {
    for (name, values) in [
        ("Connection", &["keep-alive, Upgrade"][..]),
        ("Connection", &["keep-alive", "upgrade"]),
        ("Connection", &[",,UPGRADE\t,"]),
        ("Upgrade", &["WebSocket"]),
        ("Upgrade", &["h2c, websocket"]),
        ("Upgrade", &["h2c", "websocket"]),
        ("Host", &["[::1]:8080"]),
        ("Content-Length", &["0"]),
        ("Sec-WebSocket-Protocol", &["a", "b,,c"]),
        ("Sec-WebSocket-Protocol", &[""]),
        ("Sec-WebSocket-Extensions", &["permessage-deflate; client_max_window_bits", "x;y=\"z\""]),
        ("Sec-WebSocket-Extensions", &["constructor, __proto__; toString"]),
        ("Sec-WebSocket-Extensions", &[""]),
        ("Origin", &["null"]),
        ("X-Other", &["\u{e4}", "a", ""]),
    ] {
        assert_eq!(fault_of(&request_with(name, values)), None, "{name}: {values:?}");
    }
    for target in ["/", "/a?b=c", "http://server.example.com/chat", "wss://a:1?x", "//a"] {
        let bytes = head(&format!("GET {target} HTTP/1.1"), &REQUEST);
        assert_eq!(fault_of(&bytes), None, "{target}");
    }
    let lower: Vec<_> = REQUEST.map(|(name, value)| (name.to_ascii_lowercase(), value)).to_vec();
    let lower: Vec<_> = lower.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(fault_of(&head("GET / HTTP/1.1", &lower)), None);
    assert_eq!(fault_of(&[b"\r\n", request_with("X", &[]).as_slice()].concat()), None);
}

/// Every kind of fault: the request, the fault, and the status of the answer.
fn faulty_requests() -> Vec<(Vec<u8>, RequestFault, u16)> {
    use RequestFault as F;
    let mut all = Vec::new();
    for (name, values, fault, status) in [
        ("Host", &[][..], F::Host, 400),
        ("Host", &["a", "a"], F::Host, 400),
        ("Host", &[""], F::Host, 400),
        ("Host", &["a b"], F::Host, 400),
        ("Host", &["user@a"], F::Host, 400),
        ("Host", &["a:b"], F::Host, 400),
        ("Host", &["\u{e4}"], F::Host, 400),
        ("Host", &["[nonsense]"], F::Host, 400),
        ("Host", &["[1]"], F::Host, 400),
        ("Host", &["[:]:80"], F::Host, 400),
        ("Host", &["[fe80::1%25eth0]"], F::Host, 400),
        ("Host", &["a%zz"], F::Host, 400),
        ("Connection", &[], F::Connection, 400),
        ("Connection", &["keep-alive"], F::Connection, 400),
        ("Connection", &["UpgradeX"], F::Connection, 400),
        ("Connection", &["keep-alive Upgrade"], F::Connection, 400),
        ("Sec-WebSocket-Key", &[], F::Key, 400),
        ("Sec-WebSocket-Key", &[KEY, KEY], F::Key, 400),
        ("Sec-WebSocket-Key", &[""], F::Key, 400),
        ("Sec-WebSocket-Key", &["dGhlIHNhbXBsZSBub25jZQ"], F::Key, 400),
        ("Sec-WebSocket-Key", &["dGhlIHNhbXBsZSBub25jZSE="], F::Key, 400),
        ("Sec-WebSocket-Version", &[], F::Version, 426),
        ("Sec-WebSocket-Version", &["12"], F::Version, 426),
        ("Sec-WebSocket-Version", &["8"], F::Version, 426),
        ("Sec-WebSocket-Version", &["013"], F::Version, 426),
        ("Sec-WebSocket-Version", &["13, 8"], F::Version, 426),
        ("Sec-WebSocket-Version", &["13", "13"], F::DoubledVersion, 400),
        ("Sec-WebSocket-Version", &["13", "8"], F::DoubledVersion, 400),
        ("Content-Length", &["1"], F::Body, 400),
        ("Content-Length", &["0", "5"], F::BodyLength, 400),
        ("Content-Length", &["+0"], F::BodyLength, 400),
        ("Content-Length", &["-5"], F::BodyLength, 400),
        ("Content-Length", &["abc"], F::BodyLength, 400),
        ("Content-Length", &[""], F::BodyLength, 400),
        ("Transfer-Encoding", &["chunked"], F::Body, 400),
        ("Transfer-Encoding", &["identity"], F::BodyLength, 400),
        ("Origin", &["http://a", "http://b"], F::Origin, 400),
        ("Origin", &["http://\u{e4}"], F::Origin, 400),
        ("Sec-WebSocket-Protocol", &["a b"], F::Subprotocols, 400),
        ("Sec-WebSocket-Protocol", &["a", "b;c"], F::Subprotocols, 400),
        ("Sec-WebSocket-Extensions", &["a; b=\"c"], F::Extensions, 400),
        ("Sec-WebSocket-Extensions", &["a", ",;"], F::Extensions, 400),
        ("Sec-WebSocket-Extensions", &["a;"], F::Extensions, 400),
        ("X-Nul", &["a\0b"], F::Malformed, 400),
        ("X-Control", &["a\x01b"], F::Malformed, 400),
        ("X-Feed", &["a\nb: c"], F::Malformed, 400),
        ("X-Return", &["a\rb"], F::Malformed, 400),
        ("X-Folded", &["a\r\n b"], F::Malformed, 400),
        ("X-Spaced ", &["a"], F::Malformed, 400),
        (" X-Indented", &["a"], F::Malformed, 400),
        ("X(Comment)", &["a"], F::Malformed, 400),
        ("", &["a"], F::Malformed, 400),
    ] {
        all.push((request_with(name, values), fault, status));
    }
    for (line, fault, status) in [
        ("POST /chat HTTP/1.1", F::Method, 405),
        ("get /chat HTTP/1.1", F::Method, 405),
        ("OPTIONS * HTTP/1.1", F::Method, 405),
        ("GET /chat HTTP/1.0", F::HttpVersion, 505),
        ("GET /chat HTTP/0.9", F::HttpVersion, 505),
        ("GET /chat HTTP/1.2", F::HttpVersion, 505),
        ("GET /chat HTTP/3.1", F::HttpVersion, 505),
        ("PRI * HTTP/2.0", F::HttpVersion, 505),
        ("GET /chat HTTP/2", F::Malformed, 400),
        ("GET /chat HTTP/1.10", F::Malformed, 400),
        ("GET /chat HTTP/11.1", F::Malformed, 400),
        ("GET /chat HTTP/1.x", F::Malformed, 400),
        ("GET /chat HTTP/1.1 ", F::Malformed, 400),
        ("GET /chat HTTP/2.0 ", F::Malformed, 400),
        ("GET /chat HTTP/", F::Malformed, 400),
        ("GET /chat http/1.1", F::Malformed, 400),
        ("GET /chat Http/2.0", F::Malformed, 400),
        ("GET /chat FTP/1.1", F::Malformed, 400),
        ("GET /chat  HTTP/1.1", F::Malformed, 400),
        ("GET /chat room HTTP/1.1", F::Malformed, 400),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443", F::Malformed, 400),
        ("ssh -l root", F::Malformed, 400),
        ("GET chat HTTP/1.1", F::Target, 400),
        ("GET * HTTP/1.1", F::Target, 400),
        ("GET /chat#top HTTP/1.1", F::Target, 400),
        ("GET /ch\u{e4}t HTTP/1.1", F::Target, 400),
        ("GET ftp://server.example.com/chat HTTP/1.1", F::Target, 400),
        ("GET http:///chat HTTP/1.1", F::Target, 400),
        ("GET ws://[nonsense]/chat HTTP/1.1", F::Target, 400),
        ("GET http://user@server.example.com/chat HTTP/1.1", F::Target, 400),
        ("GET  /chat HTTP/1.1", F::Malformed, 400),
        ("GET /chat", F::Malformed, 400),
        ("GET", F::Malformed, 400),
        (" GET /chat HTTP/1.1", F::Malformed, 400),
        ("\x16\x03\x01\x02", F::Malformed, 400),
    ] {
        all.push((head(line, &REQUEST), fault, status));
    }
    let many: Vec<(String, &str)> = (0..20_000).map(|index| (format!("X-{index}"), "")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    all.push((head("GET / HTTP/1.1", &many), F::TooLarge, 431));
    all.push((request_with("X", &["x".repeat(WIDE.head_bytes).as_str()]), F::TooLarge, 431));
    all
}

#[test]
fn each_fault_is_found_and_has_its_status() {
    for (bytes, fault, status) in faulty_requests() {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
        assert_eq!(fault_of(&bytes), Some(fault), "{shown}");
        assert_eq!(fault.status(), status, "{fault:?}");
    }
}

#[test]
fn after_a_fault_the_request_cannot_be_accepted() {
    for (bytes, fault, _) in faulty_requests() {
        let (mut handshake, _) = serve(&bytes);
        assert_eq!(handshake.receive(&request_with("X", &[])), Err(fault));
        let mut out = Vec::new();
        assert_eq!(handshake.answer(&Response::accept(), &mut out), Err(ResponseError::Faulty));
        assert!(out.is_empty());
        handshake.answer(&fault.into(), &mut out).unwrap();
        let mut alone = Vec::new();
        fault.write_response(&mut alone);
        assert_eq!(out, alone);
        assert_eq!(handshake.receive(b"more"), Err(fault));
    }
}

#[test]
fn each_faults_response_is_complete_and_names_the_fault() {
    for (_, fault, status) in faulty_requests() {
        let mut out = b"before".to_vec();
        fault.write_response(&mut out);
        let bytes = out.strip_prefix(b"before").unwrap();
        let (handshake, received) = ask(plain(), bytes);
        let Err(ResponseFault::Refused { status: seen, used }) = received else {
            panic!("{fault:?}: {received:?}")
        };
        assert_eq!(seen, status);
        assert_eq!(text(&bytes[used..]), format!("{fault}\n"));
        let response = handshake.response().unwrap();
        let length = (bytes.len() - used).to_string();
        assert_eq!(response.header("content-length"), Some(length.as_bytes()));
        assert!(text(response.header("connection").unwrap()).contains("close"));
        assert!(!response.reason().is_empty());
        assert_eq!(response.header("allow"), (status == 405).then_some(&b"GET"[..]));
        assert_eq!(response.header("upgrade"), (status == 426).then_some(&b"websocket"[..]));
        assert_eq!(response.header("sec-websocket-version"), (status == 426).then_some(&b"13"[..]));
    }
}

#[test]
fn two_thousand_headers_exceed_the_default_limit() {
    let name = |index| format!("X-{index}");
    let names: Vec<String> = (0..2000).map(name).collect();
    let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let mut handshake = ServerHandshake::new(&Limits::default());
    assert_eq!(handshake.receive(&head("GET / HTTP/1.1", &headers)), Err(RequestFault::TooLarge));
}

#[test]
fn a_head_of_16_kib_is_refused_by_default_once_it_is_full() {
    let mut handshake = ServerHandshake::new(&Limits::default());
    let endless = request_with("X", &["x".repeat(64 * 1024).as_str()]);
    for (index, byte) in endless.iter().enumerate() {
        let expected =
            if index + 1 < 16 * 1024 { Ok(HeadStatus::Partial) } else { Err(RequestFault::TooLarge) };
        assert_eq!(handshake.receive(&[*byte]), expected, "byte {index}");
    }
}

#[test]
fn a_subprotocol_with_32_kib_of_spaces_is_not_a_valid_token() {
    let value = format!("b{}x", " ".repeat(32 * 1024));
    assert_eq!(
        fault_of(&request_with("Sec-WebSocket-Protocol", &[&value])),
        Some(RequestFault::Subprotocols)
    );
    let commas = ", ".repeat(32 * 1024) + "x";
    let (handshake, received) = serve(&request_with("Sec-WebSocket-Protocol", &[&commas]));
    assert!(received.is_ok());
    assert_eq!(handshake.request().unwrap().subprotocols().collect::<Vec<_>>(), ["x"]);
}

#[test]
fn a_plain_request_is_lent_and_can_be_answered() {
    let bytes = head("GET /health?full HTTP/1.1", &[("Host", "a"), ("User-Agent", "probe")]);
    let (mut handshake, received) = serve(&bytes);
    assert_eq!(received, Ok(HeadStatus::Complete { used: bytes.len() }));
    let request = handshake.request().unwrap();
    assert!(!request.is_upgrade());
    assert_eq!((request.method(), request.path(), request.query()), ("GET", "/health", Some("full")));
    assert_eq!(request.header("user-agent"), Some(&b"probe"[..]));
    let mut out = Vec::new();
    let page = Response::new(200).header("Content-Type", "text/plain").body("up\n");
    handshake.answer(&page, &mut out).unwrap();
    let expected = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\
        Content-Type: text/plain\r\n\r\nup\n";
    assert_eq!(text(&out), expected);
}

#[test]
fn a_plain_request_of_any_method_and_version_is_distinguished_from_a_faulty_upgrade() {
    for line in ["HEAD / HTTP/1.1", "OPTIONS / HTTP/1.0", "POST / HTTP/1.1", "OPTIONS * HTTP/1.1"] {
        let (handshake, received) = serve(&head(line, &[("Host", "a")]));
        assert!(matches!(received, Ok(HeadStatus::Complete { .. })), "{line}: {received:?}");
        let request = handshake.request().unwrap();
        assert!(!request.is_upgrade() && request.path().starts_with(['/', '*']), "{line}");
    }
}

#[test]
fn a_request_without_an_upgrade_to_websocket_can_have_any_answer_but_an_acceptance() {
    for values in [&[][..], &["h2c"], &["websockets"]] {
        let bytes = [request_with("Upgrade", values).as_slice(), b"behind it"].concat();
        let (mut handshake, received) = serve(&bytes);
        assert_eq!(received, Ok(HeadStatus::Complete { used: bytes.len() - 9 }), "{values:?}");
        assert!(!handshake.request().unwrap().is_upgrade());
        let mut out = Vec::new();
        let accepted = handshake.answer(&Response::accept(), &mut out);
        assert_eq!(accepted, Err(ResponseError::NotAnUpgrade), "{values:?}");
        assert!(out.is_empty());
        handshake.answer(&RequestFault::NotAnUpgrade.into(), &mut out).unwrap();
        assert!(out.starts_with(b"HTTP/1.1 426 "), "{}", text(&out));
        assert_eq!(handshake.answer(&Response::accept(), &mut out), Err(ResponseError::Answered));
    }
}

#[test]
fn the_answer_to_head_has_the_body_length_but_no_body() {
    let (mut handshake, _) = serve(&head("HEAD /health HTTP/1.1", &[("Host", "a")]));
    let mut out = Vec::new();
    handshake.answer(&Response::new(200).body("up\n"), &mut out).unwrap();
    assert_eq!(text(&out), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n");
}

#[test]
fn statuses_that_forbid_a_body_have_none() {
    for (status, length) in [(204, None), (205, Some(&b"0"[..])), (304, None)] {
        let (mut handshake, _) = serve(&request_with("X", &[]));
        let mut out = Vec::new();
        let refused = handshake.answer(&Response::new(status).body("x"), &mut out);
        assert_eq!(refused, Err(ResponseError::Body));
        handshake.answer(&Response::new(status), &mut out).unwrap();
        let (client, received) = ask(plain(), &out);
        assert_eq!(received, Err(ResponseFault::Refused { status, used: out.len() }));
        assert_eq!(client.response().unwrap().header("Content-Length"), length);
    }
}

/// The phrases are those of RFC 9110, section 15, and RFC 6585.
#[test]
fn each_status_has_its_phrase_and_a_status_without_one_is_valid() {
    for (status, phrase) in [
        (200, "OK"),
        (201, "Created"),
        (202, "Accepted"),
        (204, "No Content"),
        (301, "Moved Permanently"),
        (302, "Found"),
        (303, "See Other"),
        (304, "Not Modified"),
        (307, "Temporary Redirect"),
        (308, "Permanent Redirect"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (408, "Request Timeout"),
        (409, "Conflict"),
        (410, "Gone"),
        (421, "Misdirected Request"),
        (426, "Upgrade Required"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (500, "Internal Server Error"),
        (501, "Not Implemented"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (504, "Gateway Timeout"),
        (505, "HTTP Version Not Supported"),
        (599, ""),
    ] {
        let (mut server, _) = serve(&request_with("X", &[]));
        let mut out = Vec::new();
        server.answer(&Response::new(status), &mut out).unwrap();
        assert!(text(&out).starts_with(&format!("HTTP/1.1 {status} {phrase}\r\n")), "{}", text(&out));
        let (client, received) = ask(plain(), &out);
        assert_eq!(received, Err(ResponseFault::Refused { status, used: out.len() }));
        assert_eq!(client.response().unwrap().reason(), phrase);
    }
}

#[test]
fn an_absolute_uri_as_target_determines_the_host() {
    let (handshake, _) = serve(&head("GET ws://other.example.com:81/chat HTTP/1.1", &REQUEST));
    let request = handshake.request().unwrap();
    assert_eq!((request.host(), request.path()), (Some("other.example.com:81"), "/chat"));
}

/// Returns the query pairs of a request for this target.
fn pairs(target: &str) -> Vec<(String, String)> {
    let (handshake, received) = serve(&head(&format!("GET {target} HTTP/1.1"), &REQUEST));
    assert!(received.is_ok(), "{target}");
    let pairs = handshake.request().unwrap().query_pairs();
    pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

#[test]
fn a_query_is_lent_as_decoded_pairs() {
    let of = |expected: &[(&str, &str)]| -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    for (target, expected) in [
        ("/", &[][..]),
        ("/?", &[]),
        ("/?&&", &[]),
        ("/?room=1", &[("room", "1")]),
        ("/?room=1&user=Ann+Lee&room=2", &[("room", "1"), ("user", "Ann Lee"), ("room", "2")]),
        ("/?a", &[("a", "")]),
        ("/?=b&=", &[("", "b"), ("", "")]),
        ("/?a=b=c", &[("a", "b=c")]),
        ("/?a%3Db%26c=%2B%20%41", &[("a=b&c", "+ A")]),
        ("/?n=%C3%A4%e2%82%ac", &[("n", "\u{e4}\u{20ac}")]),
        ("/?n=%ff%C3", &[("n", "\u{FFFD}\u{FFFD}")]),
        ("/?n=%zz%4%", &[("n", "%zz%4%")]),
        ("/?n=%%41", &[("n", "%A")]),
        ("ws://a?n=1;m=2", &[("n", "1;m=2")]),
    ] {
        assert_eq!(pairs(target), of(expected), "{target}");
    }
}

/// Compares with the crate `form_urlencoded`, for any query.
#[test]
fn query_pairs_agree_with_another_parser() {
    fn prop(noise: Vec<u8>) -> bool {
        let byte = |&byte: &u8| b"&=+%%a4c3Fe2 ~;"[usize::from(byte % 15)];
        let query: String = noise.iter().map(byte).filter(|&byte| byte != b' ').map(char::from).collect();
        let expected: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        pairs(&format!("/?{query}")) == expected
    }
    QuickCheck::new().tests(5_000).quickcheck(prop as fn(Vec<u8>) -> bool);
}

#[test]
fn a_subprotocol_is_selected_in_the_servers_order_and_answered_if_there_is_one() {
    for (offered, supported, selected) in [
        (&["v1.chat, v2.chat"][..], &["v2.chat", "v1.chat"][..], Some("v2.chat")),
        (&["v2.chat", "v1.chat"], &["v1.chat", "v2.chat"], Some("v1.chat")),
        (&["v1.chat"], &["v2.chat", "v1.chat"], Some("v1.chat")),
        (&["v3.chat"], &["v2.chat", "v1.chat"], None),
        (&["V1.chat, v1"], &["v1.chat"], None),
        (&["a"], &[], None),
        (&[], &["a", ""], None),
        (&[""], &["a", ""], None),
    ] {
        let (mut handshake, received) = serve(&request_with("Sec-WebSocket-Protocol", offered));
        assert!(received.is_ok());
        let request = handshake.request().unwrap();
        assert_eq!(request.select_subprotocol(supported), selected, "{offered:?} {supported:?}");
        let response = Response::accept().subprotocol(request.select_subprotocol(supported));
        let mut out = Vec::new();
        handshake.answer(&response, &mut out).unwrap();
        let line = selected.map(|name| format!("\r\nSec-WebSocket-Protocol: {name}\r\n"));
        match line {
            Some(line) => assert!(text(&out).contains(&line), "{}", text(&out)),
            None => assert!(!text(&out).contains("Protocol:"), "{}", text(&out)),
        }
    }
}

#[test]
fn headers_are_lent_in_order_and_found_in_any_case() {
    let (handshake, _) = serve(&request_with("X-Two", &["1", "2"]));
    let request = handshake.request().unwrap();
    assert_eq!(request.headers().len(), 7);
    let last: Vec<_> = request.headers().skip(5).collect();
    assert_eq!(last, [("X-Two", &b"1"[..]), ("X-Two", b"2")]);
    assert_eq!(request.header("x-tWO"), Some(&b"1"[..]));
    assert_eq!(request.values("X-TWO").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(request.header("X"), None);
}

#[test]
fn a_request_cannot_be_answered_before_it_arrives_or_twice() {
    let mut handshake = ServerHandshake::new(WIDE);
    let mut out = Vec::new();
    assert_eq!(handshake.answer(&Response::accept(), &mut out), Err(ResponseError::NoRequest));
    assert!(handshake.request().is_none());
    handshake.receive(&request_with("X", &[])).unwrap();
    assert_eq!(handshake.receive(b"frames"), Ok(HeadStatus::Complete { used: 0 }));
    handshake.answer(&Response::accept(), &mut out).unwrap();
    let size = out.len();
    assert_eq!(handshake.answer(&Response::accept(), &mut out), Err(ResponseError::Answered));
    assert_eq!(out.len(), size);
    assert_eq!(handshake.request().unwrap().path(), "/chat");
    assert_eq!(handshake.receive(b"frames"), Ok(HeadStatus::Complete { used: 0 }));
}

#[test]
fn an_invalid_answer_leaves_the_request_unanswered() {
    let offers = [("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Extensions", "x; y, z")];
    let headers: Vec<_> = REQUEST.into_iter().chain(offers).collect();
    let (mut handshake, _) = serve(&head("GET / HTTP/1.1", &headers));
    let mut out = Vec::new();
    let accept = Response::accept;
    for (response, error) in [
        (accept().subprotocol("other"), ResponseError::Subprotocol),
        (accept().subprotocol("Chat"), ResponseError::Subprotocol),
        (accept().subprotocol(""), ResponseError::Subprotocol),
        (accept().subprotocol("chat\r\nX: y"), ResponseError::Subprotocol),
        (Response::new(400).subprotocol("chat"), ResponseError::Subprotocol),
        (accept().extensions("other"), ResponseError::Extensions),
        (accept().extensions("x, other"), ResponseError::Extensions),
        (accept().extensions("x;"), ResponseError::Extensions),
        (accept().extensions(""), ResponseError::Extensions),
        (accept().extensions("x\r\nX: y"), ResponseError::Extensions),
        (Response::new(400).extensions("x"), ResponseError::Extensions),
        (accept().body("x"), ResponseError::Body),
        (Response::new(100), ResponseError::Status),
        (Response::new(199), ResponseError::Status),
        (Response::new(600), ResponseError::Status),
        (Response::new(0), ResponseError::Status),
        (Response::new(u16::MAX), ResponseError::Status),
        (accept().header("", "x"), ResponseError::HeaderName),
        (accept().header("a b", "x"), ResponseError::HeaderName),
        (accept().header("a", "x\ny"), ResponseError::HeaderValue),
        (Response::forbidden().header("a", b"x\x7F"), ResponseError::HeaderValue),
        (accept().header("sec-websocket-accept", "x"), ResponseError::HeaderOwned),
        (accept().header("a b", "x").header("Upgrade", "x"), ResponseError::HeaderName),
    ] {
        assert_eq!(handshake.answer(&response, &mut out), Err(error), "{response:?}");
        assert!(out.is_empty());
    }
    let good = accept().subprotocol("chat").extensions("z, x; y").header("X", "\u{e4}\t");
    handshake.answer(&good, &mut out).unwrap();
    let tail = "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: z, x; y\r\nX: \u{e4}\t\r\n\r\n";
    assert!(text(&out).ends_with(tail));
}

// ---------------------------------------------------------------------------------------- origins

#[test]
fn a_page_of_another_site_is_refused_unless_the_policy_accepts_it() {
    let list = ["https://app.example.com", "null"];
    let (any, same, list) = (OriginPolicy::Any, OriginPolicy::Same, OriginPolicy::List(&list));
    for (origins, allowed) in [
        (&[][..], [true, true, true]),
        (&["https://server.example.com"], [true, true, false]),
        (&["http://SERVER.example.com:80"], [true, true, false]),
        (&["https://app.example.com"], [true, false, true]),
        (&["HTTPS://app.example.com"], [true, false, true]),
        (&["https://app.example.com.evil.org"], [true, false, false]),
        (&["https://evil.org"], [true, false, false]),
        (&["null"], [true, false, true]),
        (&[""], [true, false, false]),
    ] {
        let (handshake, received) = serve(&request_with("Origin", origins));
        assert!(received.is_ok());
        let request = handshake.request().unwrap();
        assert_eq!([&any, &same, &list].map(|policy| policy.allows(&request)), allowed, "{origins:?}");
    }
    assert_eq!(OriginPolicy::default(), same);
}

/// A browser never writes the scheme's default port, nor a path; a configuration may.
#[test]
fn a_listed_origin_matches_in_any_form_of_either() {
    let allows = |listed: &str, origin: &str| {
        let (handshake, received) = serve(&request_with("Origin", &[origin]));
        assert!(received.is_ok(), "{origin}");
        OriginPolicy::List(&["https://other.example", listed]).allows(&handshake.request().unwrap())
    };
    for (listed, origin) in [
        ("https://h:443", "https://h"),
        ("http://h:80", "http://h"),
        ("HTTPS://H:443", "https://h"),
        ("https://h:0443", "https://h"),
        ("https://h:", "https://h"),
        ("https://h/", "https://h"),
        ("https://h:443/", "https://h"),
        ("https://[::1]:443", "https://[::1]"),
        ("http://h:443", "http://h:443"),
        ("https://h:80", "https://h:80"),
        ("https://h:8443", "https://h:8443/"),
        ("ws://h:80", "ws://h"),
        ("wss://h:443", "wss://h"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("chrome-extension://abcdef/", "chrome-extension://abcdef"),
        ("app://h:80", "app://h:80"),
        ("null", "null"),
        ("NULL", "null"),
    ] {
        assert!(allows(listed, origin) && allows(origin, listed), "{listed} {origin}");
    }
    for (listed, origin) in [
        ("https://h:443", "http://h"),
        ("https://h:443", "http://h:443"),
        ("https://h:80", "https://h"),
        ("https://h:443", "https://h:4430"),
        ("https://h:443", "https://h:443.evil.example"),
        ("https://h:443", "https://h.evil.example"),
        ("https://h/", "https://h/path"),
        ("https://h/", "https://h//"),
        ("https://h", "https://user@h"),
        ("https://h", "h"),
        ("https://h", "https://h:99999"),
        ("app://h:80", "app://h"),
        ("app://h:443", "app://h"),
        ("null/", "null"),
        ("https://h", "null"),
        ("", "null"),
    ] {
        assert!(!allows(listed, origin) && !allows(origin, listed), "{listed} {origin}");
    }
}

#[test]
fn an_unreadable_origin_does_not_count_as_a_missing_one() {
    for origins in [&["https://server.example.com", "https://server.example.com"][..], &["https://\u{e4}"]] {
        let (handshake, _) = serve(&request_with("Origin", origins));
        let request = handshake.request().unwrap();
        assert!(!OriginPolicy::Same.allows(&request));
        assert!(!OriginPolicy::List(&["https://server.example.com"]).allows(&request));
    }
    let mut bytes = request_with("Origin", &["https://server.example.com"]);
    let at = bytes.windows(8).position(|window| window == b"https://").unwrap();
    bytes[at] = 0xFF;
    let (handshake, received) = serve(&bytes);
    assert_eq!(received, Err(RequestFault::Origin));
    assert!(!OriginPolicy::Same.allows(&handshake.request().unwrap()));
}

// ---------------------------------------------------------------------------------------- a client

#[test]
fn a_request_is_written_as_configured() {
    let request = ClientRequest::new("example.com:8080", "/chat?room=1")
        .origin("http://example.com")
        .subprotocol("chat")
        .subprotocol("superchat")
        .extensions("permessage-deflate; client_max_window_bits")
        .basic_auth("Aladdin", "open sesame")
        .header("X-Bytes", b"\xFF");
    let handshake = ClientHandshake::new(request, NONCE, WIDE).unwrap();
    let expected = b"GET /chat?room=1 HTTP/1.1\r\nHost: example.com:8080\r\n\
        Upgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
        Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\nX-Bytes: \xFF\r\n\r\n";
    assert_eq!(written(&handshake), expected);
    assert_eq!(fault_of(expected), None);
}

#[test]
fn a_path_may_be_left_out() {
    for (path, line) in [("", "GET / HTTP"), ("?x", "GET /?x HTTP"), ("/", "GET / HTTP")] {
        let handshake = ClientHandshake::new(ClientRequest::new("a", path), NONCE, WIDE).unwrap();
        assert!(written(&handshake).starts_with(line.as_bytes()));
    }
}

#[test]
fn the_zone_of_an_address_is_not_sent() {
    // As the standard library displays it, and as RFC 6874 writes it in a URI.
    let addr = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 81, 0, 7).to_string();
    for (host, sent) in [
        (&addr[..], "[fe80::1]:81"),
        ("[fe80::1%25eth0]:81", "[fe80::1]:81"),
        ("[fe80::1%25en-0.1%7E]", "[fe80::1]"),
    ] {
        let handshake = ClientHandshake::new(ClientRequest::new(host, "/"), NONCE, WIDE).unwrap();
        let request = written(&handshake);
        assert!(text(&request).contains(&format!("\r\nHost: {sent}\r\n")), "{host}: {}", text(&request));
        assert_eq!(fault_of(&request), None);
    }
    for host in
        ["[fe80::1%]", "[fe80::1%a b]", "[fe80::1%a\r\nX: y]", "[fe80::1%25eth0", "[a%25eth0]", "a%25eth0]"]
    {
        let refused = ClientHandshake::new(ClientRequest::new(host, "/"), NONCE, WIDE).err();
        assert_eq!(refused, Some(RequestError::Host), "{host}");
    }
}

#[test]
fn no_control_character_gets_into_a_request() {
    let refused = |request: ClientRequest| ClientHandshake::new(request, NONCE, WIDE).err();
    for control in (0..=0x1F).chain([0x7F]).map(char::from) {
        for text in [format!("a{control}b"), format!("{control}"), format!("a\r{control}\nX: y")] {
            assert_eq!(refused(ClientRequest::new(&text, "/")), Some(RequestError::Host));
            assert_eq!(refused(ClientRequest::new("a", &format!("/{text}"))), Some(RequestError::Path));
            assert_eq!(refused(plain().header(&text, "x")), Some(RequestError::HeaderName));
            assert_eq!(refused(plain().subprotocol(&text)), Some(RequestError::Subprotocol));
            assert_eq!(refused(plain().basic_auth(&text, "")), Some(RequestError::Credentials));
            assert_eq!(refused(plain().basic_auth("a", &text)), Some(RequestError::Credentials));
            // A tab is whitespace within values and lists, and does not end a line.
            if !text.chars().all(|char| char == '\t' || !char.is_control()) {
                assert_eq!(refused(plain().header("X", &text)), Some(RequestError::HeaderValue));
                assert_eq!(refused(plain().origin(&text)), Some(RequestError::HeaderValue));
            }
            assert_eq!(refused(plain().extensions(&text)), Some(RequestError::Extensions), "{text:?}");
        }
    }
}

#[test]
fn headers_that_the_handshake_writes_cannot_be_added() {
    for name in [
        "host",
        "Origin",
        "Upgrade",
        "CONNECTION",
        "Content-Length",
        "Transfer-Encoding",
        "Sec-WebSocket-Key",
        "sec-websocket-anything",
    ] {
        let refused = ClientHandshake::new(plain().header(name, "x"), NONCE, WIDE).err();
        assert_eq!(refused, Some(RequestError::HeaderOwned), "{name}");
    }
    for name in ["Sec-Fetch-Mode", "Cookie", "Authorization", "Sec-WebSocket"] {
        assert!(ClientHandshake::new(plain().header(name, "x"), NONCE, WIDE).is_ok(), "{name}");
    }
}

#[test]
fn invalid_parts_of_a_request_are_refused() {
    let refused = |request: ClientRequest| ClientHandshake::new(request, NONCE, WIDE).err();
    for host in ["", "a b", "user@a", "http://a", "a/b", "a:b", "\u{e4}", "[nonsense]", "[1]", "a%zz"] {
        assert_eq!(refused(ClientRequest::new(host, "/")), Some(RequestError::Host), "{host}");
    }
    for path in ["a", "/a b", "/a#b", "#a", "/\u{e4}", "*", "http://a/b"] {
        assert_eq!(refused(ClientRequest::new("a", path)), Some(RequestError::Path), "{path}");
    }
    for name in ["", "a b", "a,b"] {
        assert_eq!(refused(plain().subprotocol(name)), Some(RequestError::Subprotocol), "{name}");
    }
    assert_eq!(refused(plain().subprotocol("a").subprotocol("a")), Some(RequestError::Subprotocol));
    assert_eq!(refused(plain().basic_auth("a:b", "c")), Some(RequestError::Credentials));
    assert_eq!(refused(plain().basic_auth("a", "b:c")), None);
    assert_eq!(refused(plain().extensions(",")), Some(RequestError::Extensions));
}

/// RFC 3986: "pchar = unreserved / pct-encoded / sub-delims / ":" / "@"", "query = *( pchar / "/" / "?" )".
#[test]
fn a_client_sends_only_valid_paths_and_queries_and_a_server_accepts_all_that_browsers_send() {
    const VALID: &str = "-._~!$&'()*+,;=:@/";
    let result = |path: &str| ClientHandshake::new(ClientRequest::new("a", path), NONCE, WIDE);
    for char in (0..=u8::MAX).map(char::from) {
        let is_valid = char.is_ascii_alphanumeric() || VALID.contains(char) || char == '?';
        for path in [format!("/{char}"), format!("/a{char}b"), format!("/?{char}"), format!("/?a={char}&b")] {
            match result(&path) {
                Ok(handshake) => {
                    assert!(is_valid, "{path}");
                    let request = written(&handshake);
                    assert_eq!(fault_of(&request), None, "{path}");
                    assert!(request.starts_with(format!("GET {path} HTTP/1.1\r\n").as_bytes()));
                }
                Err(error) => assert!(!is_valid && error == RequestError::Path, "{path}"),
            }
        }
    }
    for path in ["/%41%7c", "/?%e2%82%ac", "/%00", "?a=%20"] {
        assert!(result(path).is_ok(), "{path}");
    }
    for path in ["/%", "/%4", "/%zz", "/%4g", "/?a%", "/?a=%2", "/%%41", "/%u0041"] {
        assert_eq!(result(path).err(), Some(RequestError::Path), "{path}");
    }
    for target in ["/a|b^`{}[]", "/?a[]=1&b=\"<>\\^`{|}'", "/%zz?%", "/?a=%u0041"] {
        assert_eq!(fault_of(&head(&format!("GET {target} HTTP/1.1"), &REQUEST)), None, "{target}");
    }
}

#[test]
fn an_accepting_response_is_valid_in_any_form() {
    for (name, values) in [
        ("X", &[][..]),
        ("Upgrade", &["WebSocket"]),
        ("Connection", &["keep-alive, upgrade"]),
        ("Connection", &["keep-alive", "UPGRADE"]),
        ("Sec-WebSocket-Extensions", &["x;a=1", "y"]),
        ("Sec-WebSocket-Extensions", &[""]),
        ("Sec-WebSocket-Protocol", &["chat"]),
    ] {
        let bytes = response_with(name, values);
        let request = plain().subprotocol("superchat").subprotocol("chat").extensions("y, x");
        let (handshake, received) = ask(request, &bytes);
        assert_eq!(received, Ok(HeadStatus::Complete { used: bytes.len() }), "{name}: {values:?}");
        let chosen = (name == "Sec-WebSocket-Protocol").then_some("chat");
        assert_eq!(handshake.subprotocol(), chosen);
    }
    let bytes = response_with("Sec-WebSocket-Extensions", &["x;a=1", "y"]);
    let (handshake, _) = ask(plain().extensions("x, y"), &bytes);
    let chosen = handshake.extensions().unwrap();
    let names: Vec<_> = chosen.map(|extension| (extension.name, extension.params().count())).collect();
    assert_eq!(names, [("x", 1), ("y", 0)]);
}

/// Every kind of fault in a response to a request that offers the subprotocol `chat` and the extension `x`.
fn faulty_responses() -> Vec<(Vec<u8>, ResponseFault)> {
    use ResponseFault as F;
    let mut all = Vec::new();
    for (name, values, fault) in [
        ("Upgrade", &[][..], F::Upgrade),
        ("Upgrade", &["h2c"], F::Upgrade),
        ("Upgrade", &["h2c, websocket"], F::Upgrade),
        ("Upgrade", &["websocket", "websocket"], F::Upgrade),
        ("Connection", &[], F::Connection),
        ("Connection", &["keep-alive"], F::Connection),
        ("Sec-WebSocket-Accept", &[], F::Accept),
        ("Sec-WebSocket-Accept", &[KEY], F::Accept),
        ("Sec-WebSocket-Accept", &["S3pPLMBiTxaQ9kYGzzhZRbK+xOo="], F::Accept),
        ("Sec-WebSocket-Accept", &[ACCEPT, ACCEPT], F::Accept),
        ("Sec-WebSocket-Protocol", &["other"], F::Subprotocol),
        ("Sec-WebSocket-Protocol", &["Chat"], F::Subprotocol),
        ("Sec-WebSocket-Protocol", &[""], F::Subprotocol),
        ("Sec-WebSocket-Protocol", &["chat, chat"], F::Subprotocol),
        ("Sec-WebSocket-Protocol", &["chat", "chat"], F::Subprotocol),
        ("Sec-WebSocket-Extensions", &["y"], F::Extensions),
        ("Sec-WebSocket-Extensions", &["x", "y"], F::Extensions),
        ("Sec-WebSocket-Extensions", &["x;"], F::MalformedExtensions),
        ("X-Nul", &["a\0b"], F::Malformed),
        ("X-Folded", &["a\r\n b"], F::Malformed),
    ] {
        all.push((response_with(name, values), fault));
    }
    for (line, fault) in [
        ("HTTP/1.0 101 Switching Protocols", F::HttpVersion),
        ("HTTP/2.0 101 Switching Protocols", F::HttpVersion),
        ("HTTP/2.0 200 OK", F::HttpVersion),
        ("HTTP/1.2 200 OK", F::HttpVersion),
        ("HTTP/0.9 200 OK", F::HttpVersion),
        ("HTTP/2 101 Switching Protocols", F::Malformed),
        ("HTTP/1.10 200 OK", F::Malformed),
        ("HTTP/1.1", F::Malformed),
        ("HTTP/1.1200 OK", F::Malformed),
        ("HTTP/1.1 1x1 Switching Protocols", F::Malformed),
        ("http/1.1 200 OK", F::Malformed),
        ("FTP/1.1 200 OK", F::Malformed),
        ("SSH-2.0-OpenSSH_9.6", F::Malformed),
        ("220 mail.example.com ESMTP", F::Malformed),
        ("<html>", F::Malformed),
        ("GET / HTTP/1.1", F::Malformed),
    ] {
        all.push((head(line, &RESPONSE), fault));
    }
    all.push((response_with("X", &["x".repeat(WIDE.head_bytes).as_str()]), F::TooLarge));
    for status in [100, 200, 301, 401, 426, 503, 999] {
        let bytes = head(&format!("HTTP/1.1 {status} Said"), &[("Location", "/x")]);
        let used = bytes.len();
        if status >= 200 {
            all.push(([&bytes[..], b"a body"].concat(), F::Refused { status, used }));
        }
    }
    all
}

#[test]
fn each_fault_of_a_response_is_found_and_kept() {
    for (bytes, fault) in faulty_responses() {
        let request = plain().subprotocol("chat").extensions("x");
        let (mut handshake, received) = ask(request, &bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
        assert_eq!(received, Err(fault), "{shown}");
        let again = match fault {
            ResponseFault::Refused { status, .. } => ResponseFault::Refused { status, used: 0 },
            other => other,
        };
        assert_eq!(handshake.receive(&response_with("X", &[])), Err(again));
        assert_eq!((handshake.subprotocol(), handshake.extensions().is_some()), (None, false));
    }
}

#[test]
fn a_server_may_not_choose_what_was_not_offered() {
    for (name, fault) in [
        ("Sec-WebSocket-Protocol", ResponseFault::Subprotocol),
        ("Sec-WebSocket-Extensions", ResponseFault::Extensions),
    ] {
        assert_eq!(ask(plain(), &response_with(name, &["chat"])).1, Err(fault));
    }
}

#[test]
fn a_refusal_lends_the_servers_response() {
    let headers = [("WWW-Authenticate", "Basic realm=\"x\""), ("Content-Length", "4")];
    let bytes = head("HTTP/1.1 401 Unauthorized", &headers);
    let (handshake, received) = ask(plain(), &[&bytes[..], b"who?"].concat());
    assert_eq!(received, Err(ResponseFault::Refused { status: 401, used: bytes.len() }));
    let response = handshake.response().unwrap();
    assert_eq!((response.status(), response.reason()), (401, "Unauthorized"));
    assert_eq!(response.header("www-authenticate"), Some(&b"Basic realm=\"x\""[..]));
    assert_eq!(response.values("Content-Length").collect::<Vec<_>>(), [b"4"]);
    assert_eq!(response.headers().len(), 2);
}

#[test]
fn folded_lines_are_unfolded_in_a_refusal_and_refused_in_an_acceptance() {
    for (folded, value) in [
        ("Location:\r\n /elsewhere", "/elsewhere"),
        ("Location: /else\r\n where", "/else   where"),
        ("Location: /else \t\r\n\t where", "/else      where"),
        ("Location: a\r\n b\tc\r\n\td", "a   b\tc   d"),
        ("Location: a\r\n \r\n \t\r\n b", "a          b"),
        ("Location: a\r\n  ", "a"),
        ("Location:\r\n \r\n\t", ""),
        ("Location: \u{e4}\r\n \u{e4}", "\u{e4}   \u{e4}"),
    ] {
        let bytes = format!("HTTP/1.1 302 Found\r\nA: 1\r\n{folded}\r\nZ:\r\n 2\r\n\r\n").into_bytes();
        for ends in cuts(bytes.len()) {
            let mut client = ClientHandshake::new(plain(), NONCE, WIDE).unwrap();
            let (_, result) = in_pieces(&bytes, &ends, |piece| client.receive(piece));
            assert!(
                matches!(result, Err(ResponseFault::Refused { status: 302, .. })),
                "{folded:?}: {result:?}"
            );
            let headers: Vec<_> = client.response().unwrap().headers().collect();
            assert_eq!(
                headers,
                [("A", &b"1"[..]), ("Location", value.as_bytes()), ("Z", b"2")],
                "{folded:?}"
            );
        }
        // The change is harmless in an interim response, and a fault in the final one.
        let interim = bytes.strip_prefix(b"HTTP/1.1 302").unwrap();
        let interim = [b"HTTP/1.1 103", interim].concat();
        let all = [interim.as_slice(), &response_with("X", &["y"])].concat();
        assert_eq!(ask(plain(), &all).1, Ok(HeadStatus::Complete { used: all.len() }));
        let accepted = [&response_with("X", &["y"])[..], b""].concat();
        let accepted = [&accepted[..accepted.len() - 2], folded.as_bytes(), b"\r\n\r\n"].concat();
        assert_eq!(ask(plain(), &accepted).1, Err(ResponseFault::Malformed), "{folded:?}");
        let request = [&request_with("X", &["y"])[..], b""].concat();
        let request = [&request[..request.len() - 2], folded.as_bytes(), b"\r\n\r\n"].concat();
        assert_eq!(fault_of(&request), Some(RequestFault::Malformed), "{folded:?}");
    }
    for folded in
        [" Folded: a\r\nB: c", "\t\r\nB: c", "B\r\n : c", "B: a\rb", "B: a\r\n b\rc", "B: a\r\n \x01"]
    {
        let bytes = format!("HTTP/1.1 302 Found\r\n{folded}\r\n\r\n").into_bytes();
        assert_eq!(ask(plain(), &bytes).1, Err(ResponseFault::Malformed), "{folded:?}");
    }
}

/// A refusal with folded header lines has the values that a reader sees who unfolds the lines first.
#[test]
fn a_refusal_with_folded_lines_has_its_unfolded_values() {
    fn prop(noise: Vec<u8>) -> bool {
        let pieces = ["a", " ", "\t", "\r\n ", "\r\n\t", "\r\nX:", "\r\nYZ: "];
        let lines: String = noise.iter().map(|byte| pieces[usize::from(byte % 7)]).collect();
        let head = |lines: &str| format!("HTTP/1.1 400 \r\nFirst:{lines}\r\n\r\n");
        let unfolded = lines.replace("\r\n ", "   ").replace("\r\n\t", "   ");
        let values = |head: String| {
            let (handshake, _) = ask(plain(), head.as_bytes());
            let response = handshake.response()?;
            let value = |value| String::from_utf8_lossy(value).replace(['\t'], " ");
            Some(response.headers().map(|(name, text)| (name.to_owned(), value(text))).collect::<Vec<_>>())
        };
        let (folded, unfolded) = (values(head(&lines)), values(head(&unfolded)));
        folded.is_some() && folded == unfolded
    }
    QuickCheck::new().tests(5_000).quickcheck(prop as fn(Vec<u8>) -> bool);
}

#[test]
fn interim_responses_are_skipped_within_the_limit() {
    let interim = [
        head("HTTP/1.1 100 Continue", &[]),
        head("HTTP/1.1 103 Early Hints", &[("Link", "</x>"), ("Upgrade", "no")]),
    ]
    .concat();
    let bytes = [interim.as_slice(), &response_with("X", &[]), b"\x81\x00"].concat();
    let (handshake, received) = ask(plain(), &bytes);
    assert_eq!(received, Ok(HeadStatus::Complete { used: bytes.len() - 2 }));
    assert_eq!(handshake.response().unwrap().headers().len(), 3);

    let mut handshake = ClientHandshake::new(plain(), NONCE, &Limits::default()).unwrap();
    let mut sent = 0;
    while handshake.receive(&interim) == Ok(HeadStatus::Partial) {
        sent += interim.len();
        assert!(sent < Limits::default().head_bytes);
    }
    assert_eq!(handshake.receive(b""), Err(ResponseFault::TooLarge));
}

// ---------------------------------------------------------------------------------------- splits

/// Feeds `bytes` in pieces that end at `ends` and at the end, until `receive` is done. Returns the number of
/// bytes fed and the result.
fn in_pieces<F: PartialEq>(
    bytes: &[u8],
    ends: &[usize],
    mut receive: impl FnMut(&[u8]) -> Result<HeadStatus, F>,
) -> (usize, Result<(), F>) {
    let mut at = 0;
    for &end in ends.iter().chain([&bytes.len()]) {
        match receive(&bytes[at..end]) {
            Ok(HeadStatus::Partial) => at = end,
            Ok(HeadStatus::Complete { used }) => return (at + used, Ok(())),
            Err(fault) => return (0, Err(fault)),
        }
    }
    panic!("the head is incomplete")
}

/// All ways to cut into two pieces, and the cut into single bytes.
fn cuts(len: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..=len).map(|end| vec![end]).chain([(0..len).collect()])
}

#[test]
fn every_split_of_an_exchange_has_one_result() {
    let request = plain().subprotocol("chat").header("X", "y");
    let frame = b"\x81\x82\r\n\r\n\r\n";
    let mut client = ClientHandshake::new(request.clone(), NONCE, WIDE).unwrap();
    let to_server = [written(&client).as_slice(), frame].concat();
    let mut to_client = Vec::new();
    for ends in cuts(to_server.len()) {
        let mut server = ServerHandshake::new(WIDE);
        let (used, result) = in_pieces(&to_server, &ends, |piece| server.receive(piece));
        assert_eq!((used, result), (to_server.len() - frame.len(), Ok(())), "{ends:?}");
        let mut out = Vec::new();
        server.answer(&Response::accept().subprotocol("chat"), &mut out).unwrap();
        assert!(to_client.is_empty() || to_client == out);
        to_client = out;
    }
    let interim = head("HTTP/1.1 103 Early Hints", &[("Link", "</x>")]);
    let to_client = [&interim[..], &to_client, frame].concat();
    for ends in cuts(to_client.len()) {
        client = ClientHandshake::new(request.clone(), NONCE, WIDE).unwrap();
        let (used, result) = in_pieces(&to_client, &ends, |piece| client.receive(piece));
        assert_eq!((used, result), (to_client.len() - frame.len(), Ok(())), "{ends:?}");
        assert_eq!(client.subprotocol(), Some("chat"));
    }
}

#[test]
fn every_split_of_a_faulty_head_has_one_fault() {
    for (bytes, fault, _) in faulty_requests().into_iter().filter(|(bytes, ..)| bytes.len() < 1000) {
        for ends in cuts(bytes.len()) {
            let mut server = ServerHandshake::new(WIDE);
            let result = in_pieces(&bytes, &ends, |piece| server.receive(piece)).1;
            assert_eq!(result, Err(fault), "{ends:?}");
        }
    }
    for (bytes, fault) in faulty_responses().into_iter().filter(|(bytes, _)| bytes.len() < 1000) {
        for ends in cuts(bytes.len()) {
            let request = plain().subprotocol("chat").extensions("x");
            let mut client = ClientHandshake::new(request, NONCE, WIDE).unwrap();
            let (_, Err(result)) = in_pieces(&bytes, &ends, |piece| client.receive(piece)) else {
                panic!("{fault:?} was not found")
            };
            assert_eq!(std::mem::discriminant(&result), std::mem::discriminant(&fault), "{ends:?}");
        }
    }
}

// ---------------------------------------------------------------------------------------- noise

/// Feeds noise that often looks like HTTP, in pieces. The result does not depend on the pieces, and nothing
/// panics, whatever the handshake is asked in between.
fn noise_is_harmless(noise: Vec<u8>, sizes: Vec<u8>) -> bool {
    let pieces: [&[u8]; 16] = [
        b"GET / HTTP/1.1\r\n",
        b"HTTP/1.1 101 \r\n",
        b"HTTP/1.1 100 \r\n\r\n",
        b"Upgrade: websocket\r\n",
        b"Connection: upgrade\r\n",
        b"Sec-WebSocket-Extensions: ",
        b"Sec-WebSocket-Protocol: ",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        b"Sec-WebSocket-Version: 13\r\n",
        b"Host: a\r\n",
        b"Origin:",
        b"\r\n\r\n",
        b"\r\n",
        b"a;b=\"c\\d\",",
        b"\xFF\0\n\r \t",
        b"://?#[]:",
    ];
    let mut bytes = Vec::new();
    for byte in noise {
        match byte {
            0..=127 => bytes.extend_from_slice(pieces[usize::from(byte % 16)]),
            _ => bytes.push(byte.wrapping_mul(31)),
        }
    }
    let limits = &Limits::default().head_bytes(200).head_headers(5);
    let new_client = || {
        let request = plain().subprotocol("chat").extensions("a");
        ClientHandshake::new(request, NONCE, limits).unwrap()
    };
    let (mut server, mut client) = (ServerHandshake::new(limits), new_client());
    let whole = (ServerHandshake::new(limits).receive(&bytes), new_client().receive(&bytes));
    let (mut server_seen, mut client_seen) = (Ok(HeadStatus::Partial), Ok(HeadStatus::Partial));
    let (mut at, mut sizes) = (0, sizes.into_iter());
    loop {
        let size = sizes.next().map_or(bytes.len(), |size| usize::from(size % 32));
        let end = bytes.len().min(at + size);
        if server_seen == Ok(HeadStatus::Partial) {
            server_seen = server.receive(&bytes[at..end]).map(|received| place(received, at));
        }
        if client_seen == Ok(HeadStatus::Partial) {
            client_seen = client.receive(&bytes[at..end]).map(|received| place(received, at));
        }
        if let Some(request) = server.request() {
            let parts = request.path().len() + request.query().map_or(0, str::len);
            assert!(parts <= bytes.len() && request.subprotocols().count() <= bytes.len());
            assert!(request.extensions().flat_map(|one| one.params()).count() <= bytes.len());
            assert!(OriginPolicy::Any.allows(&request));
            OriginPolicy::Same.allows(&request);
        }
        if end == bytes.len() {
            break;
        }
        at = end;
    }
    let mut out = Vec::new();
    let is_upgrade = server.request().is_some_and(|request| request.is_upgrade());
    let answered = server.answer(&Response::accept(), &mut out).is_ok();
    let refused = |fault| matches!(fault, Err(ResponseFault::Refused { .. }));
    server_seen == whole.0
        && (client_seen == whole.1 || refused(client_seen) && refused(whole.1))
        && answered == (is_upgrade && matches!(whole.0, Ok(HeadStatus::Complete { .. })))
        && (!answered || text(&out).contains(ACCEPT))
}

/// The position of the end, counted from the first byte.
fn place(received: HeadStatus, at: usize) -> HeadStatus {
    match received {
        HeadStatus::Complete { used } => HeadStatus::Complete { used: at + used },
        HeadStatus::Partial => HeadStatus::Partial,
    }
}

#[test]
fn noise_never_panics_and_has_one_result_in_any_split() {
    QuickCheck::new().tests(10_000).quickcheck(noise_is_harmless as fn(Vec<u8>, Vec<u8>) -> bool);
}

#[test]
fn a_request_is_accepted_only_if_all_its_parts_are_valid() {
    type Choice = &'static [(&'static str, bool)];
    const PARTS: [Choice; 8] = [
        &[("Host: a\r\n", true), ("Host: a:80\r\n", true), ("", false), ("Host: /\r\n", false)],
        &[("upgrade: WEBSOCKET\r\n", true), ("Upgrade: x,websocket\r\n", true), ("", false)],
        &[("Connection: upgrade\r\n", true), ("Connection: a, Upgrade,\r\n", true), ("", false)],
        &[
            ("Sec-WebSocket-Key:dGhlIHNhbXBsZSBub25jZQ==\r\n", true),
            ("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA== \r\n", true),
            ("Sec-WebSocket-Key: AAAA\r\n", false),
        ],
        &[("Sec-WebSocket-Version: 13\r\n", true), ("Sec-WebSocket-Version: 14\r\n", false)],
        &[("", true), ("Content-Length: 0\r\n", true), ("Transfer-Encoding: gzip\r\n", false)],
        &[("", true), ("Sec-WebSocket-Protocol: a,b\r\n", true), ("Sec-WebSocket-Extensions: ;\r\n", false)],
        &[("", true), ("Cookie: a=\"b\"; c\r\n", true), ("Cookie: \x07\r\n", false), (" : \r\n", false)],
    ];
    fn prop(choices: Vec<u8>, turn: u8) -> bool {
        let mut choices = choices.into_iter().chain(std::iter::repeat(0));
        let mut lines: Vec<(&str, bool)> = PARTS
            .iter()
            .map(|choice| choice[usize::from(choices.next().unwrap_or(0)) % choice.len()])
            .collect();
        lines.rotate_left(usize::from(turn) % PARTS.len());
        let headers: String = lines.iter().map(|(line, _)| *line).collect();
        let bytes = format!("GET / HTTP/1.1\r\n{headers}\r\n");
        let (mut handshake, _) = serve(bytes.as_bytes());
        let accepted = handshake.answer(&Response::accept(), &mut Vec::new());
        accepted.is_ok() == lines.iter().all(|(_, good)| *good)
    }
    QuickCheck::new().tests(5_000).quickcheck(prop as fn(Vec<u8>, u8) -> bool);
}

// ---------------------------------------------------------------------------------------- a peer

/// One end of a connection: the bytes it may read, and the bytes it has written.
#[derive(Debug, Default)]
struct End {
    input: VecDeque<u8>,
    output: Vec<u8>,
}

impl Read for End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.input.read(buffer) }
    }
}

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn our_server_serves_tungstenites_client() {
    let request = tungstenite::ClientRequestBuilder::new("ws://example.com:81/chat?x=1".parse().unwrap())
        .with_header("X-Header", "y")
        .with_sub_protocol("chat");
    let Err(tungstenite::HandshakeError::Interrupted(mut theirs)) =
        tungstenite::client(request, End::default())
    else {
        panic!("the answer is not there yet")
    };
    let end = theirs.get_mut().get_mut();
    let (mut ours, received) = serve(&end.output);
    assert_eq!(received, Ok(HeadStatus::Complete { used: end.output.len() }));
    let request = ours.request().unwrap();
    assert_eq!((request.path(), request.query()), ("/chat", Some("x=1")));
    assert_eq!(request.host(), Some("example.com:81"));
    assert_eq!(request.header("x-header"), Some(&b"y"[..]));
    let mut answer = Vec::new();
    ours.answer(&Response::accept().subprotocol("chat").header("X-Answer", "z"), &mut answer).unwrap();
    end.input.extend(answer.iter().chain(b"\x81\x02hi"));
    let (mut socket, response) = theirs.handshake().unwrap();
    assert_eq!(response.headers()["x-answer"], "z");
    assert_eq!(socket.read().unwrap(), tungstenite::Message::text("hi"));
}

#[test]
fn tungstenites_client_understands_a_refusal() {
    let Err(tungstenite::HandshakeError::Interrupted(mut theirs)) =
        tungstenite::client("ws://example.com/", End::default())
    else {
        panic!("the answer is not there yet")
    };
    let end = theirs.get_mut().get_mut();
    let (mut ours, _) = serve(&end.output);
    let mut answer = Vec::new();
    ours.answer(&Response::forbidden().body("no"), &mut answer).unwrap();
    end.input.extend(&answer);
    match theirs.handshake() {
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            assert_eq!(response.status(), 403);
            assert_eq!(response.body().as_deref(), Some(&b"no"[..]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn tungstenites_server_serves_our_client() {
    let request = plain().subprotocol("chat").origin("http://example.com").header("X-Header", "y");
    let mut ours = ClientHandshake::new(request, NONCE, WIDE).unwrap();
    let end = End { input: written(&ours).into(), output: Vec::new() };
    #[allow(clippy::result_large_err, reason = "the peer's own signature")]
    let choose = |request: &tungstenite::handshake::server::Request,
                  mut response: tungstenite::handshake::server::Response| {
        assert_eq!(request.uri().path(), "/chat");
        assert_eq!(request.headers()["x-header"], "y");
        response
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", request.headers()["sec-websocket-protocol"].clone());
        Ok(response)
    };
    let mut socket = tungstenite::accept_hdr(end, choose).unwrap();
    socket.send(tungstenite::Message::text("hi")).unwrap();
    let output = &socket.get_ref().output;
    assert_eq!(ours.receive(output), Ok(HeadStatus::Complete { used: output.len() - 4 }));
    assert_eq!(ours.subprotocol(), Some("chat"));
}

#[test]
fn tungstenite_accepts_the_requests_that_we_accept_with_an_equal_accept_value() {
    // No list over several lines: tungstenite reads only the first line of each header.
    const LINES: [&str; 12] = [
        "Host: a\r\n",
        "Upgrade: websocket\r\n",
        "Connection: keep-alive, Upgrade\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
        "Sec-WebSocket-Version: 8\r\n",
        "Content-Length: 0\r\n",
        "Origin: null\r\n",
        "X: \t y \r\n",
        "x:\r\n",
        " folded\r\n",
    ];
    fn prop(extra: Vec<u8>, turn: u8, drop: Option<u8>) -> bool {
        let mut lines = LINES[..4].to_vec();
        lines.push(LINES[4 + usize::from(turn & 1)]);
        lines.extend(extra.iter().take(2).map(|byte| LINES[usize::from(byte % 12)]));
        if let Some(drop) = drop {
            lines.remove(usize::from(drop) % lines.len());
        }
        let turn = usize::from(turn) % lines.len();
        lines.rotate_left(turn);
        let bytes = format!("GET /a HTTP/1.1\r\n{}\r\n", lines.concat());
        let (mut ours, received) = serve(bytes.as_bytes());
        if received.is_err() || ours.request().is_none_or(|request| !request.is_upgrade()) {
            return true;
        }
        let mut answer = Vec::new();
        ours.answer(&Response::accept(), &mut answer).unwrap();
        let proof = |answer: &[u8]| {
            let line = String::from_utf8_lossy(answer).to_lowercase();
            line.lines().find_map(|line| line.strip_prefix("sec-websocket-accept: ").map(str::to_owned))
        };
        let theirs = tungstenite::accept(End { input: bytes.into_bytes().into(), output: Vec::new() });
        theirs.is_ok_and(|theirs| proof(&theirs.get_ref().output) == proof(&answer))
    }
    QuickCheck::new().tests(2_000).quickcheck(prop as fn(Vec<u8>, u8, Option<u8>) -> bool);
}

// ---------------------------------------------------------------------------------------- sizes

#[test]
fn errors_are_small_and_handshakes_can_be_sent_to_other_threads() {
    fn is_error<E: std::error::Error + Send + Sync + 'static>() -> usize {
        size_of::<E>()
    }
    let sizes = [
        is_error::<RequestFault>(),
        is_error::<ResponseFault>(),
        is_error::<RequestError>(),
        is_error::<ResponseError>(),
        is_error::<MalformedExtensions>(),
    ];
    assert!(sizes.iter().all(|&size| size <= 32), "{sizes:?}");
    fn is_send<T: Send>() {}
    is_send::<ServerHandshake>();
    is_send::<ClientHandshake>();
    is_send::<Response>();
}

#[test]
fn no_secret_of_a_header_is_shown_by_debug() {
    let secret = "hunter2";
    let request = plain().header("Cookie", secret);
    let response = Response::accept().header("Set-Cookie", secret);
    let mut client = ClientHandshake::new(request.clone(), NONCE, WIDE).unwrap();
    let (mut server, _) = serve(&written(&client));
    let mut out = Vec::new();
    server.answer(&response, &mut out).unwrap();
    client.receive(&out).unwrap();
    let received = client.response().unwrap();
    let shown = format!(
        "{request:?} {response:?} {client:?} {server:?} {received:?} {:?}",
        server.request().unwrap()
    );
    assert!(shown.contains("/chat") && !shown.contains(secret), "{shown}");
}

#[test]
fn a_handshake_reports_its_progress() {
    let mut client = ClientHandshake::new(plain(), NONCE, WIDE).unwrap();
    let mut server = ServerHandshake::new(WIDE);
    assert!(format!("{client:?}").contains("receiving") && format!("{server:?}").contains("receiving"));
    assert!(client.response().is_none() && server.request().is_none());
    server.receive(&written(&client)).unwrap();
    assert!(format!("{server:?}").contains("received"));
    let mut out = Vec::new();
    server.answer(&Response::accept(), &mut out).unwrap();
    client.receive(&out).unwrap();
    assert!(format!("{client:?}").contains("open") && format!("{server:?}").contains("accepted"));
    // Bytes after the head do not belong to it.
    assert_eq!(client.receive(b"\x81\x00"), Ok(HeadStatus::Complete { used: 0 }));

    let (client, fault) = ask(plain(), b"SMTP 1\r\n\r\n");
    assert!(format!("{client:?}").contains(&format!("{:?}", fault.unwrap_err())), "{client:?}");
    let (server, fault) = serve(b"SMTP 1\r\n\r\n");
    assert!(format!("{server:?}").contains(&format!("{:?}", fault.unwrap_err())), "{server:?}");
}
