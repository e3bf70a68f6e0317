//! Runs the chat room with members that read, and one that does not for a while.

use crate::programs::{EchoServer, example, limit_descriptors};
use std::net::TcpStream;
use std::process::Stdio;
use tungstenite::{Message, WebSocket};

fn join(server: &EchoServer) -> WebSocket<TcpStream> {
    tungstenite::client(server.url(), server.connect()).unwrap().0
}

fn receive(member: &mut WebSocket<TcpStream>) -> String {
    loop {
        match member.read().unwrap() {
            Message::Text(text) => return text.to_string(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn each_message_reaches_all_members_and_a_slow_one_is_notified_of_those_it_missed() {
    let server = EchoServer::spawn(example("chat").arg("127.0.0.1:0"));
    let [mut ann, mut ben, mut slow] = [(); 3].map(|()| join(&server));
    // Keeps the slow member's receive buffer from growing.
    rustix::net::sockopt::set_socket_recv_buffer_size(slow.get_ref(), 128 << 10).unwrap();
    // Each member waits for its own message, so that all are in the room before the rest is sent, however
    // slowly the third one connected.
    for (name, member) in [("ann", &mut ann), ("ben", &mut ben), ("slow", &mut slow)] {
        member.send(Message::text(name)).unwrap();
        while receive(member) != name {}
    }
    ann.send(Message::text("begin")).unwrap();
    for member in [&mut ann, &mut ben, &mut slow] {
        while receive(member) != "begin" {}
    }
    // More than the system's buffers and the room's bound hold for a member that does not read.
    let (number, text) = (1_200, "x".repeat(16_000));
    for n in 0..number {
        ann.send(Message::text(format!("{n} {text}"))).unwrap();
        for member in [&mut ann, &mut ben] {
            assert!(receive(member).starts_with(&format!("{n} ")));
        }
    }
    let mut received = 0;
    let missed: usize = loop {
        let text = receive(&mut slow);
        match text.strip_prefix("(you missed ").and_then(|rest| rest.strip_suffix(" messages)")) {
            Some(missed) => break missed.parse().unwrap(),
            None => {
                assert!(text.starts_with(&format!("{received} ")), "it receives its messages in order");
                received += 1;
            }
        }
    };
    assert!(missed > 0);
    assert_eq!(received + missed, number);
    // From now on it receives everything again, and the departure of a member has no effect.
    ben.close(None).unwrap();
    drop(ben);
    ann.send(Message::text("end")).unwrap();
    assert_eq!(receive(&mut slow), "end");
}

#[test]
fn a_member_that_connects_while_no_descriptor_is_free_waits_and_the_room_continues() {
    let few = 40;
    let mut command = example("chat");
    limit_descriptors(&mut command, few);
    // It prints a message each time it runs out.
    let server = EchoServer::spawn(command.arg("127.0.0.1:0").stderr(Stdio::null()));
    let [mut ann, mut ben] = [(); 2].map(|()| join(&server));
    // More than it can hold; they send nothing.
    let idle: Vec<_> = (0..few).map(|_| server.connect()).collect();
    ann.send(Message::text("here")).unwrap();
    assert_eq!(receive(&mut ben), "here");
    drop(idle);
    let mut late = join(&server);
    late.send(Message::text("late")).unwrap();
    assert_eq!(receive(&mut ben), "late");
}
