#![no_main]

#[path = "../bodies/differential.rs"]
mod differential;
#[path = "../bodies/reference.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| differential::body(bytes));
