//! Runs the example echo server as a program: its ends, its limits, its sockets. Nothing is timed; a test
//! waits until the guard against hanging expires.

use crate::programs::{EchoServer, Program, SocketPath, example, limit_descriptors};
use rustix::process::{Resource, Rlimit, Signal};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Instant;
use websocket_stream::Timeouts;

/// A minimal client with blocking calls.
struct Client<S>(BufReader<S>);

impl<S: Read + Write> Client<S> {
    /// Sends the request and reads the response.
    fn open(stream: S) -> Self {
        let mut client = Self(BufReader::new(stream));
        client.ask();
        client.expect_response();
        client
    }

    fn ask(&mut self) {
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        self.0.get_mut().write_all(request).unwrap();
    }

    fn expect_response(&mut self) {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert_eq!(line, "HTTP/1.1 101 Switching Protocols\r\n");
        while line != "\r\n" {
            line.clear();
            self.0.read_line(&mut line).unwrap();
        }
    }

    /// A masking key of zeros leaves the payload unchanged.
    fn send(&mut self, first: u8, payload: &[u8]) {
        let len = u8::try_from(payload.len()).unwrap();
        let mut frame = vec![first, 0x80 | len, 0, 0, 0, 0];
        frame.extend(payload);
        self.0.get_mut().write_all(&frame).unwrap();
    }

    fn expect_bytes(&mut self, expected: &[u8]) {
        let mut frame = vec![0; expected.len()];
        self.0.read_exact(&mut frame).unwrap();
        assert_eq!(frame, expected);
    }

    fn echo(&mut self, text: &str) {
        self.send(0x81, text.as_bytes());
        self.expect_bytes(&[&[0x81, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat());
    }

    /// Expects the server to go away: a Close frame with 1001, which is answered, and the end of the stream.
    ///
    /// On a busy machine the server's close timeout, counted from `signalled`, can pass before the answer. If
    /// the answer arrives after the server's last receive and before it closes the socket, TCP resets the
    /// connection.
    fn expect_going_away(&mut self, signalled: Instant) {
        self.expect_bytes(b"\x88\x02\x03\xe9");
        self.send(0x88, b"\x03\xe9");
        let close = Timeouts::default().close.unwrap();
        match self.0.read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset && signalled.elapsed() >= close => {}
            end => assert_eq!(end.unwrap(), 0),
        }
    }
}

#[test]
fn sigint_and_sigterm_close_every_connection_with_1001_and_end_the_server_successfully() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let mut server = EchoServer::start(&["127.0.0.1:0"]);
        let mut clients: Vec<_> = (0..50).map(|_| Client::open(server.connect())).collect();
        for client in &mut clients {
            client.echo("hello");
        }
        // In the middle of a message, and in the middle of the opening.
        clients[0].send(0x01, b"half");
        let mut opening = server.connect();
        opening.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        clients[1].echo("what came before has been looked at");
        let signalled = Instant::now();
        server.program.signal(signal);
        for mut client in clients {
            client.expect_going_away(signalled);
        }
        server.check_end();
        // The unopened connection is gone: its end, or a reset.
        assert!(!matches!(opening.read(&mut [0]), Ok(1..)));
        assert!(TcpStream::connect(server.address()).is_err());
    }
}

#[test]
fn a_message_in_transit_when_the_server_goes_away_leaves_the_end_clean() {
    // With this option, it prints unclean ends.
    let mut command = example("echo_server");
    command.args(["--verbose", "127.0.0.1:0"]).stderr(Stdio::piped());
    let mut server = EchoServer::spawn(&mut command);
    let mut client = Client::open(server.connect());
    let mut other = Client::open(server.connect());
    other.echo("an end that is not clean is printed");
    other.send(0x82, &[7; 125]);
    other.0.get_mut().write_all(b"\x83").unwrap();
    other.expect_bytes(&[&[0x82, 125][..], &[7; 125], b"\x88\x02\x03\xea"].concat());
    drop(other);
    client.echo("hello");
    server.program.signal(libc::SIGTERM);
    client.expect_bytes(b"\x88\x02\x03\xe9");
    client.send(0x81, b"late");
    client.send(0x88, b"\x03\xe9");
    assert_eq!(client.0.read(&mut [0]).unwrap(), 0);
    server.check_end();
    let mut printed = String::new();
    server.program.0.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!(printed, "echo_server: failed with 1002 (protocol error): reserved opcode\n");
}

#[test]
fn a_peer_that_does_not_answer_the_close_frame_holds_the_server_only_until_the_timeout() {
    let mut server = EchoServer::start(&["127.0.0.1:0"]);
    let mut client = Client::open(server.connect());
    client.echo("hello");
    server.program.signal(libc::SIGTERM);
    client.expect_bytes(b"\x88\x02\x03\xe9");
    server.check_end();
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let mut server = EchoServer::start(&["127.0.0.1:0"]);
    let mut client = Client::open(server.connect());
    client.echo("hello");
    server.program.signal(libc::SIGINT);
    client.expect_bytes(b"\x88\x02\x03\xe9");
    server.program.signal(libc::SIGINT);
    let status = server.program.wait();
    assert_eq!((status.code(), status.signal()), (None, Some(libc::SIGINT)));
}

#[test]
fn several_threads_echo_and_all_go_away() {
    let mut server = EchoServer::start(&["--threads", "3", "127.0.0.1:0"]);
    let mut clients: Vec<_> = (0..50).map(|_| Client::open(server.connect())).collect();
    for client in &mut clients {
        client.echo("hello");
    }
    let signalled = Instant::now();
    server.program.signal(libc::SIGTERM);
    for mut client in clients {
        client.expect_going_away(signalled);
    }
    server.check_end();
}

#[test]
fn an_address_in_use_is_reported_with_a_failing_exit_code() {
    let server = EchoServer::start(&["127.0.0.1:0"]);
    let output = example("echo_server").arg(server.address()).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    let expected = format!("echo_server: {} is taken by another program", server.address());
    assert!(message.starts_with(&expected), "{message}");
    assert!(output.stdout.is_empty());
    server.stop();
}

#[test]
fn an_invalid_argument_is_reported_with_a_failing_exit_code() {
    for arguments in [
        &["nonsense"][..],
        &["--nonsense"],
        &["a", "b"],
        &["--threads", "x"],
        &["--unix"],
        &["--unix", "/nowhere/at/all"],
    ] {
        let output = example("echo_server").args(arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stderr.starts_with(b"echo_server: "), "{arguments:?}");
    }
}

#[test]
fn a_unix_socket_is_served_and_removed_at_the_end() {
    let path = SocketPath::new();
    let mut server = EchoServer::start(&["--unix", path.as_str()]);
    assert_eq!(server.url(), format!("ws+unix://{}", path.as_str()));
    let mut client = Client::open(UnixStream::connect(path.as_str()).unwrap());
    client.echo("hello");
    let signalled = Instant::now();
    server.program.signal(libc::SIGTERM);
    client.expect_going_away(signalled);
    drop(client);
    server.check_end();
    assert!(!std::path::Path::new(path.as_str()).exists());
}

/// The descriptor limit of the server that runs out of them.
const FEW: u64 = 40;

#[test]
fn connections_that_arrive_while_no_descriptor_is_free_are_accepted_later() {
    let mut command = example("echo_server");
    limit_descriptors(&mut command, FEW);
    let server = EchoServer::spawn(command.arg("127.0.0.1:0"));

    // More than it can hold: the rest waits in the listener's queue.
    let mut clients: Vec<_> = (0..FEW + 20).map(|_| Client(BufReader::new(server.connect()))).collect();
    for client in &mut clients {
        client.ask();
    }
    let mut waiting = clients.split_off(20);
    for client in &mut clients {
        client.expect_response();
        client.echo("hello");
    }
    // Meanwhile it sleeps; a server that retried continuously never would.
    wait_for_state(server.pid(), 'S');
    // Whenever some connections close, others are accepted.
    drop(clients);
    while !waiting.is_empty() {
        for mut client in waiting.drain(..waiting.len().min(10)).collect::<Vec<_>>() {
            client.expect_response();
            client.echo("hello");
        }
    }
    server.stop();
}

#[test]
fn a_wait_interrupted_by_a_signal_continues() {
    let server = EchoServer::start(&["127.0.0.1:0"]);
    let mut client = Client::open(server.connect());
    client.echo("before");
    for _ in 0..20 {
        // After stopping and continuing, epoll_wait fails with EINTR.
        server.program.signal(libc::SIGSTOP);
        wait_for_state(server.pid(), 'T');
        client.send(0x81, b"while stopped");
        server.program.signal(libc::SIGCONT);
        client.expect_bytes(b"\x81\x0dwhile stopped");
        server.program.signal(libc::SIGWINCH);
        client.echo("after");
    }
    drop(client);
    server.stop();
}

/// Waits until the process is sleeping (S), stopped (T) ...: field 3 of its stat.
fn wait_for_state(pid: u32, state: char) {
    let start = std::time::Instant::now();
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        if stat.rsplit(')').next().unwrap().trim_start().starts_with(state) {
            return;
        }
        assert!(start.elapsed() < crate::programs::HANG, "it does not reach the state {state}");
        std::thread::yield_now();
    }
}

#[test]
fn thousands_of_connections_are_open_and_each_is_echoed() {
    // Descriptors of both ends, and room for other tests in this process.
    let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let many = maximum.map_or(4000, |limit| limit.saturating_sub(500).min(4000));
    let mut server = EchoServer::start(&["127.0.0.1:0"]);
    let mut clients: Vec<_> = (0..many).map(|_| Client::open(server.connect())).collect();
    for _ in 0..2 {
        for client in &mut clients {
            client.send(0x81, b"hello");
        }
        for client in &mut clients {
            client.expect_bytes(b"\x81\x05hello");
        }
    }
    let signalled = Instant::now();
    server.program.signal(libc::SIGTERM);
    for mut client in clients {
        client.expect_going_away(signalled);
    }
    server.check_end();
}

/// The client's output, line by line, and its exit.
struct ClientProgram {
    program: Program,
    stdout: BufReader<std::process::ChildStdout>,
}

impl ClientProgram {
    fn start(url: &str) -> Self {
        let child = example("client").arg(url).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut program = Program(child);
        let stdout = BufReader::new(program.0.stdout.take().unwrap());
        Self { program, stdout }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.program.0.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn receive(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// Sends Ctrl-D: the end of the standard input.
    fn end(mut self) -> (String, Option<i32>) {
        drop(self.program.0.stdin.take());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (rest, self.program.wait().code())
    }
}

#[test]
fn the_client_sends_lines_prints_messages_and_closes_cleanly_at_the_end_of_its_input() {
    let path = SocketPath::new();
    for arguments in [&["127.0.0.1:0"][..], &["--unix", path.as_str()]] {
        let server = EchoServer::start(arguments);
        let mut client = ClientProgram::start(server.url());
        for line in ["hello\n", "\n", "héllo €\n"] {
            client.say(line.as_bytes());
            assert_eq!(client.receive(), line);
        }
        client.say(b"two at once\nand half");
        assert_eq!(client.receive(), "two at once\n");
        client.say(b" a line\nwithout an end");
        assert_eq!(client.receive(), "and half a line\n");
        // A last line without a line end is sent; messages that arrive before the end are printed.
        let (rest, code) = client.end();
        assert_eq!((&rest[..], code), ("without an end\n", Some(0)));
        server.stop();
    }
}

#[test]
fn the_client_ends_when_the_server_goes_away_while_its_input_is_open() {
    let mut server = EchoServer::start(&["127.0.0.1:0"]);
    let mut client = ClientProgram::start(server.url());
    client.say(b"hello\n");
    assert_eq!(client.receive(), "hello\n");
    server.program.signal(Signal::TERM.as_raw());
    // 100 and the last digits of code 1001.
    assert_eq!(client.program.wait().code(), Some(101));
    server.check_end();
}

/// A program's certificate and its key, in two files of its own.
#[cfg(target_pointer_width = "64")]
struct Certificate([SocketPath; 2]);

#[cfg(target_pointer_width = "64")]
impl Certificate {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = [(); 2].map(|()| SocketPath::new());
        std::fs::write(files[0].as_str(), made.cert.pem()).unwrap();
        std::fs::write(files[1].as_str(), made.signing_key.serialize_pem()).unwrap();
        Self(files)
    }

    fn paths(&self) -> [&str; 2] {
        [self.0[0].as_str(), self.0[1].as_str()]
    }
}

#[cfg(target_pointer_width = "64")]
#[test]
fn with_tls_a_client_that_accepts_the_certificate_gets_its_lines_back() {
    let certificate = Certificate::new();
    let [chain, key] = certificate.paths();
    let server = EchoServer::start(&["--tls", chain, key, "127.0.0.1:0"]);
    assert!(server.url().starts_with("wss://127.0.0.1:"), "{}", server.url());
    let client = |option: &[&str]| {
        let mut command = example("client");
        command.args(option).args(["--no-proxy", server.url()]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all("héllo\n€".as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = client(&["--insecure"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "héllo\n€\n");
    assert_eq!(output.status.code(), Some(0));
    let output = client(&[]);
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(printed.contains("invalid peer certificate"), "{printed}");
    server.stop();
}

#[cfg(target_pointer_width = "64")]
#[test]
fn tls_without_a_usable_certificate_is_an_error_that_names_the_file() {
    let (one, other) = (Certificate::new(), Certificate::new());
    let ([chain, key], [_, other_key]) = (one.paths(), other.paths());
    for (arguments, reason) in [
        (&["--tls", "/nowhere", key][..], "--tls /nowhere: "),
        (&["--tls", chain, "/nowhere"], "--tls /nowhere: "),
        (&["--tls", chain, chain], chain),
        (&["--tls", key, key], key),
        (&["--tls", chain, other_key], other_key),
        (&["--tls", chain], "missing argument"),
        (&["--tls", chain, key, "--unix", "/tmp/unused"], "TLS is for an address"),
    ] {
        let output = example("echo_server").args(arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(printed.starts_with("echo_server: ") && printed.contains(reason), "{arguments:?}: {printed}");
    }
}
