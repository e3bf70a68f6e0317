//! The examples as programs, other libraries as peers, and foreign pollers and transports.

#[path = "../support/programs.rs"]
mod programs;

mod chat;
mod client;
mod conversations;
mod echo_server;
mod http;
mod interop;
#[cfg(all(unix, feature = "mio"))]
mod pollers;
mod redis;
mod small;
