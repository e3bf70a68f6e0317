//! The texts of errors and ends: each is distinct, short, and fits after a colon.

use std::collections::HashSet;
use std::error::Error as _;
use std::io::ErrorKind;
use websocket_stream::Limits;
use websocket_stream::frame::HeaderError;
use websocket_stream::frame::utf8::MessageBuffer;
use websocket_stream::handshake::{
    ClientRequest, RequestError, RequestFault, Response, ResponseError, ResponseFault, ServerHandshake,
};
use websocket_stream::protocol::{Connection, Event, Input, Output, Role};
use websocket_stream::transport::testing::memory;
use websocket_stream::{
    Cause, ClientOpening, CloseCode, Closed, Error, Fault, Initiator, Message, OpCode, OpeningError,
    Outgoing, Progress, ReadError, Scratch, SendError, ServerOpening, State, SystemError, Timeout,
    WebSocketStream, WriteError,
};

/// Checks that each text is distinct, on one line, and without a full stop.
fn differ<T: ToString>(said: impl IntoIterator<Item = T>) {
    let mut before = HashSet::new();
    for text in said.into_iter().map(|said| said.to_string()) {
        assert!((10..120).contains(&text.len()), "{text:?}");
        assert!(!text.ends_with('.') && !text.contains('\n'), "{text:?}");
        assert!(before.insert(text.clone()), "{text:?} is used twice");
    }
}

#[test]
fn each_fault_and_each_error_has_a_distinct_text() {
    use Fault as F;
    differ([
        F::ReservedBits,
        F::ReservedOpcode,
        F::LengthNotMinimal,
        F::LengthTopBit,
        F::FragmentedControl,
        F::ControlTooLong,
        F::Unmasked,
        F::Masked,
        F::UnexpectedContinuation,
        F::ExpectedContinuation,
        F::TruncatedCloseCode,
        F::InvalidCloseCode,
        F::InvalidUtf8,
        F::InvalidDeflate,
        F::FrameTooLong,
        F::MessageTooLong,
        F::TooManyFragments,
    ]);
    differ([HeaderError::ReservedOpcode, HeaderError::LengthNotMinimal, HeaderError::LengthTopBit]);
    use SendError as S;
    differ([
        S::Full,
        S::Closed,
        S::ControlTooLong,
        S::InvalidCloseCode,
        S::NotUtf8,
        S::MessageUnfinished,
        S::NoMessageBegun,
        S::ControlOpcode,
    ]);
    use ResponseFault as R;
    differ([
        R::Refused { status: 403, used: 0 },
        R::Refused { status: 503, used: 0 },
        R::Early,
        R::Malformed,
        R::TooLarge,
        R::HttpVersion,
        R::Upgrade,
        R::Connection,
        R::Accept,
        R::Extensions,
        R::MalformedExtensions,
        R::Subprotocol,
    ]);
    use RequestError as Q;
    differ([
        Q::Host,
        Q::Path,
        Q::HeaderName,
        Q::HeaderValue,
        Q::HeaderOwned,
        Q::Subprotocol,
        Q::Extensions,
        Q::Credentials,
    ]);
    use ResponseError as A;
    differ([
        A::NoRequest,
        A::Answered,
        A::Faulty,
        A::Status,
        A::HeaderName,
        A::HeaderValue,
        A::HeaderOwned,
        A::Subprotocol,
        A::Extensions,
        A::Body,
    ]);
}

#[test]
fn each_end_has_a_distinct_text() {
    let end = |code, by, cause| Closed { code, by, cause };
    let abnormal = |cause| end(CloseCode::ABNORMAL, Initiator::Peer, cause);
    differ([
        end(CloseCode::NORMAL, Initiator::Local, Cause::Handshake),
        end(CloseCode::NORMAL, Initiator::Peer, Cause::Handshake),
        end(CloseCode::PROTOCOL_ERROR, Initiator::Local, Cause::Fault(Fault::Unmasked)),
        abnormal(Cause::EndOfStream),
        abnormal(Cause::Timeout(Timeout::Idle)),
        abnormal(Cause::Timeout(Timeout::Close)),
        abnormal(Cause::Timeout(Timeout::Write)),
        end(CloseCode::ABNORMAL, Initiator::Transport, Cause::System(SystemError::from_errno(104))),
    ]);
    let codes = (1000..=1003).chain(1005..=1015).chain([3000, 4000, 999]);
    differ(codes.map(CloseCode::new));
}

#[test]
fn an_error_names_what_failed_and_keeps_its_cause() {
    let broken = || std::io::Error::from(ErrorKind::BrokenPipe);
    differ([
        Error::System(broken()).to_string(),
        Error::Send(SendError::Full).to_string(),
        ReadError::System(broken()).to_string(),
        WriteError::System(broken()).to_string(),
        OpeningError::System(broken()).to_string(),
        ReadError::NoData.to_string(),
        ReadError::DataStop.to_string(),
        OpeningError::EndOfStream.to_string(),
        OpeningError::Timeout.to_string(),
        OpeningError::Response(ResponseFault::Accept).to_string(),
        OpeningError::Request(RequestFault::TooLarge).to_string(),
    ]);
    assert_eq!(WriteError::Refused(SendError::Full).to_string(), Error::Send(SendError::Full).to_string());
    let (server, _client) = asked(&mut Scratch::new());
    let early = server.into_stream().unwrap_err();
    differ([early.to_string(), format!("{early:?}")]);
    let end = Closed { code: CloseCode::NORMAL, by: Initiator::Peer, cause: Cause::Handshake };
    let closed = ReadError::Closed(end);
    assert!(closed.to_string().ends_with(&end.to_string()) && closed.source().is_none());
    // The text of what lies inside is printed, so it is not a source as well.
    let outer: [(&dyn std::error::Error, String); 9] = [
        (&Error::from(broken()), broken().to_string()),
        (&Error::from(SendError::Full), SendError::Full.to_string()),
        (&ReadError::System(broken()), broken().to_string()),
        (&WriteError::from(Error::System(broken())), broken().to_string()),
        (&WriteError::from(Error::Send(SendError::Full)), SendError::Full.to_string()),
        (&WriteError::from(SendError::Closed), SendError::Closed.to_string()),
        (&OpeningError::from(broken()), broken().to_string()),
        (&OpeningError::Request(RequestFault::Host), RequestFault::Host.to_string()),
        (&OpeningError::Response(ResponseFault::Accept), ResponseFault::Accept.to_string()),
    ];
    for (outer, inner) in outer {
        assert!(outer.to_string().ends_with(&inner) && outer.source().is_none(), "{outer}");
    }
}

/// Returns a server's opening with a complete request, and its client's.
fn asked(
    scratch: &mut Scratch,
) -> (ServerOpening<memory::MemoryStream>, ClientOpening<memory::MemoryStream>) {
    let (a, b) = memory::pair(4096);
    let request = ClientRequest::new("localhost", "/chat").subprotocol("chat");
    let mut client = ClientOpening::new(b, request).unwrap();
    assert!(matches!(client.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    let mut server = ServerOpening::new(a).unwrap();
    assert!(matches!(server.advance(&mut scratch.at(0)), Ok(Progress::Decide(_))));
    (server, client)
}

#[test]
fn a_refusal_reaches_the_client_before_the_connection_ends() {
    let mut scratch = Scratch::new();
    let (mut server, mut client) = asked(&mut scratch);
    assert_eq!(server.request().unwrap().path(), "/chat");
    server.answer(&Response::forbidden()).unwrap();
    // The response is sent and its direction ended; the server now waits for the client to end.
    assert!(matches!(server.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    match client.advance(&mut scratch.at(0)) {
        Err(OpeningError::Response(ResponseFault::Refused { status: 403, .. })) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(client.response().unwrap().status(), 403);
    assert!(client.get_ref().is_readable() && client.get_mut().is_readable());
    drop(client);
    for _ in 0..2 {
        let refused = server.advance(&mut scratch.at(0));
        assert!(matches!(refused, Ok(Progress::Answered { status: 403 })), "{refused:?}");
        assert_eq!(server.next_deadline(0), None);
    }
    assert!(server.into_stream().is_err());
}

#[test]
fn an_accepted_opening_reports_its_subprotocol_and_returns_its_stream() {
    let mut scratch = Scratch::new();
    let (mut server, mut client) = asked(&mut scratch);
    server.answer(&Response::accept().subprotocol("chat")).unwrap();
    assert_eq!(server.answer(&Response::accept()), Err(ResponseError::Answered));
    assert!(matches!(server.advance(&mut scratch.at(0)), Ok(Progress::Open)));
    assert!(matches!(client.advance(&mut scratch.at(0)), Ok(Progress::Open)));
    // It stays open.
    assert!(matches!(client.advance(&mut scratch.at(0)), Ok(Progress::Open)));
    assert_eq!(client.subprotocol(), Some("chat"));
    assert!(server.get_ref().is_writable() && server.get_mut().is_writable());
    let (server, client) = (server.into_stream().unwrap(), client.into_stream().unwrap());
    assert_eq!((server.heap_bytes(), client.heap_bytes()), (0, 0));
}

#[test]
fn a_faulty_request_is_answered_and_reported() {
    use websocket_stream::transport::NonBlockingTransport;
    let mut scratch = Scratch::new();
    let (a, mut b) = memory::pair(4096);
    let mut server = ServerOpening::new(a).unwrap();
    b.send(b"POST / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n").unwrap();
    b.shutdown_write().unwrap();
    let fault = server.advance(&mut scratch.at(0));
    assert!(matches!(fault, Err(OpeningError::Request(_))), "{fault:?}");
    let mut answer = [0; 16];
    assert_eq!(b.recv(&mut answer).unwrap(), 16);
    assert!(answer.starts_with(b"HTTP/1.1 4"));
    // A handshake that has no request has no response for it.
    let mut early = ServerHandshake::new(&Limits::default().head_bytes(100).head_headers(10));
    assert_eq!(early.answer(&Response::accept(), &mut Vec::new()), Err(ResponseError::NoRequest));
}

#[test]
fn an_end_of_stream_or_a_broken_transport_ends_an_opening() {
    let mut scratch = Scratch::new();
    let (a, b) = memory::pair(4096);
    let mut server = ServerOpening::new(a).unwrap();
    drop(b);
    let ended = server.advance(&mut scratch.at(0));
    assert!(matches!(ended, Err(OpeningError::EndOfStream)), "{ended:?}");

    let (a, b) = memory::pair(4096);
    let mut client = ClientOpening::new(a, ClientRequest::new("localhost", "/")).unwrap();
    drop(b);
    let broken = client.advance(&mut scratch.at(0));
    assert!(matches!(broken, Err(OpeningError::System(_))), "{broken:?}");
}

#[cfg(feature = "deflate")]
#[test]
fn each_inflate_error_has_a_distinct_text() {
    use websocket_stream::deflate::{InflateError, InvalidAnswer};
    differ([
        InflateError::Corrupt.to_string(),
        InflateError::TooLong.to_string(),
        InflateError::NotUtf8.to_string(),
        InvalidAnswer::Params.to_string(),
        InvalidAnswer::ContextTakeover.to_string(),
        InvalidAnswer::WindowBits.to_string(),
    ]);
}

#[test]
fn an_invalid_send_is_refused_with_its_reason_and_leaves_nothing() {
    let (a, b) = memory::pair(4096);
    let mut stream = WebSocketStream::new(a).unwrap();
    let mut scratch = Scratch::new();
    let cases: [(Send, SendError); 8] = [
        (|out| out.send_fragment(OpCode::Ping, b"", true), SendError::ControlOpcode),
        (|out| out.send_fragment(OpCode::Close, b"", true), SendError::ControlOpcode),
        (|out| out.send_fragment(OpCode::Continuation, b"x", true), SendError::NoMessageBegun),
        (|out| out.ping(&[0; 126]), SendError::ControlTooLong),
        (|out| out.pong(&[0; 126]), SendError::ControlTooLong),
        (|out| out.close(CloseCode::NORMAL, &"x".repeat(124)), SendError::ControlTooLong),
        (|out| out.close(CloseCode::ABNORMAL, ""), SendError::InvalidCloseCode),
        (|out| out.close(CloseCode::NO_STATUS, "why"), SendError::InvalidCloseCode),
    ];
    for (send, refused) in cases {
        match stream.send_with(&mut scratch.at(0), send) {
            Err(Error::Send(error)) => assert_eq!(error, refused),
            other => panic!("{other:?} for {refused:?}"),
        }
        assert_eq!((b.unread(), stream.unsent(), stream.state()), (0, 0, State::Open));
    }
    stream.send_with(&mut scratch.at(0), |out| out.close(CloseCode::NORMAL, &"x".repeat(123))).unwrap();
    assert_eq!(b.unread(), 2 + 125);
}

/// A send to try.
type Send = fn(&mut Outgoing<'_>) -> Result<(), SendError>;

#[test]
fn a_request_and_a_refusal_that_are_written_in_parts_are_completed() {
    let mut scratch = Scratch::new();
    let (a, b) = memory::pair(4096);
    let mut client = ClientOpening::new(b, ClientRequest::new("localhost", "/chat")).unwrap();
    client.get_ref().limit_send(0);
    for _ in 0..2 {
        match client.advance(&mut scratch.at(0)).unwrap() {
            Progress::Pending(wants) => assert!(wants.write),
            other => panic!("{other:?}"),
        }
    }
    client.get_ref().limit_send(usize::MAX);
    assert!(matches!(client.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));

    let mut server = ServerOpening::new(a).unwrap();
    assert!(matches!(server.advance(&mut scratch.at(0)), Ok(Progress::Decide(_))));
    // The request is returned until it is answered.
    assert!(matches!(server.advance(&mut scratch.at(0)), Ok(Progress::Decide(_))));
    server.answer(&Response::forbidden()).unwrap();
    server.get_ref().limit_send(0);
    match server.advance(&mut scratch.at(0)).unwrap() {
        Progress::Pending(wants) => assert!(wants.write),
        other => panic!("{other:?}"),
    }
    assert!(matches!(client.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    server.get_ref().limit_send(usize::MAX);
    assert!(matches!(server.advance(&mut scratch.at(0)), Ok(Progress::Pending(_))));
    let refused = client.advance(&mut scratch.at(0));
    assert!(
        matches!(refused, Err(OpeningError::Response(ResponseFault::Refused { status: 403, .. }))),
        "{refused:?}"
    );
}

#[test]
fn a_message_is_its_bytes_and_its_text_if_it_is_text() {
    let (text, binary) = (Message::from("Hello"), Message::from(b"Hello"));
    assert_eq!((text.as_text(), binary.as_text()), (Some("Hello"), None));
    assert_eq!((text.is_text(), binary.is_text()), (true, false));
    assert_eq!((text.as_bytes(), binary.as_bytes()), (&b"Hello"[..], &b"Hello"[..]));
    assert_eq!((text.opcode(), binary.opcode()), (OpCode::Text, OpCode::Binary));
}

#[test]
fn the_end_of_the_stream_is_reported_after_a_message_that_arrived_in_pieces() {
    let mut server = Connection::new(Role::Server);
    let (mut input, mut output) = (Input::default(), Output::new());
    input.extend(b"\x82\x82\0\0\0\0a");
    assert_eq!(server.receive(&mut input, &mut output), None);
    input.extend(b"b");
    input.end_of_stream();
    let event = server.receive(&mut input, &mut output);
    assert_eq!(event, Some(Event::Message(Message::Binary(b"ab"))));
    let event = server.receive(&mut input, &mut output);
    assert!(matches!(event, Some(Event::Closed(_))), "{event:?}");
}

#[test]
fn debug_output_shows_payload_lengths_but_no_payload() {
    let mut input = Input::with_capacity(100);
    input.extend(b"secret");
    input.end_of_stream();
    let shown = format!("{input:?}");
    assert!(shown.contains("unread: 6") && shown.contains("capacity: 100"), "{shown}");
    assert!(shown.contains("end_of_stream: true"), "{shown}");

    let mut output = Output::new();
    Connection::new(Role::Server).send(Message::Text("secret"), &mut output).unwrap();
    output.consume(1);
    let shown = [shown, format!("{output:?}")];
    assert!(shown[1].contains("len: 7") && shown[1].contains("blocked: true"), "{}", shown[1]);

    let mut message = MessageBuffer::new(true, Vec::new());
    message.append(b"secret", 6, None, 0).unwrap();
    let message = format!("{message:?}");
    assert!(message.contains("len: 6") && message.contains("text: true"), "{message}");
    // The payload appears neither as text nor as bytes.
    for shown in shown.iter().chain([&message]) {
        assert!(!shown.contains("secret") && !shown.contains("101"), "{shown}");
    }
}
