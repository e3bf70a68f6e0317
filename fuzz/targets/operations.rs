#![no_main]

#[path = "../bodies/operations.rs"]
mod operations;
#[path = "../bodies/reference.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| operations::body(bytes));
