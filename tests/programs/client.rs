//! The example client: its options, its exit status, and pipes.

use crate::programs::{Program, example};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use tungstenite::Message;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

/// A server for one connection: it echoes until the client closes, or closes with this code at once. Returns
/// the head of the request.
fn server(close_with: Option<u16>) -> (String, JoinHandle<Vec<(String, String)>>) {
    serve(move |stream| {
        let mut headers = Vec::new();
        #[expect(clippy::result_large_err, reason = "tungstenite's type")]
        let accept = |request: &Request, mut response: Response| {
            for (name, value) in request.headers() {
                headers.push((name.to_string(), value.to_str().unwrap().to_owned()));
            }
            if let Some(names) = request.headers().get("Sec-WebSocket-Protocol") {
                response.headers_mut().insert("Sec-WebSocket-Protocol", names.clone());
            }
            Ok(response)
        };
        let mut socket = tungstenite::accept_hdr(stream, accept).unwrap();
        if let Some(code) = close_with {
            let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
            socket.close(Some(frame)).unwrap();
        }
        while let Ok(message) = socket.read() {
            if message.is_text() || message.is_binary() {
                socket.send(message).unwrap();
            }
        }
        headers
    })
}

/// Accepts one connection, and talks with it on a thread.
fn serve<R: Send + 'static>(talk: impl FnOnce(TcpStream) -> R + Send + 'static) -> (String, JoinHandle<R>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    (url, thread::spawn(move || talk(listener.accept().unwrap().0)))
}

fn run(command: &mut Command) -> Output {
    command.env_remove("http_proxy").env_remove("all_proxy").stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn help_is_printed() {
    for option in ["--help", "-h"] {
        let output = run(example("client").arg(option));
        assert!(output.status.success() && output.stderr.is_empty());
        for part in ["usage: client [OPTION]... URL", "--proxy URL", "exit status: 0 if"] {
            assert!(text(&output.stdout).contains(part), "{part}");
        }
        assert!(text(&output.stdout).lines().all(|line| line.len() <= 110));
    }
}

/// 101 would be the close code 1001.
#[test]
fn an_output_that_nobody_reads_is_no_panic() {
    let closed = || Stdio::from(std::io::pipe().unwrap().1);
    for (arguments, status) in [(&["--help"][..], 1), (&[], 2), (&["ws+unix:///nowhere:/"], 1)] {
        let program =
            example("client").args(arguments).stdin(Stdio::null()).stdout(closed()).stderr(closed()).status();
        assert_eq!(program.unwrap().code(), Some(status), "{arguments:?}");
    }
}

#[test]
fn wrong_arguments_have_status_2_and_say_what_is_wrong() {
    for (arguments, reason) in [
        (&[][..], "missing URL"),
        (&["http://localhost/"], "URL scheme other than"),
        (&["ws://localhost/#x"], "fragment in the URL"),
        (&["ws://a", "ws://b"], "unexpected argument"),
        (&["--nonsense", "ws://a"], "invalid option '--nonsense'"),
        (&["--ping", "soon", "ws://a"], "\"soon\" is not a number of seconds"),
        (&["--proxy", "gopher://a", "ws://a"], "invalid proxy URL"),
        (&["-H", "no colon", "ws://a"], "a header has the form 'NAME: VALUE'"),
        (&["-H", "A: b\r\nC: d", "ws://a"], "control character in a header value"),
    ] {
        let output = run(example("client").args(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.starts_with("client: ") && error.contains(reason), "{arguments:?}: {error}");
    }
}

#[test]
fn a_connection_that_cannot_be_made_has_status_1() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [&format!("ws://{closed}/")[..], "ws+unix:///nowhere:/"] {
        let output = run(example("client").arg(url));
        assert_eq!(output.status.code(), Some(1), "{url}");
        assert!(text(&output.stderr).starts_with("client: no connection to "), "{url}");
    }
}

#[test]
fn options_reach_the_server() {
    let (url, server) = server(None);
    let output = run(example("client")
        .args([
            "-H",
            "X-One: 1",
            "--header=X-Two:2",
            "--auth",
            "Aladdin:open sesame",
            "--origin",
            "https://a",
        ])
        .args(["--subprotocol", "v1", "--no-proxy", "--ping", "5", "--timeout", "9.5", &url]));
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    let headers = server.join().unwrap();
    for (name, value) in [
        ("x-one", "1"),
        ("x-two", "2"),
        ("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("origin", "https://a"),
        ("sec-websocket-protocol", "v1"),
    ] {
        assert!(headers.contains(&(name.to_owned(), value.to_owned())), "{name}: {headers:?}");
    }
}

#[test]
fn the_exit_status_is_the_close_code() {
    for (code, status) in [(1000, 0), (1001, 101), (1008, 108), (1011, 111), (4000, 120)] {
        let (url, server) = server(Some(code));
        // The input is open: only the server ends the connection.
        let mut child = example("client")
            .args(["--no-proxy", &url])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut printed = String::new();
        child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(status), "{code}: {printed}");
        assert_eq!(printed.contains(&code.to_string()), status > 0, "{printed}");
        server.join().unwrap();
    }
}

#[test]
fn bytes_go_through_pipes_unchanged() {
    let (url, server) = server(None);
    let bytes: Vec<u8> =
        (0..1_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect();
    let mut child = example("client")
        .args(["--binary", "--no-proxy", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, sent) = (child.stdin.take().unwrap(), bytes.clone());
    let writer = thread::spawn(move || input.write_all(&sent).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == bytes, "{} of {} bytes", output.stdout.len(), bytes.len());
}

/// The peer asks for a pong after the input has ended: none may follow a Close frame.
#[cfg_attr(windows, ignore = "a socket of Windows may take any message at once")]
#[test]
fn the_connection_is_closed_after_all_of_the_input_was_sent() {
    let (url, server) = serve(|stream| {
        let mut socket = tungstenite::accept(stream).unwrap();
        // The message begins: its line ended with the input. The rest waits for this end to receive.
        socket.get_ref().peek(&mut [0]).unwrap();
        socket.send(Message::Ping("still there?".into())).unwrap();
        let received = (socket.read().unwrap().len(), socket.read().unwrap(), socket.read().unwrap());
        while socket.read().is_ok() {}
        received
    });
    let mut child = example("client").args(["--no-proxy", &url]).stdin(Stdio::piped()).spawn().unwrap();
    // More than the sockets take.
    let line = vec![b'x'; 12 << 20];
    child.stdin.take().unwrap().write_all(&line).unwrap();
    let (len, pong, close) = server.join().unwrap();
    assert_eq!((len, pong), (line.len(), Message::Pong("still there?".into())));
    assert!(close.is_close(), "{close}");
    assert!(Program(child).wait().success());
}

#[cfg(unix)]
#[test]
fn after_the_servers_close_the_input_is_not_read() {
    let (url, server) = serve(|stream| {
        let mut socket = tungstenite::accept(stream).unwrap();
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
    });
    let endless = std::fs::File::open("/dev/zero").unwrap();
    let output = example("client").args(["--binary", "--no-proxy", &url]).stdin(endless).output().unwrap();
    server.join().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}
