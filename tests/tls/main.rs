//! TLS by rustls: the transport, its faults, and every split of its records.
#![cfg(all(unix, target_pointer_width = "64"))]

#[path = "../../examples/tls_pair/localhost.rs"]
mod localhost;

mod certificates;
mod faults;
mod pair;
mod server;
mod splits;
mod transport;
mod weather;
