//! The charts, and what they share: colours, fonts, names and bars.

mod fronts;
mod idle;
pub mod million;
mod servers;

use super::Results;
use crate::contestants::{
    BUFFERED_FLOOR, FLOOR, OURS, OURS_AXUM, OURS_SERVER, OURS_TOKIO, OURS_TOKIO_OWNED, TLS_FLOOR, is_floor,
    is_ours,
};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::path::Path;

const INK: RGBColor = RGBColor(40, 44, 52);
const GREY: RGBColor = RGBColor(176, 184, 196);
const ACCENT: RGBColor = RGBColor(21, 122, 110);
const PALE: RGBColor = RGBColor(225, 229, 235);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws each chart for which there are results into the directory.
pub fn draw(results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
    servers::draw(results, folder)?;
    fronts::draw(results, folder)?;
    idle::draw(results, folder)
}

/// One horizontal bar, with its name to the left and its figure to the right.
struct Bar {
    name: String,
    colour: RGBColor,
    /// In pixels.
    length: i32,
    figure: String,
    /// The figure is at least this number of pixels from the bar's start.
    figure_from: i32,
}

/// Draws bars below each other; the first begins at `left` and `top`, and each has `height` pixels.
fn bars(area: &Area<'_>, (left, top): (i32, i32), height: i32, bars: &[Bar]) -> Result<(), Box<dyn Error>> {
    let mut top = top;
    for bar in bars {
        let (middle, end) = (top + height / 2, left + bar.length.max(1));
        area.draw(&Text::new(bar.name.clone(), (left - 8, middle), font(13).pos(side(HPos::Right))))?;
        area.draw(&Rectangle::new([(left, top + 4), (end, top + height - 4)], bar.colour.filled()))?;
        let after = end.max(left + bar.figure_from) + 6;
        area.draw(&Text::new(bar.figure.clone(), (after, middle), font(13).pos(side(HPos::Left))))?;
        top += height;
    }
    Ok(())
}

/// Draws a title, and below it a smaller line that explains it.
fn heads(area: &Area<'_>, title: &str, explanation: &str) -> Result<(), Box<dyn Error>> {
    area.draw(&Text::new(title.to_owned(), (20, 14), font(18)))?;
    area.draw(&Text::new(explanation.to_owned(), (20, 36), faint(13)))?;
    Ok(())
}

/// Creates a file of this size in pixels, and passes its area to `paint`.
fn picture(
    folder: &Path,
    name: &str,
    (width, height): (i32, i32),
    paint: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join(name);
    let root = SVGBackend::new(&file, (width.try_into()?, height.try_into()?)).into_drawing_area();
    root.fill(&WHITE)?;
    paint(&root)?;
    root.present()?;
    eprintln!("drawn: {}", file.display());
    Ok(())
}

fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

fn faint(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK.mix(0.7))
}

/// Returns the position of a text beside a point, in the vertical middle.
fn side(text: HPos) -> Pos {
    Pos::new(text, VPos::Center)
}

/// Returns the colour of a server's bar.
fn colour(server: &str) -> RGBColor {
    match server {
        ours if is_ours(ours) => ACCENT,
        floor if is_floor(floor) => PALE,
        _ => GREY,
    }
}

/// Returns a server's name for readers who do not know the names on the command line.
fn name(server: &str) -> &str {
    match server {
        OURS => "websocket-stream",
        OURS_SERVER => "websocket-stream: server",
        OURS_TOKIO => "websocket-stream: tokio",
        OURS_TOKIO_OWNED => "websocket-stream: owned",
        OURS_AXUM => "websocket-stream: axum",
        FLOOR => "no protocol (floor)",
        TLS_FLOOR => "only TLS (floor)",
        BUFFERED_FLOOR => "only TLS, buffered",
        peer => peer,
    }
}
