//! The example on io_uring: not run where the kernel has no io_uring, or forbids it.

use crate::interop::converse;
use crate::programs::{Connection, EchoServer, Program, example};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::process::Stdio;
use tungstenite::{Message, WebSocket};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Starts the example, unless the system cannot run it.
fn start() -> Option<EchoServer> {
    // The example is the probe: it asks for a ring with all that it needs.
    let mut probe = example("io_uring");
    let probe = probe.arg("127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut probe = Program(probe);
    let mut line = String::new();
    BufReader::new(probe.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if line.starts_with("listening on ") {
        return Some(EchoServer::spawn(example("io_uring").arg("127.0.0.1:0")));
    }
    probe.0.stderr.take().unwrap().read_to_string(&mut line).unwrap();
    // It does not exist, or is forbidden.
    let missing = [libc::ENOSYS, libc::EPERM, libc::EACCES]
        .iter()
        .any(|errno| line.contains("io_uring: ") && line.contains(&format!("(os error {errno})")));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut version = kernel.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let version = (version.next().unwrap(), version.next().unwrap());
    assert!(missing || version < (6, 1), "Linux {kernel}: {line}");
    #[expect(clippy::explicit_write, reason = "a test that passes does not print what `eprintln` writes")]
    writeln!(std::io::stderr(), "not run: {line}").unwrap();
    None
}

fn open(server: &EchoServer) -> WebSocket<Connection> {
    tungstenite::client(server.url(), server.connect()).unwrap().0
}

#[test]
fn tungstenite_converses_with_it() {
    let Some(server) = start() else { return };
    converse(open(&server));
}

#[test]
fn connections_do_not_meet() {
    let Some(server) = start() else { return };
    let mut clients: Vec<_> = (0..100).map(|_| open(&server)).collect();
    for round in 0..10 {
        for (index, client) in clients.iter_mut().enumerate() {
            client.send(Message::text(format!("{round} {index} ").repeat(index * 20))).unwrap();
        }
        for (index, client) in clients.iter_mut().enumerate() {
            let expected = Message::text(format!("{round} {index} ").repeat(index * 20));
            assert!(client.read().unwrap() == expected, "another message was echoed");
        }
    }
}

/// A client that sends and never reads is not received from without end, and loses nothing.
#[test]
fn a_client_that_does_not_read_is_paused_and_gets_all_echoes_later() {
    let Some(server) = start() else { return };
    let mut slow = open(&server);
    // 4 KiB, masked with zeros.
    let mut message = vec![0x82, 0xFE, 0x10, 0, 0, 0, 0, 0];
    message.extend((0..=255).cycle().take(4096));
    let stream = slow.get_mut();
    stream.set_nonblocking(true).unwrap();
    // Until both directions of the connection are full, and the server has paused.
    let (mut sent, mut refusals) = (0, 0);
    while refusals < 1000 {
        match stream.write(&message[sent % message.len()..]) {
            Ok(n) => (sent, refusals) = (sent + n, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                refusals += 1;
                open(&server).send(Message::text("others are served meanwhile")).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_nonblocking(false).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let rest = message[sent % message.len()..].to_vec();
    let writing = std::thread::spawn(move || writer.write_all(&rest).unwrap());
    for _ in 0..sent.div_ceil(message.len()) {
        assert_eq!(slow.read().unwrap().into_data(), message[8..]);
    }
    writing.join().unwrap();
}

#[test]
fn a_request_and_messages_arrive_in_any_pieces_and_a_close_frame_is_answered() {
    let Some(server) = start() else { return };
    // "Hello", masked with zeros, and a Close frame without a code.
    let bytes = [REQUEST, b"\x81\x85\0\0\0\0Hello\x88\x80\0\0\0\0"].concat();
    for size in [1, 2, 7, 100, bytes.len()] {
        let mut stream = server.connect();
        stream.set_nodelay(true).unwrap();
        bytes.chunks(size).for_each(|piece| stream.write_all(piece).unwrap());
        // The end of the stream is the server's: this end does not close first.
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(b"\r\n\r\n\x81\x05Hello\x88\x00"), "{size}: {answer:?}");
    }
}

#[test]
fn faults_and_plain_http_are_answered() {
    let Some(server) = start() else { return };
    assert!(server.get("/").starts_with("HTTP/1.1 426 "));
    assert!(server.request("nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let mut stream = server.connect();
    stream.write_all(&[REQUEST, b"\x81\x05Hello"].concat()).unwrap(); // not masked
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.windows(4).any(|bytes| bytes == b"\x88\x02\x03\xea"), "{answer:?}");
    converse(open(&server));
}
