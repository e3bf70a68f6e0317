//! `wss`: certificates, resumption, and proxies over TLS.

#[path = "../tls/certificates.rs"]
#[allow(dead_code)]
mod certificates;

use crate::servers::{Running, answering, head, proxy_to, serve};
use certificates::{Authority, Identity};
use rustls::{CertificateError, ClientConfig, Error, HandshakeKind};
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc;
use websocket_stream::client::{Blocking, ConnectError, Connector, Proxy, ProxyError, Transport, UrlError};
use websocket_stream::server::Server;

fn server(identity: Identity) -> Running {
    Running::start(Server::bind("127.0.0.1:0").unwrap().tls(identity.server()))
}

fn connector(config: impl Into<Arc<ClientConfig>>, server: &Running) -> Connector {
    Connector::new().no_proxy().tls(config).addresses([server.address])
}

fn tls_error(error: ConnectError) -> Error {
    assert!(!error.can_retry(), "{error}");
    error.tls().unwrap_or_else(|| panic!("{error}")).clone()
}

#[test]
fn a_trusted_server_is_reached_by_its_name_and_its_session_is_resumed() {
    let authority = Authority::new();
    let server = server(authority.issue("localhost"));
    let connector = connector(authority.client(), &server);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut client = Blocking::new(connector.connect("wss://localhost/a").unwrap());
        client.send("?").unwrap();
        assert_eq!(client.next().unwrap().unwrap().as_text(), Some("localhost /a auth=None cookie=None"));
        let Transport::Tls(tls) = client.get_ref().get_ref() else { panic!() };
        assert_eq!(tls.common_state().handshake_kind(), Some(expected));
        assert_eq!(tls.common_state().alpn_protocol(), Some(&b"http/1.1"[..]));
        client.close(websocket_stream::CloseCode::NORMAL, "").unwrap();
    }
}

#[test]
fn an_untrusted_server_is_refused_with_the_reason() {
    let authority = Authority::new();
    let server_for = |identity| {
        let server = server(identity);
        tls_error(connector(authority.client(), &server).connect("wss://localhost/").unwrap_err())
    };
    let error = server_for(authority.issue("other.example"));
    assert!(
        matches!(error, Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })),
        "{error}"
    );
    let error = server_for(authority.issue_with("localhost", certificates::expired));
    assert!(matches!(error, Error::InvalidCertificate(CertificateError::ExpiredContext { .. })), "{error}");
    let error = server_for(Identity::self_signed("localhost"));
    assert_eq!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer));
}

#[test]
fn the_systems_certificates_do_not_include_the_tests_own() {
    let server = server(Authority::new().issue("localhost"));
    let connector = Connector::new().no_proxy().addresses([server.address]);
    match connector.connect("wss://localhost/").unwrap_err() {
        // A machine without any trusted certificates.
        ConnectError::TlsConfig(_) => {}
        error => drop(tls_error(error)),
    }
}

#[test]
fn a_redirect_from_wss_to_ws_is_not_followed() {
    let authority = Authority::new();
    let config = Arc::new(authority.issue("localhost").server());
    let address = serve(move |socket| {
        let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(tls, socket);
        head(&mut stream);
        stream.write_all(b"HTTP/1.1 301 Moved\r\nLocation: http://localhost/\r\n\r\n").unwrap();
    });
    let connector = Connector::new().no_proxy().tls(authority.client()).addresses([address]).redirects(5);
    let error = connector.connect("wss://localhost/").unwrap_err();
    assert!(matches!(error, ConnectError::Redirect { .. }), "{error}");
}

#[test]
fn a_host_for_which_tls_has_no_name_is_refused_before_anything_is_connected() {
    let address = serve(|_| panic!("connected"));
    let connector = || Connector::new().no_proxy().tls(Authority::new().client());
    let error = connector().addresses([address]).dial("wss://a!b/").unwrap_err();
    assert!(matches!(error, ConnectError::Url(UrlError::Host)), "{error}");
    let proxy: Proxy = "https://a!b:1".parse().unwrap();
    let error = connector().proxy(proxy).dial("ws://localhost/").unwrap_err();
    assert!(matches!(&error, ConnectError::Proxy { error: ProxyError::Host, .. }), "{error}");
    assert!(!error.can_retry());
}

#[test]
fn a_plain_server_behind_wss_is_refused() {
    let address = answering("HTTP/1.1 400 Bad Request\r\n\r\n");
    let connector = Connector::new().no_proxy().tls(Authority::new().client()).addresses([address]);
    // The server waits for the head of a request, which TLS never sends, so that it answers only at the end.
    let error =
        connector.timeout(std::time::Duration::from_millis(200)).connect("wss://localhost/").unwrap_err();
    assert!(matches!(error, ConnectError::Timeout), "{error}");
    let speaking = serve(|mut socket| {
        let _ = socket.write_all(b"220 mail.example ESMTP\r\n");
        let _ = std::io::copy(&mut socket, &mut std::io::sink());
    });
    let connector = Connector::new().no_proxy().tls(Authority::new().client()).addresses([speaking]);
    let error = tls_error(connector.connect("wss://localhost/").unwrap_err());
    assert!(matches!(error, Error::InvalidMessage(_)), "{error}");
}

#[test]
fn tls_goes_through_a_proxy_that_itself_uses_tls() {
    let authority = Authority::new();
    let server = server(authority.issue("localhost"));
    let (target, config) = (server.address, Arc::new(authority.issue("127.0.0.1").server()));
    let (sender, requests) = mpsc::channel();
    let proxy = serve(move |socket| {
        // Decrypts on a socket pair of its own, so that bytes can be relayed.
        let (sender, config) = (sender.clone(), Arc::clone(&config));
        std::thread::spawn(move || {
            let tls = rustls::ServerConnection::new(config).unwrap();
            let mut stream = rustls::StreamOwned::new(tls, socket);
            sender.send(head(&mut stream)).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let mut server = TcpStream::connect(target).unwrap();
            pump(&mut stream, &mut server);
        });
    });
    let proxy: Proxy = format!("https://{proxy}").parse().unwrap();
    let connector = Connector::new().tls(authority.client()).proxy(proxy);
    let mut client = Blocking::new(connector.connect("wss://localhost/through").unwrap());
    assert!(requests.recv().unwrap().starts_with("CONNECT localhost:443 HTTP/1.1\r\n"));
    client.send("?").unwrap();
    assert_eq!(client.next().unwrap().unwrap().as_text(), Some("localhost /through auth=None cookie=None"));
    let large = "x".repeat(200_000);
    client.send(&large).unwrap();
    assert!(client.next().unwrap().unwrap().as_text() == Some(&large));
}

/// Copies what there is, in turn, until one side has ended.
fn pump(client: &mut rustls::StreamOwned<rustls::ServerConnection, TcpStream>, server: &mut TcpStream) {
    use std::io::{ErrorKind, Read};
    let patience = Some(std::time::Duration::from_millis(1));
    client.sock.set_read_timeout(patience).unwrap();
    server.set_read_timeout(patience).unwrap();
    let mut buffer = [0; 20_000];
    let waits = |kind| matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut);
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => server.write_all(&buffer[..n]).unwrap(),
            Err(error) if waits(error.kind()) => {}
            Err(_) => return,
        }
        match server.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => client.write_all(&buffer[..n]).unwrap(),
            Err(error) if waits(error.kind()) => {}
            Err(_) => return,
        }
    }
}

#[test]
fn wss_goes_through_a_plain_proxy_and_the_name_is_the_servers() {
    let authority = Authority::new();
    let server = server(authority.issue("localhost"));
    let proxy: Proxy = format!("http://{}", proxy_to(server.address)).parse().unwrap();
    let connector = Connector::new().tls(authority.client()).proxy(proxy);
    let mut client = Blocking::new(connector.connect("wss://localhost/").unwrap());
    client.send("hello").unwrap();
    assert_eq!(client.next().unwrap().unwrap().as_text(), Some("hello"));
}
