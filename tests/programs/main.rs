//! The examples as programs, other libraries as peers, and foreign pollers and transports.

#[path = "../support/emulator.rs"]
mod emulator;
#[path = "../support/programs.rs"]
mod programs;

#[cfg(unix)]
mod chat;
mod client;
mod conversations;
#[cfg(all(unix, feature = "mio"))]
mod descriptors;
#[cfg(unix)]
mod echo_server;
mod http;
mod interop;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod io_uring;
#[cfg(feature = "mio")]
mod pollers;
#[cfg(unix)]
mod redis;
mod small;
