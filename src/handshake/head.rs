//! The head of an HTTP message, collected byte by byte: each one is looked at once.
#![forbid(unsafe_code)]

use super::{RequestFault, ResponseFault};
use crate::Limits;
use alloc::vec::Vec;
use core::ops::Range;

/// Collects a head up to the empty line that ends it.
#[derive(Debug)]
pub(super) struct Head {
    bytes: Vec<u8>,
    /// Where the line that is being received begins.
    line: usize,
    max_bytes: usize,
    pub(super) max_headers: usize,
    fields: Vec<Field>,
}

/// Where a header lies in the head.
#[derive(Debug, Clone)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

/// What became of the bytes that a handshake was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// All were used; the head goes on.
    Partial,
    /// The head is whole. So many of the bytes belong to it; what follows are frames.
    Complete(usize),
}

/// Why a head was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadError {
    Malformed,
    TooLarge,
}

impl From<HeadError> for RequestFault {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Malformed => Self::Malformed,
            HeadError::TooLarge => Self::TooLarge,
        }
    }
}

impl From<HeadError> for ResponseFault {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Malformed => Self::Malformed,
            HeadError::TooLarge => Self::TooLarge,
        }
    }
}

impl Head {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            bytes: Vec::new(),
            line: 0,
            max_bytes: limits.head_bytes,
            max_headers: limits.head_headers,
            fields: Vec::new(),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the bytes that belong to the head.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<Answer, HeadError> {
        let mut used = 0;
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.bytes.len() + part.len() > self.max_bytes {
                return Err(HeadError::TooLarge);
            }
            self.bytes.extend_from_slice(part);
            used += part.len();
            if part.contains(&0) {
                return Err(HeadError::Malformed);
            }
            if part.last() != Some(&b'\n') {
                break;
            }
            let line = &self.bytes[self.line..];
            // A bare LF ends lines for some readers and not for others: a way to smuggle.
            if !line.ends_with(b"\r\n") {
                return Err(HeadError::Malformed);
            }
            // A line that begins with white space once continued the header before it.
            if line[0] == b' ' || line[0] == b'\t' {
                return Err(HeadError::Malformed);
            }
            let empty = line.len() == 2;
            if empty {
                return if self.line == 0 { Err(HeadError::Malformed) } else { Ok(Answer::Complete(used)) };
            }
            self.line = self.bytes.len();
        }
        Ok(Answer::Partial)
    }

    /// Keeps where the headers lie that were parsed from the head.
    pub(super) fn keep(&mut self, headers: &[(Range<usize>, Range<usize>)]) {
        self.fields =
            headers.iter().map(|(name, value)| Field { name: name.clone(), value: value.clone() }).collect();
    }

    /// Names and values, in their order.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| {
            let name = core::str::from_utf8(&self.bytes[field.name.clone()]).unwrap_or_default();
            (name, self.bytes[field.value.clone()].trim_ascii())
        })
    }

    /// The values of all headers with this name, in their order.
    pub(super) fn values<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.headers().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of a header that stands exactly once.
    pub(super) fn single<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Whether a header's list, over all its lines, has this token.
    pub(super) fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name).flat_map(super::token::list).any(|t| t.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// Where a part of `whole` lies in it.
pub(super) fn place(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    let end = (start + part.len()).min(whole.len());
    start.min(end)..end
}

/// Where parsed headers lie in the head.
pub(super) fn places(whole: &[u8], headers: &[httparse::Header<'_>]) -> Vec<(Range<usize>, Range<usize>)> {
    headers.iter().map(|header| (place(whole, header.name.as_bytes()), place(whole, header.value))).collect()
}
