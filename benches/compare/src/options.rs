//! The command line.

use crate::compression::Compression;
use crate::contestants::{self, Contestant};
use crate::servers::{BuiltIn, Mode, Plan};
use crate::workload::{self, Workload};
use lexopt::prelude::*;
use std::path::PathBuf;

pub const USAGE: &str = "\
usage: compare [COMMAND] [OPTIONS]

commands:
  (none)              measure, print a table, draw charts
  codec               headers, masking, text and a client's sending, in this process
  callgrind           count user-space instructions for each message, with valgrind
  syscalls            count system calls for each message, with strace
  report FILE..       tables and charts of what --json has written before
  million FILE        chart of what tests/million/run has printed

options:
  --only NAME,..      these servers only (part of a name is enough)
  --workload NAME,..  these workloads only: 32x1 32x32 1kx16 1kmx16 16k 1m idle handshake broadcast, and
                      with compression 512z 8kz 512zt 8kzt 512za 8kza idlez idleza, and over TLS
                      32x1s 32x32s 1kx16s 16ks 1ms idles handshakes
  --rounds N          rounds of each workload, of which the median is taken (5)
  --seconds N         how long each server is measured in a round (0.8)
  --json FILE         write the figures there too
  --markdown FILE     write the tables there too
  --output FOLDER     where charts and profiles go (target/compare)";

#[derive(Debug)]
pub enum Command {
    Measure,
    Codec,
    Callgrind,
    Syscalls,
    Report(Vec<PathBuf>),
    Million(PathBuf),
    /// Run as a server: this program starts itself with this command.
    Server(BuiltIn, Plan),
    Help,
}

#[derive(Debug)]
pub struct Options {
    pub command: Command,
    pub only: Vec<String>,
    pub workloads: Vec<Workload>,
    pub rounds: usize,
    pub seconds: f64,
    pub json: Option<PathBuf>,
    pub markdown: Option<PathBuf>,
    pub output: PathBuf,
}

pub fn parse(mut arguments: lexopt::Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options {
        command: Command::Measure,
        only: Vec::new(),
        workloads: workload::ALL.to_vec(),
        rounds: 5,
        seconds: 0.8,
        json: None,
        markdown: None,
        output: "target/compare".into(),
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => options.command = Command::Help,
            Long("only") => options.only = list(&mut arguments)?,
            Long("workload") => {
                options.workloads =
                    list(&mut arguments)?.iter().map(|name| workload(name)).collect::<Result<_, _>>()?;
            }
            Long("rounds") => {
                options.rounds = arguments.value()?.parse_with(|text| positive(text.parse()))?
            }
            Long("seconds") => {
                options.seconds = arguments.value()?.parse_with(|text| positive(text.parse()))?
            }
            Long("json") => options.json = Some(arguments.value()?.into()),
            Long("markdown") => options.markdown = Some(arguments.value()?.into()),
            Long("output") => options.output = arguments.value()?.into(),
            Value(value) => {
                if let Command::Report(files) = &mut options.command {
                    files.push(value.into());
                    continue;
                }
                options.command = match value.string()?.as_str() {
                    "codec" => Command::Codec,
                    "callgrind" => Command::Callgrind,
                    "syscalls" => Command::Syscalls,
                    "million" => Command::Million(arguments.value()?.into()),
                    "report" => Command::Report(Vec::new()),
                    "server" => return server(arguments).map(|command| Options { command, ..options }),
                    other => return Err(format!("there is no command {other}").into()),
                }
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

impl Options {
    /// Returns the requested servers that can run here; prints the reason for the others.
    pub fn contestants(&self) -> Vec<Contestant> {
        let wanted =
            |name: &str| self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()));
        let (here, missing) = contestants::all();
        for why in missing.iter().filter(|why| wanted(why)) {
            eprintln!("skipped: {why}");
        }
        here.into_iter().filter(|contestant| wanted(contestant.name)).collect()
    }
}

fn server(mut arguments: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let name = arguments.value()?.string()?;
    let server = contestants::built_in(&name).ok_or_else(|| format!("there is no server {name}"))?;
    let mut plan = Plan { mode: Mode::Echo, many: false, compression: Compression::Off, tls: false };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("broadcast") => plan.mode = Mode::Broadcast,
            Long("many") => plan.many = true,
            Long("tls") => plan.tls = true,
            Long("deflate") => {
                let word = arguments.value()?.string()?;
                plan.compression = Compression::named(&word).ok_or("--deflate takes alone or takeover")?;
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Server(server, plan))
}

fn workload(name: &str) -> Result<Workload, String> {
    workload::named(name).ok_or_else(|| format!("there is no workload {name}"))
}

fn list(arguments: &mut lexopt::Parser) -> Result<Vec<String>, lexopt::Error> {
    Ok(arguments.value()?.string()?.split(',').map(str::to_owned).collect())
}

fn positive<T: PartialOrd + Default, E: std::error::Error>(number: Result<T, E>) -> Result<T, String> {
    let number = number.map_err(|error| error.to_string())?;
    if number > T::default() { Ok(number) } else { Err("it must be more than nothing".into()) }
}
