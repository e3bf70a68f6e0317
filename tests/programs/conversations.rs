//! Runs the examples that hold a whole conversation by themselves, and checks their output.

fn printed(example: &str) -> String {
    let output = crate::programs::example(example).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

#[cfg(unix)]
#[test]
fn two_ends_over_a_pair_of_unix_sockets_with_read_and_write() {
    assert_eq!(
        printed("unix_pair"),
        r"server read Text Hello
server read Binary \x01\x02\x03
server read Ping there?
client read Text Hello
client read Binary \x01\x02\x03
client read Pong there?
server read Close \x03\xe8bye
server: closed by the peer with 1000 (normal closure)
client read Close \x03\xe8bye
client: closed by this end with 1000 (normal closure)
server: closed by the peer with 1000 (normal closure)
"
    );
}

/// A client's frames have 6 bytes before each payload, 2 and a masking key of 4; a server's have only 2.
#[test]
fn two_connections_without_a_socket() {
    assert_eq!(
        printed("sans_io"),
        r#"client -> server: 43 bytes
server: Message(Text("Hello"))
server: Ping([116, 104, 101, 114, 101, 63])
server: Message(Binary([1, 2, 3]))
server: Close(CloseFrame { code: CloseCode(1000 (normal closure)), reason: "bye" })
server -> client: 27 bytes
client: Message(Text("Hello"))
client: Pong([116, 104, 101, 114, 101, 63])
client: Message(Binary([1, 2, 3]))
client: Close(CloseFrame { code: CloseCode(1000 (normal closure)), reason: "bye" })
client: Closed(Closed { code: CloseCode(1000 (normal closure)), by: Local, cause: Handshake })
client -> server: 0 bytes
server: Closed(Closed { code: CloseCode(1000 (normal closure)), by: Peer, cause: Handshake })
server -> client: 0 bytes
"#
    );
}
