//! The result as pictures (SVG), legible on whatever background they are shown.
//!
//! Each names the machine and the versions below itself. Called by `main.rs`.

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    contenders::{NATIVE_WARM, WARM},
    summary::{Line, Size},
};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

const OURS: RGBColor = RGBColor(31, 111, 235);
const ENVOYS: RGBColor = RGBColor(217, 119, 6);
const OTHERS: RGBColor = RGBColor(140, 149, 159);
const INK: RGBColor = RGBColor(31, 35, 40);
const PAPER: RGBColor = RGBColor(255, 255, 255);

const WIDTH: u32 = 820;
/// Above and below what is drawn.
const TITLE: u32 = 44;
const CAPTION: u32 = 30;
const ROW: u32 = 28;
const NAMES: i32 = 330;
const LARGE: u32 = 22;
const NORMAL: u32 = 16;
const SMALL: u32 = 14;

/// One bar for each contender.
pub fn bars(title: &str, size: &Size, what: fn(&Line) -> f64, caption: &str) -> String {
    let rows = u32::try_from(size.lines.len()).expect("few");
    draw(title, caption, rows * ROW, |area| {
        let most = size.lines.iter().map(what).fold(1.0, f64::max);
        // Room for the number behind the longest bar.
        let room = f64::from(WIDTH) - f64::from(NAMES) - 90.0;
        for (line, top) in size.lines.iter().zip((0..).step_by(ROW as usize)) {
            let value = what(line);
            let (from, to) = (NAMES, NAMES + (value.max(0.0) / most * room) as i32);
            let middle = top + ROW as i32 / 2;
            let name = line.contender.clone();
            area.draw(&Text::new(
                name,
                (from - 8, middle),
                text(NORMAL, HPos::Right),
            ))?;
            let bar = [(from, top + 4), (to, top + ROW as i32 - 4)];
            area.draw(&Rectangle::new(bar, color(&line.contender).filled()))?;
            let digits = if value < 100.0 { 1 } else { 0 };
            let number = format!("{value:.digits$} µs");
            area.draw(&Text::new(
                number,
                (to + 6, middle),
                text(NORMAL, HPos::Left),
            ))?;
        }
        Ok(())
    })
}

/// Ours and Envoy's own by the number of rules, both scales logarithmic; nothing of a single number.
pub fn by_rules(title: &str, sizes: &[Size], caption: &str) -> Option<String> {
    let points = |name: &str| {
        let point = |size: &Size| {
            let line = size.line(name)?;
            Some((size.rules as f64, line.added_cpu_microseconds.max(0.1)))
        };
        sizes.iter().filter_map(point).collect::<Vec<_>>()
    };
    let lines = [(WARM, points(WARM)), (NATIVE_WARM, points(NATIVE_WARM))];
    let all = || lines.iter().flat_map(|(_, points)| points);
    let most_rules = all().map(|(rules, _)| *rules).fold(0.0, f64::max);
    let most = all().map(|(_, added)| *added).fold(0.0, f64::max);
    if lines.iter().any(|(_, points)| points.len() < 2) {
        return None;
    }
    let picture = draw(title, caption, 320, |area| {
        let rules = (1.0..most_rules).log_scale();
        let added = (1.0..(most * 2.0).max(10.0)).log_scale();
        let mut chart = ChartBuilder::on(area)
            .margin_right(30)
            .x_label_area_size(46)
            .y_label_area_size(70)
            .build_cartesian_2d(rules, added)?;
        chart
            .configure_mesh()
            .light_line_style(PAPER)
            .bold_line_style(OTHERS.mix(0.3))
            .axis_style(INK)
            .label_style(text(SMALL, HPos::Center))
            .axis_desc_style(text(NORMAL, HPos::Center))
            .x_desc("rules")
            .y_desc("added CPU time by request, µs")
            .x_label_formatter(&|rules| format!("{rules:.0}"))
            .y_label_formatter(&|added| format!("{added:.0}"))
            .draw()?;
        for (name, points) in &lines {
            let style = color(name).stroke_width(3);
            chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
            let dots = points
                .iter()
                .map(|at| Circle::new(*at, 5, color(name).filled()));
            chart.draw_series(dots)?;
            // Left of its last point, and above.
            let (rules, added) = points[points.len() - 1];
            let at = (rules * 0.75, added * 1.4);
            let ink = color(name);
            let style = text(NORMAL, HPos::Right).color(&ink);
            chart.draw_series([Text::new((*name).to_owned(), at, style)])?;
        }
        Ok(())
    });
    Some(picture)
}

/// A picture with a title above and a caption below what `content` draws.
fn draw(
    title: &str,
    caption: &str,
    height: u32,
    content: impl FnOnce(&Area<'_>) -> Drawn,
) -> String {
    let mut svg = String::new();
    let all = TITLE + height + CAPTION;
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, all)).into_drawing_area();
        let drawn = (|| -> Drawn {
            area.fill(&PAPER)?;
            let at = (16, TITLE as i32 / 2);
            area.draw(&Text::new(title, at, text(LARGE, HPos::Left)))?;
            let at = (16, (all - CAPTION / 2) as i32);
            area.draw(&Text::new(caption, at, text(SMALL, HPos::Left)))?;
            content(&area.margin(TITLE, CAPTION, 0, 0))?;
            area.present()?;
            Ok(())
        })();
        drawn.expect("a text can always be written");
    }
    svg
}

fn text(size: u32, side: HPos) -> TextStyle<'static> {
    let style = TextStyle::from(("sans-serif", size).into_font()).color(&INK);
    style.pos(Pos::new(side, VPos::Center))
}

/// Whose it is.
fn color(contender: &str) -> RGBColor {
    if contender.starts_with("Portcullis") {
        OURS
    } else if contender.starts_with("jwt_authn") || contender.starts_with("ext_authz") {
        ENVOYS
    } else {
        OTHERS
    }
}
