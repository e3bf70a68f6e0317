//! Compiles the README's Rust blocks: each must equal the code between `// README` and `// END` below.
#![allow(
    unused,
    clippy::all,
    clippy::cast_possible_truncation,
    reason = "the README shows only what matters"
)]

use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use websocket_stream::{CloseCode, Event, Limits, OpCode, Ready, Scratch, Timeouts, Wants, WebSocketStream};

#[rustfmt::skip]
mod server {
    // README
    use websocket_stream::Message;
    use websocket_stream::server::{Failure, Handler, Peer, Server};

    struct Echo;

    impl Handler for Echo {
        type Session = ();

        fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
            Ok(peer.send(message)?)
        }
    }

    fn main() -> std::io::Result<()> {
        Server::bind("127.0.0.1:9001")?.run(Echo)
    }
    // END
}

#[rustfmt::skip]
mod client {
    // README
    use websocket_stream::client::{Blocking, Connector};

    fn main() -> Result<(), Box<dyn std::error::Error>> {
        let connector = Connector::new().header("Authorization", "Bearer 31415926");
        let mut client = Blocking::new(connector.connect("wss://example.com/feed")?);
        client.send("subscribe")?;
        while let Some(message) = client.next()? {
            println!("{message}");
        }
        Ok(())
    }
    // END
}

#[rustfmt::skip]
mod tokio_run {
    // README
    use tokio::net::TcpStream;
    use websocket_stream::{Event, tokio as websocket};

    async fn echo(socket: TcpStream) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut ws = websocket::accept(socket).await?;
        ws.run(|event, out| match event {
            Event::Message(message) => out.send(message),
            _ => Ok(()),
        })
        .await?;
        Ok(())
    }
    // END
}

#[rustfmt::skip]
mod tokio_owned {
    // README
    async fn watch() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut ws = websocket_stream::tokio::connect("wss://example.com/feed").await?;
        ws.send("subscribe").await?;
        while let Some(message) = ws.next().await {
            println!("{}", message?);
        }
        Ok(())
    }
    // END
}

#[rustfmt::skip]
mod axum {
    // README
    use axum::{Router, response::Response, routing::any};
    use websocket_stream::CloseCode;
    use websocket_stream::axum::WebSocketUpgrade;

    async fn greet(upgrade: WebSocketUpgrade) -> Response {
        upgrade.on_upgrade(|mut ws| async move {
            ws.send("hello").await?;
            ws.close(CloseCode::NORMAL, "").await
        })
    }

    fn app() -> Router {
        Router::new().route("/greet", any(greet))
    }
    // END
}

#[cfg(unix)]
#[rustfmt::skip]
mod shortest {
    // README
    use std::os::unix::net::UnixStream;
    use websocket_stream::{Event, Ready, Scratch, WebSocketStream};

    fn main() -> Result<(), Box<dyn std::error::Error>> {
        let (a, b) = UnixStream::pair()?; // or TCP, after the opening handshake
        let (mut server, mut client) = (WebSocketStream::new(a)?, WebSocketStream::client(b)?);
        let mut scratch = Scratch::new(); // one for each thread: the buffers of all its connections
        let now = 0; // your monotonic clock, in milliseconds

        client.send(&mut scratch.at(now), "Hello")?;
        // For each readiness that your poller reports:
        let wants = server.drive(&mut scratch.at(now), Ready::READABLE, |event, out| match event {
            Event::Message(message) => out.send(message), // echoed while it is borrowed
            Event::Closed(end) => Ok(println!("{end}")),  // once; clean or not
            _ => Ok(()),                                  // pings and Close frames are answered already
        })?;
        assert!(wants.read && !wants.write); // what to wait for now
        assert_eq!(client.read()?.1, b"Hello");
        Ok(())
    }
    // END

    #[test]
    fn the_shortest_program_runs() {
        main().unwrap();
    }
}

#[rustfmt::skip]
mod a_test {
    // README
    use websocket_stream::{Message, testing::TestServer};

    #[test]
    fn the_echo_arrives() -> Result<(), Box<dyn std::error::Error>> {
        let mut server = TestServer::new(Echo);
        let ann = server.connect("/")?;
        server.send(ann, "hello")?;
        assert_eq!(server.receive(ann)?, Some(Message::Text("hello")));
        Ok(())
    }
    // END

    use websocket_stream::server::{Failure, Handler, Peer};

    struct Echo;

    impl Handler for Echo {
        type Session = ();

        fn message(&mut self, peer: &mut Peer<'_>, _: &mut (), message: Message<'_>) -> Result<(), Failure> {
            Ok(peer.send(message)?)
        }
    }
}

#[test]
fn the_rust_blocks_in_the_readme_compile() {
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```rust\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned());
    let here = include_str!("readme.rs").split("{\n    // README\n").skip(1).map(|code| {
        let code = code.split("    // END\n").next().unwrap();
        code.lines()
            .map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line)))
            .collect::<String>()
    });
    let (blocks, here): (Vec<_>, Vec<_>) = (blocks.collect(), here.collect());
    assert!(!blocks.is_empty());
    assert_eq!(blocks, here);
}

/// The published package has only some of the files.
#[test]
fn relative_links_lead_to_files() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join("CONTRIBUTING.md").exists() {
        return;
    }
    let pages = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benches/RESULTS.md"];
    for page in pages.into_iter().chain(["benches/compare/README.md", "tests/targets/README.md"]) {
        let page = root.join(page);
        let text = std::fs::read_to_string(&page).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            assert!(page.parent().unwrap().join(path).exists(), "{}: {target}", page.display());
            // As GitHub names the headings.
            let heading = |line: &str| {
                let title = line.strip_prefix('#')?.trim_start_matches('#').trim().to_lowercase();
                Some(title.replace(' ', "-").replace(|c: char| !(c.is_alphanumeric() || c == '-'), ""))
            };
            let is_here = path.is_empty() && !anchor.is_empty();
            assert!(
                !is_here || text.lines().filter_map(heading).any(|heading| heading == anchor),
                "{}: {target}",
                page.display()
            );
        }
    }
}

#[test]
fn the_readme_names_the_defaults() {
    let limits = Limits::default();
    assert_eq!((limits.message, limits.head_bytes), (16 << 20, 16 << 10));
    assert_eq!(limits.unsent, (16 << 20) + (128 << 10));
    assert_eq!(Timeouts::default().opening, Some(Duration::from_secs(10)));
}

/// Drives a server with the handler of the shortest program.
fn echo(ws: &mut WebSocketStream<TcpStream>) -> Wants {
    let mut scratch = Scratch::new();
    let driven = ws.drive(&mut scratch.at(0), Ready::UNKNOWN, |event, out| match event {
        Event::Message(message) => out.send(message),
        Event::Closed(end) => Ok(println!("{end}")),
        _ => Ok(()),
    });
    driven.unwrap()
}

/// Both ends of a TCP connection: the README's server, and a client.
fn tcp() -> (WebSocketStream<TcpStream>, WebSocketStream<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = listener.accept().unwrap().0;
    (WebSocketStream::new(server).unwrap(), WebSocketStream::client(client).unwrap())
}

#[test]
fn the_readme_echo_survives_a_message_that_crosses_its_close_frame() {
    let (mut server, mut client) = tcp();
    let mut scratch = Scratch::new();
    client.send(&mut scratch.at(0), "crosses").unwrap();
    server.close(&mut scratch.at(0), CloseCode::GOING_AWAY, "we restart").unwrap();
    let (mut client, mut closed) = (Some(client), false);
    for _ in 0..1_000_000 {
        if echo(&mut server).closed {
            break;
        }
        closed |= client.as_mut().is_some_and(|client| matches!(client.read(), Ok((OpCode::Close, _))));
        client = client.filter(|client| !client.wants().closed);
    }
    let websocket_stream::State::Closed(end) = server.state() else { panic!("{:?}", server.state()) };
    assert!(end.is_clean() && closed, "{end}");
}

#[test]
fn the_readme_echo_loses_nothing_with_a_slow_reader() {
    // More than `Limits::unsent` plus what the kernel's socket buffers hold.
    const MESSAGES: usize = 120;
    let (mut server, mut client) = tcp();
    let mut scratch = Scratch::new();
    let (mut sent, mut idle) = (0, 0);
    // The client reads nothing until both ends are stuck.
    while idle < 1000 {
        idle += 1;
        while sent < MESSAGES && client.unsent() == 0 {
            let message = vec![u8::try_from(sent).unwrap(); 1 << 20];
            let _ = client.send(&mut scratch.at(0), &message).unwrap();
            (sent, idle) = (sent + 1, 0);
        }
        let before = client.unsent();
        let _ = client.flush(&mut scratch.at(0)).unwrap();
        idle = if client.unsent() < before { 0 } else { idle };
        assert!(!echo(&mut server).closed);
        std::thread::yield_now();
    }
    assert!(sent < MESSAGES, "the server accepted everything");
    let mut received = 0;
    while received < MESSAGES {
        if sent < MESSAGES && client.unsent() == 0 {
            let message = vec![u8::try_from(sent).unwrap(); 1 << 20];
            let _ = client.send(&mut scratch.at(0), &message).unwrap();
            sent += 1;
        }
        while let Ok((OpCode::Binary, payload)) = client.read() {
            assert!(payload.len() == 1 << 20 && payload.iter().all(|&byte| usize::from(byte) == received));
            received += 1;
        }
        assert!(!echo(&mut server).closed);
    }
}
