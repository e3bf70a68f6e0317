//! The load: one thread on a core of its own, with no WebSocket library, the same for every server.

pub mod echo;
pub mod frames;
pub mod open;

pub use echo::Load;
pub use frames::{Batch, Shape};
