//! SIGINT and SIGTERM stop a server gracefully; a second signal ends the program at once. On Windows, Ctrl-C
//! and Ctrl-Break do.

use std::io;
use websocket_stream::server::{Handle, Shutdown};

/// Watches for the signals in a thread of its own.
#[cfg(unix)]
pub(crate) fn stop_gracefully(handle: Handle, shutdown: Shutdown) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut shutdown = Some(shutdown);
        for signal in &mut signals {
            match shutdown.take() {
                // The server has ended already if it cannot be stopped.
                Some(shutdown) => _ = handle.shut_down(shutdown),
                None => _ = signal_hook::low_level::emulate_default_handler(signal),
            }
        }
    })?;
    Ok(())
}

/// Watches for the keys in a thread of its own.
#[cfg(windows)]
pub(crate) fn stop_gracefully(handle: Handle, shutdown: Shutdown) -> io::Result<()> {
    let mut shutdown = Some(shutdown);
    let watched = ctrlc::set_handler(move || match shutdown.take() {
        // The server has ended already if it cannot be stopped.
        Some(shutdown) => _ = handle.shut_down(shutdown),
        None => std::process::exit(1),
    });
    watched.map_err(io::Error::other)
}
