//! Floor 4: connections without a poller, topics, and the server with its threads.

mod connections;
mod faults;
mod notes;
mod pacing;
#[allow(unsafe_code)]
mod pollers;
mod running;
mod shutdown;
mod ticks;
mod topics;
mod world;
