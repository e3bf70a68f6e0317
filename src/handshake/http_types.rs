//! Conversions from and to the types of the `http` crate.
#![forbid(unsafe_code)]

use super::answer::Answer;
use super::parsed::ParsedRequest;
use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec::Vec;
use http::{HeaderMap, Method, Request, Response, Uri, Version, request};

impl<'a> ParsedRequest<'a> {
    /// Creates a request from one of the `http` crate.
    ///
    /// `protocol` is the `:protocol` of HTTP/2, which the `http` crate has no place for. hyper puts it into
    /// the request's extensions, as a `hyper::ext::Protocol`.
    ///
    /// A hyper service that opens WebSockets, in HTTP/1.1 and HTTP/2:
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use websocket_stream::{Config, OriginPolicy, ParsedRequest, Upgrade};
    /// # type Body = Vec<u8>;
    /// # type Error = Box<dyn std::error::Error>;
    /// # fn spawn<T>(_: T) {}
    ///
    /// fn serve<B>(
    ///     request: http::Request<B>,
    ///     config: &Arc<Config>,
    /// ) -> Result<http::Response<Body>, Error> {
    ///     let protocol = None; // request.extensions().get::<hyper::ext::Protocol>().map(|p| p.as_str())
    ///     let parsed = ParsedRequest::from_http(&request, protocol);
    ///     let upgrade = match Upgrade::new(&parsed, Arc::clone(config)) {
    ///         Ok(upgrade) => upgrade,
    ///         Err(fault) => return Ok(parsed.refuse(&fault.into())?.try_into()?),
    ///     };
    ///     let response = match upgrade.request().path() {
    ///         "/chat" => OriginPolicy::Same.answer(&upgrade.request()),
    ///         _ => websocket_stream::Response::new(404),
    ///     };
    ///     let (answer, accepted) = upgrade.answer(&response)?;
    ///     if let Some(accepted) = accepted {
    ///         spawn(async move {
    ///             // let parts = hyper::upgrade::on(request).await?.downcast::<TokioIo<TcpStream>>()?;
    ///             // let (socket, unread) = (parts.io.into_inner().into_std()?, parts.read_buf);
    ///             // With hyper-util's `auto` server: its `auto::upgrade::downcast` instead.
    /// #           let (socket, unread) = (websocket_stream::transport::testing::memory::pair(9).0, [0; 0]);
    ///             let stream = accepted.into_stream(socket, &unread)?;
    ///             // Drive the stream.
    /// #           Ok::<_, std::io::Error>(stream)
    ///         });
    ///     }
    ///     Ok(answer.try_into()?)
    /// }
    ///
    /// let request = http::Request::get("/chat")
    ///     .header("Host", "example.com")
    ///     .header("Upgrade", "websocket")
    ///     .header("Connection", "Upgrade")
    ///     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    ///     .header("Sec-WebSocket-Version", "13");
    /// let response = serve(request.body(())?, &Arc::default())?;
    /// assert_eq!(response.status(), 101);
    /// assert_eq!(response.headers()["Sec-WebSocket-Accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ///
    /// let response = serve(http::Request::get("/chat").body(())?, &Arc::default())?;
    /// assert_eq!(response.status(), 400); // no Host
    /// # Ok::<(), Error>(())
    /// ```
    pub fn from_http<B>(request: &'a Request<B>, protocol: Option<&'a str>) -> Self {
        let headers = request.headers();
        from_parts(request.method(), request.uri(), request.version(), headers, protocol)
    }

    /// Creates a request from the parts of one of the `http` crate; see [`from_http`](Self::from_http).
    pub fn from_http_parts(parts: &'a request::Parts, protocol: Option<&'a str>) -> Self {
        from_parts(&parts.method, &parts.uri, parts.version, &parts.headers, protocol)
    }
}

fn from_parts<'a>(
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    protocol: Option<&'a str>,
) -> ParsedRequest<'a> {
    let (method, path) = (method.as_str(), uri.path_and_query().map(|path| path.as_str()));
    let request = if version >= Version::HTTP_2 {
        let authority = uri.authority().map(|authority| authority.as_str());
        ParsedRequest::http2(method, authority, path.unwrap_or_default(), protocol)
    } else {
        let target = match (uri.authority(), path) {
            (None, Some(path)) => Cow::Borrowed(path),
            _ => Cow::Owned(uri.to_string()),
        };
        match version == Version::HTTP_11 {
            true => ParsedRequest::http11(method, target),
            false => ParsedRequest::http10(method, target),
        }
    };
    request.headers(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
}

/// Converts an answer for a stack that uses the `http` crate, with any type of body.
///
/// # Errors
///
/// The `http` crate's error if the response's own headers exceed the limits of an `http::HeaderMap`, for
/// example with a name of 64 KiB.
impl<B: From<Vec<u8>>> TryFrom<Answer> for Response<B> {
    type Error = http::Error;

    fn try_from(answer: Answer) -> Result<Self, http::Error> {
        let builder = Response::builder().status(answer.status());
        let builder = answer.headers().fold(builder, |builder, (name, value)| builder.header(name, value));
        builder.body(answer.into_body().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::handshake::{ParsedHandshake, RequestFault};
    use alloc::vec;

    fn request(version: Version, method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let builder = Request::builder().version(version).method(method).uri(uri);
        let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        builder.body(()).unwrap()
    }

    fn judge(request: &Request<()>, protocol: Option<&str>) -> Result<ParsedHandshake, RequestFault> {
        ParsedHandshake::new(&ParsedRequest::from_http(request, protocol), &Limits::default())
    }

    #[test]
    fn the_target_of_http1_is_the_one_that_was_sent() {
        for (method, target) in [
            ("GET", "/chat?room=1&a=%20"),
            ("GET", "http://example.com:81/chat?x"),
            ("OPTIONS", "*"),
            ("CONNECT", "example.com:443"),
        ] {
            let request = request(Version::HTTP_11, method, target, &[("Host", "a")]);
            let start = alloc::format!("{method} {target} HTTP/1.1\r\nhost: a\r\n\r\n");
            assert_eq!(judge(&request, None).unwrap().request().as_bytes(), start.as_bytes());
        }
        let request = request(Version::HTTP_10, "GET", "/", &[]);
        assert_eq!(judge(&request, None).unwrap().request().as_bytes(), b"GET / HTTP/1.0\r\n\r\n");
    }

    #[test]
    fn http2_and_later_have_their_authority_in_the_uri_and_the_protocol_beside_it() {
        let headers = &[("sec-websocket-version", "13"), ("x", "1"), ("x", "2")];
        for version in [Version::HTTP_2, Version::HTTP_3] {
            let request = request(version, "CONNECT", "https://example.com/chat?a", headers);
            let handshake = judge(&request, Some("websocket")).unwrap();
            let view = handshake.request();
            assert!(view.is_upgrade());
            assert_eq!((view.host(), view.path(), view.query()), (Some("example.com"), "/chat", Some("a")));
            assert!(view.values("X").eq([b"1", b"2"]));
            let (parts, ()) = request.into_parts();
            let parsed = ParsedRequest::from_http_parts(&parts, Some("websocket"));
            let other = ParsedHandshake::new(&parsed, &Limits::default()).unwrap();
            assert_eq!(view.as_bytes(), other.request().as_bytes());
        }
        let tunnel = request(Version::HTTP_2, "CONNECT", "example.com:443", &[]);
        assert!(!judge(&tunnel, None).unwrap().request().is_upgrade());
    }

    #[test]
    fn an_answer_keeps_its_status_all_its_headers_and_its_body() {
        let request = request(Version::HTTP_11, "GET", "/", &[("Host", "a")]);
        let response =
            crate::Response::new(403).header("Set-Cookie", "a").header("Set-Cookie", b"\xFF").body("no");
        let answer = judge(&request, None).unwrap().answer(&response).unwrap();
        let response: Response<Vec<u8>> = answer.try_into().unwrap();
        assert_eq!((response.status().as_u16(), response.body().as_slice()), (403, &b"no"[..]));
        let values: Vec<_> =
            response.headers().get_all("set-cookie").iter().map(|value| value.as_bytes()).collect();
        assert_eq!(values, [b"a", b"\xFF"]);
        assert_eq!(response.headers().len(), 2);
    }

    #[test]
    fn a_header_beyond_the_limits_of_the_types_is_an_error() {
        let request = request(Version::HTTP_11, "GET", "/", &[("Host", "a")]);
        let handshake = judge(&request, None).unwrap();
        let name = core::str::from_utf8(&vec![b'a'; 1 << 16]).unwrap().to_string();
        let answer = handshake.answer(&crate::Response::new(200).header(&name, "x")).unwrap();
        assert!(Response::<Vec<u8>>::try_from(answer).is_err());
        let many = (0..1 << 15)
            .fold(crate::Response::new(200), |response, n| response.header(&alloc::format!("a{n}"), "x"));
        assert!(Response::<Vec<u8>>::try_from(handshake.answer(&many).unwrap()).is_err());
    }
}
