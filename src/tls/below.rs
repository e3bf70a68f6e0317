//! Calls to the transport below, which may break the laws: no such transport may corrupt the records.

use crate::transport::NonBlockingTransport;
use std::io::{self, ErrorKind};

/// Receives bytes. `None` if none have arrived.
pub(super) fn recv<T: NonBlockingTransport>(
    transport: &mut T,
    buffer: &mut [u8],
) -> io::Result<Option<usize>> {
    let room = buffer.len();
    moved(room, || transport.recv(buffer))
}

/// Sends bytes. `None` if the transport takes none now.
pub(super) fn send<T: NonBlockingTransport>(transport: &mut T, bytes: &[u8]) -> io::Result<Option<usize>> {
    match moved(bytes.len(), || transport.send(bytes))? {
        Some(0) => Err(ErrorKind::WriteZero.into()),
        moved => Ok(moved),
    }
}

/// Repeats a call that was interrupted, and checks its result.
fn moved(most: usize, mut call: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        return match call() {
            Ok(n) if n <= most => Ok(Some(n)),
            Ok(_) => Err(ErrorKind::InvalidData.into()),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => continue,
                ErrorKind::WouldBlock => Ok(None),
                _ => Err(error),
            },
        };
    }
}
