#![no_main]

#[path = "../bodies/receive.rs"]
mod receive;
#[path = "../bodies/reference.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| receive::body(bytes));
