//! The client by URL, against servers and proxies of the tests' own.

mod addresses;
mod bad_input;
mod blocking;
#[path = "../support/emulator.rs"]
mod emulator;
#[cfg(unix)]
mod event_loop;
mod proxies;
mod redirects;
mod servers;
#[path = "../support/socket_pair.rs"]
mod socket_pair;
#[cfg(target_pointer_width = "64")]
mod wss;
