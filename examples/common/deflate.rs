//! The option `--deflate[=BITS]`: compresses messages if the peer agrees. Each message is compressed on its
//! own; with BITS (8 to 15), it may refer to earlier ones within a window of 2^BITS bytes, in both
//! directions.

use std::sync::Arc;
use websocket_stream::Config;

/// Returns the configuration for the option, given the value after its `=`.
#[cfg(feature = "deflate")]
pub(crate) fn config(bits: Option<&str>) -> Result<Arc<Config>, String> {
    use websocket_stream::deflate::{Deflate, WindowBits};
    let window = match bits {
        None => None,
        Some(bits) => match bits.parse().ok().and_then(WindowBits::new) {
            Some(window) => Some(window),
            None => return Err(format!("--deflate={bits}: a window has 8 to 15 bits")),
        },
    };
    let deflate = Deflate::default().send_window(window).receive_window(window);
    Ok(Arc::new(Config::default().deflate(deflate)))
}

/// Without the feature, reports that it is missing.
#[cfg(not(feature = "deflate"))]
pub(crate) fn config(_bits: Option<&str>) -> Result<Arc<Config>, String> {
    Err("--deflate: this was built without the feature `deflate`".into())
}
