//! What stands on a screen of any size. Pure.
//!
//! Contract: no line is longer than the screen is wide, and there are no more than it is high; what
//! does not fit is cut, the tables first.

use std::fmt::Write as _;

use console::status::{queued, recipients};
use mail::{clock::Timestamp, text::printable};
use settings::Span;

use super::{
    tables::{Cell, Column, Order, Table},
    view::View,
};

const MIB: u64 = 1024 * 1024;
/// Alarms that are shown.
const ALARMS: usize = 3;

/// Of a screen, in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) height: usize,
}

/// One line, as it is to be seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Line {
    Plain(String),
    Strong(String),
    Title(String),
}

impl Line {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Strong(text) | Self::Title(text) => text,
        }
    }

    /// No longer than this; a title fills it.
    fn fit(self, width: usize) -> Self {
        let cut = |text: String| text.chars().take(width).collect::<String>();
        match self {
            Self::Plain(text) => Self::Plain(cut(text)),
            Self::Strong(text) => Self::Strong(cut(text)),
            Self::Title(text) => Self::Title(cut(format!("{text:width$}"))),
        }
    }
}

/// On paper.
pub(super) fn text(view: &View, size: Size, now: Timestamp) -> String {
    let mut out = String::new();
    for line in lines(view, size, now) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", line.text().trim_end());
    }
    out
}

pub(super) fn lines(view: &View, size: Size, now: Timestamp) -> Vec<Line> {
    let mut lines = if view.help {
        help()
    } else {
        all(view, size, now)
    };
    lines.truncate(size.height);
    lines.into_iter().map(|line| line.fit(size.width)).collect()
}

fn all(view: &View, size: Size, now: Timestamp) -> Vec<Line> {
    let mut lines = head(view, now);
    // A low screen keeps the first two lines and a table.
    if lines.len() + 6 > size.height {
        lines.truncate(2);
    }
    lines.push(tabs(view.table));
    table(&mut lines, view, size, now);
    lines
}

/// How it goes, in a few lines.
fn head(view: &View, now: Timestamp) -> Vec<Line> {
    let status = &view.status;
    let up = Span::coarse(status.as_of.since(status.started));
    let (program, version, host) = (
        &status.program,
        &status.version,
        printable(&status.hostname),
    );
    let time = status.as_of.rfc3339();
    let time = time.get(11..19).unwrap_or_default();
    let mut lines = vec![
        Line::Strong(format!(
            "{program} {version} on {host}, {time}, running for {up}; ? for help"
        )),
        row("queue", &queued(status, status.as_of)),
    ];
    let pace = view.pace.map_or_else(String::new, |(taken, sent)| {
        format!("; {taken:.1} taken and {sent:.1} sent in a second")
    });
    let counted = &status.counted;
    let ends = recipients(counted);
    lines.push(row(
        "messages",
        &format!("{} taken since the start{pace}", counted.received),
    ));
    lines.extend((!ends.is_empty()).then(|| row("recipients", &ends)));
    let (sessions, clients) = (status.sessions, status.clients);
    lines.push(row(
        "sessions",
        &format!("{sessions} now, {clients} clients counted"),
    ));
    lines.push(row("disk", &disk(view)));
    let silent = view.fault.as_ref().map(|why| {
        let since = Span::coarse(now.since(status.as_of));
        format!("nothing new for {since}: {why}")
    });
    let troubles = status.troubles().into_iter().map(|trouble| trouble.text);
    let told = silent.into_iter().chain(troubles);
    lines.extend(
        told.take(ALARMS)
            .map(|text| Line::Strong(format!("!          {}", printable(&text)))),
    );
    lines
}

fn row(name: &str, text: &str) -> Line {
    Line::Plain(format!("{name:10} {}", printable(text)))
}

fn disk(view: &View) -> String {
    let spool = &view.status.spool;
    let free = spool
        .free_bytes
        .map(|bytes| format!("{} MiB free", bytes / MIB));
    let synced = spool.last_sync.map(|(_, took)| {
        let (whole, part) = (took / 1000, took % 1000 / 100);
        format!("last sync took {whole}.{part} ms")
    });
    let parts: Vec<_> = [free, synced].into_iter().flatten().collect();
    parts.join(", ")
}

/// Which tables there are; the one that is shown in brackets.
fn tabs(shown: Table) -> Line {
    let names = (1..).zip(Table::ALL).map(|(number, table)| match table {
        table if table == shown => format!("[{number} {}]", table.name()),
        table => format!(" {number} {} ", table.name()),
    });
    Line::Plain(names.collect())
}

fn table(lines: &mut Vec<Line>, view: &View, size: Size, now: Timestamp) {
    let (order, columns) = (view.order(), view.table.columns());
    // Ages grow with the answers, so that a silent daemon's do not.
    let now = if view.fault.is_some() {
        view.status.as_of
    } else {
        now
    };
    let rows = view.table.sorted(&view.status, order, now);
    let titles = titles(columns, order);
    let widths = widths(&titles, &rows);
    lines.push(Line::Title(joined(
        columns,
        &widths,
        titles.iter().map(String::as_str),
    )));
    if rows.is_empty() {
        lines.push(Line::Plain(view.table.empty().to_owned()));
    }
    let room = size.height.saturating_sub(lines.len());
    // One line says that there are more.
    let first = order.first.min(rows.len().saturating_sub(1));
    let left = rows.len().saturating_sub(first);
    let fits = if left > room {
        room.saturating_sub(1)
    } else {
        left
    };
    for row in rows.iter().skip(first).take(fits) {
        lines.push(Line::Plain(joined(
            columns,
            &widths,
            row.iter().map(Cell::text),
        )));
    }
    if left > fits {
        lines.push(Line::Plain(format!("and {} more", left - fits)));
    }
}

/// The titles; that by which it is sorted says in which direction.
fn titles(columns: &[Column], order: Order) -> Vec<String> {
    let columns = columns.iter().enumerate();
    let title = |(place, column): (usize, &Column)| {
        let falls = column.number != order.reversed;
        match (place == order.column, falls) {
            (false, _) => column.title.to_owned(),
            (true, true) => format!("{}▼", column.title),
            (true, false) => format!("{}▲", column.title),
        }
    };
    columns.map(title).collect()
}

/// How wide each column is.
fn widths(titles: &[String], rows: &[Vec<Cell>]) -> Vec<usize> {
    let width = |(place, title): (usize, &String)| {
        let cells = rows.iter().filter_map(|row| row.get(place));
        let longest = cells.map(|cell| cell.text().chars().count()).max();
        longest.unwrap_or_default().max(title.chars().count())
    };
    titles.iter().enumerate().map(width).collect()
}

fn joined<'a>(
    columns: &[Column],
    widths: &[usize],
    cells: impl Iterator<Item = &'a str>,
) -> String {
    let mut line = String::new();
    for ((cell, column), width) in cells.zip(columns).zip(widths) {
        if !line.is_empty() {
            line.push_str("  ");
        }
        let _ = if column.number {
            write!(line, "{cell:>width$}")
        } else {
            write!(line, "{cell:width$}")
        };
    }
    line.truncate(line.trim_end().len());
    line
}

fn help() -> Vec<Line> {
    let keys = [
        ("Tab, 1 to 5", "another table"),
        ("right, s", "sort by the next column, which ▼ or ▲ marks"),
        ("left", "sort by the previous column"),
        ("r", "reverse the order"),
        (
            "up, down",
            "scroll; Page Up and Page Down by ten, Home to the top",
        ),
        ("? or h", "this help; any key ends it"),
        ("q, Ctrl-C", "quit"),
    ];
    let title = Line::Title("smarthost top: keys".to_owned());
    let keys = keys.map(|(key, does)| Line::Plain(format!("{key:12} {does}")));
    let more = "Queued mail is that of the 20,000 oldest messages. A table has fifty rows at most.";
    let more = Line::Plain(more.to_owned());
    std::iter::once(title).chain(keys).chain([more]).collect()
}

#[cfg(test)]
mod tests;
