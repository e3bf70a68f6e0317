//! TLS by rustls: the transport, its faults, and every split of its records.
#![cfg(target_pointer_width = "64")]

#[path = "../../examples/tls_pair/localhost.rs"]
mod localhost;

mod certificates;
mod faults;
mod pair;
mod server;
#[path = "../support/socket_pair.rs"]
mod socket_pair;
mod splits;
mod transport;
mod weather;
