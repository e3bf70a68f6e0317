//! Connecting to a URL under tokio, with the client of this crate.

use super::clock::now;
use super::delegate::delegate_stream;
use super::timers::Timer;
use super::transport::AsyncTransport;
use super::websocket::WebSocket;
use crate::client::{ConnectError, Connector, Dial, Transport, Url, UrlError, Watch};
use crate::stream::{Parts, WebSocketStream, with_thread_scratch};
#[cfg(feature = "rustls")]
use crate::tls::TlsStream;
use ::tokio::net::TcpStream;
#[cfg(unix)]
use ::tokio::net::UnixStream;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

/// Connects to a URL with the defaults of [`Connector`]: `ws://`, and `wss://` with the feature `wss`.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ws = websocket_stream::tokio::connect("ws://example.com/feed").await?;
/// ws.send("subscribe").await?;
/// while let Some(message) = ws.next().await {
///     println!("{}", message?);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`ConnectError`] with the reason.
pub async fn connect<U: TryInto<Url>>(url: U) -> Result<WebSocket<ClientStream>, ConnectError>
where
    U::Error: Into<UrlError>,
{
    connect_with(&Connector::new(), url).await
}

/// Connects to a URL with headers, a proxy, TLS or limits of the program's.
///
/// ```
/// use websocket_stream::client::Connector;
/// use websocket_stream::tokio::{accept, connect_with};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let url = format!("ws://{}/feed", listener.local_addr()?);
/// let connector = Connector::new().no_proxy().header("Authorization", "Bearer 31415926");
/// let server = async { Ok(accept(listener.accept().await?.0).await?) };
/// let (server, client) = tokio::join!(server, connect_with(&connector, url));
/// # let server: Result<_, Box<dyn std::error::Error>> = server;
/// client?.send("hello").await?;
/// assert_eq!(server?.next().await.ok_or("the end")??.as_text(), Some("hello"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`ConnectError`] with the reason.
pub async fn connect_with<U: TryInto<Url>>(
    connector: &Connector,
    url: U,
) -> Result<WebSocket<ClientStream>, ConnectError>
where
    U::Error: Into<UrlError>,
{
    connect_dial(&mut connector.dial(url)?).await
}

/// Finishes a [`Dial`], for a program that needs its [`subprotocol`](Dial::subprotocol) or
/// [`url`](Dial::url) afterwards.
///
/// ```
/// use websocket_stream::Response;
/// use websocket_stream::client::Connector;
/// use websocket_stream::tokio::{accept_with, connect_dial};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let connector = Connector::new().no_proxy().subprotocol("v1").subprotocol("v2");
/// let mut dial = connector.dial(format!("ws://{}/", listener.local_addr()?))?;
/// let server = async {
///     let socket = listener.accept().await?.0;
///     Ok(accept_with(socket, Default::default(), |_| Response::accept().subprotocol("v2")).await?)
/// };
/// let (server, client) = tokio::join!(server, connect_dial(&mut dial));
/// # let server: Result<_, Box<dyn std::error::Error>> = server;
/// # let (_server, _client) = (server?, client?);
/// assert_eq!(dial.subprotocol(), Some("v2"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`ConnectError`] with the reason.
pub async fn connect_dial(dial: &mut Dial) -> Result<WebSocket<ClientStream>, ConnectError> {
    let mut timer = Timer::default();
    loop {
        if let Some(stream) = with_thread_scratch(|scratch| dial.advance(scratch, now()))? {
            return register(stream).map_err(ConnectError::System);
        }
        // The next call may close these descriptors, so they are registered only until then.
        let watches = dial.watches().iter().map(Watched::new).collect::<io::Result<Vec<_>>>();
        let watches = watches.map_err(ConnectError::System)?;
        poll_fn(|context| {
            // Borrowed exclusively: a dial is `Send` but not `Sync`, and the future must be `Send`.
            let dial = &mut *dial;
            let now = now();
            let deadline = dial.next_deadline(now);
            timer.set(deadline, now, context.waker());
            timer.set_waker(context.waker());
            match watches.iter().any(|watch| watch.is_ready(context)) || deadline.is_some_and(|at| at <= now)
            {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

/// A descriptor that a dial waits for.
struct Watched {
    /// A duplicate of the descriptor, of whatever kind, only to wait for it.
    socket: TcpStream,
    read: bool,
    write: bool,
}

impl Watched {
    fn new(watch: &Watch<'_>) -> io::Result<Self> {
        let socket = std::net::TcpStream::from(watch.fd.try_clone_to_owned()?);
        Ok(Self { socket: TcpStream::from_std(socket)?, read: watch.read, write: watch.write })
    }

    fn is_ready(&self, context: &mut Context<'_>) -> bool {
        // An error counts: the dial reports it.
        self.read && self.socket.poll_read_ready(context).is_ready()
            || self.write && self.socket.poll_write_ready(context).is_ready()
    }
}

/// The stream of a client's connection under tokio: [`client::Transport`](Transport) with sockets of tokio's.
///
/// See the example of [`connect`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientStream {
    /// TCP, also through a proxy.
    Tcp(TcpStream),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
    /// TLS, over a socket or over a proxy's TLS.
    #[cfg(feature = "rustls")]
    Tls(Box<TlsStream<AsyncTransport<ClientStream>>>),
}

impl ClientStream {
    /// Registers the socket of a transport with the runtime of this task.
    fn new(transport: Transport) -> io::Result<Self> {
        Ok(match transport {
            Transport::Tcp(socket) => Self::Tcp(TcpStream::from_std(socket)?),
            #[cfg(unix)]
            Transport::Unix(socket) => Self::Unix(UnixStream::from_std(socket)?),
            #[cfg(feature = "rustls")]
            Transport::Tls(tls) => {
                let tls = tls.map_transport(|transport| Self::new(transport).map(AsyncTransport::new))?;
                Self::Tls(Box::new(tls))
            }
        })
    }
}

delegate_stream!(ClientStream {
    Tcp,
    #[cfg(unix)]
    Unix,
    #[cfg(feature = "rustls")]
    Tls,
});

/// Continues an open connection under tokio.
fn register(stream: WebSocketStream<Transport>) -> io::Result<WebSocket<ClientStream>> {
    let Parts { transport, connection, unread, unsent } = stream.into_parts();
    let transport = AsyncTransport::new(ClientStream::new(transport)?);
    WebSocketStream::from_parts(Parts { transport, connection, unread, unsent }).map(WebSocket::from_stream)
}
