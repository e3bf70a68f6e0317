//! Connections under tokio: wake-ups, cancellation, split halves, timers and real sockets.

#[path = "../support/counting.rs"]
mod counting;
#[path = "../support/framed.rs"]
mod framed;

mod cancellation;
mod choices;
mod executor;
mod faults;
mod halves;
mod memory;
mod mock;
mod opening;
mod programs;
mod real;
mod reports;
#[cfg(target_pointer_width = "64")]
mod secure;
mod timers;
mod transport;
mod wakeups;
