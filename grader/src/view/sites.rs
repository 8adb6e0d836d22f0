//! The table of tasks in a finding: who, in which function, where, doing what.

use kata_report::Site;

use super::{
    style::{INDENT, Style, in_crate},
    text::{self, pad_right, push_line, width},
};

/// More sites than this are counted.
const MOST: usize = 12;

/// One line per site, or two where the page is narrow.
pub fn table(sites: &[Site], style: &Style) -> String {
    let sites_shown = &sites[..sites.len().min(MOST)];
    let cells: Vec<[String; 4]> = sites_shown.iter().map(|site| cells(site, style)).collect();
    let columns = [0, 1, 2].map(|column| {
        let widths = cells.iter().map(|cells| width(&cells[column]));
        widths.max().unwrap_or(0)
    });
    let before: usize = INDENT + columns.iter().map(|column| column + 3).sum::<usize>();
    let beside = cells
        .iter()
        .all(|cells| before + width(&cells[3]) <= style.page());
    let margin = " ".repeat(INDENT);
    let mut table = String::new();
    for (cells, site) in cells.iter().zip(sites_shown) {
        let [who, function, place, doing] = cells;
        if beside {
            let place = linked(site, place, columns[2], style);
            let who = style.bold(&pad_right(who, columns[0]));
            let function = pad_right(function, columns[1]);
            let line = format!("{margin}{who}   {function}   {place}   {doing}");
            push_line(&mut table, &line);
        } else {
            table.push_str(&stacked(site, cells, style));
        }
    }
    if sites.len() > MOST {
        let more = format!("{} {} more", style.sign("…", "..."), sites.len() - MOST);
        push_line(&mut table, &format!("{margin}{}", style.dim(&more)));
    }
    text::lines(table.lines().map(str::trim_end))
}

fn cells(site: &Site, style: &Style) -> [String; 4] {
    let place = site.location.as_ref().map(in_crate).unwrap_or_default();
    [&site.who, &site.function, &place, &site.doing].map(|words| style.learner(words))
}

fn linked(site: &Site, place: &str, columns: usize, style: &Style) -> String {
    let gap = " ".repeat(columns.saturating_sub(width(place)));
    let place = style.accent(place);
    match &site.location {
        Some(location) => style.link(&location.file, location.line, &place) + &gap,
        None => place + &gap,
    }
}

/// Who and where in one line, what they do in the next.
fn stacked(site: &Site, [who, function, place, doing]: &[String; 4], style: &Style) -> String {
    let margin = " ".repeat(INDENT);
    let room = style.page() - INDENT;
    let who = style.fit(who, room / 2);
    let left = room - width(&who);
    let place = style.fit(place, left.saturating_sub(2));
    let function = style.fit(function, left.saturating_sub(width(&place) + 4));
    let place = linked(site, &place, 0, style);
    let mut lines = format!("{margin}{}", style.bold(&who));
    for part in [function, place] {
        if !part.is_empty() {
            lines.push_str("  ");
            lines.push_str(&part);
        }
    }
    lines.push('\n');
    for line in style.wrap(doing, style.page(), INDENT + 2) {
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}
