//! Runs tungstenite as a client of the echo server that cargo built.

use crate::programs::EchoServer;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{Frame, Utf8Bytes};
use tungstenite::{Message, WebSocket};

fn echo(client: &mut WebSocket<impl std::io::Read + std::io::Write>, message: Message) {
    client.send(message.clone()).unwrap();
    assert!(client.read().unwrap() == message, "a different message was echoed");
}

pub(crate) fn converse(mut client: WebSocket<impl std::io::Read + std::io::Write>) {
    echo(&mut client, Message::text("héllo €"));
    for size in [0, 1, 125, 126, 65535, 65536, 1 << 20] {
        let bytes: Vec<u8> = (0..size).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect();
        echo(&mut client, Message::binary(bytes));
        echo(&mut client, Message::text("x".repeat(size)));
    }

    // Cut in the middle of a character, with a ping between the fragments.
    let euro = "€".as_bytes();
    let fragment = |bytes: &[u8], opcode, fin| Message::Frame(Frame::message(bytes.to_vec(), opcode, fin));
    client.write(fragment(&euro[..1], OpCode::Data(Data::Text), false)).unwrap();
    client.write(Message::Ping(b"between".to_vec().into())).unwrap();
    client.write(fragment(&euro[1..2], OpCode::Data(Data::Continue), false)).unwrap();
    client.write(fragment(&euro[2..], OpCode::Data(Data::Continue), true)).unwrap();
    client.flush().unwrap();
    assert_eq!(client.read().unwrap(), Message::Pong(b"between".to_vec().into()));
    assert_eq!(client.read().unwrap(), Message::text("€"));

    let close = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static("done") };
    client.close(Some(close)).unwrap();
    let Message::Close(Some(answer)) = client.read().unwrap() else { panic!("no Close frame") };
    assert_eq!(answer.code, CloseCode::Normal);
    assert!(matches!(client.read(), Err(tungstenite::Error::ConnectionClosed)));
}

#[test]
fn tungstenite_converses_with_the_echo_server_over_tcp() {
    let server = EchoServer::start(&["127.0.0.1:0"]);
    let (client, _) = tungstenite::client(server.url(), server.connect()).unwrap();
    converse(client);
    server.stop();
}

#[cfg(unix)]
#[test]
fn tungstenite_converses_with_the_echo_server_over_a_unix_socket() {
    let socket = crate::programs::SocketPath::new();
    let server = EchoServer::start(&["--unix", socket.as_str()]);
    let stream = std::os::unix::net::UnixStream::connect(socket.as_str()).unwrap();
    let (client, _) = tungstenite::client("ws://localhost/", stream).unwrap();
    converse(client);
    server.stop();
}
