//! The chat room, with members that listen and one that does not for a while.

mod programs;

use programs::{EchoServer, example};
use std::net::TcpStream;
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
    // So that all are in the room, however slowly the third one came.
    for member in [&mut ann, &mut ben, &mut slow] {
        member.send(Message::text("here")).unwrap();
        while hear(member) != "here" {}
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
