//! The chat's link to other servers, without its program: its bounds, and a Redis that misbehaves.
#![allow(dead_code, reason = "the program uses the rest")]

#[path = "../examples/chat/chat.rs"]
mod chat;
#[path = "../examples/common/http.rs"]
mod http;
#[path = "../examples/chat/link.rs"]
mod link;
#[path = "../examples/chat/protocol.rs"]
mod protocol;
#[path = "../examples/chat/redis_link.rs"]
mod redis_link;
#[path = "../examples/chat/rooms.rs"]
mod rooms;

use link::{Item, Link};
use rooms::Rooms;
use serde_json::json;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use websocket_stream::Message;
use websocket_stream::server::{Failure, Handle, HandleError, Handler, Peer, Server, ServerConfig};

const ROOM: &str = "/tea";

/// Only a guard against hanging forever.
const HANG: Duration = Duration::from_secs(120);

/// Nobody connects to it.
struct Nobody;

impl Handler for Nobody {
    type Session = ();

    fn message(&mut self, _: &mut Peer<'_>, _: &mut (), _: Message<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

fn link_of(server: &Server) -> (Link, Arc<Mutex<Rooms>>) {
    let rooms = Arc::<Mutex<Rooms>>::default();
    chat::lock(&rooms).prepare(ROOM);
    (Link::new(server.handle(), Arc::clone(&rooms), "here".into()), rooms)
}

/// A message from another server: large, so that a room keeps only the last one.
fn from_elsewhere(number: usize) -> String {
    let text = format!("{number} {}", "x".repeat(40 << 10));
    json!({"type": "message", "id": "there-1", "name": "Ann", "text": text, "time": 0}).to_string()
}

/// Returns the number of the last message that was delivered.
fn last(rooms: &Mutex<Rooms>) -> usize {
    let rooms = chat::lock(rooms);
    let message: serde_json::Value = serde_json::from_str(rooms.history(ROOM).last().unwrap()).unwrap();
    message["text"].as_str().unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// Returns when the event loop has done what was sent to it before.
fn wait_for_event_loop(handle: &Handle) {
    let (done, is_done) = channel();
    let run = |done: Sender<()>| handle.run(move |_| done.send(()).unwrap());
    while run(done.clone()) == Err(HandleError::Full) {
        thread::yield_now();
    }
    is_done.recv_timeout(HANG).unwrap();
}

/// Delivers many messages to an event loop that does not run yet, and then one to the running one. Returns
/// how many of them it has received.
fn deliver_many(config: ServerConfig) -> usize {
    let server = Server::without_listener().config(config);
    let (handle, (link, rooms)) = (server.handle(), link_of(&server));
    for number in 0..500 {
        link.deliver(ROOM, from_elsewhere(number).as_bytes()).unwrap();
    }
    let event_loop = thread::spawn(move || server.run(Nobody));
    wait_for_event_loop(&handle);
    let received = last(&rooms) + 1;
    // Nothing is on the way any more, so there is room again.
    link.deliver(ROOM, from_elsewhere(500).as_bytes()).unwrap();
    wait_for_event_loop(&handle);
    assert_eq!(last(&rooms), 500);
    handle.shut_down(Duration::ZERO).unwrap();
    event_loop.join().unwrap().unwrap();
    received
}

#[test]
fn what_comes_from_other_servers_is_bounded_while_the_event_loop_is_busy() {
    let received = deliver_many(ServerConfig::default());
    assert_eq!(received, (16 << 20) / from_elsewhere(100).len());
}

#[test]
fn a_message_that_a_full_mailbox_refuses_takes_no_room() {
    assert!(deliver_many(ServerConfig::default().mailbox(1000)) < 10);
}

#[test]
fn rooms_that_come_and_go_leave_the_queue_to_messages() {
    let server = Server::without_listener();
    let link = link_of(&server).0;
    for number in 0..1000 {
        let room = format!("/{number}").into();
        link.enter(&room);
        link.leave(&room);
    }
    link.send(&ROOM.into(), "hello".to_owned());
    let items = link.take_items().unwrap();
    let mut wakes = 0;
    let message = loop {
        match items.try_recv().unwrap() {
            Item::Wake => wakes += 1,
            Item::Message { json, .. } => break json,
        }
    };
    assert_eq!((wakes, &*message), (1, "hello"));
    // What changes after that is reported again.
    assert!(link.take_changed());
    link.enter(&ROOM.into());
    assert!(matches!(items.try_recv(), Ok(Item::Wake)) && link.take_changed());
}

/// Listens as Redis does, and answers each command as the function does; with `None`, not at all. At the end
/// of a connection, the command is empty. Returns the URL.
fn fake_redis(answer: impl Fn(&[String]) -> Option<String> + Send + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            thread::spawn(move || serve(&stream.unwrap(), answer));
        }
    });
    url
}

fn serve(mut stream: &TcpStream, answer: impl Fn(&[String]) -> Option<String>) {
    let mut parser = redis::Parser::new();
    while let Ok(command) = parser.parse_value(stream) {
        let command: Vec<String> = redis::from_redis_value(command).unwrap();
        if let Some(answer) = answer(&command) {
            // If it fails, the end follows.
            let _ = stream.write_all(answer.as_bytes());
        }
    }
    answer(&[]);
}

fn subscribed_to(channel: &str) -> String {
    format!("*3\r\n$9\r\nsubscribe\r\n${}\r\n{channel}\r\n:1\r\n", channel.len())
}

fn message_of(channel: &str, payload: &str) -> String {
    let (channel_len, len) = (channel.len(), payload.len());
    format!("*3\r\n$7\r\nmessage\r\n${channel_len}\r\n{channel}\r\n${len}\r\n{payload}\r\n")
}

#[test]
fn a_redis_that_refuses_to_publish_is_asked_less_and_less_often() {
    let (asked, attempts) = channel();
    let url = fake_redis(move |command| match command {
        [name, ..] if name == "PUBLISH" => {
            // The test may have ended.
            let _ = asked.send(Instant::now());
            Some("-NOPERM not allowed\r\n".to_owned())
        }
        [name, channel] if name == "SUBSCRIBE" => Some(subscribed_to(channel)),
        _ => Some("+OK\r\n".to_owned()),
    });
    let server = Server::without_listener();
    let link = link_of(&server).0;
    redis_link::start(&url, &link).unwrap();
    let times = [(); 5].map(|()| attempts.recv_timeout(HANG).unwrap());
    // A half of 50, 100, 200 and 400 milliseconds.
    assert!(times[4] - times[0] >= Duration::from_millis(375), "{times:?}");
    assert!(!link.is_up());
}

#[test]
fn a_redis_that_refuses_to_subscribe_is_not_linked() {
    let (reported, commands) = channel();
    let url = fake_redis(move |command| {
        let name = command.first().map_or("", |name| name);
        // The test may have ended.
        let _ = reported.send(name.to_owned());
        Some(match name {
            "SUBSCRIBE" => "-NOPERM not allowed\r\n".to_owned(),
            "PUBLISH" => ":0\r\n".to_owned(),
            _ => "+OK\r\n".to_owned(),
        })
    });
    let server = Server::without_listener();
    let link = link_of(&server).0;
    redis_link::start(&url, &link).unwrap();
    let wait_for = |wanted: &str| while commands.recv_timeout(HANG).unwrap() != wanted {};
    wait_for("SUBSCRIBE");
    for room in ["/a", "/b", "/c"] {
        link.enter(&room.into());
        wait_for("PUBLISH");
        assert!(!link.is_up());
    }
}

#[test]
fn a_silent_redis_is_left_at_once() {
    let (reported, commands) = channel();
    let url = fake_redis(move |command| {
        let name = command.first().map_or("", |name| name);
        // The test may have ended.
        let _ = reported.send((name.to_owned(), Instant::now()));
        match command {
            // The message for a server that has ended makes the subscriber leave.
            [_, channel] if name == "SUBSCRIBE" && channel.contains(":room:") => {
                Some(subscribed_to(channel) + &message_of(channel, &from_elsewhere(0)))
            }
            [_, channel] if name == "SUBSCRIBE" => Some(subscribed_to(channel)),
            _ if name.ends_with("UNSUBSCRIBE") => None,
            _ if name == "PUBLISH" => Some(":1\r\n".to_owned()),
            _ => Some("+OK\r\n".to_owned()),
        }
    });
    let link = link_of(&Server::without_listener()).0;
    link.enter(&ROOM.into());
    redis_link::start(&url, &link).unwrap();
    let time_of = |wanted: &str| loop {
        let (name, time) = commands.recv_timeout(HANG).unwrap();
        if name == wanted {
            return time;
        }
    };
    let (last_command, end) = (time_of("PUNSUBSCRIBE"), time_of(""));
    assert!(end - last_command < Duration::from_secs(10), "it waits for an answer");
}
