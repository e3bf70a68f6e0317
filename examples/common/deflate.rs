//! The option `--deflate[=BITS]`: messages are compressed where the peer agrees, each alone, or with
//! BITS (8 to 15) within a window of 2^BITS bytes over earlier ones, in either direction.

use std::sync::Arc;
use websocket_stream::Config;

/// The configuration that the option asks for, with what stands behind its `=`.
#[cfg(feature = "deflate")]
pub(crate) fn config(bits: Option<&str>) -> Result<Arc<Config>, String> {
    use websocket_stream::deflate::{Deflate, Takeover, WindowBits};
    let takeover = match bits {
        None => Takeover::No,
        Some(bits) => match bits.parse().ok().and_then(WindowBits::new) {
            Some(bits) => Takeover::UpTo(bits),
            None => return Err(format!("--deflate={bits}: a window has 8 to 15 bits")),
        },
    };
    let deflate = Deflate { send: takeover, receive: takeover, ..Deflate::default() };
    Ok(Arc::new(Config { deflate: Some(deflate), ..Config::default() }))
}

/// The same without the feature.
#[cfg(not(feature = "deflate"))]
pub(crate) fn config(_bits: Option<&str>) -> Result<Arc<Config>, String> {
    Err("--deflate: this was built without the feature `deflate`".into())
}
