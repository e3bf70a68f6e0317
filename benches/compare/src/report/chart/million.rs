//! `million.svg`: open connections and the server's memory over time, from the output of `tests/million/run`.

use super::{ACCENT, GREY, INK, PALE, font, heads, picture};
use crate::report::table::thousands;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::path::Path;

const SIZE: (i32, i32) = (900, 420);
const TITLE: i32 = 62;

/// One line `sample: SECONDS s, OPEN open, RESIDENT KiB` of `tests/million/src/bin/hold.rs`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    seconds: f64,
    /// Open connections.
    open: f64,
    /// The server's resident memory in KiB.
    resident: f64,
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.trim_end().split(", ");
        let mut field = |unit| fields.next()?.strip_suffix(unit)?.parse().ok();
        let sample = Self { seconds: field(" s")?, open: field(" open")?, resident: field(" KiB")? };
        fields.next().is_none().then_some(sample)
    }
}

/// Returns the samples of a run's output, without its other lines.
pub fn samples(output: &str) -> Result<Vec<Sample>, String> {
    let lines = output.lines().filter_map(|line| Some((line, line.strip_prefix("sample: ")?)));
    let samples: Vec<_> = lines
        .map(|(line, sample)| Sample::parse(sample).ok_or_else(|| format!("malformed sample {line:?}")))
        .collect::<Result<_, _>>()?;
    if samples.is_empty() { Err("no line begins with \"sample: \"".into()) } else { Ok(samples) }
}

/// Draws `million.svg` into the directory.
pub fn draw(samples: &[Sample], folder: &Path) -> Result<(), Box<dyn Error>> {
    let Some(last) = samples.last() else { return Ok(()) };
    let most = |value: fn(&Sample) -> f64| samples.iter().map(value).fold(1.0, f64::max);
    let (thousand, mebibytes) =
        (|sample: &Sample| sample.open / 1e3, |sample: &Sample| sample.resident / 1024.0);
    picture(folder, "million.svg", SIZE, |root| {
        heads(
            root,
            &format!("{} open connections in one process", thousands(last.open)),
            &format!("resident memory of the server at the end: {:.0} MiB", mebibytes(last)),
        )?;
        let (_, below) = root.split_vertically(TITLE);
        // The memory has a longer axis, because the two lines would cover each other.
        let mut chart = ChartBuilder::on(&below)
            .margin(14)
            .x_label_area_size(38)
            .y_label_area_size(62)
            .right_y_label_area_size(62)
            .build_cartesian_2d(0.0..most(|sample| sample.seconds), 0.0..most(thousand) * 1.08)?
            .set_secondary_coord(0.0..most(|sample| sample.seconds), 0.0..most(mebibytes) * 1.6);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .bold_line_style(PALE)
            .axis_style(GREY)
            .label_style(font(13))
            .x_desc("seconds")
            .y_desc("open connections, in thousands")
            .axis_desc_style(font(13))
            .x_label_formatter(&label)
            .y_label_formatter(&label)
            .draw()?;
        chart
            .configure_secondary_axes()
            .axis_style(GREY)
            .label_style(font(13))
            .y_desc("resident memory of the server, in MiB")
            .axis_desc_style(font(13))
            .y_label_formatter(&label)
            .draw()?;
        let line = |value: fn(&Sample) -> f64, colour: RGBColor| {
            let points: Vec<_> = samples.iter().map(|sample| (sample.seconds, value(sample))).collect();
            PathElement::new(points, colour.stroke_width(2))
        };
        let name = |text, colour: &'static RGBColor, value: fn(&Sample) -> f64| {
            let above = font(13).color(colour).pos(Pos::new(HPos::Right, VPos::Bottom));
            EmptyElement::at((last.seconds, value(last))) + Text::new(text, (-8, -6), above)
        };
        chart.draw_series([line(thousand, ACCENT)])?;
        chart.draw_series([name("open connections", &ACCENT, thousand)])?;
        chart.draw_secondary_series([line(mebibytes, INK)])?;
        chart.draw_secondary_series([name("resident memory", &INK, mebibytes)])?;
        Ok(())
    })
}

/// Returns a value on an axis; the axes of short runs have fractions.
fn label(value: &f64) -> String {
    if (value - value.round()).abs() < 0.01 { thousands(*value) } else { format!("{value:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_among_other_lines() {
        // A virtual machine's console ends its lines with a carriage return, too.
        let output = "on this machine\n    0.0 s  0 opened\nsample: 0.0 s, 0 open, 2304 KiB\r\n\
                      sample: 61.5 s, 70250 open, 8812 KiB\nheld: yes\n";
        let expected = [
            Sample { seconds: 0.0, open: 0.0, resident: 2304.0 },
            Sample { seconds: 61.5, open: 70_250.0, resident: 8812.0 },
        ];
        assert_eq!(samples(output).unwrap(), expected);
    }

    #[test]
    fn malformed_samples_are_reported() {
        for line in ["sample: 1.0 s, 5 open", "sample: 1.0 s, x open, 3 KiB", "sample: 1 s, 2 open, 3 KiB, 4"]
        {
            assert_eq!(samples(line), Err(format!("malformed sample {line:?}")));
        }
        assert!(samples("held: yes\n").is_err());
    }
}
