//! The library's behaviour, in memory and over the system's sockets: one module for each subject.

#[path = "../support/framed.rs"]
mod framed;

mod backpressure;
#[cfg(feature = "deflate")]
mod deflate;
mod differential;
mod endings;
mod fairness;
mod floors;
mod guarantees;
mod handshake;
mod late;
mod messages;
mod next_call;
#[cfg(not(feature = "deflate"))]
mod no_deflate;
mod original;
mod pair;
mod parsed;
mod plain_http;
mod prepared;
mod readme;
mod regressions;
mod rfc6455;
#[path = "../support/socket_pair.rs"]
mod socket_pair;
mod sockets;
mod splits;
mod timeouts;
mod transport;
mod wakeups;
mod wouldblock;
