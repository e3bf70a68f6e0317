//! The examples as programs, other libraries as peers, and foreign pollers and transports.

#[path = "../support/programs.rs"]
mod programs;

mod chat;
mod conversations;
mod echo_server;
mod http;
mod interop;
#[cfg(all(unix, feature = "mio"))]
mod pollers;
mod redis;
mod small;
#[cfg(all(unix, target_pointer_width = "64"))]
mod tls_transport;
