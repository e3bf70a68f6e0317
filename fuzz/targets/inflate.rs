#![no_main]

#[path = "../bodies/inflate.rs"]
mod inflate;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| inflate::body(bytes));
