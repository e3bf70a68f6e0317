//! What a connection costs: bytes, allocations, copies and calls on its transport.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::IoSlice;
use std::net::TcpStream;
use websocket_stream::transport::memory;
use websocket_stream::{Event, Message, Ready, Scratch, WebSocketStream};

/// Counts this thread's allocations and the bytes it holds.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending counts no more.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

#[expect(unsafe_code, reason = "an allocator that counts can be had no other way")]
// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Echo = WebSocketStream<memory::MemoryStream>;

fn echo(server: &mut Echo, scratch: &mut Scratch) {
    loop {
        let ready = Ready { writable: true, ..Ready::READABLE };
        let interest = server
            .drive(&mut scratch.at(0), ready, |event, out| match event {
                Event::Message(message) => out.send(message),
                _ => Ok(()),
            })
            .unwrap();
        assert!(!interest.over);
        if !interest.again {
            return;
        }
    }
}

fn ends() -> (Echo, Echo, Scratch) {
    let (a, b) = memory::pair(4 << 20);
    (WebSocketStream::new(a).unwrap(), WebSocketStream::client(b).unwrap(), Scratch::new())
}

#[test]
fn a_stream_is_at_most_64_bytes() {
    assert!(size_of::<WebSocketStream<TcpStream>>() <= 64);
}

#[test]
fn an_idle_connection_owns_no_heap_after_a_message_of_a_mebibyte() {
    let (mut server, mut client, mut scratch) = ends();
    client.send(&mut scratch.at(0), &vec![7; 1 << 20][..]).unwrap();
    echo(&mut server, &mut scratch);
    while server.unsent() > 0 {
        echo(&mut server, &mut scratch);
    }
    let mut received = 0;
    loop {
        let interest = client
            .drive(&mut scratch.at(0), Ready::ALL, |event, _| {
                if let Event::Message(message) = event {
                    received = message.as_bytes().len();
                }
                Ok(())
            })
            .unwrap();
        if !interest.again {
            break;
        }
    }
    assert_eq!(received, 1 << 20);
    assert_eq!((server.held(), client.held()), (0, 0));
}

#[test]
fn a_whole_message_is_echoed_without_an_allocation_and_with_two_calls() {
    for len in [32, 4096, 16 << 10] {
        let (mut server, mut client, mut scratch) = ends();
        let payload = vec![7; len];
        // The first round fills the scratch and the pair's own buffers.
        for round in 0..3 {
            client.send(&mut scratch.at(0), &payload[..]).unwrap();
            server.get_ref().take_calls();
            // The pair itself allocates when it is written to; what the server adds is counted
            // against a bare echo of the same bytes over the same kind of pair.
            let before = ALLOCATIONS.with(Cell::get);
            echo(&mut server, &mut scratch);
            let ours = ALLOCATIONS.with(Cell::get) - before;
            let calls = server.get_ref().take_calls();
            assert_eq!(calls.recv, 1, "{len}");
            assert_eq!(calls.send + calls.send_vectored, 1, "{len}");
            assert_eq!(calls.send_vectored, usize::from(len >= 4096).try_into().unwrap(), "{len}");
            let bare = bare_echo(len);
            assert!(round == 0 || ours <= bare, "{len}: {ours} allocations, a bare echo makes {bare}");
            let _ = client.drive(&mut scratch.at(0), Ready::ALL, |_, _| Ok(())).unwrap();
        }
    }
}

/// The allocations that the in-memory pair itself makes when so many bytes are echoed over it.
fn bare_echo(len: usize) -> usize {
    use websocket_stream::NonBlockingTransport;
    let (mut a, mut b) = memory::pair(4 << 20);
    let mut buffer = vec![0; len + 14];
    b.send(&buffer).unwrap();
    let before = ALLOCATIONS.with(Cell::get);
    let n = a.recv(&mut buffer).unwrap();
    if len < 4096 {
        a.send(&buffer[..n]).unwrap();
    } else {
        let (header, payload) = buffer[..n].split_at(4);
        a.send_vectored(&[IoSlice::new(header), IoSlice::new(payload)]).unwrap();
    }
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn a_frame_that_claims_gigabytes_allocates_nothing_of_them() {
    use websocket_stream::NonBlockingTransport;
    let (a, mut b) = memory::pair(4096);
    let mut server = WebSocketStream::new(a).unwrap();
    let mut scratch = Scratch::new();
    // A text frame of 16 MiB, masked, of which four bytes come.
    b.send(b"\x81\xff\0\0\0\0\x01\0\0\0\0\0\0\0abcd").unwrap();
    echo(&mut server, &mut scratch);
    assert_eq!(server.partial(), Some(&b"abcd"[..]));
    assert!(server.held() < 512, "{}", server.held());
}

#[test]
fn connections_never_meet_in_the_scratch() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use websocket_stream::SendError;
    let secret = "the secret of the first connection";
    // A handler that fails, one that panics, and one that stops with more unread.
    for way in 0..3 {
        let (mut first, mut peer, mut scratch) = ends();
        let (mut second, mut other, _) = ends();
        for _ in 0..3 {
            peer.send(&mut scratch.at(0), secret).unwrap();
        }
        let result = catch_unwind(AssertUnwindSafe(|| {
            first.drive(&mut scratch.at(0), Ready::ALL, |event, out| {
                if let Event::Message(message) = event {
                    out.send(message)?;
                }
                match way {
                    0 => Err(SendError::Full),
                    1 => panic!("a handler that panics"),
                    _ => Ok(()),
                }
            })
        }));
        assert_eq!(result.is_err(), way == 1);

        other.send(&mut scratch.at(0), "hello").unwrap();
        let mut heard = Vec::new();
        let _ = second
            .drive(&mut scratch.at(0), Ready::ALL, |event, out| {
                if let Event::Message(Message::Text(text)) = event {
                    heard.push(text.to_owned());
                    out.send(text)?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(heard, ["hello"]);
        assert_eq!(other.read().unwrap().1, b"hello");
        assert!(other.read().is_err(), "nothing of the first connection reached the second's peer");

        // And nothing of the first was lost: its replies and its unread input are its own.
        let mut replies = 0;
        for _ in 0..4 {
            let _ = first
                .drive(&mut scratch.at(0), Ready::ALL, |event, out| match event {
                    Event::Message(message) => out.send(message),
                    _ => Ok(()),
                })
                .unwrap();
            while let Ok((_, payload)) = peer.read() {
                assert_eq!(payload, secret.as_bytes());
                replies += 1;
            }
        }
        assert_eq!(replies, 3);
        assert_eq!(first.held(), 0);
    }
}
