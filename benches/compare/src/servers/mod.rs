//! The servers: one thread each, in a separate process, selected by a subcommand.

mod axum;
mod bare;
mod fastwebsockets;
mod listen;
mod ours;
mod ours_axum;
mod ours_server;
mod ours_tokio;
mod raw;
mod secure;
mod socket;
mod sockudo;
mod soketto;
mod tokio_tungstenite;
mod tokio_websockets;
mod tungstenite_mio;
mod yawc;

use crate::compression::Compression;
use crate::sys;
use socket2::{Domain, Socket, Type};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

/// A server's reaction to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Echoes it.
    Echo,
    /// Sends it to every connection.
    Broadcast,
}

/// A server's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    pub mode: Mode,
    /// Thousands of connections with few messages, for servers that have a setting for this.
    pub many: bool,
    pub compression: Compression,
    pub tls: bool,
}

/// A server that runs in a child process of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltIn {
    Raw,
    RawTls,
    RawRustls,
    Ours,
    OursServer,
    OursTokio,
    OursTokioOwned,
    OursAxum,
    Bare,
    TungsteniteMio,
    TokioTungstenite,
    /// With its default buffers in every workload.
    TokioTungsteniteDefault,
    Axum,
    Fastwebsockets,
    TokioWebsockets,
    Soketto,
    Yawc,
    Sockudo,
}

impl BuiltIn {
    /// Listens, prints its port to the standard output, and serves until it is ended.
    pub fn run(self, plan: Plan) -> io::Result<()> {
        sys::die_with_parent()?;
        sys::raise_open_files()?;
        let listener = listen_anywhere()?;
        println!("{}", listener.local_addr()?.port());
        io::stdout().flush()?;
        match self {
            Self::Raw => raw::serve(listener, plan.mode, Ok::<TcpStream, _>),
            Self::RawTls => raw::serve(listener, plan.mode, secure::unbuffered()?),
            Self::RawRustls => raw::serve(listener, plan.mode, secure::buffered::<TcpStream>()?),
            Self::Ours if plan.tls => ours::serve(listener, plan, secure::unbuffered()?),
            Self::Ours => ours::serve(listener, plan, Ok::<TcpStream, _>),
            Self::OursServer => ours_server::serve(listener, plan),
            Self::OursTokio => on_timed_tokio(ours_tokio::serve(listener, plan, ours_tokio::Style::Run)),
            Self::OursTokioOwned => {
                on_timed_tokio(ours_tokio::serve(listener, plan, ours_tokio::Style::Owned))
            }
            Self::OursAxum => on_timed_tokio(ours_axum::serve(listener, plan)),
            Self::Bare => bare::serve(&listener),
            Self::TungsteniteMio if plan.tls => tungstenite_mio::serve(listener, plan, secure::buffered()?),
            Self::TungsteniteMio => tungstenite_mio::serve(listener, plan, Ok),
            Self::TokioTungstenite => on_tokio(tokio_tungstenite::serve(listener, plan)),
            Self::TokioTungsteniteDefault => {
                on_tokio(tokio_tungstenite::serve(listener, Plan { many: false, ..plan }))
            }
            // It waits with a timer when a connection cannot be accepted.
            Self::Axum => on_timed_tokio(axum::serve(listener, plan.mode)),
            Self::Fastwebsockets => on_tokio(fastwebsockets::serve(listener, plan)),
            Self::TokioWebsockets => on_tokio(tokio_websockets::serve(listener, plan)),
            Self::Soketto => on_tokio(soketto::serve(listener, plan.mode)),
            Self::Yawc => on_tokio(yawc::serve(listener, plan)),
            // It waits for a peer's end with a timer.
            Self::Sockudo => on_timed_tokio(sockudo::serve(listener, plan)),
        }
    }
}

fn listen_anywhere() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

fn on_tokio(server: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    runtime().build()?.block_on(server)
}

fn on_timed_tokio(server: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    runtime().enable_time().build()?.block_on(server)
}

/// Returns a runtime for one thread, with only I/O enabled.
fn runtime() -> tokio::runtime::Builder {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_io();
    builder
}
