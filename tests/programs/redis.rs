//! Two chats on one Redis, which this test starts, kills and starts again.

use crate::chat::Member;
use crate::programs::{EchoServer, HANG, Program, SocketPath, example};
use redis::Connection;
use serde_json::{Value, json};
use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A Redis without a file, on a Unix socket only.
struct Redis {
    path: SocketPath,
    program: Program,
}

fn spawn(path: &SocketPath) -> Option<Program> {
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", path.as_str()]);
    command.args(["--dir", std::env::temp_dir().to_str().unwrap()]);
    match command.stdin(Stdio::null()).stdout(Stdio::null()).spawn() {
        Ok(child) => Some(Program(child)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

impl Redis {
    /// Returns `None` if Redis is not installed.
    fn start() -> Option<Self> {
        let path = SocketPath::new();
        let redis = Self { program: spawn(&path)?, path };
        redis.connect();
        Some(redis)
    }

    fn url(&self) -> String {
        format!("redis+unix://{}", self.path.as_str())
    }

    /// Returns a connection, when it accepts one.
    fn connect(&self) -> Connection {
        let client = redis::Client::open(self.url()).unwrap();
        wait_until(|| client.get_connection().ok())
    }

    fn kill(&mut self) {
        self.program.0.kill().unwrap();
        self.program.wait();
        // Nothing removes it after such an end.
        let _ = std::fs::remove_file(self.path.as_str());
    }

    fn restart(&mut self) {
        self.program = spawn(&self.path).unwrap();
        self.connect();
    }
}

/// Waits until there is a result.
fn wait_until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < HANG, "it does not happen");
        std::thread::yield_now();
    }
}

/// Waits until this number of servers is subscribed to the room.
fn wait_for_subscribers(connection: &mut Connection, room: &str, number: usize) {
    wait_until(|| {
        let channel = format!("websocket-stream-chat:room:{room}");
        let (_, found): (String, usize) =
            redis::cmd("PUBSUB").arg("NUMSUB").arg(channel).query(connection).unwrap();
        (found == number).then_some(())
    });
}

fn wait_for_link(member: &mut Member, up: bool) {
    while member.receive() != json!({"type": "link", "up": up}) {}
}

/// Receives the next message, and skips the states of the link.
fn next_text(member: &mut Member) -> Value {
    loop {
        let message = member.receive();
        if message["type"] != "link" {
            return message["text"].clone();
        }
    }
}

#[test]
fn rooms_cross_servers_by_redis_and_survive_its_death() {
    let Some(mut redis) = Redis::start() else {
        // Not `eprintln`, which is shown only if the test fails.
        writeln!(std::io::stderr(), "!! redis-server is not installed: the chat was not tested with it")
            .unwrap();
        return;
    };
    let chat = || EchoServer::spawn(example("chat").args(["--redis", &redis.url(), "127.0.0.1:0"]));
    let [one, two] = [chat(), chat()];
    let mut connection = redis.connect();
    wait_for_subscribers(&mut connection, "/tea", 0);

    // The first member of a server subscribes; the second changes nothing.
    let (mut ann, _) = Member::join(&one, "/tea?name=Ann");
    wait_for_subscribers(&mut connection, "/tea", 1);
    let (mut ben, _) = Member::join(&two, "/tea?name=Ben");
    let (mut eve, _) = Member::join(&two, "/tea?name=Eve");
    wait_for_subscribers(&mut connection, "/tea", 2);
    wait_for_subscribers(&mut connection, "/coffee", 0);

    // Each message arrives once, at those on the other server and at those on the same one.
    for n in 0..100 {
        let speaker = if n % 2 == 0 { &mut ann } else { &mut ben };
        speaker.say(&n.to_string());
        for member in [&mut ann, &mut ben, &mut eve] {
            assert_eq!(next_text(member), n.to_string());
        }
    }
    ann.send(&json!({"type": "typing"}));
    let typing = [&mut ben, &mut eve].map(|member| member.receive()["name"].clone());
    assert_eq!(typing, ["Ann", "Ann"]);
    // What was said on the other server is in the history.
    let (mut late, welcome) = Member::join(&two, "/tea");
    assert_eq!(welcome["link"], true);
    for n in 50..100 {
        assert_eq!(next_text(&mut late), n.to_string());
    }
    late.leave();

    // What others publish there is not trusted.
    for nonsense in ["no JSON", "{}", r#"{"type":"message","id":"x-1","name":1}"#, "\u{ff}"] {
        let channel = "websocket-stream-chat:room:/tea";
        redis::cmd("PUBLISH").arg(channel).arg(nonsense).exec(&mut connection).unwrap();
    }

    // The last member of a server ends its subscription.
    ben.leave();
    eve.say("Ben has left");
    for member in [&mut ann, &mut eve] {
        assert_eq!(next_text(member), "Ben has left");
    }
    wait_for_subscribers(&mut connection, "/tea", 2);
    eve.leave();
    wait_for_subscribers(&mut connection, "/tea", 1);
    let (mut ben, _) = Member::join(&two, "/tea?name=Ben");
    wait_for_subscribers(&mut connection, "/tea", 2);
    let _history = [(); 50].map(|()| next_text(&mut ben));

    for round in 0..2 {
        redis.kill();
        for member in [&mut ann, &mut ben] {
            wait_for_link(member, false);
        }
        // Local members go on, and new ones are informed.
        let (mut mia, welcome) = Member::join(&one, &format!("/tea{round}?name=Mia"));
        assert_eq!(welcome["link"], false);
        for text in ["still", "here"] {
            mia.say(text);
            assert_eq!(next_text(&mut mia), text);
        }
        redis.restart();
        for member in [&mut ann, &mut ben, &mut mia] {
            wait_for_link(member, true);
        }
        let mut connection = redis.connect();
        wait_for_subscribers(&mut connection, "/tea", 2);
        wait_for_subscribers(&mut connection, &format!("/tea{round}"), 1);
        for (text, ann_speaks) in [("hello again", true), ("and back", false)] {
            if ann_speaks { &mut ann } else { &mut ben }.say(text);
            for member in [&mut ann, &mut ben] {
                assert_eq!(next_text(member), text);
            }
        }
    }
    one.stop();
    two.stop();
}

#[test]
fn a_chat_without_its_redis_serves_its_own_members() {
    let nowhere = SocketPath::new();
    let url = format!("redis+unix://{}", nowhere.as_str());
    let server = EchoServer::spawn(example("chat").args(["--redis", &url, "127.0.0.1:0"]));
    let (mut ann, welcome) = Member::join(&server, "/tea");
    assert_eq!(welcome["link"], false);
    // More than may wait for Redis.
    for n in 0..1100 {
        ann.say(&n.to_string());
        assert_eq!(next_text(&mut ann), n.to_string());
    }
    server.stop();
    let output = example("chat").args(["--redis", "nonsense"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.starts_with(b"chat: "));
}
