//! The figures as JSON, and as Markdown with a description of the machine.

use super::{Results, table};
use crate::measure::Figures;
use crate::workload::{self, Workload};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::process::Command;

#[derive(Serialize, Deserialize)]
struct Entry {
    workload: String,
    title: String,
    figures: Vec<Figures>,
}

/// All figures: times in nanoseconds, latencies in microseconds, memory in bytes.
pub fn to_json(results: &Results) -> serde_json::Result<String> {
    let entry = |(workload, figures): &(Workload, Vec<Figures>)| Entry {
        workload: workload.name.to_owned(),
        title: workload.title.to_owned(),
        figures: figures.clone(),
    };
    serde_json::to_string_pretty(&results.iter().map(entry).collect::<Vec<_>>())
}

/// Reads the output of [`to_json`]; unknown workloads are left out.
pub fn from_json(text: &str) -> serde_json::Result<Vec<(Workload, Vec<Figures>)>> {
    let entries: Vec<Entry> = serde_json::from_str(text)?;
    let known = |entry: Entry| Some((workload::named(&entry.workload)?, entry.figures));
    Ok(entries.into_iter().filter_map(known).collect())
}

/// Returns all tables, with a head that describes the machine and the command.
pub fn markdown(results: &Results) -> String {
    let mut text = head();
    for (workload, figures) in results {
        let _ =
            writeln!(text, "\n## {}\n\n{}", workload.title, self::table(&table::cells(workload, figures)));
        for line in table::verdicts(workload, figures) {
            let _ = writeln!(text, "- {line}");
        }
    }
    text
}

/// Describes the machine and the command.
pub fn head() -> String {
    circumstances().iter().map(|line| format!("- {line}\n")).collect()
}

/// Returns one table, its heads first.
pub fn table(cells: &table::Cells) -> String {
    let mut text = String::new();
    for (index, row) in cells.iter().enumerate() {
        let _ = writeln!(text, "| {} |", row.join(" | "));
        if index == 0 {
            let _ = writeln!(text, "| --- |{}", " ---: |".repeat(row.len() - 1));
        }
    }
    text
}

fn circumstances() -> Vec<String> {
    let file = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = file("/proc/cpuinfo");
    let value =
        |name| cpuinfo.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(": "));
    let model = value("model name").map_or("unknown", |(_, model)| model);
    // Not the cores that this thread may run on: it is pinned to one by now.
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    vec![
        format!("machine: {model}, {cores} cores, Linux {}", file("/proc/sys/kernel/osrelease").trim()),
        format!("compiler: {}", output("rustc", &["--version"])),
        format!("crates: {}", versions(include_str!("../../Cargo.lock"))),
        format!("date: {}", output("date", &["--utc", "+%Y-%m-%d"])),
        format!("command: `cargo run --release -- {}`", arguments.join(" ")),
    ]
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or("unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Returns the versions of the compared crates in the lock file.
fn versions(lock: &str) -> String {
    const NAMES: [&str; 13] = [
        "axum",
        "fastwebsockets",
        "mio",
        "ring",
        "rustls",
        "sockudo-ws",
        "soketto",
        "tokio-rustls",
        "tokio-tungstenite",
        "tokio-websockets",
        "tungstenite",
        "yawc",
        "zlib-rs",
    ];
    let mut lines = lock.lines();
    let mut versions = Vec::new();
    while let Some(line) = lines.next() {
        let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.trim_matches('"').to_owned());
        if let Some(name) = value(line, "name = ").filter(|name| NAMES.contains(&name.as_str()))
            && let Some(version) = lines.next().and_then(|line| value(line, "version = "))
        {
            versions.push(format!("{name} {version}"));
        }
    }
    versions.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_output_can_be_read_back() {
        let figures = Figures {
            server: "ours".into(),
            rate: 1.5,
            cpu: 2.5,
            rounds: vec![Some(2.5), None],
            user: 0.5,
            p50: Some(3.0),
            p99: None,
            resident: 4.0,
            bytes: None,
            reply: Some(5.0),
        };
        let results = vec![(workload::ALL[1], vec![figures])];
        assert_eq!(from_json(&to_json(&results).unwrap()).unwrap(), results);
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"mio\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"x\"\nversion = \"9\"\n";
        assert_eq!(versions(lock), "mio 1.2.3");
    }
}
