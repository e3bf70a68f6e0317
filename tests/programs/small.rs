//! The small examples of a server: a ticker, jobs, metrics.

use crate::programs::{Connection, EchoServer, example};
use tungstenite::{Error, Message, WebSocket};

fn start(name: &str) -> EchoServer {
    EchoServer::spawn(example(name).arg("127.0.0.1:0"))
}

fn open(server: &EchoServer, target: &str) -> Result<WebSocket<Connection>, u16> {
    match tungstenite::client(format!("{}{target}", server.url()), server.connect()) {
        Ok((client, _)) => Ok(client),
        Err(tungstenite::HandshakeError::Failure(Error::Http(response))) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

fn receive(client: &mut WebSocket<Connection>) -> String {
    client.read().unwrap().into_text().unwrap().to_string()
}

#[test]
fn the_ticker_publishes_numbers_in_order_to_everyone() {
    let server = start("ticker");
    let mut clients = [(); 2].map(|()| open(&server, "/").unwrap());
    for client in &mut clients {
        let ticks = [(); 2].map(|()| receive(client).parse::<u64>().unwrap());
        assert_eq!(ticks[0] + 1, ticks[1]);
    }
}

#[test]
fn jobs_are_answered_later_to_the_client_that_asked() {
    let server = start("jobs");
    assert_eq!(open(&server, "/").unwrap_err(), 403);
    assert_eq!(open(&server, "/?pass=sesame").unwrap_err(), 403);
    let [mut ann, mut ben] = [(); 2].map(|()| open(&server, "/?pass=open+sesame").unwrap());
    for number in ["91", "97", "1", "0"] {
        ann.send(Message::text(number)).unwrap();
    }
    ben.send(Message::text("1000003")).unwrap();
    assert_eq!([(); 4].map(|()| receive(&mut ann)), ["7", "97", "1", "0"]);
    assert_eq!(receive(&mut ben), "1000003");
    // Closed with 1003, and the others are not affected.
    ben.send(Message::binary(vec![1])).unwrap();
    let Message::Close(Some(close)) = ben.read().unwrap() else { panic!("no Close frame") };
    assert_eq!(u16::from(close.code), 1003);
    ann.send(Message::text("22")).unwrap();
    assert_eq!(receive(&mut ann), "2");
}

#[test]
fn large_primes_of_one_client_do_not_delay_the_admission_of_others() {
    let server = start("jobs");
    let mut slow = open(&server, "/?pass=open+sesame").unwrap();
    slow.send(Message::text("18446744073709551557")).unwrap();
    // The pong follows when the number is in the queue.
    slow.send(Message::Ping(Default::default())).unwrap();
    assert!(slow.read().unwrap().is_pong());
    assert_eq!(open(&server, "/").unwrap_err(), 403);
    open(&server, "/?pass=open+sesame").unwrap();
}

#[test]
fn metrics_are_served_as_prometheus_reads_them() {
    let server = start("metrics");
    let mut client = open(&server, "/").unwrap();
    for text in ["hello", "again"] {
        client.send(Message::text(text)).unwrap();
        assert_eq!(receive(&mut client), text);
    }
    let answer = server.get("/metrics");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4"), "{head}");
    for line in [
        "websocket_connections{state=\"open\"} 1",
        "websocket_requests_total{result=\"opened\"} 1",
        "websocket_messages_total{direction=\"in\"} 2",
        "websocket_payload_bytes_total{direction=\"out\"} 10",
    ] {
        assert!(body.lines().any(|other| other == line), "{line} is missing: {body}");
    }
    // Every line is a comment about a family, or a sample of the family before it.
    let mut family = "";
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")) {
            family = rest.split(' ').next().unwrap();
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(name.split('{').next().unwrap(), family);
            value.parse::<u64>().unwrap();
        }
    }
    assert!(server.get("/").starts_with("HTTP/1.1 404 "));
}

#[test]
fn a_room_of_the_axum_chat_receives_what_a_member_says_also_after_all_have_left() {
    let server = start("axum_chat");
    let page = server.request("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("new WebSocket("), "{page}");
    for _ in 0..2 {
        let [mut ann, mut ben, mut eve] =
            ["/rooms/tea", "/rooms/tea", "/rooms/coffee"].map(|room| open(&server, room).unwrap());
        // A member that has received its own message has joined. One that was faster received others before.
        for (member, text) in [(&mut ann, "ann"), (&mut ben, "ben")] {
            member.send(Message::text(text)).unwrap();
            while receive(member) != text {}
        }
        eve.send(Message::text("eve")).unwrap();
        assert_eq!(receive(&mut eve), "eve");
        assert_eq!(receive(&mut ann), "ben");
        ann.send(Message::binary("x".repeat(5000))).unwrap();
        assert!(matches!(ann.read().unwrap(), Message::Close(Some(frame)) if u16::from(frame.code) == 1009));
    }
}

#[test]
fn connections_of_axum_continue_on_the_event_loop_with_their_room() {
    let server = start("hand_over");
    assert!(
        server
            .request("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .ends_with("rooms: /rooms/NAME\n")
    );
    let [mut ann, mut ben, mut eve] =
        ["/rooms/tea", "/rooms/tea", "/rooms/coffee"].map(|room| open(&server, room).unwrap());
    // A pong arrives when the member has joined.
    for member in [&mut ann, &mut ben, &mut eve] {
        member.send(Message::Ping(Default::default())).unwrap();
        assert!(member.read().unwrap().is_pong());
    }
    ann.send(Message::text("hello")).unwrap();
    assert_eq!(receive(&mut ben), "hello");
    eve.send(Message::text("alone")).unwrap();
    assert_eq!(receive(&mut eve), "alone");
}
