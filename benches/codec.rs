//! The codec alone: headers, masking, UTF-8, and a whole echo in memory.
//!
//! Beside masking stands the copying of the same bytes, beside unmasking text the judging of it alone:
//! what memory and the best validator allow on this machine.

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

fn masking(c: &mut Criterion) {
    let mut group = c.benchmark_group("mask");
    for len in [1, 8, 32, 64, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20] {
        group.throughput(Throughput::Bytes(len as u64));
        let from = vec![7; len + 1];
        let mut to = vec![0; len + 1];
        group.bench_function(BenchmarkId::new("in place", len), |b| {
            b.iter(|| mask(black_box(&mut to[..len]), KEY, 0));
        });
        group.bench_function(BenchmarkId::new("in place, unaligned", len), |b| {
            b.iter(|| mask(black_box(&mut to[1..]), KEY, 1));
        });
        group.bench_function(BenchmarkId::new("copying", len), |b| {
            b.iter(|| mask_into(black_box(&mut to[..len]), black_box(&from[..len]), KEY, 0));
        });
        group.bench_function(BenchmarkId::new("copy_from_slice", len), |b| {
            b.iter(|| black_box(&mut to[..len]).copy_from_slice(black_box(&from[..len])));
        });
    }
}

fn text(c: &mut Criterion) {
    let mut group = c.benchmark_group("utf8");
    let ascii = "The quick brown fox jumps over the lazy dog. ";
    let mixed = "Franz jagt im völlig verwahrlosten Taxi, Съешь же ещё, 色は匂へど 🦊 ";
    for (name, sentence) in [("ascii", ascii), ("mixed", mixed)] {
        for len in [32, 1 << 10, 16 << 10, 1 << 20] {
            let mut bytes = sentence.repeat(len / sentence.len() + 1);
            bytes.truncate((0..=len).rev().find(|&at| bytes.is_char_boundary(at)).unwrap_or(0));
            let mut bytes = bytes.into_bytes();
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(BenchmarkId::new(format!("validate {name}"), len), |b| {
                b.iter(|| utf8::validate(black_box(&bytes)).is_ok());
            });
            // A key of zeros: what is unmasked stays text from one round to the next.
            group.bench_function(BenchmarkId::new(format!("unmask and validate {name}"), len), |b| {
                b.iter(|| utf8::unmask_and_validate(black_box(&mut bytes), [0; 4]).is_ok());
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
