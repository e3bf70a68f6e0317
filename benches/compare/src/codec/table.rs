//! Nanoseconds in lines and columns, with the targets.

use crate::report::files;
use crate::report::table::columns;

pub struct Table {
    title: String,
    cells: Vec<Vec<String>>,
    verdicts: Vec<String>,
}

impl Table {
    pub fn new(title: &str, heads: &[&str]) -> Self {
        let heads = heads.iter().map(|head| (*head).to_owned()).collect();
        Self { title: title.to_owned(), cells: vec![heads], verdicts: Vec::new() }
    }

    /// Adds a line of nanoseconds and then ratios; a missing value is a dash.
    pub fn line(
        &mut self,
        label: String,
        times: impl IntoIterator<Item = Option<f64>>,
        ratios: impl IntoIterator<Item = f64>,
    ) {
        let mut line = vec![label];
        line.extend(times.into_iter().map(|time| time.map_or("-".into(), nanoseconds)));
        line.extend(ratios.into_iter().map(|ratio| format!("{ratio:.2}")));
        self.cells.push(line);
    }

    /// Adds whether the smallest ratio reaches the target.
    pub fn judge(&mut self, what: &str, ratios: impl IntoIterator<Item = f64>, target: f64) {
        let least = ratios.into_iter().fold(f64::INFINITY, f64::min);
        let met = if least >= target { "met" } else { "missed" };
        self.verdicts.push(format!("{what}: {least:.2} at the least, target {target:.2}: {met}"));
    }

    /// Returns the table for a terminal.
    pub fn render(&self) -> String {
        let verdicts: String = self.verdicts.iter().map(|line| format!("  {line}\n")).collect();
        format!("{}\n{}{verdicts}\n", self.title, columns(&self.cells))
    }

    pub fn markdown(&self) -> String {
        let verdicts: String = self.verdicts.iter().map(|line| format!("- {line}\n")).collect();
        format!("\n## {}\n\n{}\n{verdicts}", self.title, files::table(&self.cells))
    }
}

fn nanoseconds(time: f64) -> String {
    if time < 100.0 { format!("{time:.1}") } else { format!("{time:.0}") }
}

/// Returns a length in a readable form.
pub fn length(bytes: usize) -> String {
    match bytes {
        ..1_024 => format!("{bytes} B"),
        1_024..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_its_lines_and_reports_missed_targets() {
        let mut table = Table::new("masking", &["bytes", "ours", "theirs", "ratio"]);
        table.line(length(1 << 10), [Some(12.34), None], [0.5]);
        table.judge("masking", [0.9, 0.5], 0.85);
        assert_eq!(
            table.render(),
            "masking\n  bytes  ours  theirs  ratio\n  1 KiB  12.3       -   0.50\n  \
             masking: 0.50 at the least, target 0.85: missed\n\n"
        );
        assert!(table.markdown().contains("| 1 KiB | 12.3 | - | 0.50 |\n"));
    }

    #[test]
    fn lengths_read_well() {
        assert_eq!([125, 1 << 10, 64 << 10, 1 << 20].map(length), ["125 B", "1 KiB", "64 KiB", "1 MiB"]);
    }
}
