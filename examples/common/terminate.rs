//! What stops a server under tokio: SIGTERM; on Windows, Ctrl-Break.

use std::io;

#[cfg(unix)]
pub(crate) fn terminate() -> io::Result<tokio::signal::unix::Signal> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::terminate())
}

#[cfg(windows)]
pub(crate) fn terminate() -> io::Result<tokio::signal::windows::CtrlBreak> {
    tokio::signal::windows::ctrl_break()
}
