//! Cases over TCP: our end in either role, and a peer with blocking calls in its own thread.

use super::ROLES;
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use websocket_stream::frame::{Header, mask};
use websocket_stream::{
    Cause, CloseCode, Closed, Config, Event, Fault, Initiator, Limits, OpCode, PauseReading, Ready, Role,
    Scratch, WebSocketStream,
};

/// A guard against hanging; nothing is measured with it.
const HANG: Duration = Duration::from_secs(60);

/// The peer has ended its direction. Where the system does not report this apart, the socket is readable.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOSED: PollFlags = PollFlags::RDHUP;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOSED: PollFlags = PollFlags::empty();

/// The peer of an end with this role.
struct Peer(Role, BufReader<TcpStream>);

impl Peer {
    fn frame(&self, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
        let mask = (self.0 == Role::Server).then_some([0; 4]);
        crate::framed::frame(Header { mask, ..Header::new(opcode, 0) }, payload)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.1.get_mut().write_all(bytes).unwrap();
    }

    /// Returns the next frame that our end sent, unmasked.
    fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut bytes = [0; 10];
        self.1.read_exact(&mut bytes[..2]).unwrap();
        let (first, masked) = (bytes[0], bytes[1] & 0x80 != 0);
        assert_eq!(masked, self.0 == Role::Client);
        let more = match bytes[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        self.1.read_exact(&mut bytes[2..2 + more]).unwrap();
        let len = match more {
            0 => usize::from(bytes[1] & 0x7f),
            2 => usize::from(u16::from_be_bytes([bytes[2], bytes[3]])),
            _ => usize::try_from(u64::from_be_bytes(bytes[2..].try_into().unwrap())).unwrap(),
        };
        let mut key = [0; 4];
        if masked {
            self.1.read_exact(&mut key).unwrap();
        }
        let mut payload = vec![0; len];
        self.1.read_exact(&mut payload).unwrap();
        mask(&mut payload, key, 0);
        (first, payload)
    }

    /// Expects a Close frame with this code, then the end of the stream and not a reset.
    fn receive_close(&mut self, code: CloseCode) {
        assert_eq!(self.receive(), (0x88, code.get().to_be_bytes().to_vec()));
        // A client that has closed waits for its server to end the stream.
        if self.0 == Role::Client && code == CloseCode::NORMAL {
            self.1.get_ref().shutdown(Shutdown::Write).unwrap();
        }
        assert_eq!(self.1.read(&mut [0]).unwrap(), 0);
    }

    /// Resets the connection.
    fn reset(self) {
        rustix::net::sockopt::set_socket_linger(self.1.get_ref(), Some(Duration::ZERO)).unwrap();
    }
}

/// Echoes on our end until the connection ends. Returns its end, and its largest heap size.
fn echo(role: Role, limits: &Limits, peer: impl FnOnce(Peer) + Send) -> (Closed, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    other.set_read_timeout(Some(HANG)).unwrap();
    other.set_write_timeout(Some(HANG)).unwrap();
    let config = Arc::new(Config::default().limits(limits.clone()));
    let socket = listener.accept().unwrap().0;
    let mut stream = WebSocketStream::with_config(socket, role, config).unwrap();
    let mut scratch = Scratch::new();
    let (mut ended, mut heap) = (None, 0);
    std::thread::scope(|scope| {
        let peer = scope.spawn(move || peer(Peer(role, BufReader::new(other))));
        let mut ready = Ready::UNKNOWN;
        loop {
            // A reset is reported as an end and as an error.
            let wants = stream.drive(&mut scratch.at(0), ready, |event, out| match event {
                Event::Message(message) => out.send(message),
                Event::Closed(end) => {
                    ended = Some(end);
                    Ok(())
                }
                _ => Ok(()),
            });
            heap = heap.max(stream.heap_bytes());
            let Ok(wants) = wants else { break };
            if wants.closed {
                break;
            }
            ready = Ready::READABLE;
            if !wants.again {
                let mut flags = PollFlags::empty();
                flags.set(PollFlags::IN | CLOSED, wants.read);
                flags.set(PollFlags::OUT, wants.write);
                let mut polled = [PollFd::new(stream.get_ref(), flags)];
                assert_ne!(poll(&mut polled, Some(&HANG.try_into().unwrap())).unwrap(), 0, "it hangs");
                let seen = polled[0].revents();
                ready = Ready {
                    readable: seen.intersects(PollFlags::IN),
                    writable: seen.intersects(PollFlags::OUT),
                    closed: seen.intersects(CLOSED | PollFlags::HUP | PollFlags::ERR),
                };
            }
        }
        assert_eq!(stream.heap_bytes(), 0, "nothing is left of the unfinished message");
        drop(stream);
        peer.join().unwrap();
    });
    (ended.expect("the end is reported"), heap)
}

#[test]
fn over_tcp_an_announced_length_gets_its_close_code_and_no_memory() {
    for role in ROLES {
        for (claim, fault, code) in [
            (1_u64 << 32, Fault::MessageTooLong, CloseCode::TOO_BIG),
            (u64::MAX >> 1, Fault::MessageTooLong, CloseCode::TOO_BIG),
            (u64::MAX, Fault::LengthTopBit, CloseCode::PROTOCOL_ERROR),
        ] {
            let (end, heap) = echo(role, &Limits::default(), |mut peer| {
                let mut header = Header::new(OpCode::Binary, 1 << 20);
                header.mask = (role == Role::Server).then_some([0; 4]);
                let mut bytes = header.encode().to_vec();
                bytes[2..10].copy_from_slice(&claim.to_be_bytes());
                peer.write(&bytes);
                peer.receive_close(code);
            });
            assert_eq!((end.cause, end.code, heap), (Cause::Fault(fault), code, 0));
        }
    }
}

#[test]
fn over_tcp_a_reset_in_the_middle_of_a_frame_is_one_end_and_leaves_nothing() {
    for role in ROLES {
        for cut in [1, 3, 7, 1000] {
            let (end, heap) = echo(role, &Limits::default(), |mut peer| {
                let whole = peer.frame(OpCode::Text, b"heard before");
                peer.write(&whole);
                assert_eq!(peer.receive(), (0x81, b"heard before".to_vec()));
                let frame = peer.frame(OpCode::Binary, &[7; 2000]);
                peer.write(&frame[..cut]);
                peer.reset();
            });
            assert_eq!((end.code, end.by), (CloseCode::ABNORMAL, Initiator::Transport));
            assert!(matches!(end.cause, Cause::System(_)), "{end:?}");
            assert!(heap <= 2 * cut + 512, "{heap} for {cut}");
        }
    }
}

#[test]
fn over_tcp_echoes_before_a_fault_are_not_lost_to_a_reset() {
    for role in ROLES {
        let (end, _) = echo(role, &Limits::default(), |mut peer| {
            let message = peer.frame(OpCode::Binary, &[7; 60_000]);
            let ping = peer.frame(OpCode::Ping, b"ping");
            // After the fault, the peer sends more bytes than our end reads.
            peer.write(&[&message[..], &ping, &message, b"\x83", &[0x83; 100_000]].concat());
            assert_eq!(peer.receive(), (0x82, vec![7; 60_000]));
            assert_eq!(peer.receive(), (0x8a, b"ping".to_vec()));
            assert_eq!(peer.receive(), (0x82, vec![7; 60_000]));
            peer.receive_close(CloseCode::PROTOCOL_ERROR);
        });
        assert_eq!(end.cause, Cause::Fault(Fault::ReservedOpcode));
    }
}

#[test]
fn over_tcp_a_peer_that_does_not_read_costs_at_most_the_bound_and_loses_nothing() {
    const MESSAGES: u32 = 3000;
    let limits = Limits::default().pause_reading(PauseReading::Above(60 << 10));
    for role in ROLES {
        let (end, heap) = echo(role, &limits, |mut peer| {
            // Sends until nothing more is taken and nothing moves: 30 MB are more than the system buffers.
            let frames: Vec<Vec<u8>> =
                (0..MESSAGES).map(|n| peer.frame(OpCode::Binary, &n.to_be_bytes().repeat(2500))).collect();
            let bytes = frames.concat();
            let mut at = 0;
            peer.1.get_ref().set_nonblocking(true).unwrap();
            let mut refused = 0;
            while refused < 1000 {
                match peer.1.get_mut().write(&bytes[at..]) {
                    Ok(n) => (at, refused) = (at + n, 0),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        refused += 1;
                        std::thread::yield_now();
                    }
                    Err(error) => panic!("{error}"),
                }
                assert!(at < bytes.len(), "our end continues to read");
            }
            peer.1.get_ref().set_nonblocking(false).unwrap();
            // Now the peer reads, while the rest is sent.
            let mut writer = peer.1.get_ref().try_clone().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| writer.write_all(&bytes[at..]).unwrap());
                for n in 0..MESSAGES {
                    assert_eq!(peer.receive(), (0x82, n.to_be_bytes().repeat(2500)));
                }
            });
            let close = peer.frame(OpCode::Close, b"\x03\xe8");
            peer.write(&close);
            peer.receive_close(CloseCode::NORMAL);
        });
        assert!(end.is_clean());
        // The bytes of one receive, an unfinished message, and twice the unsent bytes.
        assert!(heap <= (64 << 10) + 2 * 10_004 + 2 * ((60 << 10) + 10_004) + 1024, "{heap}");
    }
}

#[test]
fn over_tcp_ten_pings_in_one_write_and_a_hundred_thousand_are_answered_in_order() {
    for role in ROLES {
        let (end, _) = echo(role, &Limits::default(), |mut peer| {
            for count in [10_u32, 100_000] {
                let pings: Vec<u8> =
                    (0..count).flat_map(|n| peer.frame(OpCode::Ping, &n.to_be_bytes())).collect();
                let mut writer = peer.1.get_ref().try_clone().unwrap();
                let mut next = 0;
                std::thread::scope(|scope| {
                    scope.spawn(|| writer.write_all(&pings).unwrap());
                    // While our end's socket was full, only the newest ping is answered.
                    while next < count {
                        let (first, payload) = peer.receive();
                        let number = u32::from_be_bytes(payload.try_into().unwrap());
                        assert!(first == 0x8a && number >= next && (count > 10 || number == next));
                        next = number + 1;
                    }
                });
            }
            let close = peer.frame(OpCode::Close, b"");
            peer.write(&close);
            assert_eq!(peer.receive(), (0x88, vec![]));
        });
        assert!(end.is_clean());
    }
}
