//! SOCKS5 (RFC 1928), with a user name and password (RFC 1929).

use super::error::ProxyError;
use std::net::IpAddr;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;

/// A request for a tunnel, and its answers.
pub(super) struct Socks5 {
    step: Step,
    /// The bytes of the current answer.
    answer: Vec<u8>,
    /// The message with the credentials.
    credentials: Option<Vec<u8>>,
    request: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Step {
    Method,
    Credentials,
    Connect,
}

impl Socks5 {
    /// Begins, and writes the greeting. The proxy resolves a name.
    ///
    /// # Errors
    ///
    /// If a name, a user name or a password has more than 255 bytes.
    pub(super) fn new(
        host: &str,
        port: u16,
        credentials: Option<&(String, String)>,
        out: &mut Vec<u8>,
    ) -> Result<Self, ProxyError> {
        let mut request = vec![VERSION, CONNECT, 0];
        match host.parse() {
            Ok(IpAddr::V4(address)) => {
                request.push(1);
                request.extend_from_slice(&address.octets());
            }
            Ok(IpAddr::V6(address)) => {
                request.push(4);
                request.extend_from_slice(&address.octets());
            }
            Err(_) => {
                request.push(3);
                push_text(&mut request, host)?;
            }
        }
        request.extend_from_slice(&port.to_be_bytes());
        let credentials = match credentials {
            None => None,
            Some((user, password)) => {
                let mut message = vec![1];
                push_text(&mut message, user)?;
                push_text(&mut message, password)?;
                Some(message)
            }
        };
        match credentials {
            None => out.extend_from_slice(&[VERSION, 1, NO_AUTHENTICATION]),
            Some(_) => out.extend_from_slice(&[VERSION, 2, NO_AUTHENTICATION, PASSWORD]),
        }
        Ok(Self { step: Step::Method, answer: Vec::new(), credentials, request })
    }

    /// Uses bytes of the answers, and writes what follows. Returns the number of bytes that belong to the
    /// answers, when they are complete.
    pub(super) fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Option<usize>, ProxyError> {
        for (index, &byte) in bytes.iter().enumerate() {
            self.answer.push(byte);
            let done = match self.step {
                Step::Method => self.method(out)?,
                Step::Credentials => self.authenticated(out)?,
                Step::Connect => self.connected()?,
            };
            if done {
                return Ok(Some(index + 1));
            }
        }
        Ok(None)
    }

    fn method(&mut self, out: &mut Vec<u8>) -> Result<bool, ProxyError> {
        match (self.answer.as_slice(), &self.credentials) {
            ([VERSION], _) => {}
            ([VERSION, NO_AUTHENTICATION], _) => self.ask(out),
            ([VERSION, PASSWORD], Some(credentials)) => {
                out.extend_from_slice(credentials);
                self.next(Step::Credentials);
            }
            ([VERSION, _], _) => return Err(ProxyError::SocksMethod),
            _ => return Err(ProxyError::NotSocks5),
        }
        Ok(false)
    }

    fn authenticated(&mut self, out: &mut Vec<u8>) -> Result<bool, ProxyError> {
        match self.answer.as_slice() {
            [_] => {}
            [_, 0] => self.ask(out),
            _ => return Err(ProxyError::SocksCredentials),
        }
        Ok(false)
    }

    fn connected(&mut self) -> Result<bool, ProxyError> {
        let address = match self.answer.as_slice() {
            [] | [VERSION] | [VERSION, 0] | [VERSION, 0, _] => return Ok(false),
            [VERSION, code, ..] if *code != 0 => return Err(ProxyError::Socks { code: *code }),
            [VERSION, _, _, 1, ..] => 4,
            [VERSION, _, _, 4, ..] => 16,
            [VERSION, _, _, 3] => return Ok(false),
            [VERSION, _, _, 3, len, ..] => 1 + usize::from(*len),
            _ => return Err(ProxyError::NotSocks5),
        };
        Ok(self.answer.len() == 4 + address + 2)
    }

    fn ask(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.request);
        self.next(Step::Connect);
    }

    fn next(&mut self, step: Step) {
        self.step = step;
        self.answer.clear();
    }
}

/// Appends the length of a text, and the text.
fn push_text(message: &mut Vec<u8>, text: &str) -> Result<(), ProxyError> {
    message.push(u8::try_from(text.len()).map_err(|_| ProxyError::TooLong)?);
    message.extend_from_slice(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> (String, String) {
        ("user".into(), "pass".into())
    }

    #[test]
    fn a_name_is_resolved_by_the_proxy_and_the_bytes_after_it_are_not_used() {
        let answers = [&b"\x05\x02\x01\x00\x05\x00\x00\x03\x04name\x00\x50"[..], b"behind"].concat();
        for size in 1..=answers.len() {
            let mut out = Vec::new();
            let mut socks = Socks5::new("example.com", 443, Some(&credentials()), &mut out).unwrap();
            let (mut before, mut used) = (0, None);
            for piece in answers.chunks(size) {
                used = socks.receive(piece, &mut out).unwrap();
                if used.is_some() {
                    break;
                }
                before += piece.len();
            }
            assert_eq!(before + used.unwrap(), answers.len() - 6, "pieces of {size}");
            let expected = b"\x05\x02\x00\x02\x01\x04user\x04pass\x05\x01\x00\x03\x0bexample.com\x01\xbb";
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn addresses_are_sent_as_such() {
        for (host, request) in [
            ("10.1.2.3", &b"\x05\x01\x00\x05\x01\x00\x01\x0a\x01\x02\x03\x00\x50"[..]),
            ("::1", b"\x05\x01\x00\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50"),
        ] {
            let mut out = Vec::new();
            let mut socks = Socks5::new(host, 80, None, &mut out).unwrap();
            assert_eq!(socks.receive(&[5, 0], &mut out).unwrap(), None);
            assert_eq!(out, request);
            assert_eq!(socks.receive(b"\x05\0\0\x01\0\0\0\0\0\0", &mut out).unwrap(), Some(10));
        }
    }

    #[test]
    fn each_fault_is_an_error_of_its_own() {
        for (answers, with_credentials, expected) in [
            (&b"\x04"[..], false, "not a SOCKS5 proxy"),
            (b"\x00\x5a\0\0\0\0\0\0", false, "not a SOCKS5 proxy"),
            (b"HTTP/1.1 400", false, "not a SOCKS5 proxy"),
            (b"\x05\xff", false, "no authentication method in common with the SOCKS5 proxy"),
            (b"\x05\x02", false, "no authentication method in common with the SOCKS5 proxy"),
            (b"\x05\x02\x01\x01", true, "credentials refused by the SOCKS5 proxy"),
            (b"\x05\0\x05\x05", false, "SOCKS5 proxy error: connection refused"),
            (b"\x05\0\x05\xc8", false, "SOCKS5 proxy error: code 200"),
            (b"\x05\0\x05\0\0\x09", false, "not a SOCKS5 proxy"),
            (b"\x05\0\x04", false, "not a SOCKS5 proxy"),
        ] {
            let credentials = with_credentials.then(credentials);
            let mut socks = Socks5::new("a", 80, credentials.as_ref(), &mut Vec::new()).unwrap();
            let error = socks.receive(answers, &mut Vec::new()).unwrap_err();
            assert_eq!(error.to_string(), expected, "{answers:?}");
        }
        let long = "x".repeat(256);
        assert!(matches!(Socks5::new(&long, 80, None, &mut Vec::new()), Err(ProxyError::TooLong)));
    }
}
