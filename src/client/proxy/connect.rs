//! HTTP's `CONNECT` (RFC 9110, section 9.3.6).

use super::error::ProxyError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The maximum length of the answer's heads, interim ones included.
const MAX_HEAD: usize = 16 << 10;

/// The maximum number of the answer's headers.
const MAX_HEADERS: usize = 100;

/// A request for a tunnel, and its answer.
pub(super) struct Connect {
    /// The bytes of the current head.
    head: Vec<u8>,
    /// The bytes of this and earlier heads.
    received: usize,
}

impl Connect {
    /// Begins, and writes the request. `authority` has a port, and brackets around an IPv6 address.
    pub(super) fn new(authority: &str, credentials: Option<&(String, String)>, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").as_bytes());
        if let Some((user, password)) = credentials {
            let credentials = STANDARD.encode(format!("{user}:{password}"));
            out.extend_from_slice(format!("Proxy-Authorization: Basic {credentials}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        Self { head: Vec::new(), received: 0 }
    }

    /// Uses bytes of the answer. Returns the number of them that belong to it, when it is complete.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProxyError> {
        let mut at = 0;
        while let Some(used) = self.collect(&bytes[at..])? {
            at += used;
            match self.parse()? {
                // An interim answer; the final one follows.
                (100..=199, _) => self.head.clear(),
                // "Any 2xx (Successful) response indicates that the sender ... will switch to tunnel mode
                // immediately after the response header section".
                (200..=299, _) => return Ok(Some(at)),
                (status, reason) => return Err(ProxyError::Refused { status, reason }),
            }
        }
        Ok(None)
    }

    /// Collects bytes of a head. Returns the number of them that belong to it, when it is complete.
    fn collect(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProxyError> {
        let before = self.head.len();
        // One byte too many shows that there are too many.
        let allowed = (MAX_HEAD + 1 - self.received).min(bytes.len());
        self.head.extend_from_slice(&bytes[..allowed]);
        let from = before.saturating_sub(3);
        let end = self.head[from..].windows(4).position(|four| four == b"\r\n\r\n");
        let used = end.map(|end| from + end + 4 - before);
        self.received += used.unwrap_or(allowed);
        if !is_http(&self.head) {
            return Err(ProxyError::NotHttp);
        }
        if self.received > MAX_HEAD {
            return Err(ProxyError::TooLarge);
        }
        self.head.truncate(before + used.unwrap_or(allowed));
        Ok(used)
    }

    /// Returns the status and the reason phrase of a complete head.
    fn parse(&self) -> Result<(u16, String), ProxyError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&self.head).map_err(|error| match error {
            httparse::Error::TooManyHeaders => ProxyError::TooLarge,
            _ => ProxyError::NotHttp,
        })?;
        match (parsed.is_complete(), response.code) {
            (true, Some(status)) => Ok((status, response.reason.unwrap_or_default().to_owned())),
            _ => Err(ProxyError::NotHttp),
        }
    }
}

/// Returns whether the bytes can begin an answer.
fn is_http(head: &[u8]) -> bool {
    let expected = b"HTTP/1.";
    let n = head.len().min(expected.len());
    head[..n] == expected[..n]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(answer: &[u8], size: usize) -> Result<usize, ProxyError> {
        let mut connect = Connect::new("a:443", None, &mut Vec::new());
        let mut before = 0;
        for piece in answer.chunks(size) {
            if let Some(used) = connect.receive(piece)? {
                return Ok(before + used);
            }
            before += piece.len();
        }
        panic!("incomplete")
    }

    #[test]
    fn the_request_names_the_target_and_the_credentials() {
        let mut out = Vec::new();
        Connect::new("[::1]:443", Some(&("Aladdin".into(), "open sesame".into())), &mut out);
        let expected = "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\
            Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn the_bytes_after_the_answer_are_not_used_however_it_is_cut() {
        let head = b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n";
        let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        for answer in [&head[..], interim] {
            let all = [answer, b"behind\r\n\r\n"].concat();
            for size in 1..=all.len() {
                assert_eq!(receive(&all, size).unwrap(), answer.len(), "pieces of {size}");
            }
        }
    }

    #[test]
    fn a_refusal_has_its_status_and_words() {
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\nbody";
        let error = receive(answer, 7).unwrap_err();
        assert_eq!(error.to_string(), "proxy refusal: 407 Proxy Authentication Required");
    }

    #[test]
    fn other_answers_are_refused_as_soon_as_they_can_be_told_apart() {
        for answer in [&b"\0\x5a\0\0\0\0\0\0"[..], b"SSH-2.0", b"HTTP/2 200\r\n\r\n", b"\x05\xff"] {
            assert!(matches!(receive(answer, 1), Err(ProxyError::NotHttp)), "{answer:?}");
        }
        let interim = b"HTTP/1.1 100\r\n\r\n".repeat(100_000);
        assert!(matches!(receive(&interim, 100_000), Err(ProxyError::TooLarge)));
        assert!(matches!(receive(&interim, 7), Err(ProxyError::TooLarge)));
        let endless = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"A: b\r\n".repeat(100_000)].concat();
        assert!(matches!(receive(&endless, 4096), Err(ProxyError::TooLarge)));
        assert!(matches!(receive(&endless, 1_000_000), Err(ProxyError::TooLarge)));
    }
}
