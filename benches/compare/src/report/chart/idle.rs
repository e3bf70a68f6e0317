//! `idle.svg`: the resident bytes of an idle connection of each server, on a logarithmic axis.

use super::{Area, Bar, PALE, bars, colour, faint, heads, name, picture};
use crate::measure::Figures;
use crate::report::{Results, table};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::path::Path;

const WIDTH: i32 = 900;
/// Room for a panel's title, and below its bars.
const TITLE: i32 = 62;
const MARGIN: i32 = 44;
/// Room for the names, and for the figures after the bars.
const NAMES: i32 = 190;
const FIGURES: i32 = 90;
const ROW: i32 = 25;

/// The ends of the axis, in bytes.
const LEAST: f64 = 64.0;
const MOST: f64 = 200.0 * 1024.0;

/// Draws `idle.svg` into the directory, with a panel without TLS and one with TLS.
pub fn draw(results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
    let panels: Vec<_> = ["idle", "idles"]
        .iter()
        .filter_map(|name| results.iter().find(|(workload, _)| workload.name == *name))
        .map(|(workload, figures)| (workload.title, sorted(figures)))
        .filter(|(_, servers)| !servers.is_empty())
        .collect();
    if panels.is_empty() {
        return Ok(());
    }
    let mut heights = Vec::new();
    for (_, servers) in &panels {
        heights.push(TITLE + i32::try_from(servers.len())? * ROW + MARGIN);
    }
    picture(folder, "idle.svg", (WIDTH, heights.iter().sum()), |root| {
        let mut rest = root.clone();
        for ((title, servers), height) in panels.iter().zip(heights) {
            let (area, below) = rest.split_vertically(height);
            panel(&area, title, servers)?;
            rest = below;
        }
        Ok(())
    })
}

/// Returns the servers with their bytes for each connection, the least first.
fn sorted(figures: &[Figures]) -> Vec<(&str, f64)> {
    let mut servers: Vec<_> =
        figures.iter().filter_map(|row| Some((row.server.as_str(), row.bytes?))).collect();
    servers.sort_by(|a, b| a.1.total_cmp(&b.1));
    servers
}

fn panel(area: &Area<'_>, title: &str, servers: &[(&str, f64)]) -> Result<(), Box<dyn Error>> {
    heads(area, title, "resident bytes for each connection, on a logarithmic axis")?;
    let room = WIDTH - NAMES - FIGURES;
    let bottom = TITLE + i32::try_from(servers.len())? * ROW;
    for bytes in ticks() {
        let x = NAMES + length(bytes, room);
        area.draw(&PathElement::new([(x, TITLE), (x, bottom + 4)], PALE.stroke_width(1)))?;
        let below = Pos::new(HPos::Center, VPos::Top);
        area.draw(&Text::new(unit(bytes), (x, bottom + 8), faint(12).pos(below)))?;
    }
    let bar = |&(server, bytes): &(&str, f64)| Bar {
        name: name(server).to_owned(),
        colour: colour(server),
        length: length(bytes, room),
        figure: format!("{} B", table::thousands(bytes)),
        figure_from: 0,
    };
    bars(area, (NAMES, TITLE), ROW, &servers.iter().map(bar).collect::<Vec<_>>())
}

/// Returns the pixels from the start of an axis of `room` pixels to this number of bytes, within the axis.
fn length(bytes: f64, room: i32) -> i32 {
    let part = (bytes / LEAST).ln() / (MOST / LEAST).ln();
    (part.clamp(0.0, 1.0) * f64::from(room)).round() as i32
}

/// Returns the values with a line: the powers of four times 64 bytes.
fn ticks() -> impl Iterator<Item = f64> {
    std::iter::successors(Some(LEAST), |bytes| Some(bytes * 4.0)).take_while(|bytes| *bytes <= MOST)
}

fn unit(bytes: f64) -> String {
    if bytes < 1024.0 { format!("{bytes:.0} B") } else { format!("{:.0} KiB", bytes / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_is_logarithmic() {
        assert_eq!((length(LEAST, 600), length(MOST, 600)), (0, 600));
        assert_eq!(length((LEAST * MOST).sqrt(), 600), 300);
        // Each factor of four has an equal length.
        let (kilobyte, four, sixteen) = (length(1024.0, 600), length(4096.0, 600), length(16384.0, 600));
        assert!((four - kilobyte).abs_diff(sixteen - four) <= 1);
    }

    #[test]
    fn values_beyond_the_axis_end_with_it() {
        assert_eq!((length(39.0, 600), length(0.0, 600), length(1e9, 600)), (0, 0, 600));
    }

    #[test]
    fn lines_are_at_round_values() {
        let labels: Vec<_> = ticks().map(unit).collect();
        assert_eq!(labels, ["64 B", "256 B", "1 KiB", "4 KiB", "16 KiB", "64 KiB"]);
    }
}
