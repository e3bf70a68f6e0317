//! `results.svg`: the cost of each server in each workload; shorter is better.

use super::{Area, Bar, bars, colour, heads, name, picture};
use crate::measure::Figures;
use crate::report::{Results, table};
use std::error::Error;
use std::path::Path;

const WIDTH: i32 = 520;
/// Room for a panel's title, and below its bars.
const TITLE: i32 = 60;
const MARGIN: i32 = 20;
/// Room for the names, and for the figures after the bars.
const NAMES: i32 = 180;
const FIGURES: i32 = 80;
const ROW: i32 = 29;

/// Draws `results.svg` into the directory, with a panel for each workload.
pub fn draw(results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
    let panels: Vec<_> = results.iter().filter(|(_, figures)| !figures.is_empty()).collect();
    let most = panels.iter().map(|(_, figures)| figures.len()).max().unwrap_or(0);
    if most == 0 {
        return Ok(());
    }
    let columns = panels.len().min(2);
    let rows = panels.len().div_ceil(columns);
    let height = TITLE + i32::try_from(most)? * ROW + MARGIN;
    let size = (WIDTH * i32::try_from(columns)?, height * i32::try_from(rows)?);
    picture(folder, "results.svg", size, |root| {
        for ((workload, figures), area) in panels.iter().zip(root.split_evenly((rows, columns))) {
            panel(&area, workload.title, figures)?;
        }
        Ok(())
    })
}

fn panel(area: &Area<'_>, title: &str, figures: &[Figures]) -> Result<(), Box<dyn Error>> {
    let unit = if figures.iter().any(|row| row.bytes.is_some()) {
        "resident bytes for each"
    } else {
        "server's processor time for each"
    };
    heads(area, title, unit)?;
    let mut rows: Vec<&Figures> = figures.iter().collect();
    rows.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    let most = rows.last().map_or(1.0, |row| cost(row).max(1.0));
    let room = f64::from(WIDTH - NAMES - FIGURES - 20);
    let bar = |row: &&Figures| Bar {
        name: name(&row.server).to_owned(),
        colour: colour(&row.server),
        length: (cost(row) / most * room) as i32,
        figure: figure(row),
        figure_from: 0,
    };
    bars(area, (NAMES, TITLE), ROW, &rows.iter().map(bar).collect::<Vec<_>>())
}

fn cost(row: &Figures) -> f64 {
    row.bytes.unwrap_or(row.cpu)
}

fn figure(row: &Figures) -> String {
    row.bytes.map_or_else(|| table::time(row.cpu), |bytes| format!("{} B", table::thousands(bytes)))
}
