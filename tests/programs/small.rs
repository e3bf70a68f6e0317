//! The small examples of a server: a ticker, jobs, metrics.

use crate::programs::{EchoServer, example};
use std::net::TcpStream;
use tungstenite::{Error, Message, WebSocket};

fn start(name: &str) -> EchoServer {
    EchoServer::spawn(example(name).arg("127.0.0.1:0"))
}

fn open(server: &EchoServer, target: &str) -> Result<WebSocket<TcpStream>, u16> {
    match tungstenite::client(format!("{}{target}", server.url()), server.connect()) {
        Ok((client, _)) => Ok(client),
        Err(tungstenite::HandshakeError::Failure(Error::Http(response))) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

fn receive(client: &mut WebSocket<TcpStream>) -> String {
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
