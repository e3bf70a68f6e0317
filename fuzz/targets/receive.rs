#![no_main]

#[path = "../bodies/receive.rs"]
mod receive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| receive::body(bytes));
