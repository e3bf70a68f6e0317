//! Certificates that must not be trusted, peers that agree on nothing, and streams that are cut off: each is
//! an error of its own, before a byte of the request is sent.

use crate::certificates::{Authority, Identity, expired};
use crate::pair::{Pair, text_of};
use rustls::{CertificateError, ConnectionCommon, Error, PeerMisbehaved, SideData};
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use websocket_stream::NonBlockingTransport;
use websocket_stream::tls::TlsStream;
use websocket_stream::transport::testing::memory::{self, MemoryStream};

/// Returns what rustls' own connection has to send.
fn records<Data: SideData>(connection: &mut ConnectionCommon<Data>) -> Vec<u8> {
    let mut records = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut records).unwrap();
    }
    records
}

/// Lets rustls' own connection receive all records, and returns their plaintext.
fn read_all<Data: SideData>(
    transport: &mut MemoryStream,
    connection: &mut ConnectionCommon<Data>,
) -> Vec<u8> {
    let (mut plaintext, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    while let Ok(n @ 1..) = transport.recv(&mut buffer) {
        let mut records = &buffer[..n];
        while !records.is_empty() && connection.read_tls(&mut records).unwrap() > 0 {
            connection.process_new_packets().unwrap();
            let _ = connection.reader().read_to_end(&mut plaintext);
        }
    }
    plaintext
}

/// Makes the handshake with something for the server to read, and returns the client's error.
fn client_error(mut pair: Pair) -> Error {
    assert_eq!(pair.client.send(b"secret").unwrap(), 6);
    let errors = pair.advance();
    let error =
        errors.client.unwrap_or_else(|| panic!("the client trusts it; the server: {:?}", errors.server));
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(pair.server_received, b"", "the request was sent");
    let inner = error.into_inner().unwrap().downcast::<Error>().unwrap();
    // The error stays.
    assert!(pair.client.recv(&mut [0; 10]).is_err());
    assert_eq!(pair.client.send(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
    *inner
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let error = client_error(Pair::new(authority.issue("other.example").server(), authority.client()));
    let Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }) = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(expected.to_str(), "localhost");
    assert!(presented[0].contains("other.example"), "{presented:?}");
}

#[test]
fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let identity = authority.issue_with("localhost", expired);
    let error = client_error(Pair::new(identity.server(), authority.client()));
    assert!(
        matches!(&error, Error::InvalidCertificate(CertificateError::ExpiredContext { .. })),
        "{error:?}"
    );
}

#[test]
fn an_unknown_authority_and_a_self_signed_certificate_are_refused() {
    for identity in [Authority::new().issue("localhost"), Identity::self_signed("localhost")] {
        let error = client_error(Pair::new(identity.server(), Authority::new().client()));
        assert_eq!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer));
    }
}

#[test]
fn a_server_without_a_common_application_protocol_is_refused() {
    let authority = Authority::new();
    let (mut server, mut client) = (authority.issue("localhost").server(), authority.client());
    server.alpn_protocols = vec![b"h2".to_vec()];
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut pair = Pair::new(server, client);
    let errors = pair.advance();
    assert_eq!(text_of(&errors.client), "received fatal alert: NoApplicationProtocol");
    let server = errors.server.unwrap().into_inner().unwrap();
    assert_eq!(*server.downcast::<Error>().unwrap(), Error::NoApplicationProtocol);
}

#[test]
fn the_application_protocol_and_the_certificates_are_reported() {
    let authority = Authority::new();
    let mut server = authority.server_that_asks(authority.issue("localhost"));
    let mut client = authority.client_with(authority.issue("a client"));
    for protocols in [&mut server.alpn_protocols, &mut client.alpn_protocols] {
        *protocols = vec![b"http/1.1".to_vec()];
    }
    let mut pair = Pair::new(server, client);
    pair.advance().none();
    for end in [&pair.client, &pair.server] {
        assert_eq!(end.common_state().alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(end.common_state().peer_certificates().unwrap().len(), 1);
    }
}

#[test]
fn a_client_without_a_certificate_is_refused_by_a_server_that_asks_for_one() {
    let authority = Authority::new();
    let mut pair = Pair::new(authority.server_that_asks(authority.issue("localhost")), authority.client());
    let errors = pair.advance();
    let server = errors.server.unwrap().into_inner().unwrap();
    assert_eq!(*server.downcast::<Error>().unwrap(), Error::NoCertificatesPresented);
    assert!(text_of(&errors.client).contains("fatal alert"), "{:?}", errors.client);
}

#[test]
fn peers_of_one_version_each_work_and_are_refused_by_the_other() {
    use rustls::version::{TLS12, TLS13};
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let mut pair = Pair::new(authority.issue("localhost").server_with(&[version]), authority.client());
        pair.advance().none();
        assert_eq!(pair.server.common_state().protocol_version(), Some(version.version));
        pair.echo(b"hello");
    }
    let client = rustls::ClientConfig::builder_with_protocol_versions(&[&TLS13])
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let mut pair = Pair::new(authority.issue("localhost").server_with(&[&TLS12]), client);
    let errors = pair.advance();
    let server = errors.server.unwrap().into_inner().unwrap().downcast::<Error>().unwrap();
    assert!(matches!(*server, Error::PeerIncompatible(_)), "{server:?}");
    assert!(text_of(&errors.client).contains("fatal alert"), "{:?}", errors.client);
}

#[test]
fn a_session_is_resumed() {
    use rustls::HandshakeKind::{Full, Resumed};
    let authority = Authority::new();
    let server = Arc::new(authority.issue("localhost").server());
    let client = Arc::new(authority.client());
    for expected in [Full, Resumed] {
        let mut pair = Pair::shared(Arc::clone(&server), Arc::clone(&client));
        pair.advance().none();
        // The tickets arrive with the first bytes.
        pair.echo(b"hello");
        assert_eq!(pair.client.common_state().handshake_kind(), Some(expected));
        assert_eq!(pair.server.common_state().handshake_kind(), Some(expected));
    }
}

#[test]
fn data_that_a_client_sends_early_is_received_in_order() {
    let authority = Authority::new();
    let (mut server, mut client) = (authority.issue("localhost").server(), authority.client());
    server.max_early_data_size = 1_000;
    client.enable_early_data = true;
    let (server, client) = (Arc::new(server), Arc::new(client));
    let mut first = Pair::shared(Arc::clone(&server), Arc::clone(&client));
    first.advance().none();
    first.echo(b"hello");

    let mut second = Pair::shared(server, Arc::clone(&client));
    let mut client = rustls::ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
    client.early_data().unwrap().write_all(b"early").unwrap();
    second.client.get_mut().send(&records(&mut client)).unwrap();
    let mut buffer = [0; 10];
    assert_eq!(second.server.recv(&mut buffer).unwrap(), 5);
    assert_eq!(&buffer[..5], b"early");
}

/// A peer that asks for other keys: the record that changes ours goes before the next bytes, for which the
/// buffer has just enough room.
#[test]
fn keys_are_changed_between_messages_of_one_size() {
    let authority = Authority::new();
    let (server, client) = (authority.issue("localhost").server(), Arc::new(authority.client()));
    let (a, mut b) = memory::pair(1 << 20);
    let mut server = TlsStream::server(a, Arc::new(server)).unwrap();
    let mut client = rustls::ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
    let mut buffer = vec![0; 1 << 17];
    let mut exchange = |client: &mut rustls::ClientConnection, received: &mut Vec<u8>| {
        let records = records(client);
        assert_eq!(b.send(&records).unwrap_or(0), records.len());
        let n = match server.recv(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            received => received.unwrap(),
        };
        if n > 0 {
            assert_eq!(server.send(&buffer[..n]).unwrap(), n);
        }
        while let Ok(n) = b.recv(&mut buffer) {
            let mut records = &buffer[..n];
            while !records.is_empty() {
                client.read_tls(&mut records).unwrap();
                client.process_new_packets().unwrap();
                let _ = client.reader().read_to_end(received);
            }
        }
    };
    let mut received = Vec::new();
    while client.is_handshaking() {
        exchange(&mut client, &mut received);
    }
    for size in [5_000, 10_000, 16_384, 20_000, 40_000] {
        for _ in 0..3 {
            received.clear();
            client.writer().write_all(&vec![7; size]).unwrap();
            while received.len() < size {
                exchange(&mut client, &mut received);
            }
            assert_eq!(received, vec![7; size]);
            client.refresh_traffic_keys().unwrap();
        }
    }
}

#[test]
fn either_end_ends_its_direction_and_the_other_one_still_works() {
    let authority = Authority::new();
    let mut pair = Pair::new(authority.issue("localhost").server(), authority.client());
    pair.advance().none();
    pair.client.shutdown_write().unwrap();
    pair.client.shutdown_write().unwrap();
    assert_eq!(pair.client.send(b"late").unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(pair.server.recv(&mut [0; 10]).unwrap(), 0);
    assert_eq!(pair.server.recv(&mut [0; 10]).unwrap(), 0);
    assert_eq!(pair.server.send(b"still here").unwrap(), 10);
    let mut buffer = [0; 20];
    let n = pair.client.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..n], b"still here");
    pair.server.shutdown_write().unwrap();
    assert_eq!(pair.client.recv(&mut buffer).unwrap(), 0);
}

#[test]
fn an_end_that_was_not_announced_is_an_error_after_the_bytes_before_it() {
    let authority = Authority::new();
    let mut pair = Pair::new(authority.issue("localhost").server(), authority.client());
    pair.advance().none();
    pair.client.send(b"hello").unwrap();
    // The transport ends without a notification.
    pair.client.get_mut().shutdown_write().unwrap();
    let mut buffer = [0; 3];
    assert_eq!((pair.server.recv(&mut buffer).unwrap(), &buffer), (3, b"hel"));
    assert!(pair.server.holds_input());
    assert_eq!(pair.server.recv(&mut buffer).unwrap(), 2);
    assert_eq!(pair.server.recv(&mut buffer).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn plain_http_on_a_tls_port_is_answered_and_the_rest_of_it_is_discarded() {
    // The first bytes may have come behind a proxy's header.
    for (flooded, received) in [(false, 0), (true, 0), (false, 1), (true, 10)] {
        let authority = Authority::new();
        let mut pair = Pair::new(authority.issue("localhost").server(), authority.client());
        let mut buffer = [0; 500];
        let (before, start) = b"GET / HTTP/1.1\r\n".split_at(received);
        pair.server = pair.server.with_received(before);
        // The client's first message of TLS is not sent. An error now would close the connection, and what
        // the client sends next would reset it.
        for part in [start, b"Host: localhost\r\n", b"\r\n"] {
            assert_eq!(pair.client.get_mut().send(part).unwrap(), part.len());
            assert_eq!(pair.server.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        let n = pair.client.get_mut().recv(&mut buffer).unwrap();
        assert!(buffer[..n].starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
        assert_eq!(pair.client.get_mut().recv(&mut buffer).unwrap(), 0);
        let mut rounds = 0;
        if !flooded {
            pair.client.get_mut().shutdown_write().unwrap();
        }
        let error = loop {
            if flooded {
                pair.client.get_mut().send(&[b'x'; 1000]).unwrap();
            }
            match pair.server.recv(&mut buffer).unwrap_err() {
                error if error.kind() == ErrorKind::WouldBlock => rounds += 1,
                error => break error,
            }
            assert!(rounds < 1000);
        };
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::InvalidData, "plain HTTP on a TLS port")
        );
        assert_eq!(rounds > 0, flooded);
        assert_eq!(pair.server.recv(&mut buffer).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

#[test]
fn a_refusal_that_has_arrived_is_reported_although_the_answer_to_it_cannot_be_sent() {
    let authority = Authority::new();
    let server = Arc::new(authority.server_that_asks(authority.issue("localhost")));
    let mut pair = Pair::shared(server, Arc::new(authority.client()));
    // The server's flight has arrived, and behind it an alert and the end: it did not wait for the client.
    pair.client.flush().unwrap();
    assert_eq!(pair.server.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    pair.client.get_mut().plan_send([Err(ErrorKind::BrokenPipe)]);
    let error = pair.client.recv(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);

    let mut pair = Pair::new(authority.issue("localhost").server(), authority.client());
    pair.client.flush().unwrap();
    assert_eq!(pair.server.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    // An alert that is not encrypted, as of a server that gives up in the middle of the handshake.
    let mut flight = vec![0; 10_000];
    let n = pair.client.get_mut().recv(&mut flight).unwrap();
    flight.truncate(n);
    flight.extend_from_slice(&[21, 3, 3, 0, 2, 2, 80]);
    pair.server.get_mut().send(&flight).unwrap();
    pair.client.get_mut().plan_send([Err(ErrorKind::BrokenPipe)]);
    let error = pair.client.recv(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
}

#[test]
fn a_message_in_too_many_records_is_refused() {
    let authority = Authority::new();
    let mut pair = Pair::new(authority.issue("localhost").server(), authority.client());
    // A ClientHello of 65,520 bytes, a byte in each record.
    let message = [&[1, 0, 0xFF, 0xF0][..], &[3; 65_516]].concat();
    let records: Vec<u8> = message.iter().flat_map(|&byte| [22, 3, 1, 0, 1, byte]).collect();
    let (mut sent, mut error) = (0, None);
    while error.is_none() {
        let end = records.len().min(sent + 5_000);
        sent += pair.client.get_mut().send(&records[sent..end]).unwrap();
        error = pair.server.recv(&mut [0; 100]).err().filter(|error| error.kind() != ErrorKind::WouldBlock);
    }
    assert!(sent < 100_000, "{sent}");
    assert_eq!(error.unwrap().kind(), ErrorKind::InvalidData);
}

#[test]
fn after_records_that_could_not_be_sent_nothing_more_is_sent() {
    let authority = Authority::new();
    let mut pair = Pair::new(authority.issue("localhost").server(), authority.client());
    pair.advance().none();
    pair.client.get_mut().plan_send([Err(ErrorKind::OutOfMemory)]);
    assert_eq!(pair.client.send(b"lost").unwrap_err().kind(), ErrorKind::OutOfMemory);
    assert_eq!(pair.client.send(b"late").unwrap_err().kind(), ErrorKind::BrokenPipe);
    // What the peer sends is still received.
    pair.server.send(b"hello").unwrap();
    assert_eq!(pair.client.recv(&mut [0; 10]).unwrap(), 5);
}

#[test]
fn a_large_request_waits_for_the_handshake_without_asking_to_be_called() {
    let authority = Authority::new();
    let mut pair = Pair::new(authority.issue("localhost").server(), authority.client());
    let request = vec![7; 300_000];
    assert_eq!(pair.client.send(&request).unwrap(), request.len());
    assert!(!pair.client.wants_write());
    pair.advance().none();
    let mut buffer = vec![0; 100_000];
    while pair.server_received.len() < request.len() {
        if pair.client.wants_write() {
            let _ = pair.client.flush();
        }
        let n = pair.server.recv(&mut buffer).unwrap();
        pair.server_received.extend_from_slice(&buffer[..n]);
    }
    assert!(pair.server_received == request);
}

#[test]
fn a_changed_record_is_refused_and_the_peer_is_alerted() {
    let authority = Authority::new();
    let mut pair = Pair::new(authority.issue("localhost").server(), authority.client());
    pair.advance().none();
    pair.client.get_mut().send(&[23, 3, 3, 0, 32]).unwrap();
    pair.client.get_mut().send(&[0; 32]).unwrap();
    let error = pair.server.recv(&mut [0; 100]).unwrap_err();
    assert_eq!(*error.into_inner().unwrap().downcast::<Error>().unwrap(), Error::DecryptError);
    let alert = pair.client.recv(&mut [0; 100]).unwrap_err();
    assert!(alert.to_string().contains("fatal alert"), "{alert}");
}

#[test]
fn a_server_that_sends_plain_bytes_is_refused() {
    let authority = Authority::new();
    let mut pair = Pair::new(authority.issue("localhost").server(), authority.client());
    pair.server.get_mut().send(b"SSH-2.0-OpenSSH\r\n").unwrap();
    let error = pair.client.recv(&mut [0; 100]).unwrap_err();
    let inner = error.into_inner().unwrap().downcast::<Error>().unwrap();
    assert!(
        matches!(
            *inner,
            Error::InvalidMessage(_)
                | Error::PeerMisbehaved(PeerMisbehaved::IllegalMiddleboxChangeCipherSpec)
        ),
        "{inner:?}"
    );
}

/// Returns a client after its handshake, the server's end of its transport, what encrypts the server's
/// records, and a NewSessionTicket (RFC 8446, section 4.6.1): lifetime, age, nonce, ticket, extensions.
#[allow(clippy::type_complexity, reason = "each part is used once")]
fn extracted()
-> (TlsStream<MemoryStream>, MemoryStream, impl FnMut(rustls::ContentType, &[u8]) -> Vec<u8>, Vec<u8>) {
    use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
    use rustls::{ConnectionTrafficSecrets, ProtocolVersion};

    let authority = Authority::new();
    let (mut server, client) = (authority.issue("localhost").server(), authority.client());
    server.enable_secret_extraction = true;
    let (a, mut b) = memory::pair(4 << 20);
    let mut client = TlsStream::client(a, Arc::new(client), "localhost".try_into().unwrap()).unwrap();
    let mut server = rustls::ServerConnection::new(Arc::new(server)).unwrap();
    let mut buffer = vec![0; 1 << 16];
    client.flush().unwrap();
    while server.is_handshaking() || server.wants_write() {
        while let Ok(n) = b.recv(&mut buffer) {
            server.read_tls(&mut &buffer[..n]).unwrap();
            server.process_new_packets().unwrap();
        }
        b.send(&records(&mut server)).unwrap_or(0);
        assert_eq!(client.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    let suite = server.negotiated_cipher_suite().unwrap().tls13().unwrap();
    let (first, secrets) = server.dangerous_extract_secrets().unwrap().tx;
    let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
    | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
    | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
    else {
        panic!("another cipher")
    };
    let mut encrypter = suite.aead_alg.encrypter(key, iv);
    let ticket = [&b"\x04\x00\x03\xf6\0\0\x0e\x10\0\0\0\0\x01\0\x03\xe8"[..], &[7; 1000], &[0, 0]].concat();
    let mut number = first;
    let record = move |typ, payload: &[u8]| {
        let payload = OutboundChunks::Single(payload);
        let message = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload };
        number += 1;
        encrypter.encrypt(message, number - 1).unwrap().encode()
    };
    (client, b, record, ticket)
}

/// A peer that fills the socket without end must not occupy the thread. rustls itself bounds records without
/// a payload, but not tickets.
#[test]
fn more_than_a_mebibyte_of_records_without_data_is_refused() {
    use rustls::ContentType;

    let (mut client, mut b, mut record, ticket) = extracted();
    let mut buffer = vec![0; 1 << 16];
    // A few are harmless.
    let mut few: Vec<u8> = (0..50).flat_map(|_| record(ContentType::Handshake, &ticket)).collect();
    few.extend(record(ContentType::ApplicationData, b"data"));
    assert_eq!(b.send(&few).unwrap(), few.len());
    assert_eq!(client.recv(&mut buffer).unwrap(), 4);
    let many: Vec<u8> = (0..1_500).flat_map(|_| record(ContentType::Handshake, &ticket)).collect();
    assert_eq!(b.send(&many).unwrap(), many.len());
    let error = client.recv(&mut buffer).unwrap_err();
    assert_eq!(error.to_string(), "too many TLS records without data");
    assert_eq!(client.recv(&mut buffer).unwrap_err().kind(), ErrorKind::InvalidData);
}

/// Little data among many bytes does not occupy the thread either: the call returns, and holds a byte so that
/// it is called again.
#[test]
fn a_call_that_receives_little_data_among_many_records_returns() {
    use rustls::ContentType;

    let (mut client, mut b, mut record, ticket) = extracted();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = record(ContentType::ApplicationData, b"data");
    bytes.extend((0..900).flat_map(|_| record(ContentType::Handshake, &ticket)));
    bytes.extend(record(ContentType::ApplicationData, b"more"));
    assert_eq!(b.send(&bytes).unwrap(), bytes.len());
    assert_eq!(client.recv(&mut buffer).unwrap(), 3);
    assert!(client.holds_input());
    // The byte alone cannot be held again.
    assert_eq!(client.recv(&mut buffer).unwrap(), 4);
    assert!(client.holds_input());
    assert_eq!((client.recv(&mut buffer).unwrap(), buffer[0]), (1, b'e'));
    assert_eq!(client.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    // One byte before too many records: the byte is received, then the error.
    let mut bytes = record(ContentType::ApplicationData, b"x");
    bytes.extend((0..1_500).flat_map(|_| record(ContentType::Handshake, &ticket)));
    assert_eq!(b.send(&bytes).unwrap(), bytes.len());
    assert_eq!(client.recv(&mut buffer).unwrap(), 1);
    assert!(client.holds_input());
    assert_eq!(client.recv(&mut buffer).unwrap_err().to_string(), "too many TLS records without data");
}

/// A health check of a proxy: its header, the request and the end arrive together.
#[test]
fn plain_http_that_was_received_before_is_answered_although_the_client_has_ended() {
    let authority = Authority::new();
    let mut pair = Pair::new(authority.issue("localhost").server(), authority.client());
    pair.server = pair.server.with_received(b"GET / HTTP/1.0\r\n\r\n");
    pair.client.get_mut().shutdown_write().unwrap();
    let mut buffer = [0; 500];
    let error = pair.server.recv(&mut buffer).unwrap_err();
    assert_eq!(error.to_string(), "plain HTTP on a TLS port");
    let n = pair.client.get_mut().recv(&mut buffer).unwrap();
    assert!(buffer[..n].starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
    // Records that are not whole.
    let mut pair = Pair::new(authority.issue("localhost").server(), authority.client());
    pair.server = pair.server.with_received(b"\x16\x03\x01\x01\x00\x01");
    pair.client.get_mut().shutdown_write().unwrap();
    assert_eq!(pair.server.recv(&mut buffer).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

/// What a peer sends behind the announcement of its end is ignored (RFC 8446, section 6.1), whether it
/// arrives with it or later. The other direction continues.
#[test]
fn what_follows_the_announced_end_is_ignored() {
    use rustls::version::{TLS12, TLS13};
    // The tail `None` is a record of data.
    for tail in [None, Some(&b"no record"[..]), Some(&[23, 3, 3, 0, 32]), Some(&[23, 3, 3, 0, 3, 1, 2, 3])] {
        for (version, apart) in [(&TLS12, false), (&TLS12, true), (&TLS13, false), (&TLS13, true)] {
            let case = format!("{:?} {tail:?} {apart}", version.version);
            let authority = Authority::new();
            let config = authority.issue("localhost").server_with(&[version]);
            let (a, mut b) = memory::pair(1 << 20);
            let mut server = TlsStream::server(a, Arc::new(config)).unwrap();
            let (config, name) = (Arc::new(authority.client()), "localhost".try_into().unwrap());
            let mut client = rustls::ClientConnection::new(config, name).unwrap();
            let mut buffer = [0; 100];
            while client.is_handshaking() || client.wants_write() {
                b.send(&records(&mut client)).unwrap_or(0);
                assert_eq!(server.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
                read_all(&mut b, &mut client);
            }
            client.writer().write_all(b"data").unwrap();
            client.send_close_notify();
            let mut sent = records(&mut client);
            let announced = sent.len();
            client.writer().write_all(b"late").unwrap();
            sent.extend(tail.map_or_else(|| records(&mut client), <[u8]>::to_vec));
            assert!(sent.len() > announced);
            if apart {
                server.get_mut().plan_recv([Ok(announced)]);
            }
            assert_eq!(b.send(&sent).unwrap(), sent.len());
            assert_eq!(server.recv(&mut buffer).unwrap(), 4, "{case}");
            assert_eq!(&buffer[..4], b"data");
            assert_eq!(server.recv(&mut buffer).unwrap(), 0, "{case}");
            assert_eq!(server.send(b"answer").unwrap(), 6, "{case}");
            server.shutdown_write().unwrap();
            assert_eq!(read_all(&mut b, &mut client), b"answer", "{case}");
            assert_eq!(client.reader().read(&mut buffer).unwrap(), 0, "{case}");
        }
    }
}
