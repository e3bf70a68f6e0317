//! Teaches the crate page by page, from the first server to many machines.
//!
//! The crate's tests compile all Rust programs that use it, and run those that can run unattended.
//!
//! | page | what it builds |
//! | --- | --- |
//! | [First server](first_server) | an echo, a page, a login, a graceful stop |
//! | [Rooms](rooms) | topics, a chat, slow members, publishing from other threads |
//! | [First client](first_client) | a URL, a token, a proxy, reconnecting |
//! | [TLS](tls) | `wss` on both ends, renewing a certificate while the server runs |
//! | [Event loops](event_loops) | WebSockets in your own loop: mio, `polling`, epoll, io_uring |
//! | [tokio and axum](tokio_and_axum) | async servers and clients, routes |
//! | [Compression](compression) | when it pays, and its memory |
//! | [Limits](limits) | bounds, and peers that are slow, silent or busy |
//! | [Closing](closing) | close codes, causes, and restarts |
//! | [Testing](testing) | a handler in memory, with faults and time on demand |
//! | [Observing](observing) | counters, logs, health, round trips |
//! | [Many machines](many_machines) | Redis between servers, proxies in front |
//! | [Questions](questions) | common questions, with short answers |
//! | [Coming from](coming_from) | tungstenite, tokio-tungstenite, ws-rs, fastwebsockets, uWebSockets, `ws` |
//!
//! The pages are in reading order; each can be read alone. [`guarantees`](crate::guarantees) is the reference
//! for every bound, timeout and close code.
#![forbid(unsafe_code)]
// Each page names the features that it needs.
#![cfg_attr(docsrs, doc(auto_cfg = false))]
// Without these features, their pages are missing.
#![cfg_attr(not(all(feature = "deflate", feature = "ring")), allow(rustdoc::broken_intra_doc_links))]

pub mod closing {
    #![doc = include_str!("closing.md")]
}

pub mod coming_from {
    #![doc = include_str!("coming_from.md")]
}

#[cfg(feature = "deflate")]
pub mod compression {
    #![doc = include_str!("compression.md")]
}

pub mod event_loops {
    #![doc = include_str!("event_loops.md")]
}

pub mod first_client {
    #![doc = include_str!("first_client.md")]
}

pub mod first_server {
    #![doc = include_str!("first_server.md")]
}

pub mod limits {
    #![doc = include_str!("limits.md")]
}

pub mod many_machines {
    #![doc = include_str!("many_machines.md")]
}

pub mod observing {
    #![doc = include_str!("observing.md")]
}

pub mod questions {
    #![doc = include_str!("questions.md")]
}

pub mod rooms {
    #![doc = include_str!("rooms.md")]
}

pub mod testing {
    #![doc = include_str!("testing.md")]
}

// On 32 bits, the tests have no crate that makes certificates.
#[cfg(all(feature = "ring", not(all(doctest, target_pointer_width = "32"))))]
pub mod tls {
    #![doc = include_str!("tls.md")]
}

pub mod tokio_and_axum {
    #![doc = include_str!("tokio_and_axum.md")]
}
