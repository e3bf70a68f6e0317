//! Opening handshakes: endless heads, hostile lists, smuggled bodies, injected lines, pages of other sites.

use std::sync::Arc;
use websocket_stream::handshake::{
    ClientRequest, OriginPolicy, RequestFault, Response, ResponseFault, ServerHandshake,
};
use websocket_stream::transport::NonBlockingTransport;
use websocket_stream::transport::testing::memory::{self, MemoryStream};
use websocket_stream::{
    ClientOpening, Config, Event, Limits, OpeningError, Progress, Ready, Scratch, ServerOpening,
};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Returns the request with this line: replaces the line that begins with `begins`, or adds it.
fn request(begins: &str, line: &str) -> String {
    let lines = REQUEST.trim_end().split("\r\n").filter(|old| begins.is_empty() || !old.starts_with(begins));
    format!("{}\r\n{line}\r\n\r\n", lines.collect::<Vec<_>>().join("\r\n"))
}

fn config(head_bytes: usize) -> Arc<Config> {
    Arc::new(Config::default().limits(Limits::default().head_bytes(head_bytes)))
}

fn read_all(peer: &mut MemoryStream) -> String {
    let mut bytes = vec![0; 1 << 20];
    let len = peer.recv(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}

/// A server's opening, and its client's transport.
struct Serving {
    opening: ServerOpening<MemoryStream>,
    client: MemoryStream,
    scratch: Scratch,
    policy: OriginPolicy<'static>,
}

impl Serving {
    fn new(config: Arc<Config>) -> Self {
        let (a, client) = memory::pair(4 << 20);
        let opening = ServerOpening::with_config(a, config).unwrap();
        Serving { opening, client, scratch: Scratch::new(), policy: OriginPolicy::Any }
    }

    /// Receives these bytes from the client. Returns `None` if it waits for more.
    fn receive(&mut self, bytes: &[u8]) -> Option<Result<u16, OpeningError>> {
        assert_eq!(self.client.send(bytes).unwrap(), bytes.len());
        loop {
            match self.opening.advance(&mut self.scratch.at(0)) {
                Ok(Progress::Pending(wants)) if wants.again => {}
                Ok(Progress::Pending(_)) => return None,
                Ok(Progress::Open) => return Some(Ok(101)),
                Ok(Progress::Answered { status }) => return Some(Ok(status)),
                Ok(Progress::Decide(request)) => {
                    let response = self.policy.answer(&request);
                    self.opening.answer(&response).unwrap();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Returns the refusal: the client's response, and the error, once the client has ended its direction.
    fn refused(mut self) -> (String, Result<u16, OpeningError>) {
        let response = read_all(&mut self.client);
        self.client.shutdown_write().unwrap();
        let outcome = self.receive(b"").expect("the opening is finished");
        (response, outcome)
    }

    #[track_caller]
    fn check_fault(self, fault: RequestFault, status: u16) -> String {
        let (response, outcome) = self.refused();
        assert!(matches!(outcome, Err(OpeningError::Request(found)) if found == fault), "{outcome:?}");
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        response
    }
}

/// A client's opening, its server's transport, and the correct response.
struct Asking {
    opening: ClientOpening<MemoryStream>,
    server: MemoryStream,
    response: String,
    scratch: Scratch,
}

impl Asking {
    fn new(config: Arc<Config>) -> Self {
        let (a, mut server) = memory::pair(4 << 20);
        let mut scratch = Scratch::new();
        let request = ClientRequest::new("localhost", "/").subprotocol("chat").extensions("x-known");
        let mut opening = ClientOpening::with_config(a, request, config).unwrap();
        assert!(matches!(opening.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
        let mut handshake = ServerHandshake::new(&Limits::default());
        handshake.receive(read_all(&mut server).as_bytes()).unwrap();
        let mut response = Vec::new();
        handshake.answer(&Response::accept(), &mut response).unwrap();
        Asking { opening, server, response: String::from_utf8(response).unwrap(), scratch }
    }

    /// Returns the correct response with additional lines.
    fn response_with(&self, lines: &str) -> Vec<u8> {
        format!("{}{lines}\r\n\r\n", self.response.trim_end_matches("\r\n").to_owned() + "\r\n").into_bytes()
    }

    fn receive(&mut self, bytes: &[u8]) -> Option<Result<u16, OpeningError>> {
        assert_eq!(self.server.send(bytes).unwrap(), bytes.len());
        match self.opening.advance(&mut self.scratch.at(0)) {
            Ok(Progress::Pending(_)) => None,
            Ok(Progress::Open) => Some(Ok(101)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Some(Err(error)),
        }
    }

    #[track_caller]
    fn check_fault(mut self, lines: &str, fault: ResponseFault) {
        let response = self.response_with(lines);
        let Some(Err(OpeningError::Response(found))) = self.receive(&response) else { panic!("it goes on") };
        assert_eq!(found, fault);
    }
}

/// Returns lines that make a head this long.
fn padding(len: usize) -> String {
    let line = format!("X: {}\r\n", "x".repeat(1019));
    let (lines, rest) = (len / line.len(), len % line.len());
    let last = format!("X: {}", "x".repeat(rest + line.len() - 3));
    line.repeat(lines - 1) + &last
}

#[test]
fn a_head_of_64_kib_sent_byte_by_byte_takes_linear_work_and_ends_at_its_limit_with_431() {
    const HEAD: usize = 64 << 10;
    let mut server = Serving::new(config(HEAD));
    let head = request("", &padding(HEAD - REQUEST.len() - 2));
    assert_eq!(head.len(), HEAD);
    let (last, before) = head.as_bytes().split_last().unwrap();
    for byte in before {
        assert!(server.receive(&[*byte]).is_none());
    }
    assert!(matches!(server.receive(&[*last]), Some(Ok(101))));
    // For each byte, one call that receives it, and one that finds nothing more.
    let calls = server.opening.get_ref().calls();
    assert_eq!((calls.received, calls.recv), (HEAD as u64, 2 * HEAD as u64 - 1));

    // By default, the head is refused much earlier.
    let mut server = Serving::new(Arc::default());
    for byte in &head.as_bytes()[..16 << 10] {
        assert_eq!(read_all(&mut server.client), "");
        assert!(server.receive(&[*byte]).is_none());
    }
    server.check_fault(RequestFault::TooLarge, 431);

    for (limit, expected) in [(HEAD, true), (16 << 10, false)] {
        let mut client = Asking::new(config(limit));
        let head = client.response_with(&padding(HEAD - client.response.len() - 2));
        assert_eq!(head.len(), HEAD);
        let outcome = (0..).zip(&head).find_map(|(at, byte)| Some((at, client.receive(&[*byte])?)));
        match outcome.unwrap() {
            (at, Ok(_)) => assert!(expected && at == HEAD - 1),
            (at, Err(OpeningError::Response(ResponseFault::TooLarge))) => {
                assert!(!expected && at == (16 << 10) - 1);
            }
            other => panic!("{other:?}"),
        }
        let calls = client.opening.get_ref().calls();
        assert!(calls.received == limit as u64 && calls.recv <= 2 * limit as u64 + 1);
    }
}

#[test]
fn two_thousand_headers_are_answered_with_431() {
    let lines: Vec<String> = (0..2000).map(|index| format!("X-{index}: ")).collect();
    let mut server = Serving::new(config(1 << 20));
    assert!(server.receive(request("", &lines.join("\r\n")).as_bytes()).is_none());
    server.check_fault(RequestFault::TooLarge, 431);
    Asking::new(config(1 << 20)).check_fault(&lines.join("\r\n"), ResponseFault::TooLarge);
}

/// Scanning a list of this length once for each of its characters would take days.
const LONG: usize = 1 << 20;

#[test]
fn hostile_lists_of_subprotocols_and_extensions_cost_linear_work_and_are_refused_or_declined() {
    let (spaces, commas) = (" ".repeat(LONG), ",".repeat(LONG));
    let (quotes, escapes) = ("a;b=\"c\",".repeat(LONG / 8), "\\a".repeat(LONG / 2));
    for (name, value, fault, response_fault) in [
        (
            "Sec-WebSocket-Protocol",
            format!("b{spaces}x"),
            Some(RequestFault::Subprotocols),
            ResponseFault::Subprotocol,
        ),
        ("Sec-WebSocket-Protocol", format!("{commas}b"), None, ResponseFault::Subprotocol),
        (
            "Sec-WebSocket-Extensions",
            format!("b{spaces}x"),
            Some(RequestFault::Extensions),
            ResponseFault::MalformedExtensions,
        ),
        (
            "Sec-WebSocket-Extensions",
            format!("a; b=\"{escapes}"),
            Some(RequestFault::Extensions),
            ResponseFault::MalformedExtensions,
        ),
        (
            "Sec-WebSocket-Extensions",
            "a; b=\"".into(),
            Some(RequestFault::Extensions),
            ResponseFault::MalformedExtensions,
        ),
        (
            "Sec-WebSocket-Extensions",
            ",;".repeat(LONG / 2),
            Some(RequestFault::Extensions),
            ResponseFault::MalformedExtensions,
        ),
        ("Sec-WebSocket-Extensions", format!("{commas}{spaces}a"), None, ResponseFault::Extensions),
        ("Sec-WebSocket-Extensions", quotes, None, ResponseFault::Extensions),
        (
            "Sec-WebSocket-Extensions",
            "constructor, __proto__; toString=valueOf".into(),
            None,
            ResponseFault::Extensions,
        ),
    ] {
        let line = format!("{name}: {value}");
        let mut server = Serving::new(config(3 * LONG));
        let outcome = server.receive(request("", &line).as_bytes());
        match fault {
            Some(fault) => assert!(server.check_fault(fault, 400).contains("close")),
            None => {
                assert!(matches!(outcome, Some(Ok(101))), "{line:.99}: {outcome:?}");
                let response = read_all(&mut server.client);
                assert!(response.starts_with("HTTP/1.1 101 ") && !response.contains(name), "{response}");
            }
        }
        Asking::new(config(3 * LONG)).check_fault(&line, response_fault);
    }
}

#[cfg(feature = "deflate")]
#[test]
fn invalid_window_bits_are_declined_by_a_server_and_fail_a_client() {
    use websocket_stream::deflate::{Deflate, WindowBits};
    let full = Deflate::default().send_window(WindowBits::MAX).receive_window(WindowBits::MAX);
    let config = || Arc::new(Config::default().deflate(full));
    for side in ["server_max_window_bits", "client_max_window_bits"] {
        for value in ["0", "7", "16", "99", "08", "", "-8", "256", "4294967304", "8; {side}=8", "9; {side}"] {
            let value = value.replace("{side}", side);
            let line = format!("Sec-WebSocket-Extensions: permessage-deflate; {side}={value}");
            let mut server = Serving::new(config());
            let outcome = server.receive(request("", &line).as_bytes());
            if value.is_empty() {
                server.check_fault(RequestFault::Extensions, 400);
            } else {
                assert!(matches!(outcome, Some(Ok(101))), "{line}");
                assert!(!read_all(&mut server.client).contains("permessage-deflate"), "{line}");
                assert!(!server.opening.into_stream().unwrap().has_deflate());
            }
            let fault = match value.is_empty() {
                true => ResponseFault::MalformedExtensions,
                false => ResponseFault::ExtensionParams,
            };
            Asking::new(config()).check_fault(&line, fault);
        }
        // The smallest valid value is harmless.
        let line = format!("Sec-WebSocket-Extensions: permessage-deflate; {side}=8");
        let mut server = Serving::new(config());
        assert!(matches!(server.receive(request("", &line).as_bytes()), Some(Ok(101))));
        assert!(server.opening.into_stream().unwrap().has_deflate());
    }
}

#[test]
fn a_page_of_another_site_is_refused_with_403() {
    for (origin, enters) in [
        ("Origin: http://localhost", true),
        ("X: no page at all", true),
        ("Origin: http://evil.example", false),
        ("Origin: http://localhost.evil.example", false),
        ("Origin: null", false),
    ] {
        let mut server = Serving::new(Arc::default());
        server.policy = OriginPolicy::default();
        let outcome = server.receive(request("", origin).as_bytes());
        if enters {
            assert!(matches!(outcome, Some(Ok(101))), "{origin}");
        } else {
            let (response, outcome) = server.refused();
            assert!(response.starts_with("HTTP/1.1 403 "), "{origin}: {response}");
            assert!(matches!(outcome, Ok(403)), "{outcome:?}");
        }
    }
}

#[test]
fn smuggled_bodies_and_repeated_headers_are_refused_and_other_valid_forms_accepted() {
    use RequestFault as F;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    for (begins, line, fault) in [
        ("", "Content-Length: 5", F::Body),
        ("", "Content-Length: 0\r\nContent-Length: 5", F::BodyLength),
        ("", "Content-Length: 0\r\nTransfer-Encoding: chunked", F::BodyLength),
        ("", "Transfer-Encoding: chunked", F::Body),
        ("", key, F::Key),
        ("Sec-WebSocket-Key", "X: no key", F::Key),
        ("", "Sec-WebSocket-Version: 13", F::DoubledVersion),
        ("", "Host: other", F::Host),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 12", F::Version),
        ("Connection", "Connection: keep-alive", F::Connection),
        ("", "X: a\nX: b", F::Malformed),
        ("", "X: a\r\n b", F::Malformed),
    ] {
        let mut server = Serving::new(Arc::default());
        assert!(server.receive(request(begins, line).as_bytes()).is_none(), "{line}");
        // The bytes after it are not a second request.
        assert!(server.receive(REQUEST.as_bytes()).is_none(), "{line}");
        let response = server.check_fault(fault, fault.status());
        assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response}");
        assert_eq!(response.contains("Sec-WebSocket-Version: 13\r\n"), fault == F::Version, "{response}");
    }
    let accepted = request("Connection", "Connection: keep-alive, Upgrade");
    let mut server = Serving::new(Arc::default());
    // A frame that arrives together with the head is the first message.
    let bytes = [accepted.as_bytes(), b"\x81\x85\0\0\0\0hello"].concat();
    assert!(matches!(server.receive(&bytes), Some(Ok(101))));
    let mut stream = server.opening.into_stream().unwrap();
    let echo = stream.drive(&mut server.scratch.at(0), Ready::UNKNOWN, |event, out| match event {
        Event::Message(message) => out.send(message),
        other => panic!("{other:?}"),
    });
    assert!(echo.is_ok());
    assert!(read_all(&mut server.client).ends_with("\u{5}hello"));
}

#[test]
fn line_ends_and_nul_in_the_applications_values_are_refused_before_anything_is_sent() {
    for text in ["a\rb", "a\nb", "a\0b", "a\r\nX: injected", "\n", "\0"] {
        let plain = || ClientRequest::new("localhost", "/");
        for request in [
            ClientRequest::new(text, "/"),
            ClientRequest::new("localhost", &format!("/{text}")),
            ClientRequest::new("localhost", &format!("/?{text}")),
            plain().header(text, "x"),
            plain().header("X", text),
            plain().origin(text),
            plain().subprotocol(text),
            plain().extensions(text),
            plain().basic_auth(text, "x"),
            plain().basic_auth("x", text),
        ] {
            let (a, server) = memory::pair(1 << 16);
            let refused = ClientOpening::new(a, request.clone());
            assert_eq!(refused.err().map(|error| error.kind()), Some(std::io::ErrorKind::InvalidInput));
            assert_eq!(server.unread(), 0, "{request:?}");
        }
        for response in [
            Response::accept().header("X", text),
            Response::accept().header(text, "x"),
            Response::accept().subprotocol(text),
            Response::accept().extensions(text),
            Response::new(404).header("Location", text),
        ] {
            let mut server = Serving::new(Arc::default());
            assert_eq!(server.client.send(REQUEST.as_bytes()).unwrap(), REQUEST.len());
            let progress = server.opening.advance(&mut server.scratch.at(0));
            assert!(matches!(progress, Ok(Progress::Decide(_))));
            assert!(server.opening.answer(&response).is_err(), "{response:?}");
            assert_eq!(read_all(&mut server.client), "");
            // Another answer can be given.
            assert!(matches!(server.receive(b""), Some(Ok(101))));
            assert!(read_all(&mut server.client).starts_with("HTTP/1.1 101 "));
        }
    }
}
