//! System calls: polling, pinning, limits, and the resources that a process used.
//!
//! This is the only file with unsafe code.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The events of a new descriptor: reported once when it becomes readable or closed. A new socket is
/// writable, which would be reported at once, so writability is added only after a socket has not taken
/// everything.
const EDGES: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET) as u32;

/// A poll's result for one descriptor.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub key: usize,
    events: u32,
}

/// An epoll instance and the buffer for its events.
pub struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call does not access memory.
        let fd = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor is new and has no other owner.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; 1024] })
    }

    /// Registers a socket, edge-triggered, for readability.
    pub fn add(&self, socket: &impl AsRawFd, key: usize) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket, key, EDGES)
    }

    /// Adds writability to a socket's events.
    pub fn watch_writable(&self, socket: &impl AsRawFd, key: usize) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, socket, key, EDGES | libc::EPOLLOUT as u32)
    }

    fn control(&self, what: libc::c_int, socket: &impl AsRawFd, key: usize, events: u32) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: key as u64 };
        // SAFETY: the kernel reads the event, which lives during the call.
        checked(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), what, socket.as_raw_fd(), &raw mut event) })?;
        Ok(())
    }

    /// Waits for at most this many milliseconds (-1: forever). Returns the number of ready descriptors.
    pub fn wait(&mut self, milliseconds: i32) -> io::Result<usize> {
        let room = i32::try_from(self.events.len()).unwrap_or(i32::MAX);
        // SAFETY: the kernel writes at most `room` events into the vector's buffer.
        let n =
            unsafe { libc::epoll_wait(self.fd.as_raw_fd(), self.events.as_mut_ptr(), room, milliseconds) };
        match checked(n) {
            Ok(n) => Ok(usize::try_from(n).unwrap_or(0)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Returns one of the events counted by the last wait.
    pub fn seen(&self, index: usize) -> Seen {
        let event = self.events[index];
        Seen { key: usize::try_from(event.u64).unwrap_or(usize::MAX), events: event.events }
    }
}

impl Seen {
    /// An event that requests a read, whatever the kernel reports.
    pub fn to_read(key: usize) -> Self {
        Self { key, events: libc::EPOLLIN as u32 }
    }

    pub fn readable(self) -> bool {
        self.has(libc::EPOLLIN)
    }

    pub fn writable(self) -> bool {
        self.has(libc::EPOLLOUT)
    }

    /// Returns whether the peer or the connection has ended.
    pub fn closed(self) -> bool {
        self.has(libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR)
    }

    fn has(self, flags: i32) -> bool {
        self.events & flags as u32 != 0
    }
}

/// Accepts the next waiting connection as a non-blocking socket, in one call.
pub fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (null, flags) = (std::ptr::null_mut(), libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
    // SAFETY: the kernel writes no address if the pointer is null.
    let fd = checked(unsafe { libc::accept4(listener.as_raw_fd(), null, std::ptr::null_mut(), flags) })?;
    // SAFETY: the descriptor is new and has no other owner.
    Ok(unsafe { TcpStream::from_raw_fd(fd) })
}

/// Receives without blocking; `Ok(0)` is the end.
pub fn recv(socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (fd, room) = (socket.as_raw_fd(), buffer.len());
    // SAFETY: the kernel writes at most `room` bytes into the buffer.
    transferred(unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), room, libc::MSG_DONTWAIT) })
}

/// Sends without blocking, and without a signal if the peer is gone.
pub fn send(socket: &impl AsRawFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the kernel reads at most `bytes.len()` bytes from their start.
    transferred(unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) })
}

/// Lets the kernel choose this socket's port when it connects, so that a port in use by another address is
/// available to it.
pub fn choose_port_late(socket: &impl AsRawFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    let (fd, size) = (socket.as_raw_fd(), size_of::<libc::c_int>() as libc::socklen_t);
    let (level, option) = (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
    // SAFETY: the kernel reads `size` bytes from `on`, which lives during the call.
    checked(unsafe { libc::setsockopt(fd, level, option, (&raw const on).cast(), size) })?;
    Ok(())
}

/// Returns the cores that this process may run on.
pub fn cores() -> io::Result<Vec<usize>> {
    // SAFETY: a set of cores is an array of integers, for which zero is a valid value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most the given size into the set.
    checked(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) })?;
    let all = 0..usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: reads a bit of the set; the core's number is below the set's size.
    Ok(all.filter(|&core| unsafe { libc::CPU_ISSET(core, &set) }).collect())
}

/// Keeps this thread, and the processes that it starts, on one core.
pub fn pin(core: usize) -> io::Result<()> {
    // SAFETY: a set of cores is an array of integers, for which zero is a valid value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: sets a bit of the set, with a function that checks the number against the set's size.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the kernel reads the set, whose size is passed.
    checked(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })?;
    Ok(())
}

/// Raises the limit of open files to the maximum that the system allows. Returns the limit.
pub fn raise_open_files() -> io::Result<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes the limit.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel reads the limit.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

/// Makes the kernel end this process when its parent ends.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: takes only integers.
    checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) })?;
    Ok(())
}

/// Asks a process to end, like Ctrl-C in a terminal.
pub fn terminate(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        // SAFETY: takes only integers. A process that has ended already is not an error.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}

/// Returns the processor time of a process, user and system, in nanoseconds: the scheduler's count, not a sum
/// of clock ticks.
pub fn cpu_nanoseconds(pid: u32) -> io::Result<u64> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    let mut clock: libc::clockid_t = 0;
    // SAFETY: the clock's number is written to `clock`.
    let error = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written to `time`.
    checked(unsafe { libc::clock_gettime(clock, &raw mut time) })?;
    let nanoseconds = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    u64::try_from(nanoseconds).map_err(io::Error::other)
}

fn checked(returned: i32) -> io::Result<i32> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

#[inline]
fn transferred(returned: isize) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}
