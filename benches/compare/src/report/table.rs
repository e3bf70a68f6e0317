//! The figures as text: one table for each workload.

use crate::contestants::{OURS, is_floor, is_ours};
use crate::load::Messages;
use crate::measure::Figures;
use crate::workload::{Job, LARGER, Target, Workload};
use std::fmt::Write;

/// A table's cells, the heads first.
pub type Cells = Vec<Vec<String>>;

/// Returns the table with its title, for a terminal.
pub fn render(workload: &Workload, figures: &[Figures]) -> String {
    let mut text = format!("{}\n", workload.title);
    text.push_str(&columns(&cells(workload, figures)));
    for line in verdicts(workload, figures) {
        let _ = writeln!(text, "  {line}");
    }
    text.push('\n');
    text
}

/// Returns the contents of the table.
pub fn cells(workload: &Workload, figures: &[Figures]) -> Cells {
    let floor = figure(figures, workload.floor());
    let ours = figure(figures, OURS);
    let mut rows = vec![heads(workload)];
    for row in figures {
        let over_floor = floor.map_or("-".into(), |floor| format!("{:.2}", row.over(floor)));
        let against_ours = ours.map_or("-".into(), |ours| format!("{:.2}", ours.over(row)));
        let mut cells = vec![row.server.clone()];
        if let Some(bytes) = row.bytes {
            cells.push(format!("{bytes:.0}"));
            cells.push(megabytes(row.resident));
            rows.push(cells);
            continue;
        }
        cells.extend([thousands(row.rate), time(row.cpu), time(row.user), time(row.cpu - row.user)]);
        match row.reply {
            Some(reply) => cells.extend([against_ours, format!("{reply:.0}")]),
            None => cells.extend([over_floor, against_ours]),
        }
        if !matches!(workload.job, Job::Handshake) {
            cells.extend([row.p50, row.p99].map(|time| time.map_or("-".into(), |time| format!("{time:.0}"))));
        }
        cells.push(megabytes(row.resident));
        rows.push(cells);
    }
    rows
}

fn heads(workload: &Workload) -> Vec<String> {
    let heads: &[&str] = match workload.job {
        Job::Echo { messages: Messages::Json { .. }, .. } => &[
            "server",
            "messages/s",
            "CPU/message",
            "user",
            "system",
            "ours/it",
            "reply bytes",
            "p50 us",
            "p99 us",
            "MiB",
        ],
        Job::Echo { .. } => &[
            "server",
            "messages/s",
            "CPU/message",
            "user",
            "system",
            "over floor",
            "ours/it",
            "p50 us",
            "p99 us",
            "MiB",
        ],
        Job::Idle { .. } => &["server", "bytes/connection", "MiB"],
        Job::Handshake => {
            &["server", "handshakes/s", "CPU/handshake", "user", "system", "over floor", "ours/it", "MiB"]
        }
        Job::Broadcast { .. } => &[
            "server",
            "receivers/s",
            "CPU/receiver",
            "user",
            "system",
            "over floor",
            "ours/it",
            "p50 us",
            "p99 us",
            "MiB",
        ],
    };
    heads.iter().map(|head| (*head).to_owned()).collect()
}

/// Returns the targets, and whether they are met.
pub fn verdicts(workload: &Workload, figures: &[Figures]) -> Vec<String> {
    let Some(ours) = figure(figures, OURS) else { return Vec::new() };
    let met = |met: bool| if met { "met" } else { "missed" };
    let mut lines = Vec::new();
    let mut ratio = |what: &str, ratio: f64, target: f64| {
        lines.push(format!("{what} {ratio:.2}, target {target:.2}: {}", met(ratio <= target)));
    };
    match workload.target {
        Target::None => {}
        Target::OverFloor(target) => {
            if let Some(floor) = figure(figures, workload.floor()) {
                ratio("CPU over the floor", ours.over(floor), target);
            }
        }
        Target::OverPeer(name, target) => {
            if let Some(peer) = figure(figures, name) {
                ratio(&format!("CPU over that of {name}"), ours.over(peer), target);
                if let (Some(ours), Some(peer)) = (ours.reply, peer.reply) {
                    ratio(&format!("reply over that of {name}"), ours / peer, LARGER);
                }
            }
        }
        Target::Bytes(target) => {
            if let Some(bytes) = ours.bytes {
                lines.push(format!("bytes each {bytes:.0}, target {target:.0}: {}", met(bytes <= target)));
            }
        }
    }
    let times_ours = |row: &Figures| match (row.bytes, ours.bytes) {
        (Some(bytes), Some(ours)) => bytes / ours,
        _ => row.over(ours),
    };
    let peers = figures.iter().filter(|row| !(is_floor(&row.server) || is_ours(&row.server)));
    let best = peers.map(|row| (times_ours(row), row)).min_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((times, best)) = best {
        let first = met(times >= 1.0);
        lines.push(format!("first of all: {first} (next to it {}, {times:.2} times ours)", best.server));
    }
    lines
}

/// Returns the figures of the server with this name.
pub fn figure<'a>(figures: &'a [Figures], server: &str) -> Option<&'a Figures> {
    figures.iter().find(|row| row.server == server)
}

/// Aligns cells in columns: names to the left, numbers to the right.
pub fn columns(cells: &Cells) -> String {
    let count = cells.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| cells.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in cells {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ =
                if column == 0 { write!(text, "  {cell:width$}") } else { write!(text, "  {cell:>width$}") };
        }
        text.push('\n');
    }
    text
}

/// Returns nanoseconds in a readable form.
pub fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1_000.0 => format!("{nanoseconds:.0} ns"),
        ..100_000.0 => format!("{:.2} us", nanoseconds / 1_000.0),
        _ => format!("{:.0} us", nanoseconds / 1_000.0),
    }
}

fn megabytes(bytes: f64) -> String {
    format!("{:.1}", bytes / f64::from(1 << 20))
}

/// A whole number with commas.
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(0.4), "0");
        assert_eq!(thousands(999.0), "999");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
        assert_eq!(time(7.4), "7 ns");
        assert_eq!(time(6_437.0), "6.44 us");
        assert_eq!(time(336_000.0), "336 us");
    }

    #[test]
    fn columns_line_up() {
        let cells = vec![vec!["a".into(), "bb".into()], vec!["ccc".into(), "d".into()]];
        assert_eq!(columns(&cells), "  a    bb\n  ccc   d\n");
    }
}
