//! The standard input as something to wait for beside a socket.

use std::io;

/// The input itself. It stays blocking, because other processes may share it: read it once after each wait.
#[cfg(unix)]
pub(crate) type Input = std::fs::File;

#[cfg(unix)]
pub(crate) fn open() -> io::Result<Input> {
    use std::os::fd::AsFd;
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// A connection within this program, to which a thread copies the input: Windows waits for sockets alone.
#[cfg(windows)]
pub(crate) type Input = std::net::TcpStream;

#[cfg(windows)]
pub(crate) fn open() -> io::Result<Input> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let mut copy = Input::connect(listener.local_addr()?)?;
    let (input, _) = listener.accept()?;
    std::thread::spawn(move || io::copy(&mut io::stdin().lock(), &mut copy));
    Ok(input)
}
