//! A chart of all workloads: bars for the cost of each server; shorter is better.

use super::{Results, table};
use crate::contestants::{BUFFERED_FLOOR, FLOOR, OURS, TLS_FLOOR, is_floor};
use crate::measure::Figures;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::path::Path;

const WIDTH: u32 = 520;
/// Room for a panel's title, and below its bars.
const TITLE: i32 = 60;
const MARGIN: i32 = 20;
/// Room for the names, and for the figures after the bars.
const NAMES: i32 = 150;
const FIGURES: i32 = 80;
const ROW: i32 = 29;

const INK: RGBColor = RGBColor(40, 44, 52);
const GREY: RGBColor = RGBColor(176, 184, 196);
const ACCENT: RGBColor = RGBColor(21, 122, 110);
const PALE: RGBColor = RGBColor(225, 229, 235);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws `results.svg` into the directory.
pub fn draw(results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
    let panels: Vec<_> = results.iter().filter(|(_, figures)| !figures.is_empty()).collect();
    if panels.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    let file = folder.join("results.svg");
    let columns = panels.len().min(2);
    let rows = panels.len().div_ceil(columns);
    let bars = panels.iter().map(|(_, figures)| figures.len()).max().unwrap_or(0);
    let height = TITLE + i32::try_from(bars)? * ROW + MARGIN;
    let size = (WIDTH * u32::try_from(columns)?, u32::try_from(height)? * u32::try_from(rows)?);
    let root = SVGBackend::new(&file, size).into_drawing_area();
    root.fill(&WHITE)?;
    for ((workload, figures), area) in panels.iter().zip(root.split_evenly((rows, columns))) {
        let unit = if figures.iter().any(|row| row.bytes.is_some()) {
            "resident bytes for each"
        } else {
            "server's processor time for each"
        };
        panel(&area, workload.title, unit, figures)?;
    }
    root.present()?;
    eprintln!("drawn: {}", file.display());
    Ok(())
}

fn panel(area: &Area<'_>, title: &str, unit: &str, figures: &[Figures]) -> Result<(), Box<dyn Error>> {
    let font = |size: i32| ("sans-serif", size).into_font().color(&INK);
    area.draw(&Text::new(title.to_owned(), (20, 14), font(18)))?;
    area.draw(&Text::new(unit.to_owned(), (20, 36), font(13).color(&INK.mix(0.6))))?;
    let mut rows: Vec<&Figures> = figures.iter().collect();
    rows.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    let most = rows.last().map_or(1.0, |row| cost(row).max(1.0));
    let room = f64::from(i32::try_from(WIDTH)? - NAMES - FIGURES - 20);
    for (index, row) in rows.iter().enumerate() {
        let top = TITLE + i32::try_from(index)? * ROW;
        let middle = top + ROW / 2;
        let end = NAMES + ((cost(row) / most * room) as i32).max(1);
        let colour = match row.server.as_str() {
            OURS => ACCENT,
            floor if is_floor(floor) => PALE,
            _ => GREY,
        };
        let name = match row.server.as_str() {
            OURS => "websocket-stream",
            FLOOR => "no protocol (floor)",
            TLS_FLOOR => "only TLS (floor)",
            BUFFERED_FLOOR => "only TLS, buffered",
            peer => peer,
        };
        let right = font(13).pos(Pos::new(HPos::Right, VPos::Center));
        let left = font(13).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(name.to_owned(), (NAMES - 8, middle), right))?;
        area.draw(&Rectangle::new([(NAMES, top + 4), (end, top + ROW - 4)], colour.filled()))?;
        area.draw(&Text::new(label(row), (end + 6, middle), left))?;
    }
    Ok(())
}

fn cost(row: &Figures) -> f64 {
    row.bytes.unwrap_or(row.cpu)
}

fn label(row: &Figures) -> String {
    row.bytes.map_or_else(|| table::time(row.cpu), |bytes| format!("{} B", table::thousands(bytes)))
}
