#![doc = include_str!("guarantees.md")]
#![forbid(unsafe_code)]
