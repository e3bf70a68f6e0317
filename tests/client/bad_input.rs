//! What a program passes by mistake, and servers that are none.

use crate::servers::answering;
use websocket_stream::OpeningError;
use websocket_stream::client::{self, ConnectError, Connector};
use websocket_stream::handshake::{RequestError, ResponseFault};

#[test]
fn a_request_that_cannot_be_sent_is_refused_before_anything_is_connected() {
    let connector = Connector::new().no_proxy();
    for (connector, expected) in [
        (connector.clone().header("A", "b\r\nC: d"), RequestError::HeaderValue),
        (connector.clone().header("A\r\nB", "c"), RequestError::HeaderName),
        (connector.clone().header("Host", "evil"), RequestError::HeaderOwned),
        (connector.clone().header("Upgrade", "h2c"), RequestError::HeaderOwned),
        (connector.clone().subprotocol("a b"), RequestError::Subprotocol),
        (connector.clone().origin("a\r\nb"), RequestError::HeaderValue),
        (connector.clone().basic_auth("a:b", "c"), RequestError::Credentials),
    ] {
        let error = connector.dial("ws://example.com/").unwrap_err();
        assert!(matches!(error, ConnectError::Request(found) if found == expected), "{error}");
    }
    // Decoded, the user's name has a line break.
    let error = connector.dial("ws://a%0d%0ab:c@example.com/").unwrap_err();
    assert!(matches!(error, ConnectError::Request(RequestError::Credentials)), "{error}");
}

#[test]
fn a_url_that_is_none_is_refused() {
    for url in ["example.com", "http://example.com", "ws://", "ws://a b", "ws://a/#b", "ws://a:99999"] {
        let error = client::connect(url).unwrap_err();
        assert!(matches!(error, ConnectError::Url(_)) && !error.can_retry(), "{url}: {error}");
    }
}

#[test]
fn servers_that_speak_something_else_are_refused() {
    let http2 = b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff";
    for answer in
        [&http2[..], b"SSH-2.0-OpenSSH\r\n", b"* OK IMAP4\r\n", b"\x15\x03\x01\0\x02\x02\x46", b"\r\nX"]
    {
        let error = Connector::new().no_proxy().connect(format!("ws://{}/", answering(answer))).unwrap_err();
        let ConnectError::Opening { error: opening, .. } = &error else { panic!("{error}") };
        assert!(matches!(opening, OpeningError::Response(ResponseFault::Malformed)), "{answer:?}: {error}");
    }
    let error = Connector::new().no_proxy().connect(format!("ws://{}/", answering(""))).unwrap_err();
    assert!(matches!(error, ConnectError::Opening { error: OpeningError::EndOfStream, .. }), "{error}");
}

#[test]
fn no_server_can_ask_for_more_than_a_day() {
    let answer = "HTTP/1.1 503 Busy\r\nRetry-After: 18446744073709551615\r\n\r\n";
    let error = Connector::new().no_proxy().connect(format!("ws://{}/", answering(answer))).unwrap_err();
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(24 * 60 * 60)));
}

#[test]
fn refusals_have_their_status_and_tell_whether_to_try_again() {
    for (answer, status, retries) in [
        ("HTTP/1.1 401 Unauthorized\r\n\r\n", 401, false),
        ("HTTP/1.1 404 Not Found\r\n\r\n", 404, false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, false),
        ("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 120\r\n\r\n", 503, true),
    ] {
        let error = Connector::new().no_proxy().connect(format!("ws://{}/", answering(answer))).unwrap_err();
        assert_eq!((error.status(), error.can_retry()), (Some(status), retries));
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}
