//! A whole conversation on a script, in both roles. The input is cut at every byte and the output is refused
//! at every byte, in every pair of places: events and bytes must not change.

use std::io::ErrorKind::WouldBlock;
use websocket_stream::Limits;
use websocket_stream::frame::Header;
use websocket_stream::handshake::{ClientHandshake, ClientRequest, Response, ServerHandshake};
use websocket_stream::transport::testing::scripted::{Scripted, Step};
use websocket_stream::{
    CloseCode, Event, Initiator, Message, OpCode, Progress, Ready, Role, Scratch, ServerOpening, Wants,
    WebSocketStream,
};

const OURS: [u8; 4] = [9, 8, 7, 6];
const PEERS: [u8; 4] = [0xde, 0xad, 0xbe, 0xef];

fn frame(opcode: OpCode, fin: bool, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    crate::framed::frame(Header { fin, mask, ..Header::new(opcode, 0) }, payload)
}

/// The effect of a frame's last byte.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Nothing,
    Echo,
    Pong,
    Close,
}

/// The peer's bytes: the end of each frame, the answer to it, and the event that reports it.
struct Conversation {
    wire: Vec<u8>,
    answers: Vec<(usize, Answer, Vec<u8>)>,
    events: Vec<String>,
}

impl Conversation {
    fn new(role: Role) -> Self {
        let (ours, peers) = match role {
            Role::Server => (None, Some(PEERS)),
            Role::Client => (Some(OURS), None),
        };
        let text = "héllo €";
        let binary = [7; 126];
        let mut made = Self { wire: vec![], answers: vec![], events: vec![] };
        let mut say = |opcode, fin, payload: &[u8], answer, reply: Option<(OpCode, &[u8])>| {
            made.wire.extend(frame(opcode, fin, payload, peers));
            let reply = reply.map_or(vec![], |(opcode, payload)| frame(opcode, true, payload, ours));
            made.answers.push((made.wire.len(), answer, reply));
        };
        // Cut within characters, with a ping in between.
        say(OpCode::Text, false, &text.as_bytes()[..2], Answer::Nothing, None);
        say(OpCode::Ping, true, b"1", Answer::Pong, Some((OpCode::Pong, b"1")));
        say(OpCode::Continuation, false, &text.as_bytes()[2..8], Answer::Nothing, None);
        let whole = Some((OpCode::Text, text.as_bytes()));
        say(OpCode::Continuation, true, &text.as_bytes()[8..], Answer::Echo, whole);
        say(OpCode::Binary, true, &binary, Answer::Echo, Some((OpCode::Binary, &binary)));
        say(OpCode::Pong, true, b"", Answer::Nothing, None);
        say(OpCode::Ping, true, b"2", Answer::Pong, Some((OpCode::Pong, b"2")));
        say(OpCode::Text, true, b"", Answer::Echo, Some((OpCode::Text, b"")));
        say(OpCode::Close, true, b"\x03\xe8bye", Answer::Close, Some((OpCode::Close, b"\x03\xe8bye")));
        made.events = vec![
            "Ping([49])".into(),
            format!("Message(Text({text:?}))"),
            format!("Message(Binary({binary:?}))"),
            "Pong([])".into(),
            "Ping([50])".into(),
            "Message(Text(\"\"))".into(),
            "Close(\"bye\")".into(),
            "Closed".into(),
        ];
        made
    }

    /// Returns the answers once the bytes from `start` to `end` have arrived. Pings that arrive while older
    /// bytes block the output are answered by the newest pong, directly before the Close frame.
    fn answered(&self, start: usize, end: usize, blocked: bool) -> Vec<u8> {
        let come = self.answers.iter().filter(|(at, ..)| (start + 1..=end).contains(at));
        let (mut bytes, mut pong) = (Vec::new(), &[][..]);
        for (_, answer, reply) in come {
            match answer {
                Answer::Pong if blocked => pong = reply,
                Answer::Close => bytes.extend([pong, reply].concat()),
                _ => bytes.extend(reply),
            }
        }
        bytes
    }
}

/// The script of one conversation, and an event loop's calls.
#[derive(Default)]
struct Plan {
    steps: Vec<Step>,
    calls: Vec<Ready>,
    /// Bytes that are accepted but not sent.
    pending: Vec<u8>,
}

impl Plan {
    /// Sends these bytes to a transport that takes `room` more.
    fn send(&mut self, bytes: &[u8], room: &mut usize) {
        let taken = bytes.len().min(*room);
        if taken > 0 {
            self.steps.push(Step::Expect(bytes[..taken].to_vec()));
        } else if !bytes.is_empty() {
            self.steps.push(Step::FailSend(WouldBlock));
        }
        *room -= taken;
        self.pending.extend(&bytes[taken..]);
    }

    /// The input arrives in two pieces, and the transport takes only `room` bytes before it refuses.
    fn new(role: Role, conversation: &Conversation, cut: usize, mut room: usize) -> Self {
        let mut plan = Self::default();
        let end = conversation.wire.len();
        for (from, to) in [(0, cut), (cut, end)] {
            plan.calls.push(Ready::READABLE);
            if from == to {
                plan.steps.push(Step::FailRecv(WouldBlock));
                continue;
            }
            plan.steps.push(Step::Give(conversation.wire[from..to].to_vec()));
            let blocked = !plan.pending.is_empty();
            let answer = conversation.answered(from, to, blocked);
            if blocked { plan.pending.extend(answer) } else { plan.send(&answer, &mut room) }
        }
        if !plan.pending.is_empty() {
            plan.calls.extend([Ready::WRITABLE; 2]);
            plan.steps.extend([Step::FailSend(WouldBlock), Step::Expect(plan.pending.clone())]);
        }
        // A client lets the server end the stream first.
        if role == Role::Server {
            plan.steps.push(Step::ShutdownWrite);
            // If the input arrived in one piece, the first of the two calls may already be the last one.
            if cut == end && plan.pending.is_empty() {
                plan.steps.swap_remove(plan.steps.len() - 2);
                plan.steps.push(Step::FailRecv(WouldBlock));
            }
        }
        plan.steps.push(Step::End);
        if role == Role::Client {
            plan.steps.push(Step::ShutdownWrite);
        }
        plan.calls.push(Ready::READABLE);
        plan
    }
}

/// Makes the calls. Returns the events as text.
fn make(stream: &mut WebSocketStream<&mut Scripted>, calls: &[Ready]) -> (Vec<String>, Wants) {
    let mut scratch = Scratch::with_keys(Box::new(|| OURS));
    let mut events = Vec::new();
    let mut wants = None;
    for &ready in calls {
        let now = stream.drive(&mut scratch.at(0), ready, |event, out| {
            events.push(match event {
                Event::Close(frame) => format!("Close({:?})", frame.reason),
                Event::Closed(end) => {
                    assert_eq!((end.code, end.by), (CloseCode::NORMAL, Initiator::Peer));
                    assert!(end.is_clean());
                    "Closed".into()
                }
                other => format!("{other:?}"),
            });
            match event {
                Event::Message(message) => out.send(message),
                _ => Ok(()),
            }
        });
        let now = now.unwrap();
        assert_eq!(now.write, stream.unsent() > 0);
        wants = Some(now);
    }
    (events, wants.unwrap())
}

#[test]
fn no_cut_of_the_input_and_no_refusal_of_the_output_changes_a_conversation() {
    for role in [Role::Server, Role::Client] {
        let conversation = Conversation::new(role);
        let replies = conversation.answered(0, conversation.wire.len(), false).len();
        for cut in 0..=conversation.wire.len() {
            for room in 0..=replies {
                let plan = Plan::new(role, &conversation, cut, room);
                let mut script = Scripted::new(plan.steps);
                let mut stream = WebSocketStream::with_config(&mut script, role, Default::default()).unwrap();
                let (events, wants) = make(&mut stream, &plan.calls);
                assert!(events == conversation.events, "{role:?} {cut} {room}: {events:?}");
                assert!(wants.closed, "{role:?} {cut} {room}");
                assert_eq!((stream.heap_bytes(), stream.unsent()), (0, 0));
                script.finish().unwrap_or_else(|broken| panic!("{role:?} {cut} {room}: {broken}"));
            }
        }
    }
}

#[test]
fn a_payload_sent_without_a_copy_may_be_refused_at_every_byte() {
    let payload: Vec<u8> = (0..5000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let wire = [
        frame(OpCode::Text, true, b"before", Some(PEERS)),
        frame(OpCode::Binary, true, &payload, Some(PEERS)),
        frame(OpCode::Text, true, b"after", Some(PEERS)),
    ]
    .concat();
    let first =
        [frame(OpCode::Text, true, b"before", None), frame(OpCode::Binary, true, &payload, None)].concat();
    let second = frame(OpCode::Text, true, b"after", None);
    for room in 0..=first.len() {
        let mut steps = vec![Step::Give(wire.clone())];
        let rest = [&first[room..], &second].concat();
        let calls: &[Ready] = match room {
            0 => {
                steps.extend([Step::FailSend(WouldBlock), Step::Expect(rest)]);
                &[Ready::READABLE, Ready::WRITABLE]
            }
            _ if room == first.len() => {
                steps.extend([Step::Expect(first.clone()), Step::Expect(rest)]);
                &[Ready::READABLE]
            }
            _ => {
                steps.extend([Step::Expect(first[..room].to_vec()), Step::FailSend(WouldBlock)]);
                steps.push(Step::Expect(rest));
                &[Ready::READABLE, Ready::WRITABLE, Ready::WRITABLE]
            }
        };
        let mut script = Scripted::new(steps);
        let mut stream = WebSocketStream::new(&mut script).unwrap();
        let (events, wants) = make(&mut stream, calls);
        assert_eq!((events.len(), wants.write, stream.heap_bytes()), (3, false, 0), "{room}");
        script.finish().unwrap_or_else(|broken| panic!("{room}: {broken}"));
    }
}

#[test]
fn no_cut_of_a_request_and_no_refusal_of_the_response_changes_the_stream() {
    let mut head = Vec::new();
    let request = ClientRequest::new("localhost", "/");
    ClientHandshake::new(request, [7; 16], &Limits::default()).unwrap().write_request(&mut head);
    let mut response = Vec::new();
    let mut handshake = ServerHandshake::new(&Limits::default());
    handshake.receive(&head).unwrap();
    handshake.answer(&Response::accept(), &mut response).unwrap();
    let behind = frame(OpCode::Text, true, b"behind the head", Some(PEERS));
    let all = [&head[..], &behind].concat();

    for cut in 0..all.len() {
        // The cuts of the request are combined with a few refusals, and the refusals with a few cuts.
        for sent in (0..=response.len()).filter(|sent| cut % 16 == 0 || sent % 16 == 0) {
            let whole = cut >= head.len();
            let mut steps = vec![Step::Give(all[..cut].to_vec())];
            if !whole {
                steps.extend([Step::FailRecv(WouldBlock), Step::Give(all[cut..].to_vec())]);
            }
            if sent < response.len() {
                steps.extend([Step::Expect(response[..sent].to_vec()), Step::FailSend(WouldBlock)]);
            }
            steps.push(Step::Expect(response[sent % response.len()..].to_vec()));
            if whole {
                steps.push(Step::Give(all[cut..].to_vec()));
            }
            // The first call receives until nothing is left: no poller announces bytes that arrived before
            // it.
            steps.push(Step::FailRecv(WouldBlock));
            steps.push(Step::Expect(frame(OpCode::Text, true, b"behind the head", None)));
            let mut script = Scripted::new(steps);
            let mut scratch = Scratch::new();
            let mut opening = ServerOpening::new(&mut script).unwrap();
            let mut calls = 0;
            loop {
                match opening.advance(&mut scratch.at(0)).unwrap() {
                    Progress::Pending(_) => {}
                    Progress::Decide(request) => {
                        assert_eq!(request.path(), "/");
                        opening.answer(&Response::accept()).unwrap();
                    }
                    Progress::Open => break,
                    Progress::Answered { .. } => unreachable!(),
                }
                calls += 1;
                assert!(calls < 6, "{cut} {sent}");
            }
            let mut stream = opening.into_stream().unwrap();
            let mut received = 0;
            let ready = Ready::READABLE;
            let result = stream.drive(&mut scratch.at(0), ready, |event, out| match event {
                Event::Message(Message::Text(text)) => {
                    received += 1;
                    assert_eq!(text, "behind the head");
                    out.send(text)
                }
                _ => Ok(()),
            });
            assert!(!result.unwrap().closed);
            assert_eq!(received, 1, "{cut} {sent}");
            drop(stream);
            script.finish().unwrap_or_else(|broken| panic!("{cut} {sent}: {broken}"));
        }
    }
}
