//! Memory allocated and kept, measured by an allocator that counts for each thread.

#[path = "../support/counting.rs"]
mod counting;
#[path = "../support/framed.rs"]
mod framed;

mod allocations;
#[cfg(feature = "deflate")]
mod deflate_memory;
mod server;
#[path = "../support/socket_pair.rs"]
mod socket_pair;
mod streaming;

#[cfg(target_pointer_width = "64")]
#[path = "../../examples/tls_pair/localhost.rs"]
mod localhost;
#[cfg(target_pointer_width = "64")]
mod tls;
