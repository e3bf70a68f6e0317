//! Who is compared: the servers of this program, and those that the machine may have.

use crate::child;
use crate::servers::{BuiltIn, Mode, Plan};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contestant {
    pub name: &'static str,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    BuiltIn(BuiltIn),
    /// A script that this program interprets.
    Bun(PathBuf),
    /// A program that was compiled from `peers/beast.cpp`.
    Beast(PathBuf),
}

/// The floor that all are measured against.
pub const FLOOR: &str = "raw";
/// This library.
pub const OURS: &str = "ours";

const BUILT_IN: [(&str, BuiltIn); 7] = [
    (FLOOR, BuiltIn::Raw),
    (OURS, BuiltIn::Ours),
    ("tungstenite-mio", BuiltIn::TungsteniteMio),
    ("tokio-tungstenite", BuiltIn::TokioTungstenite),
    ("fastwebsockets", BuiltIn::Fastwebsockets),
    ("tokio-websockets", BuiltIn::TokioWebsockets),
    ("soketto", BuiltIn::Soketto),
];

/// The server of this program that has this name.
pub fn built_in(name: &str) -> Option<BuiltIn> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, server)| *server)
}

/// All that can be run here, and for each that cannot, why.
pub fn all() -> (Vec<Contestant>, Vec<String>) {
    let mut here: Vec<Contestant> =
        BUILT_IN.iter().map(|&(name, server)| Contestant { name, kind: Kind::BuiltIn(server) }).collect();
    let mut missing = Vec::new();
    match bun() {
        Some(program) => here.push(Contestant { name: "bun (uWebSockets)", kind: Kind::Bun(program) }),
        None => missing.push("bun (uWebSockets) is not installed: ./install-peers.sh installs it".into()),
    }
    match beast() {
        Ok(program) => here.push(Contestant { name: "boost-beast", kind: Kind::Beast(program) }),
        Err(why) => missing.push(format!("boost-beast: {why}")),
    }
    (here, missing)
}

impl Contestant {
    /// What starts it.
    pub fn command(&self, plan: Plan) -> std::io::Result<Command> {
        let mut command;
        match &self.kind {
            Kind::BuiltIn(_) => {
                command = Command::new(std::env::current_exe()?);
                command.args(child::arguments(self.name, plan));
            }
            Kind::Bun(program) => {
                command = Command::new(program);
                command.arg("run").arg(folder().join("peers/bun.js"));
            }
            Kind::Beast(program) => command = Command::new(program),
        }
        if !matches!(self.kind, Kind::BuiltIn(_)) && plan.mode == Mode::Broadcast {
            command.arg("--broadcast");
        }
        Ok(command)
    }

    /// Whether it knows no protocol.
    pub fn is_raw(&self) -> bool {
        self.name == FLOOR
    }
}

/// Where this package lies.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The one that `install-peers.sh` installed, or any on the path.
fn bun() -> Option<PathBuf> {
    let installed = folder().join("target/peers/node_modules/.bin/bun");
    if installed.is_file() {
        return Some(installed);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("bun")).find(|program| program.is_file())
}

/// Compiled once, and anew when its source is newer.
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
