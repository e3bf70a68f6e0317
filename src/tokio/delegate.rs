//! An enum of streams as a stream.

/// Implements tokio's `AsyncRead` and `AsyncWrite` for an enum whose variants each have one stream.
macro_rules! delegate_stream {
    ($stream:ident { $($(#[$cfg:meta])* $variant:ident),+ $(,)? }) => {
        impl ::tokio::io::AsyncRead for $stream {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                buffer: &mut ::tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                match self.get_mut() {
                    $($(#[$cfg])* Self::$variant(stream) => std::pin::Pin::new(stream).poll_read(context, buffer),)+
                }
            }
        }

        impl ::tokio::io::AsyncWrite for $stream {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                match self.get_mut() {
                    $($(#[$cfg])* Self::$variant(stream) => std::pin::Pin::new(stream).poll_write(context, bytes),)+
                }
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                pieces: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                match self.get_mut() {
                    $($(#[$cfg])* Self::$variant(stream) => {
                        std::pin::Pin::new(stream).poll_write_vectored(context, pieces)
                    })+
                }
            }

            fn is_write_vectored(&self) -> bool {
                match self {
                    $($(#[$cfg])* Self::$variant(stream) => stream.is_write_vectored(),)+
                }
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                match self.get_mut() {
                    $($(#[$cfg])* Self::$variant(stream) => std::pin::Pin::new(stream).poll_flush(context),)+
                }
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                match self.get_mut() {
                    $($(#[$cfg])* Self::$variant(stream) => std::pin::Pin::new(stream).poll_shutdown(context),)+
                }
            }
        }
    };
}
pub(crate) use delegate_stream;
