//! An echo server on io_uring: one thread and one ring, without readiness and without a system call for each
//! receive.
//!
//! ```text
//! cargo run --release --example io_uring -- [ADDRESS]
//! ```
//!
//! It needs Linux 6.1 or later, on x86-64 or aarch64. One multishot accept, and one multishot receive for
//! each connection, are submitted once and then complete many times. A receive completes with a buffer that
//! the kernel has taken from one ring for all connections, so an idle connection has no buffer. The bytes go
//! to `ServerHandshake`, then to `protocol::Connection`, which needs no socket.
//!
//! `ring.rs` makes the system calls, and `server.rs` manages the connections.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod ring;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod server;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let listener = std::net::TcpListener::bind(address)?;
    let mut server = server::Server::new(&listener).map_err(|error| format!("io_uring: {error}"))?;
    println!("listening on ws://{}", listener.local_addr()?);
    Ok(server.run()?)
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn main() {
    eprintln!("io_uring: needs Linux, on x86-64 or aarch64");
}
