//! The address of a client behind a load balancer.
#![forbid(unsafe_code)]

use crate::handshake::Request;
use crate::transport::NonBlockingTransport;
use ppp::{HeaderResult, PartialResult, v1, v2};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

/// The maximum length of a header: one of version 2 with every usual extension has less than 1 KiB.
const MAX_HEADER: usize = 4096;

/// The beginning of version 1, and the maximum length of its line.
const PREFIX: &[u8] = b"PROXY";
const MAX_LINE: usize = 107;

/// Receives the header of the PROXY protocol, which precedes the request.
#[derive(Debug, Default)]
pub(super) struct ProxyHeader {
    received: Vec<u8>,
}

/// What has been received.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A part of the header.
    Partial,
    /// The header, with the client's address if it contains one.
    Whole { ip: Option<IpAddr>, len: usize },
    /// Something else.
    Invalid,
}

impl ProxyHeader {
    /// Receives what there is. After [`Received::Whole`], [`rest`](Self::rest) returns the bytes
    /// that follow the header.
    pub(super) fn receive<T: NonBlockingTransport>(&mut self, transport: &mut T) -> io::Result<Received> {
        let mut buffer = [0; 512];
        loop {
            match transport.recv(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.received.extend_from_slice(&buffer[..n.min(buffer.len())]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Received::Partial),
                Err(error) => return Err(error),
            }
            match parse(&self.received) {
                Received::Partial if self.received.len() >= MAX_HEADER => return Ok(Received::Invalid),
                Received::Partial => {}
                received => return Ok(received),
            }
        }
    }

    /// Returns the bytes after the first `len`.
    pub(super) fn rest(&self, len: usize) -> &[u8] {
        &self.received[len..]
    }
}

fn parse(bytes: &[u8]) -> Received {
    // A line of version 1, of which the parser calls some beginnings invalid.
    let is_line = bytes.starts_with(&PREFIX[..bytes.len().min(PREFIX.len())]);
    if is_line && bytes.len() < MAX_LINE && !bytes.contains(&b'\n') {
        return Received::Partial;
    }
    match HeaderResult::parse(bytes) {
        result if result.is_incomplete() => Received::Partial,
        HeaderResult::V1(Ok(header)) => Received::Whole {
            ip: match header.addresses {
                v1::Addresses::Tcp4(addresses) => Some(addresses.source_address.into()),
                v1::Addresses::Tcp6(addresses) => Some(addresses.source_address.into()),
                v1::Addresses::Unknown => None,
            },
            len: header.header.len(),
        },
        HeaderResult::V2(Ok(header)) => Received::Whole {
            ip: match header.addresses {
                // A health check of the proxy itself.
                _ if header.command == v2::Command::Local => None,
                v2::Addresses::IPv4(addresses) => Some(addresses.source_address.into()),
                v2::Addresses::IPv6(addresses) => Some(addresses.source_address.into()),
                v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
            },
            len: header.len(),
        },
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Received::Invalid,
    }
}

/// Returns the last address of the last header with this name.
pub(super) fn ip_in_header(request: &Request<'_>, name: &str) -> Option<IpAddr> {
    let value = request.values(name).last()?;
    let address = str::from_utf8(value).ok()?.rsplit(',').next()?.trim();
    // Some proxies add the port.
    let with_port = || address.parse().ok().map(|address: SocketAddr| address.ip());
    address.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::testing::memory;
    use quickcheck::quickcheck;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x01\x02\x03\x7f\0\0\x01\x04\x00\x00\x50";

    #[test]
    fn a_header_of_either_version_is_received_in_any_pieces() {
        let headers: [(&[u8], Option<IpAddr>); 5] = [
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", ip("192.0.2.7")),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 4124 443\r\n", ip("2001:db8::7")),
            (b"PROXY UNKNOWN\r\n", None),
            (V2, ip("10.1.2.3")),
            (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", None),
        ];
        for (header, expected) in headers {
            let all = [header, b"GET / HTTP/1.1\r\n"].concat();
            for cut in 0..all.len() {
                let (mut client, mut server) = memory::pair(4096);
                let mut proxy = ProxyHeader::default();
                client.send(&all[..cut]).unwrap();
                let mut received = proxy.receive(&mut server).unwrap();
                if cut < header.len() {
                    assert_eq!(received, Received::Partial, "{cut}");
                    client.send(&all[cut..]).unwrap();
                    received = proxy.receive(&mut server).unwrap();
                }
                assert_eq!(received, Received::Whole { ip: expected, len: header.len() });
                assert!(all[header.len()..].starts_with(proxy.rest(header.len())));
            }
        }
    }

    #[test]
    fn anything_else_is_invalid_and_a_header_is_bounded() {
        let too_long = [&V2[..14], &[0xff, 0xff], &[0; 5000]].concat();
        let endless = [&b"PROXY TCP4 "[..], &[b'1'; 5000]].concat();
        for bytes in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &too_long, &endless] {
            let (mut client, mut server) = memory::pair(8192);
            client.send(bytes).unwrap();
            assert_eq!(ProxyHeader::default().receive(&mut server).unwrap(), Received::Invalid);
        }
        let (client, mut server) = memory::pair(4096);
        drop(client);
        let error = ProxyHeader::default().receive(&mut server).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    quickcheck! {
        fn any_bytes_are_parsed_without_a_panic(bytes: Vec<u8>, version: bool, cut: usize) -> bool {
            let header: &[u8] = if version { V2 } else { b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n" };
            let bytes = [&header[..cut % (header.len() + 1)], &bytes].concat();
            match parse(&bytes) {
                Received::Whole { len, .. } => len <= bytes.len(),
                _ => true,
            }
        }
    }
}
