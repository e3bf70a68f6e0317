//! The codec by itself: headers, masking, UTF-8, and a whole echo in memory.
//!
//! Masking is compared with a copy of the bytes, and unmasking text with validation alone: the limits that
//! memory and the best validator set on this machine.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use websocket_stream::OpCode;
use websocket_stream::frame::{Header, mask, mask_into, utf8};
use websocket_stream::protocol::{Connection, Event, Input, Output, Role};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn header(c: &mut Criterion) {
    let mut group = c.benchmark_group("header");
    for len in [5, 1000, 100_000] {
        let header = Header { mask: Some(KEY), ..Header::new(OpCode::Binary, len) };
        let bytes = header.encode();
        group.bench_function(BenchmarkId::new("decode", len), |b| {
            b.iter(|| Header::decode(black_box(&bytes)));
        });
        group.bench_function(BenchmarkId::new("encode", len), |b| b.iter(|| black_box(&header).encode()));
    }
}

/// Buffers used in rotation, like a server's received bytes: each was last written long enough ago that no
/// load waits for a store. All of them fit into the first-level cache, if one buffer does.
struct Ring {
    bytes: Vec<u8>,
    next: usize,
    len: usize,
    stride: usize,
    start: usize,
}

impl Ring {
    const LINE: usize = 64;

    /// Makes buffers of `len` bytes, each `misaligned` bytes after a multiple of a cache line.
    fn new(len: usize, misaligned: usize) -> Self {
        let stride = (len + misaligned).next_multiple_of(Self::LINE);
        let count = (12 << 10) / stride;
        let bytes = vec![7; count.max(1) * stride + Self::LINE];
        let start = bytes.as_ptr().align_offset(Self::LINE) + misaligned;
        Self { bytes, next: 0, len, stride, start }
    }

    fn next(&mut self) -> &mut [u8] {
        let at = self.start + self.next;
        self.next += self.stride;
        if self.next + self.stride + Self::LINE > self.bytes.len() {
            self.next = 0;
        }
        black_box(&mut self.bytes[at..at + self.len])
    }
}

fn masking(c: &mut Criterion) {
    let mut group = c.benchmark_group("mask");
    for len in [1, 3, 8, 20, 32, 50, 64, 125, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20] {
        group.throughput(Throughput::Bytes(len as u64));
        for (place, misaligned) in [("", 0), (", unaligned", 1)] {
            let (mut to, mut from) = (Ring::new(len, misaligned), Ring::new(len, misaligned));
            group.bench_function(BenchmarkId::new(format!("in place{place}"), len), |b| {
                b.iter(|| mask(to.next(), KEY, 0));
            });
            group.bench_function(BenchmarkId::new(format!("copying{place}"), len), |b| {
                b.iter(|| mask_into(to.next(), from.next(), KEY, 0));
            });
            group.bench_function(BenchmarkId::new(format!("copy_from_slice{place}"), len), |b| {
                b.iter(|| to.next().copy_from_slice(from.next()));
            });
        }
    }
}

fn text(c: &mut Criterion) {
    let mut group = c.benchmark_group("utf8");
    let ascii = "The quick brown fox jumps over the lazy dog. ";
    let mixed = "Franz jagt im völlig verwahrlosten Taxi, Съешь же ещё, 色は匂へど 🦊 ";
    for (name, sentence) in [("ascii", ascii), ("mixed", mixed)] {
        for len in [8, 32, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20] {
            let mut bytes = sentence.repeat(len / sentence.len() + 1);
            bytes.truncate((0..=len).rev().find(|&at| bytes.is_char_boundary(at)).unwrap_or(0));
            let mut bytes = bytes.into_bytes();
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(BenchmarkId::new(format!("simdutf8 {name}"), len), |b| {
                b.iter(|| simdutf8::basic::from_utf8(black_box(&bytes)).is_ok());
            });
            group.bench_function(BenchmarkId::new(format!("validate {name}"), len), |b| {
                b.iter(|| utf8::validate(black_box(&bytes)).is_ok());
            });
            // A key of zeros, so that unmasked text stays text from one round to the next.
            let key = black_box([0; 4]);
            group.bench_function(BenchmarkId::new(format!("unmask and validate {name}"), len), |b| {
                b.iter(|| utf8::unmask_and_validate(black_box(&mut bytes), key).is_ok());
            });
        }
    }
}

fn echo(c: &mut Criterion) {
    let mut group = c.benchmark_group("echo");
    for len in [32, 1 << 10, 16 << 10] {
        group.throughput(Throughput::Bytes(len as u64));
        let mut frame =
            Header { mask: Some(KEY), ..Header::new(OpCode::Binary, len as u64) }.encode().to_vec();
        frame.resize(frame.len() + len, 7);
        let mut server = Connection::new(Role::Server);
        let mut input = Input::with_capacity(64 << 10);
        let mut output = Output::new();
        group.bench_function(BenchmarkId::from_parameter(len), |b| {
            b.iter(|| {
                input.extend(black_box(&frame));
                while let Some(event) = server.receive(&mut input, &mut output) {
                    if let Event::Message(message) = event {
                        server.send(message, &mut output).expect("the output is empty");
                    }
                }
                let sent = output.as_bytes().len();
                output.consume(sent);
                sent
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500));
    targets = header, masking, text, echo
}
criterion_main!(benches);
