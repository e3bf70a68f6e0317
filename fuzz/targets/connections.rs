#![no_main]

#[path = "../bodies/connections.rs"]
mod connections;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| connections::body(bytes));
