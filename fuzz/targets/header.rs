#![no_main]

#[path = "../bodies/header.rs"]
mod header;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| header::body(bytes));
