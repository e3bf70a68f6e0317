#![no_main]

#[path = "../bodies/deflate.rs"]
mod deflate;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| deflate::body(bytes));
