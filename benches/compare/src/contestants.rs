//! Who is compared: the servers of this program, and those that the machine may have.

use crate::child;
use crate::compression::Compression;
use crate::servers::{BuiltIn, Plan};
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
    /// A script of `peers/`, and the program that runs it.
    Script {
        with: PathBuf,
        name: &'static str,
    },
    /// A program that was compiled from `peers/beast.cpp`.
    Beast(PathBuf),
}

/// The floor that all are measured against.
pub const FLOOR: &str = "raw";
/// This library.
pub const OURS: &str = "ours";
/// The same in the least of loops.
const BARE: &str = "ours-bare";
pub const BUN: &str = "bun (uWebSockets)";
pub const WS: &str = "ws (npm)";
const YAWC: &str = "yawc";
const SOCKUDO: &str = "sockudo-ws";

const BUILT_IN: [(&str, BuiltIn); 10] = [
    (FLOOR, BuiltIn::Raw),
    (OURS, BuiltIn::Ours),
    (BARE, BuiltIn::Bare),
    ("tungstenite-mio", BuiltIn::TungsteniteMio),
    ("tokio-tungstenite", BuiltIn::TokioTungstenite),
    ("fastwebsockets", BuiltIn::Fastwebsockets),
    ("tokio-websockets", BuiltIn::TokioWebsockets),
    ("soketto", BuiltIn::Soketto),
    (YAWC, BuiltIn::Yawc),
    (SOCKUDO, BuiltIn::Sockudo),
];

/// Those that compress. The servers of this program do it in one that was built with its feature.
const COMPRESSING: [&str; 5] = [OURS, YAWC, SOCKUDO, BUN, WS];
/// Those that are compared only where they compress.
const ONLY_COMPRESSING: [&str; 3] = [YAWC, SOCKUDO, WS];

/// The server of this program that has this name.
pub fn built_in(name: &str) -> Option<BuiltIn> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, server)| *server)
}

/// All that can be run here, and for each that cannot, why.
pub fn all() -> (Vec<Contestant>, Vec<String>) {
    let mut here: Vec<Contestant> =
        BUILT_IN.iter().map(|&(name, server)| Contestant { name, kind: Kind::BuiltIn(server) }).collect();
    let mut missing = Vec::new();
    let mut script = |name, found: Option<PathBuf>, file| match found {
        Some(with) => here.push(Contestant { name, kind: Kind::Script { with, name: file } }),
        None => missing.push(format!("{name} is not installed: ./install-peers.sh installs it")),
    };
    script(BUN, installed(".bin/bun").or_else(|| on_path("bun")), "bun.js");
    script(WS, installed("ws/package.json").and_then(|_| on_path("node")), "ws.js");
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

    /// Whether it can do that, and is compared at it.
    pub fn takes_part(&self, plan: Plan) -> bool {
        match plan.compression {
            Compression::Off => !ONLY_COMPRESSING.contains(&self.name),
            _ => COMPRESSING.contains(&self.name),
        }
    }

    /// Whether it is there to be counted only: no server that anybody would run.
    pub fn is_only_counted(&self) -> bool {
        self.name == BARE
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

/// A file of a package that `install-peers.sh` installed.
fn installed(file: &str) -> Option<PathBuf> {
    Some(folder().join("target/peers/node_modules").join(file)).filter(|file| file.is_file())
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|program| program.is_file())
}

/// The program whose servers do this: this one, or where they compress and it does not, itself built
/// with the feature for it, which cargo does anew when something has changed.
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
