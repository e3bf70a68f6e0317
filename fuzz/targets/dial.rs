#![no_main]

#[path = "../bodies/dial.rs"]
mod dial;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dial::body(bytes));
