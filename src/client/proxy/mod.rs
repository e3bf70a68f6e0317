//! Proxies: which one a connection goes through, and how it asks for its tunnel.

mod connect;
mod environment;
mod error;
mod setting;
mod socks5;
mod tunnel;

pub(super) use environment::Environment;
pub use error::ProxyError;
pub(super) use setting::Kind;
pub use setting::Proxy;
pub use tunnel::Tunnel;
