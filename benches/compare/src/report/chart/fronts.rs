//! `fronts.svg`: the processor time of each front of this library over that of the floor, beside two peers.

use super::{ACCENT, Area, Bar, GREY, INK, bars, faint, font, heads, picture};
use crate::contestants::{OURS, OURS_AXUM, OURS_SERVER, OURS_TOKIO, TOKIO_TUNGSTENITE, is_floor, is_ours};
use crate::measure::Figures;
use crate::report::{Results, table::figure};
use crate::workload::{self, Job, Workload};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::path::Path;

const WIDTH: i32 = 450;
/// Room for the picture's title, a panel's title, below its bars, and for the caption.
const HEAD: i32 = 60;
const TITLE: i32 = 46;
const MARGIN: i32 = 14;
const CAPTION: i32 = 34;
/// Room for the names, and for the figures after the bars.
const NAMES: i32 = 155;
const FIGURES: i32 = 60;
/// The width of a figure.
const FIGURE: i32 = 36;
const ROW: i32 = 24;

/// The ratio at which bars are cut.
const MOST: f64 = 2.5;

/// The fronts, with their labels.
const FRONTS: [(&str, &str); 4] =
    [(OURS, "own loop"), (OURS_SERVER, "server"), (OURS_TOKIO, "tokio"), (OURS_AXUM, "axum")];

/// One bar: a server's processor time over that of its floor.
#[derive(Debug, PartialEq)]
struct Ratio {
    label: String,
    ours: bool,
    over_floor: f64,
}

/// Draws `fronts.svg` into the directory, with a panel for each echo workload.
pub fn draw(results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
    let panels: Vec<_> = workloads()
        .map(|(plain, tls)| (plain.title, ratios(results, plain, &tls)))
        .filter(|(_, ratios)| ratios.iter().any(|ratio| ratio.ours))
        .collect();
    let most = panels.iter().map(|(_, ratios)| ratios.len()).max().unwrap_or(0);
    if most == 0 {
        return Ok(());
    }
    let rows = panels.len().div_ceil(2);
    let height = TITLE + i32::try_from(most)? * ROW + MARGIN;
    let size = (WIDTH * 2, HEAD + height * i32::try_from(rows)? + CAPTION);
    picture(folder, "fronts.svg", size, |root| {
        let title = "websocket-stream: processor time over that of the floor";
        heads(
            root,
            title,
            "for each message; the floor sends the bytes back without a protocol (wss: with only TLS)",
        )?;
        let (_, below) = root.split_vertically(HEAD);
        let (grid, caption) = below.split_vertically(size.1 - HEAD - CAPTION);
        for ((title, ratios), area) in panels.iter().zip(grid.split_evenly((rows, 2))) {
            panel(&area, title, ratios)?;
        }
        let text = format!("next: the peer with the lowest figure. Bars over {MOST} are cut.");
        caption.draw(&Text::new(text, (20, 6), faint(13)))?;
        Ok(())
    })
}

fn panel(area: &Area<'_>, title: &str, ratios: &[Ratio]) -> Result<(), Box<dyn Error>> {
    area.draw(&Text::new(title.to_owned(), (20, 6), font(15)))?;
    let unit = f64::from(WIDTH - NAMES - FIGURES) / MOST;
    let floor = unit as i32;
    let bar = |ratio: &Ratio| {
        let length = (ratio.over_floor.min(MOST) * unit) as i32;
        Bar {
            name: ratio.label.clone(),
            colour: if ratio.ours { ACCENT } else { GREY },
            length,
            figure: format!("{:.2}", ratio.over_floor),
            // Otherwise, the line of the floor would cross it.
            figure_from: if length + FIGURE > floor { floor } else { 0 },
        }
    };
    bars(area, (NAMES, TITLE), ROW, &ratios.iter().map(bar).collect::<Vec<_>>())?;
    let mut top = TITLE;
    for ratio in ratios {
        if ratio.over_floor > MOST {
            // A white stripe across the bar, close to its end.
            let end = NAMES + (MOST * unit) as i32;
            let stripe = [(end - 16, top + ROW), (end - 10, top), (end - 6, top), (end - 12, top + ROW)];
            area.draw(&Polygon::new(stripe, WHITE.filled()))?;
        }
        top += ROW;
    }
    let floor = NAMES + floor;
    area.draw(&PathElement::new([(floor, TITLE - 2), (floor, top + 2)], INK.stroke_width(1)))?;
    let above = Pos::new(HPos::Center, VPos::Bottom);
    area.draw(&Text::new("1.0, the floor", (floor, TITLE - 4), faint(12).pos(above)))?;
    Ok(())
}

/// Returns the echo workloads that are measured without and with TLS.
fn workloads() -> impl Iterator<Item = (&'static Workload, Workload)> {
    let echo = |workload: &&Workload| matches!(workload.job, Job::Echo { .. });
    workload::ALL
        .iter()
        .filter(echo)
        .filter_map(|plain| Some((plain, workload::named(&format!("{}s", plain.name))?)))
}

/// Returns the measured ones of: the fronts of this library, the next best peer, and tokio-tungstenite.
fn ratios(results: &Results, plain: &Workload, tls: &Workload) -> Vec<Ratio> {
    let (plain, tls) = (over_floor(results, plain), over_floor(results, tls));
    let ratio = |of: &[(&str, f64)], server: &str, label: &str| {
        let over_floor = of.iter().find(|(name, _)| *name == server)?.1;
        Some(Ratio { label: label.to_owned(), ours: is_ours(server), over_floor })
    };
    let fronts = FRONTS.iter().filter_map(|(server, label)| ratio(&plain, server, label));
    let wss = ratio(&tls, OURS, "own loop, wss");
    let peers = plain.iter().filter(|(server, _)| !is_ours(server));
    let next = peers.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(server, _)| *server);
    let usual = Some(TOKIO_TUNGSTENITE).filter(|usual| next != Some(usual));
    let next = next.and_then(|server| ratio(&plain, server, &format!("next: {server}")));
    let usual = usual.and_then(|server| ratio(&plain, server, server));
    fronts.chain(wss).chain(next).chain(usual).collect()
}

/// Returns each server of a workload, without the floors, with its processor time over that of the floor.
fn over_floor<'a>(results: &'a Results, workload: &Workload) -> Vec<(&'a str, f64)> {
    let Some((_, figures)) = results.iter().find(|(known, _)| known.name == workload.name) else {
        return Vec::new();
    };
    let Some(floor) = figure(figures, workload.floor()) else { return Vec::new() };
    let servers = figures.iter().filter(|row| !is_floor(&row.server));
    servers.map(|row: &Figures| (row.server.as_str(), row.over(floor))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestants::{FLOOR, TLS_FLOOR};

    /// A server, and its processor time in each round.
    type Rounds<'a> = (&'a str, [f64; 3]);

    fn results(of: &[(&str, &[Rounds<'_>])]) -> Vec<(Workload, Vec<Figures>)> {
        of.iter()
            .map(|(name, servers)| {
                let figures =
                    servers.iter().map(|(server, rounds)| Figures::of_rounds(server, &rounds.map(Some)));
                (workload::named(name).unwrap(), figures.collect())
            })
            .collect()
    }

    fn drawn(results: &Results, workload: &str) -> Vec<(String, f64)> {
        let (plain, tls) = workloads().find(|(plain, _)| plain.name == workload).unwrap();
        ratios(results, plain, &tls).into_iter().map(|ratio| (ratio.label, ratio.over_floor)).collect()
    }

    #[test]
    fn ratios_are_the_median_over_the_rounds() {
        // The medians of the times are 2 and 6, a ratio of 3; that of each round is 2, 2 and 4.
        let measured = results(&[("32x1", &[(FLOOR, [1.0, 3.0, 2.0]), (OURS, [2.0, 6.0, 8.0])])]);
        assert_eq!(drawn(&measured, "32x1"), [("own loop".to_owned(), 2.0)]);
    }

    #[test]
    fn wss_is_compared_with_the_floor_over_tls() {
        let measured = results(&[
            ("16k", &[(FLOOR, [1.0; 3]), (OURS, [2.0; 3])]),
            ("16ks", &[(TLS_FLOOR, [10.0; 3]), (OURS, [15.0; 3]), ("bun", [20.0; 3])]),
        ]);
        assert_eq!(
            drawn(&measured, "16k"),
            [("own loop".to_owned(), 2.0), ("own loop, wss".to_owned(), 1.5)]
        );
    }

    #[test]
    fn tokio_tungstenite_has_one_bar() {
        let floor = (FLOOR, [1.0; 3]);
        let peers = |yawc| results(&[("1m", &[floor, (TOKIO_TUNGSTENITE, [4.0; 3]), ("yawc", [yawc; 3])])]);
        let label = |text: &str, ratio| (text.to_owned(), ratio);
        assert_eq!(drawn(&peers(3.0), "1m"), [label("next: yawc", 3.0), label(TOKIO_TUNGSTENITE, 4.0)]);
        assert_eq!(drawn(&peers(5.0), "1m"), [label("next: tokio-tungstenite", 4.0)]);
    }

    #[test]
    fn all_echo_workloads_with_tls_have_a_panel() {
        let names: Vec<_> = workloads().map(|(plain, _)| plain.name).collect();
        assert_eq!(names, ["32x1", "32x32", "1kx16", "16k", "1m"]);
    }
}
