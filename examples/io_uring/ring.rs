//! The ring: what the server asks of the kernel, what the kernel has done, and the buffers of both.
#![allow(unsafe_code)] // the kernel is given addresses

use io_uring::types::{BufRingEntry, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::io;
use std::ops::Range;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// The number of operations that can wait to be submitted in one system call.
const OPERATIONS: u32 = 1024;
/// The number of completions that can wait to be handled.
const COMPLETIONS: u32 = 4096;
/// The group of the receive buffers.
const GROUP: u16 = 0;
/// The number of receive buffers, a power of two.
const BUFFERS: u16 = 1024;
/// The size of a receive buffer in bytes.
const BUFFER: u32 = 8192;

/// An operation that the kernel has completed.
pub(crate) enum Completion {
    /// A connection, and whether more will follow.
    Accepted(io::Result<OwnedFd>, bool),
    /// Bytes of a connection; an empty result is the end of its stream.
    Received { key: usize, result: io::Result<Received>, more: bool },
    /// A send of this many bytes; the buffer is returned.
    Sent { key: usize, result: io::Result<usize>, bytes: Vec<u8> },
}

/// Bytes in a receive buffer: read them with [`Ring::bytes`], then return them with [`Ring::give_back`].
pub(crate) struct Received {
    buffer: Option<u16>,
    length: usize,
}

#[derive(Clone, Copy)]
enum Operation {
    Accept,
    Receive,
    Send,
    Cancel,
}

/// Packs an operation and its connection into the number that the completion returns.
fn user_data(operation: Operation, key: usize) -> u64 {
    (key as u64) << 2 | operation as u64
}

/// A ring, its receive buffers, and the bytes that the kernel is sending.
///
/// Drop order matters: the kernel uses the buffers until the ring is closed.
pub(crate) struct Ring {
    uring: IoUring,
    buffers: Buffers,
    sending: Vec<Vec<u8>>,
}

impl Ring {
    pub(crate) fn new() -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_cqsize(COMPLETIONS)
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(OPERATIONS)?;
        let buffers = Buffers::new();
        // SAFETY: the entries live as long as `Buffers`, which is dropped after the ring.
        unsafe {
            let entries = buffers.entries.as_ptr() as u64;
            uring.submitter().register_buf_ring_with_flags(entries, BUFFERS, GROUP, 0)?;
        }
        Ok(Self { uring, buffers, sending: Vec::new() })
    }

    /// Accepts connections until it fails.
    pub(crate) fn accept(&mut self, listener: RawFd) -> io::Result<()> {
        let entry = opcode::AcceptMulti::new(Fd(listener)).flags(libc::SOCK_CLOEXEC).build();
        self.push(entry.user_data(user_data(Operation::Accept, 0)))
    }

    /// Receives from a connection until its stream ends, or no buffer is free, or the receive is cancelled.
    pub(crate) fn receive(&mut self, key: usize, socket: RawFd) -> io::Result<()> {
        let entry = opcode::RecvMulti::new(Fd(socket), GROUP).build();
        self.push(entry.user_data(user_data(Operation::Receive, key)))
    }

    /// Cancels the receive of a connection, which completes once more.
    pub(crate) fn cancel_receive(&mut self, key: usize) -> io::Result<()> {
        let entry = opcode::AsyncCancel::new(user_data(Operation::Receive, key)).build();
        self.push(entry.user_data(user_data(Operation::Cancel, key)))
    }

    /// Sends these bytes. A connection has at most one send at a time.
    pub(crate) fn send(&mut self, key: usize, socket: RawFd, bytes: Vec<u8>) -> io::Result<()> {
        if self.sending.len() <= key {
            self.sending.resize_with(key + 1, Vec::new);
        }
        assert!(self.sending[key].is_empty(), "one send at a time");
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(Fd(socket), bytes.as_ptr(), length)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.sending[key] = bytes; // the bytes themselves do not move
        self.push(entry.user_data(user_data(Operation::Send, key)))
    }

    fn push(&mut self, entry: squeue::Entry) -> io::Result<()> {
        // SAFETY: the kernel uses only descriptors, the registered buffers, and the bytes in `sending`, which
        // stay where they are until their completion.
        while unsafe { self.uring.submission().push(&entry) }.is_err() {
            self.uring.submit()?; // the queue was full
        }
        Ok(())
    }

    /// Submits all pushed operations, and waits for a completion, at most for this time.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        let timeout = Timespec::from(timeout);
        let waited = self.uring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timeout));
        match waited.map_err(|error| error.raw_os_error()) {
            // Timed out, interrupted, or there are completions to handle first.
            Ok(_) | Err(Some(libc::ETIME | libc::EINTR | libc::EBUSY)) => Ok(()),
            Err(error) => Err(error.map_or(io::ErrorKind::Other.into(), io::Error::from_raw_os_error)),
        }
    }

    /// Returns the next completion, if there is one.
    pub(crate) fn next(&mut self) -> Option<Completion> {
        loop {
            let done = self.uring.completion().next()?;
            let key = usize::try_from(done.user_data() >> 2).ok()?;
            let result = match usize::try_from(done.result()) {
                Ok(result) => Ok(result),
                Err(_) => Err(io::Error::from_raw_os_error(-done.result())),
            };
            let more = cqueue::more(done.flags());
            let is = |operation: Operation| done.user_data() & 3 == operation as u64;
            return Some(match result {
                result if is(Operation::Accept) => {
                    // SAFETY: the kernel has opened this descriptor for us.
                    let socket = result.map(|_| unsafe { OwnedFd::from_raw_fd(done.result()) });
                    Completion::Accepted(socket, more)
                }
                result if is(Operation::Receive) => {
                    let buffer = cqueue::buffer_select(done.flags());
                    let result = result.map(|length| Received { buffer, length });
                    Completion::Received { key, result, more }
                }
                result if is(Operation::Send) => {
                    Completion::Sent { key, result, bytes: std::mem::take(&mut self.sending[key]) }
                }
                _ => continue, // a cancellation: the cancelled receive completes, too
            });
        }
    }

    pub(crate) fn bytes(&self, received: &Received) -> &[u8] {
        received.buffer.map_or(&[], |buffer| &self.buffers.get(buffer)[..received.length])
    }

    pub(crate) fn give_back(&mut self, received: Received) {
        if let Some(buffer) = received.buffer {
            self.buffers.offer(buffer);
        }
    }
}

/// Receive buffers, and the ring that offers them to the kernel, in shared memory.
struct Buffers {
    entries: NonNull<BufRingEntry>,
    /// The number of buffers offered so far.
    tail: u16,
    memory: Vec<u8>,
}

impl Buffers {
    fn new() -> Self {
        let layout = Self::layout();
        // SAFETY: the layout is not empty, and all zeros is a valid entry.
        let entries = NonNull::new(unsafe { alloc_zeroed(layout) }.cast());
        let entries = entries.unwrap_or_else(|| handle_alloc_error(layout));
        let mut buffers = Self { entries, tail: 0, memory: vec![0; BUFFER as usize * usize::from(BUFFERS)] };
        (0..BUFFERS).for_each(|buffer| buffers.offer(buffer));
        buffers
    }

    /// The kernel requires page alignment; the processors of this example have pages of up to 64 KiB.
    fn layout() -> Layout {
        let size = size_of::<BufRingEntry>() * usize::from(BUFFERS);
        Layout::from_size_align(size, 64 << 10).expect("a small power of two")
    }

    fn range(buffer: u16) -> Range<usize> {
        let start = BUFFER as usize * usize::from(buffer);
        start..start + BUFFER as usize
    }

    /// Returns a buffer that the kernel has filled and that was not offered since.
    fn get(&self, buffer: u16) -> &[u8] {
        &self.memory[Self::range(buffer)]
    }

    /// Offers a buffer to the kernel.
    fn offer(&mut self, buffer: u16) {
        let address = self.memory[Self::range(buffer)].as_mut_ptr() as u64;
        // SAFETY: the index is within the entries. The kernel reads an entry only after the tail has passed
        // it, and the tail is in an unused part of the first entry, which the setters do not change.
        unsafe {
            let entry = self.entries.add(usize::from(self.tail % BUFFERS)).as_mut();
            entry.set_addr(address);
            entry.set_len(BUFFER);
            entry.set_bid(buffer);
            self.tail = self.tail.wrapping_add(1);
            let tail = BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { std::alloc::dealloc(self.entries.as_ptr().cast(), Self::layout()) }
    }
}
