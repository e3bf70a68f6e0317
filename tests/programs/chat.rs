//! Runs the chat with members that read, and one that does not for a while.

use crate::programs::{Connection, EchoServer, example, limit_descriptors};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::process::Stdio;
use tungstenite::{Message, WebSocket};

/// A member of a room.
pub(crate) struct Member {
    socket: WebSocket<Connection>,
}

pub(crate) fn start() -> EchoServer {
    EchoServer::spawn(example("chat").arg("127.0.0.1:0"))
}

impl Member {
    /// Joins a room, and returns the welcome.
    pub(crate) fn join(server: &EchoServer, target: &str) -> (Self, Value) {
        let url = format!("{}{target}", server.url());
        let mut member = Self { socket: tungstenite::client(url, server.connect()).unwrap().0 };
        let welcome = member.receive();
        assert_eq!(welcome["type"], "welcome");
        (member, welcome)
    }

    pub(crate) fn receive(&mut self) -> Value {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Ok(Message::Ping(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Receives something said, and returns the name and the text.
    pub(crate) fn hear(&mut self) -> (String, String) {
        let message = self.receive();
        assert_eq!(message["type"], "message", "{message}");
        let text = |key: &str| message[key].as_str().unwrap().to_owned();
        (text("name"), text("text"))
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).unwrap();
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.send(&json!({"type": "say", "text": text}));
    }

    /// Leaves, and returns when the server has answered.
    pub(crate) fn leave(mut self) {
        self.socket.close(None).unwrap();
        while self.socket.read().is_ok() {}
    }

    /// Returns the code of the Close frame that follows.
    fn close_code(&mut self) -> u16 {
        match self.socket.read().unwrap() {
            Message::Close(Some(close)) => close.code.into(),
            other => panic!("{other:?}"),
        }
    }
}

fn said(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

#[test]
fn members_of_a_room_receive_what_any_of_them_says_and_other_rooms_do_not() {
    let server = start();
    let (mut ann, welcome) = Member::join(&server, "/tea?name=Ann");
    assert_eq!(welcome, json!({"type": "welcome", "name": "Ann", "link": null}));
    let (mut ben, _) = Member::join(&server, "/tea?name=Ben");
    let (mut eve, _) = Member::join(&server, "/coffee?name=Eve");
    ann.say("Hello <b>& \"all\"</b> \u{20ac}\u{2028}");
    for member in [&mut ann, &mut ben] {
        assert_eq!(member.hear(), said("Ann", "Hello <b>& \"all\"</b> \u{20ac}\u{2028}"));
    }
    // Nothing is said by this: the next message is the first.
    ben.say(" \n");
    ben.send(&json!({"type": "typing"}));
    let typing = ann.receive();
    assert_eq!((&typing["type"], &typing["name"]), (&json!("typing"), &json!("Ben")));
    ben.say("two");
    for member in [&mut ann, &mut ben] {
        assert_eq!(member.hear(), said("Ben", "two"));
    }
    eve.say("alone");
    assert_eq!(eve.hear(), said("Eve", "alone"));
    server.stop();
}

#[test]
fn a_new_member_receives_the_last_messages_of_the_room_also_after_it_was_empty() {
    let server = start();
    let (mut ann, _) = Member::join(&server, "/tea?name=Ann");
    for n in 0..60 {
        ann.say(&n.to_string());
        assert_eq!(ann.hear().1, n.to_string());
    }
    ann.leave();
    let (mut ben, _) = Member::join(&server, "/tea?name=Ben");
    for n in 10..60 {
        assert_eq!(ben.hear(), said("Ann", &n.to_string()));
    }
    // The history is bounded in bytes, too.
    for n in 0..3 {
        ben.say(&n.to_string().repeat(30_000));
        ben.hear();
    }
    let (mut eve, _) = Member::join(&server, "/tea");
    assert_eq!([(); 2].map(|()| eve.hear().1[..1].to_owned()), ["1", "2"]);
    ben.say("end");
    assert_eq!(eve.hear(), said("Ben", "end"));
}

#[test]
fn names_rooms_and_messages_are_bounded() {
    let server = start();
    let long = "n".repeat(100);
    for (target, name) in [
        ("/", "guest"),
        ("/?name=", "guest"),
        ("/?name=+Ann%0a%E2%80%AE+Lee+", "Ann Lee"),
        (&format!("/?name={long}"), &long[..32]),
    ] {
        assert_eq!(Member::join(&server, target).1["name"], name);
    }
    for target in ["/a/b", "/health", "/%2e", &format!("/{}", "x".repeat(41))] {
        let url = format!("{}{target}", server.url());
        let Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) =
            tungstenite::client(url, server.connect())
        else {
            panic!("it was not refused: {target}");
        };
        assert_eq!(response.status(), 404);
    }
    let long = "x".repeat(64 << 10);
    for (message, code) in [
        (Message::text("no JSON"), 1008),
        (Message::text("[]"), 1008),
        (Message::text(r#"{"type":"say","text":1}"#), 1008),
        (Message::text(r#"{"type":"shout","text":"a"}"#), 1008),
        (Message::binary(br#"{"type":"typing"}"#.to_vec()), 1008),
        (Message::text(json!({"type": "say", "text": long}).to_string()), 1009),
    ] {
        let mut member = Member::join(&server, "/").0;
        member.socket.send(message).unwrap();
        assert_eq!(member.close_code(), code);
    }
    // A page of another site is refused, a page of this server is not.
    for (origin, status) in [("http://evil.example", "403"), (&format!("http://{}", server.address()), "101")]
    {
        let mut stream = server.connect();
        let address = server.address();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {address}\r\nOrigin: {origin}\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, format!("HTTP/1.1 {status}").as_bytes());
    }
}

#[test]
fn a_signal_closes_every_member_with_1012_so_that_pages_connect_again() {
    let mut server = start();
    let mut members = [(); 3].map(|()| Member::join(&server, "/").0);
    server.program.signal(libc::SIGTERM);
    for member in &mut members {
        assert_eq!(member.close_code(), 1012);
        while member.socket.read().is_ok() {}
    }
    server.check_end();
}

#[test]
fn each_message_reaches_all_members_and_a_slow_one_is_notified_of_those_it_missed() {
    let server = start();
    let [mut ann, mut ben, mut slow] = [(); 3].map(|()| Member::join(&server, "/").0);
    // Keeps the slow member's receive buffer from growing.
    rustix::net::sockopt::set_socket_recv_buffer_size(&**slow.socket.get_ref(), 128 << 10).unwrap();
    ann.say("begin");
    for member in [&mut ann, &mut ben, &mut slow] {
        assert_eq!(member.hear().1, "begin");
    }
    // More than the system's buffers and the room's bound hold for a member that does not read.
    let (number, text) = (1_200, "x".repeat(16_000));
    for n in 0..number {
        ann.say(&format!("{n} {text}"));
        for member in [&mut ann, &mut ben] {
            assert!(member.hear().1.starts_with(&format!("{n} ")));
        }
    }
    let mut received = 0;
    let missed: usize = loop {
        let message = slow.receive();
        let text = message["text"].as_str().unwrap();
        if message["type"] == "note" {
            let missed = text.strip_prefix("(you missed ").and_then(|rest| rest.strip_suffix(" messages)"));
            break missed.unwrap().parse().unwrap();
        }
        assert!(text.starts_with(&format!("{received} ")), "it receives its messages in order");
        received += 1;
    };
    assert!(missed > 0);
    assert_eq!(received + missed, number);
    // From now on it receives everything again, and the departure of a member has no effect.
    ben.leave();
    ann.say("end");
    assert_eq!(slow.hear().1, "end");
}

#[test]
fn a_member_that_connects_while_no_descriptor_is_free_waits_and_the_room_continues() {
    let few = 40;
    let mut command = example("chat");
    limit_descriptors(&mut command, few);
    // It prints a message each second.
    let server = EchoServer::spawn(command.arg("127.0.0.1:0").stderr(Stdio::null()));
    let [mut ann, mut ben] = [(); 2].map(|()| Member::join(&server, "/").0);
    // More than it can hold; they send nothing.
    let idle: Vec<_> = (0..few).map(|_| server.connect()).collect();
    ann.say("here");
    assert_eq!(ben.hear().1, "here");
    drop(idle);
    let mut late = Member::join(&server, "/").0;
    assert_eq!(late.hear().1, "here");
    late.say("late");
    assert_eq!(ben.hear().1, "late");
}
