#![no_main]

#[path = "../bodies/url.rs"]
mod url;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| url::body(bytes));
