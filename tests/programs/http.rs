//! What the examples answer to plain HTTP: pages and health checks.

use crate::programs::{EchoServer, example};

/// Returns the value of a header in an answer.
fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let head = answer.split("\r\n\r\n").next().unwrap();
    let field = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    field.unwrap_or_else(|| panic!("no {name}: {head}"))
}

/// The page must work under its own policy, and nothing else may run.
fn expect_page(server: &EchoServer, path: &str) {
    let answers = [(); 2].map(|()| server.get(path));
    for answer in &answers {
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert_eq!(header(answer, "Content-Type"), "text/html; charset=utf-8");
        assert_eq!(header(answer, "X-Content-Type-Options"), "nosniff");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(header(answer, "Content-Length"), body.len().to_string());
        let policy = header(answer, "Content-Security-Policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        let address = server.address();
        assert!(policy.contains(&format!("connect-src 'self' ws://{address} wss://{address};")), "{policy}");
        let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
        for tag in ["<script", "<style"] {
            let tags: Vec<_> = body.match_indices(tag).collect();
            assert_eq!(tags.len(), 1, "{tag}");
            assert!(body.contains(&format!("{tag} nonce=\"{nonce}\">")), "{tag}");
        }
        // No inline handlers or styles, and nothing from elsewhere.
        for forbidden in [" style=", " onclick=", " onload=", "http://", "https://", "innerHTML", "NONCE"] {
            assert!(!body.contains(forbidden), "{forbidden}");
        }
    }
    assert_ne!(answers[0], answers[1], "each answer has a nonce of its own");
    // A host that would change the policy is left out of it.
    let answer = server.request(&format!("GET {path} HTTP/1.1\r\nHost: a;script-src=*\r\n\r\n"));
    if answer.starts_with("HTTP/1.1 200 ") {
        assert!(header(&answer, "Content-Security-Policy").contains("connect-src 'self'; "), "{answer}");
    }
}

fn expect_health(server: &EchoServer) {
    for request in ["GET /health HTTP/1.0\r\n\r\n", "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let answer = server.request(request);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
    }
    // What HAProxy's `option httpchk` sends by default, and other requests.
    for (request, status) in [
        ("OPTIONS / HTTP/1.0\r\n\r\n", "204"),
        ("HEAD /health HTTP/1.0\r\n\r\n", "200"),
        ("GET /no/such/page HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("GET /chat HTTP/1.0\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "426"),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
    ] {
        let answer = server.request(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
}

#[test]
fn the_echo_server_serves_its_page_and_is_healthy() {
    let server = EchoServer::start(&["127.0.0.1:0"]);
    expect_page(&server, "/");
    expect_health(&server);
    server.stop();
}

#[test]
fn the_chat_serves_its_page_for_every_room_and_is_healthy() {
    let server = EchoServer::spawn(example("chat").arg("127.0.0.1:0"));
    expect_page(&server, "/");
    expect_page(&server, "/tea");
    expect_health(&server);
    for path in ["/a.b", "/%2e", &format!("/{}", "x".repeat(41))] {
        assert!(server.get(path).starts_with("HTTP/1.1 404 "), "{path}");
    }
    server.stop();
}
