//! The contestants: the servers of this program, and those that may be installed on the machine.

use crate::child;
use crate::compression::Compression;
use crate::servers::{BuiltIn, Mode, Plan};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contestant {
    pub name: &'static str,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    BuiltIn(BuiltIn),
    /// A script in `peers/`, and the program that runs it.
    Script {
        with: PathBuf,
        name: &'static str,
    },
    /// A program that was compiled from `peers/beast.cpp`.
    Beast(PathBuf),
}

/// The floor of all comparisons.
pub const FLOOR: &str = "raw";
/// The floor over TLS: with this library's TLS transport.
pub const TLS_FLOOR: &str = "raw-tls";
/// A floor with rustls' own stream, which has buffers.
pub const BUFFERED_FLOOR: &str = "raw-rustls";
/// This library.
pub const OURS: &str = "ours";
/// This library's own server.
pub const OURS_SERVER: &str = "ours-server";
/// This library under tokio, with a handler.
pub const OURS_TOKIO: &str = "ours-tokio";
/// This library under tokio, with messages that own their payload.
pub const OURS_TOKIO_OWNED: &str = "ours-tokio-owned";
/// This library in axum.
pub const OURS_AXUM: &str = "ours-axum";
/// This library in a minimal loop.
const BARE: &str = "ours-bare";
pub const BUN: &str = "bun (uWebSockets)";
/// Bun with its defaults, in the workloads in which the others may refer to earlier messages.
const BUN_ALONE: &str = "bun, no takeover";
const WS: &str = "ws (npm)";
const TUNGSTENITE: &str = "tungstenite-mio";
pub const TOKIO_TUNGSTENITE: &str = "tokio-tungstenite";
/// tokio-tungstenite with its default read buffer, also with thousands of connections.
const TOKIO_TUNGSTENITE_DEFAULT: &str = "tokio-tungstenite, default";
const FASTWEBSOCKETS: &str = "fastwebsockets";
const TOKIO_WEBSOCKETS: &str = "tokio-websockets";
const YAWC: &str = "yawc";
const SOCKUDO: &str = "sockudo-ws";

const BUILT_IN: [(&str, BuiltIn); 18] = [
    (FLOOR, BuiltIn::Raw),
    (TLS_FLOOR, BuiltIn::RawTls),
    (BUFFERED_FLOOR, BuiltIn::RawRustls),
    (OURS, BuiltIn::Ours),
    (OURS_SERVER, BuiltIn::OursServer),
    (OURS_TOKIO, BuiltIn::OursTokio),
    (OURS_TOKIO_OWNED, BuiltIn::OursTokioOwned),
    (OURS_AXUM, BuiltIn::OursAxum),
    (BARE, BuiltIn::Bare),
    (TUNGSTENITE, BuiltIn::TungsteniteMio),
    (TOKIO_TUNGSTENITE, BuiltIn::TokioTungstenite),
    (TOKIO_TUNGSTENITE_DEFAULT, BuiltIn::TokioTungsteniteDefault),
    ("axum", BuiltIn::Axum),
    (FASTWEBSOCKETS, BuiltIn::Fastwebsockets),
    (TOKIO_WEBSOCKETS, BuiltIn::TokioWebsockets),
    ("soketto", BuiltIn::Soketto),
    (YAWC, BuiltIn::Yawc),
    (SOCKUDO, BuiltIn::Sockudo),
];

/// The servers that compress. This library does so if the program is built with the feature.
const COMPRESSING: [&str; 8] = [OURS, OURS_TOKIO, OURS_AXUM, YAWC, SOCKUDO, BUN, BUN_ALONE, WS];
/// The servers that are compared over TLS.
const OVER_TLS: [&str; 12] = [
    TLS_FLOOR,
    BUFFERED_FLOOR,
    OURS,
    OURS_SERVER,
    OURS_TOKIO,
    TUNGSTENITE,
    TOKIO_TUNGSTENITE,
    FASTWEBSOCKETS,
    TOKIO_WEBSOCKETS,
    YAWC,
    SOCKUDO,
    BUN,
];

/// Returns whether the server with this name has no protocol above TCP or TLS.
pub fn is_floor(name: &str) -> bool {
    [FLOOR, TLS_FLOOR, BUFFERED_FLOOR].contains(&name)
}

/// Returns whether the server with this name is this library's.
pub fn is_ours(name: &str) -> bool {
    [OURS, OURS_SERVER, OURS_TOKIO, OURS_TOKIO_OWNED, OURS_AXUM, BARE].contains(&name)
}

/// Returns this program's server with this name.
pub fn built_in(name: &str) -> Option<BuiltIn> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, server)| *server)
}

/// Returns all contestants that can run here, and the reason for each that cannot.
pub fn all() -> (Vec<Contestant>, Vec<String>) {
    let mut here: Vec<Contestant> =
        BUILT_IN.iter().map(|&(name, server)| Contestant { name, kind: Kind::BuiltIn(server) }).collect();
    let mut missing = Vec::new();
    let mut script = |name, found: Option<PathBuf>, file| match found {
        Some(with) => here.push(Contestant { name, kind: Kind::Script { with, name: file } }),
        None => missing.push(format!("{name} is not installed: ./install-peers.sh installs it")),
    };
    let bun = installed(".bin/bun").or_else(|| on_path("bun"));
    script(BUN, bun.clone(), "bun.js");
    script(BUN_ALONE, bun, "bun.js");
    script(WS, installed("ws/package.json").and_then(|_| on_path("node")), "ws.js");
    match beast() {
        Ok(program) => here.push(Contestant { name: "boost-beast", kind: Kind::Beast(program) }),
        Err(why) => missing.push(format!("boost-beast: {why}")),
    }
    (here, missing)
}

impl Contestant {
    /// Returns the command that starts it.
    pub fn command(&self, plan: Plan) -> std::io::Result<Command> {
        let mut command;
        match &self.kind {
            Kind::BuiltIn(_) => {
                command = Command::new(program(plan.compression)?);
                command.args(["server", self.name]);
            }
            Kind::Script { with, name } => {
                command = Command::new(with);
                command.arg(folder().join("peers").join(name));
            }
            Kind::Beast(program) => command = Command::new(program),
        }
        command.args(child::arguments(plan));
        Ok(command)
    }

    /// Returns the compression that it is offered in a workload.
    pub fn compression(&self, workload: Compression) -> Compression {
        match workload {
            Compression::Takeover if self.name == BUN_ALONE => Compression::Alone,
            _ => workload,
        }
    }

    /// Returns whether it supports this plan and is compared in it.
    pub fn takes_part(&self, plan: Plan) -> bool {
        // npm's ws is compared only with compression.
        let not_plain = [TLS_FLOOR, BUFFERED_FLOOR, BUN_ALONE, WS];
        match plan.compression {
            // It is compared for its memory. With few connections, tokio-tungstenite itself has this buffer.
            compression if self.name == TOKIO_TUNGSTENITE_DEFAULT => {
                plan.many && plan.mode == Mode::Echo && compression == Compression::Off
            }
            _ if plan.tls => OVER_TLS.contains(&self.name),
            Compression::Off => !not_plain.contains(&self.name),
            // It would be measured twice.
            Compression::Alone if self.name == BUN_ALONE => false,
            _ => COMPRESSING.contains(&self.name),
        }
    }

    /// Returns whether it is only counted: it is not a realistic server.
    pub fn is_only_counted(&self) -> bool {
        self.name == BARE
    }

    /// Returns whether it has no protocol above TCP or TLS.
    pub fn is_raw(&self) -> bool {
        is_floor(self.name)
    }
}

/// Returns the directory of this package.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns a file of a package that `install-peers.sh` installed.
fn installed(file: &str) -> Option<PathBuf> {
    Some(folder().join("target/peers/node_modules").join(file)).filter(|file| file.is_file())
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|program| program.is_file())
}

/// Returns the program whose servers support this compression: this program, or a build of it with the
/// feature, which cargo updates if something has changed.
fn program(compression: Compression) -> std::io::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if compression == Compression::Off || cfg!(feature = "deflate") {
        return std::env::current_exe();
    }
    let build = || {
        eprintln!("\nbuilding the servers that compress");
        let target = folder().join("target/deflate");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--release", "--quiet", "--features", "deflate", "--target-dir"])
            .arg(&target)
            .current_dir(folder())
            .status()
            .map_err(|error| format!("cargo could not be run: {error}"))?;
        if status.success() { Ok(target.join("release/compare")) } else { Err("they do not build".into()) }
    };
    BUILT.get_or_init(build).clone().map_err(std::io::Error::other)
}

/// Compiles Beast's server, again if its source is newer.
fn beast() -> Result<PathBuf, String> {
    let (source, program) = (folder().join("peers/beast.cpp"), folder().join("target/peers/beast"));
    let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if changed(&program).is_some_and(|built| Some(built) >= changed(&source)) {
        return Ok(program);
    }
    if !Path::new("/usr/include/boost/beast.hpp").is_file() {
        return Err("its headers are not installed: ./install-peers.sh installs them".into());
    }
    eprintln!("compiling boost-beast's server");
    std::fs::create_dir_all(folder().join("target/peers")).map_err(|error| error.to_string())?;
    let compiled = Command::new("g++")
        .args(["-std=c++17", "-O3", "-flto", "-DNDEBUG", "-pthread", "-o"])
        .arg(&program)
        .arg(&source)
        .status();
    match compiled {
        Ok(status) if status.success() => Ok(program),
        Ok(_) => Err("g++ could not compile it".into()),
        Err(error) => Err(format!("g++ could not be run: {error}")),
    }
}
