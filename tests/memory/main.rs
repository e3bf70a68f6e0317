//! What is allocated and held, counted by an allocator for each thread.

#[path = "../support/counting.rs"]
mod counting;
#[path = "../support/framed.rs"]
mod framed;

mod allocations;
#[cfg(feature = "deflate")]
mod deflate_memory;
mod parts;
