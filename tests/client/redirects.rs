//! Redirects: off, bounded, and without credentials for another origin.

use crate::servers::{Running, answering, head, relay, serve};
use std::io::Write;
use websocket_stream::client::{Blocking, ConnectError, Connector};

fn to(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 4\r\n\r\nbody")
}

fn connector() -> Connector {
    Connector::new().no_proxy().header("Authorization", "Bearer 42").header("Cookie", "a=b").redirects(3)
}

fn seen(connector: &Connector, url: &str) -> String {
    let mut client = Blocking::new(connector.connect(url).unwrap());
    client.send("?").unwrap();
    client.next().unwrap().unwrap().to_string()
}

#[test]
fn they_are_not_followed_unless_asked_for() {
    let redirecting = answering(to("ws://127.0.0.1:1/"));
    let error = connector().redirects(0).connect(format!("ws://{redirecting}/")).unwrap_err();
    assert_eq!(error.status(), Some(302));
    assert!(!error.can_retry());
}

#[test]
fn credentials_are_not_carried_to_another_origin() {
    let server = Running::new();
    let port = server.address.port();
    for location in [format!("http://127.0.0.1:{port}/b?c"), format!("//127.0.0.1:{port}/b?c")] {
        let redirecting = answering(to(&location));
        let seen = seen(&connector(), &format!("ws://user:pass@{redirecting}/a"));
        assert_eq!(seen, format!("127.0.0.1:{port} /b?c auth=None cookie=None"));
    }
}

#[test]
fn the_urls_credentials_are_kept_within_the_same_origin() {
    let server = Running::new();
    let target = server.address;
    let mut redirected = false;
    // The same address redirects first, and then leads to the server.
    let address = serve(move |mut client| {
        if std::mem::replace(&mut redirected, true) {
            return relay(client, std::net::TcpStream::connect(target).unwrap());
        }
        head(&mut client);
        client.write_all(to("/b").as_bytes()).unwrap();
    });
    let connector = Connector::new().no_proxy().redirects(1);
    let seen = seen(&connector, &format!("ws://user:pass@{address}/a"));
    assert_eq!(seen, format!("{address} /b auth=Some(\"Basic dXNlcjpwYXNz\") cookie=None"));
}

#[test]
fn pinned_addresses_are_those_of_the_first_host() {
    let server = Running::new();
    let port = server.address.port();
    let redirecting = answering(to(&format!("ws://127.0.0.1:{port}/b")));
    let connector = Connector::new().no_proxy().redirects(1).addresses([redirecting]);
    assert_eq!(
        seen(&connector, "ws://first.invalid/a"),
        format!("127.0.0.1:{port} /b auth=None cookie=None")
    );
}

#[test]
fn an_error_contains_no_password() {
    let redirecting = answering(to("ftp://user:hunter2@h/b@c"));
    let error = connector().connect(format!("ws://{redirecting}/")).unwrap_err();
    assert_eq!(error.to_string(), "redirect not followed: ftp://h/b@c");
}

#[test]
fn a_loop_ends_after_the_allowed_number() {
    let redirecting = answering(to("/again"));
    let error = connector().connect(format!("ws://{redirecting}/")).unwrap_err();
    assert!(matches!(&error, ConnectError::Redirect { location } if location == "/again"), "{error}");
    assert!(!error.can_retry());
}

#[test]
fn a_location_that_is_not_a_url_for_websockets_is_not_followed() {
    for location in ["ftp://a/", "ws+unix:///etc/passwd", "a b", "http://", "javascript:x"] {
        let redirecting = answering(to(location));
        let error = connector().connect(format!("ws://{redirecting}/")).unwrap_err();
        assert!(matches!(&error, ConnectError::Redirect { .. }), "{location}: {error}");
    }
    let error =
        connector().connect(format!("ws://{}/", answering("HTTP/1.1 302 Found\r\n\r\n"))).unwrap_err();
    assert_eq!(error.status(), Some(302));
}

#[test]
fn a_dial_has_the_headers_of_the_last_server_whether_it_opened_or_refused() {
    let server = Running::new();
    let mut dial = connector().dial(format!("ws://{}/", server.address)).unwrap();
    assert_eq!(dial.response_header("Upgrade"), None);
    dial.finish().unwrap();
    assert_eq!(dial.response_header("upgrade"), Some(&b"websocket"[..]));

    let refusing = answering("HTTP/1.1 401 No\r\nX-Reason: expired\r\nContent-Length: 0\r\n\r\n");
    let mut dial = connector().dial(format!("ws://{refusing}/")).unwrap();
    assert_eq!(dial.finish().unwrap_err().status(), Some(401));
    assert_eq!(dial.response_header("X-Reason"), Some(&b"expired"[..]));

    // A redirect's headers are not those of a server behind it to which no connection could be made.
    let redirecting = answering(to("ws://127.0.0.1:1/"));
    let mut dial = connector().dial(format!("ws://{redirecting}/")).unwrap();
    assert_eq!(dial.finish().unwrap_err().status(), None);
    assert_eq!(dial.response_header("Location"), None);
}
