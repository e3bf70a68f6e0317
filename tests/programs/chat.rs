//! The chat room, with members that listen and one that does not for a while.

use crate::programs::{EchoServer, example, limit_descriptors};
use std::net::TcpStream;
use std::process::Stdio;
use tungstenite::{Message, WebSocket};

fn join(server: &EchoServer) -> WebSocket<TcpStream> {
    tungstenite::client(server.url(), server.connect()).unwrap().0
}

fn hear(member: &mut WebSocket<TcpStream>) -> String {
    loop {
        match member.read().unwrap() {
            Message::Text(text) => return text.to_string(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_one_says_all_hear_and_one_who_is_too_slow_is_told_what_it_missed() {
    let server = EchoServer::spawn(example("chat").arg("127.0.0.1:0"));
    let [mut ann, mut ben, mut slow] = [(); 3].map(|()| join(&server));
    // What its system holds for the slow one does not grow.
    rustix::net::sockopt::set_socket_recv_buffer_size(slow.get_ref(), 128 << 10).unwrap();
    // So that all are in the room, however slowly the third one came, and all of this is said before the rest:
    // each waits for its own words.
    for (name, member) in [("ann", &mut ann), ("ben", &mut ben), ("slow", &mut slow)] {
        member.send(Message::text(name)).unwrap();
        while hear(member) != name {}
    }
    ann.send(Message::text("begin")).unwrap();
    for member in [&mut ann, &mut ben, &mut slow] {
        while hear(member) != "begin" {}
    }
    // More than the system's buffers and the room's bound take for one who does not read.
    let (number, text) = (1_200, "x".repeat(16_000));
    for n in 0..number {
        ann.send(Message::text(format!("{n} {text}"))).unwrap();
        for member in [&mut ann, &mut ben] {
            assert!(hear(member).starts_with(&format!("{n} ")));
        }
    }
    let mut heard = 0;
    let missed: usize = loop {
        let text = hear(&mut slow);
        match text.strip_prefix("(you missed ").and_then(|rest| rest.strip_suffix(" messages)")) {
            Some(missed) => break missed.parse().unwrap(),
            None => {
                assert!(text.starts_with(&format!("{heard} ")), "it hears what it hears in order");
                heard += 1;
            }
        }
    };
    assert!(missed > 0);
    assert_eq!(heard + missed, number);
    // From now on it hears all again; and who leaves is missed by nobody.
    ben.close(None).unwrap();
    drop(ben);
    ann.send(Message::text("end")).unwrap();
    assert_eq!(hear(&mut slow), "end");
}

#[test]
fn who_comes_while_no_descriptor_is_free_waits_and_the_room_goes_on() {
    let few = 40;
    let mut command = example("chat");
    limit_descriptors(&mut command, few);
    // It tells of each time that it has none.
    let server = EchoServer::spawn(command.arg("127.0.0.1:0").stderr(Stdio::null()));
    let [mut ann, mut ben] = [(); 2].map(|()| join(&server));
    // More than it can have, who say nothing.
    let idle: Vec<_> = (0..few).map(|_| server.connect()).collect();
    ann.send(Message::text("here")).unwrap();
    assert_eq!(hear(&mut ben), "here");
    drop(idle);
    let mut late = join(&server);
    late.send(Message::text("late")).unwrap();
    assert_eq!(hear(&mut ben), "late");
}
