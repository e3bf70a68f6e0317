//! Connections over TLS.

#[path = "../../examples/tls_pair/localhost.rs"]
mod localhost;

use crate::real::run_echo;
use tokio::net::{TcpListener, TcpStream};
use websocket_stream::CloseCode;
use websocket_stream::client::Connector;
use websocket_stream::tls::TlsStream;
use websocket_stream::tokio::{AsyncTransport, accept, connect_with};

async fn serve(socket: TcpStream) {
    let tls = TlsStream::server(AsyncTransport::new(socket), localhost::server().unwrap()).unwrap();
    run_echo(accept(tls).await.unwrap()).await;
}

#[tokio::test]
async fn messages_are_echoed_over_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    let connector = Connector::new().no_proxy().tls(localhost::client().unwrap()).addresses([address]);
    let mut ws = connect_with(&connector, "wss://localhost/").await.unwrap();
    for size in [0, 1, 16_384, 1 << 20] {
        ws.send(vec![3; size]).await.unwrap();
        assert_eq!(ws.next().await.unwrap().unwrap().as_bytes().len(), size);
    }
    assert!(ws.close(CloseCode::NORMAL, "").await.unwrap().is_clean());
    drop(ws);
    serving.await.unwrap();
}
