#![no_main]

#[path = "../bodies/tunnel.rs"]
mod tunnel;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tunnel::body(bytes));
