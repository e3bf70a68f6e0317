#![no_main]

#[path = "../bodies/extensions.rs"]
mod extensions;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| extensions::body(bytes));
