//! Counts instead of seconds: user-space instructions and system calls for each message.
//!
//! Each server runs twice, with few and with more batches. The difference, divided by the number of messages
//! between the two, excludes the server's start and the opening handshakes.

use crate::child::Server;
use crate::contestants::{Contestant, Kind};
use crate::load::{Load, Messages, open};
use crate::measure::{self, Cores};
use crate::report::table::{columns, thousands};
use crate::workload::{Job, Workload};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The batches of each connection in the two runs, after those that warm it up.
const BATCHES: [u64; 2] = [10, 60];

/// Counts of one process, by name.
type Counts = BTreeMap<String, u64>;

/// A counting tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    Callgrind,
    Strace,
}

/// Prints a table of all servers that can be counted, for the echo workloads.
pub fn run(
    counter: Counter,
    contestants: &[Contestant],
    workloads: &[Workload],
    folder: &Path,
    cores: Cores,
) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let workloads: Vec<&Workload> = workloads.iter().filter(|workload| counts(workload)).collect();
    let mut table = vec![vec!["server".to_owned()]];
    table[0].extend(workloads.iter().map(|workload| workload.name.to_owned()));
    let mut details = Vec::new();
    for contestant in contestants {
        // A just-in-time compiler does not run under valgrind.
        if counter == Counter::Callgrind && matches!(contestant.kind, Kind::Script { .. }) {
            continue;
        }
        let mut row = vec![contestant.name.to_owned()];
        for workload in &workloads {
            if !contestant.takes_part(workload.plan()) {
                row.push("-".into());
                continue;
            }
            eprint!("\r\x1b[K{}: {}", contestant.name, workload.title);
            match per_message(counter, contestant, workload, &folder.join(file(contestant, workload)), cores)
            {
                Ok(counts) => {
                    let total: f64 = counts.iter().map(|(_, count)| count).sum();
                    row.push(if counter == Counter::Callgrind {
                        thousands(total)
                    } else {
                        format!("{total:.2}")
                    });
                    details.push((format!("{}, {}", contestant.name, workload.name), counts));
                }
                Err(error) => {
                    eprintln!("\n{} failed: {error}", contestant.name);
                    row.push("-".into());
                }
            }
        }
        table.push(row);
    }
    eprint!("\r\x1b[K");
    match counter {
        Counter::Callgrind => println!("user-space instructions for each message"),
        Counter::Strace => println!("system calls for each message"),
    }
    println!("{}", columns(&table));
    if counter == Counter::Strace {
        for (title, counts) in details {
            let calls: Vec<String> = counts
                .iter()
                .filter(|(_, count)| *count >= 0.001)
                .map(|(name, count)| format!("{name} {count:.3}"))
                .collect();
            println!("  {title}: {}", calls.join(", "));
        }
    } else {
        println!("profiles: callgrind_annotate {}/NAME.WORKLOAD.callgrind", folder.display());
    }
    Ok(())
}

/// Messages of 1 MiB take too long under either tool.
fn counts(workload: &Workload) -> bool {
    match workload.job {
        Job::Echo { messages: Messages::Plain(shape), .. } => shape.bytes < 1 << 20,
        Job::Echo { .. } => true,
        _ => false,
    }
}

fn file(contestant: &Contestant, workload: &Workload) -> PathBuf {
    let word = contestant.name.split(' ').next().unwrap_or_default();
    format!("{word}.{}", workload.name).into()
}

fn per_message(
    counter: Counter,
    contestant: &Contestant,
    workload: &Workload,
    file: &Path,
    cores: Cores,
) -> io::Result<Vec<(String, f64)>> {
    let Job::Echo { connections, in_flight, .. } = workload.job else { return Ok(Vec::new()) };
    let few = count(counter, contestant, workload, file, BATCHES[0], cores)?;
    let many = count(counter, contestant, workload, file, BATCHES[1], cores)?;
    let messages = (BATCHES[1] - BATCHES[0]) as f64 * (connections * in_flight) as f64;
    Ok(many
        .into_iter()
        .map(|(name, count)| {
            let before = few.get(&name).copied().unwrap_or(0);
            (name, (count as f64 - before as f64) / messages)
        })
        .collect())
}

fn count(
    counter: Counter,
    contestant: &Contestant,
    workload: &Workload,
    file: &Path,
    batches: u64,
    cores: Cores,
) -> io::Result<Counts> {
    let workload = &workload.with(contestant.compression(workload.plan().compression));
    let Job::Echo { connections, messages, in_flight } = workload.job else { return Ok(Counts::new()) };
    let file = file.with_added_extension(if counter == Counter::Callgrind { "callgrind" } else { "strace" });
    let mut command = counter.wrap(&contestant.command(workload.plan())?, &file);
    let server = Server::start(&mut command, cores.server, cores.load)?;
    let target = measure::target(&server, contestant, workload);
    let mut load = Load::new(open::open(target, connections)?, messages.scripts(in_flight, target.raw))?;
    load.run_batches(messages.distinct() + batches)?;
    drop(load);
    match counter {
        Counter::Callgrind => server.stop()?,
        Counter::Strace => server.stop_traced()?,
    }
    let text = std::fs::read_to_string(&file)?;
    let counts = if counter == Counter::Callgrind { instructions(&text) } else { calls(&text) };
    if counts.is_empty() {
        Err(io::Error::other(format!("{} holds no counts", file.display())))
    } else {
        Ok(counts)
    }
}

impl Counter {
    /// Returns the server's command, run under the counting tool.
    fn wrap(self, server: &Command, file: &Path) -> Command {
        let mut command;
        match self {
            Self::Callgrind => {
                command = Command::new("valgrind");
                command.args(["-q", "--tool=callgrind", "--dump-instr=yes"]);
                let mut option = std::ffi::OsString::from("--callgrind-out-file=");
                option.push(file);
                command.arg(option);
            }
            Self::Strace => {
                command = Command::new("strace");
                command.args(["-c", "-f", "-o"]).arg(file);
            }
        }
        command.arg(server.get_program()).args(server.get_args());
        command
    }
}

/// Returns the instructions that callgrind counted.
fn instructions(text: &str) -> Counts {
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("summary:").or(line.strip_prefix("totals:")))
        .and_then(|total| total.trim().parse().ok());
    total.map(|total| ("instructions".to_owned(), total)).into_iter().collect()
}

/// Parses strace's table: the number of calls is in the fourth column, the name in the last.
fn calls(text: &str) -> Counts {
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let name = *fields.last()?;
            let is_call = fields.len() >= 5 && name != "total" && fields[0].parse::<f64>().is_ok();
            Some((name.to_owned(), fields.get(3)?.parse().ok()?)).filter(|_| is_call)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_read() {
        assert_eq!(instructions("events: Ir\nsummary: 1234\n\ntotals: 1234\n")["instructions"], 1234);
        assert!(instructions("events: Ir\n").is_empty());
    }

    #[test]
    fn system_calls_are_read_with_and_without_errors() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n \
            60.00    0.000600           3       200           recvfrom\n \
            40.00    0.000400           2       100        1 accept4\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.001000           3       300        1 total\n";
        assert_eq!(calls(text), Counts::from([("accept4".into(), 100), ("recvfrom".into(), 200)]));
    }
}
