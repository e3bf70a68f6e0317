//! TLS of this crate as a stream of tokio's.

use super::transport::AsyncTransport;
use super::wakers::Side;
use crate::tls::TlsStream;
use crate::transport::NonBlockingTransport;
use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

/// TLS over any stream of tokio's, which keeps no buffers while it is idle.
///
/// A handshake advances only while the stream is polled for reading or shut down, or flushed after bytes were
/// written. Bytes that are written before its end are kept, and follow it. A
/// [`WebSocket`](crate::tokio::WebSocket) polls in both directions.
///
/// ```
/// use std::sync::Arc;
/// use tokio::net::TcpStream;
/// use websocket_stream::tls::{TlsStream, rustls::ServerConfig};
/// use websocket_stream::tokio::{AsyncTransport, WebSocket, accept};
///
/// type Tls = TlsStream<AsyncTransport<TcpStream>>;
///
/// async fn open(
///     socket: TcpStream,
///     config: Arc<ServerConfig>,
/// ) -> Result<WebSocket<Tls>, Box<dyn std::error::Error>> {
///     let tls = TlsStream::server(AsyncTransport::new(socket), config)?;
///     Ok(accept(tls).await?)
/// }
/// # let _ = open;
/// ```
impl<S: AsyncRead + AsyncWrite + Unpin + 'static> AsyncRead for TlsStream<AsyncTransport<S>> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tls = self.get_mut();
        let was_handshaking = tls.common_state().is_handshaking();
        let received = tls.polled(Side::Receiver, context, |tls| {
            let received = tls.recv(buffer.initialize_unfilled());
            // An error is reported by the next call that sends.
            let _ = tls.flush();
            received
        });
        if was_handshaking && !tls.common_state().is_handshaking() {
            // A task may wait that could send no more before its end.
            tls.get_mut().wake(Side::Sender);
        }
        received.map_ok(|n| buffer.advance(n))
    }
}

/// See [`AsyncRead`].
impl<S: AsyncRead + AsyncWrite + Unpin + 'static> AsyncWrite for TlsStream<AsyncTransport<S>> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().polled(Side::Sender, context, |tls| tls.send(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().polled(Side::Sender, context, |tls| tls.send_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().polled(Side::Sender, context, |tls| {
            tls.finish_handshake()?;
            tls.flush()
        })
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().polled(Side::Sender, context, |tls| {
            // A second call has no effect (law 7).
            tls.shutdown_write()?;
            tls.finish_handshake()?;
            tls.flush()
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> TlsStream<AsyncTransport<S>> {
    /// Makes a call for a task, which is woken when the call can be repeated. Either direction may have to
    /// wait for the other one of the stream below, which therefore wakes both tasks.
    fn polled<R>(
        &mut self,
        side: Side,
        context: &mut Context<'_>,
        call: impl FnOnce(&mut Self) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.get_mut().begin_for(side, context);
        match call(self) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
            result => {
                self.get_mut().end(side);
                Poll::Ready(result)
            }
        }
    }
}
