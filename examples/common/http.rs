//! Answers to plain HTTP: a page with a script, a health check, and everything else.

use websocket_stream::{Request, Response};

/// Answers a request: `page` returns the page of a path, if there is one.
///
/// `/health` is for load balancers. In the page, `NONCE` stands for a number that is new in each answer: only
/// scripts and styles that have it are used.
pub(crate) fn answer(request: &Request<'_>, page: impl FnOnce(&str) -> Option<&'static str>) -> Response {
    match (request.method(), request.path()) {
        ("GET" | "HEAD", "/health") => text(200, "ok\n"),
        // A client of a WebSocket whose proxy does not pass on the `Upgrade` header.
        ("GET", _) if request.header("Sec-WebSocket-Key").is_some() => text(426, "no Upgrade header\n"),
        ("GET" | "HEAD", path) => match page(path) {
            Some(page) => html(request, page),
            None => text(404, "not found\n"),
        },
        ("OPTIONS", _) => Response::new(204).header("Allow", "GET, HEAD, OPTIONS"),
        _ => text(405, "method not allowed\n").header("Allow", "GET, HEAD, OPTIONS"),
    }
}

fn text(status: u16, body: &str) -> Response {
    Response::new(status)
        .header("Content-Type", "text/plain; charset=utf-8")
        .header("Cache-Control", "no-store")
        .body(body)
}

fn html(request: &Request<'_>, page: &str) -> Response {
    let nonce = format!("{:032x}", rand::random::<u128>());
    // Older browsers do not count a WebSocket to the page's own host as 'self'.
    let is_plain =
        |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte));
    let sockets = request.host().filter(is_plain).map(|host| format!(" ws://{host} wss://{host}"));
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; \
        connect-src 'self'{}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        sockets.unwrap_or_default()
    );
    Response::new(200)
        .header("Content-Type", "text/html; charset=utf-8")
        .header("Content-Security-Policy", policy)
        .header("X-Content-Type-Options", "nosniff")
        .header("Referrer-Policy", "no-referrer")
        .header("Cache-Control", "no-store")
        .body(page.replace("NONCE", &nonce))
}
