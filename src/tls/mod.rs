//! Floor 4: TLS by rustls, as a transport over any transport.
//!
//! [`TlsStream`] is a [`NonBlockingTransport`](crate::NonBlockingTransport), so openings, streams and pollers
//! use it like a socket. [`examples/tls_pair`] has both ends in one process.
//!
//! # Configuration
//!
//! The configuration, and with it the cryptographic provider, is the program's: any `rustls::ClientConfig` or
//! `rustls::ServerConfig`, with any certificates, versions, resumption and client authentication. This module
//! enables no provider. With the feature `ring`, rustls has that of ring. A program that installs its own,
//! such as aws-lc-rs or Graviola (which needs no C compiler), does not need it.
//!
//! [`rustls`] is re-exported. If a program depends on it itself, without `default-features = false`, then
//! rustls has aws-lc-rs as well, and a configuration must name its provider (`builder_with_provider`).
//!
//! # What it takes
//!
//! The records' buffers belong to the thread, like those of [`Scratch`](crate::Scratch). An idle connection
//! keeps rustls' state: its keys, the secrets for new keys, and what the handshake negotiated. Bytes are kept
//! only while they wait: a record of which a part has arrived, or records that the transport has not taken.
//!
//! # Debug builds
//!
//! With debug assertions, rustls 0.23 panics if a faulty record arrives after this end has ended its
//! direction ([`shutdown_write`](crate::NonBlockingTransport::shutdown_write)): it asserts that it sends no
//! alert after its close_notify. Without them, the fault is an error, as usual. A program that serves
//! strangers in a debug build can switch them off: `debug-assertions = false` in
//! `[profile.dev.package.rustls]`.
//!
//! [`examples/tls_pair`]: https://docs.rs/crate/websocket-stream/latest/source/examples/tls_pair/main.rs
#![forbid(unsafe_code)]

mod bytes;
mod engine;
mod pieces;
mod receiving;
mod sending;
mod shared;
mod stream;

pub use rustls;
pub use shared::{HTTP_1_1, SharedServerConfig};
pub use stream::TlsStream;
