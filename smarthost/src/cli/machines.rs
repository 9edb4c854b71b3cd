//! `smarthost clients`: the machines that bring mail, from the daemon's database.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Duration};

use mail::{
    clock::{self, Timestamp},
    outcome::escape,
    text::printable,
};
use serde::Serialize;
use settings::Span;

use super::{failed::Failed, kept};
use crate::{
    config::Config,
    enrolling::Enrolled,
    machines::{By, Machine, Machines, day},
};

/// Longest text of others in a column, bytes.
const WIDTH: usize = 255;
/// Days with a column of their own.
const DAYS: u32 = 30;
const DAY: Duration = Duration::from_hours(24);

#[derive(clap::Args, Debug)]
pub(super) struct Clients {
    /// Only machines that have sent mail before, but none for this long: 3d, 12h
    #[arg(long, value_name = "SPAN", value_parser = |text: &str| Span::try_from(text.to_owned()))]
    silent_for: Option<Span>,
    /// One JSON object per client
    #[arg(long)]
    json: bool,
    /// Comma-separated values, with a column for each of the last 30 days
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// A row for programs.
#[derive(Serialize)]
struct Told<'a> {
    client: &'a str,
    name: &'a str,
    address: &'a str,
    known_by: By,
    /// Keys with its name: enrolled, or of `client_pins`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pins: Vec<String>,
    agent: Option<&'a str>,
    first: String,
    last: String,
    today: u64,
    last_7_days: u64,
    last_30_days: u64,
    messages: u64,
    by_day: &'a BTreeMap<String, u64>,
}

pub(super) fn run(config: &Path, wanted: &Clients) -> Result<String, Failed> {
    // The machines are known whatever else is wrong in the file.
    let (config, _) = Config::load_anyway(config)?;
    let (state, kept) = kept::database(&config, "the clients")?;
    let mut machines = Machines::default();
    for (id, record) in kept.machines {
        machines.restore(id, &record);
    }
    let (now, enrolled) = (clock::now(), Enrolled::open(&state));
    let silent = |row: &Machine| {
        let span = wanted.silent_for.map(|span| span.0);
        span.is_none_or(|span| now.since(row.last) >= span)
    };
    let rows: Vec<_> = machines
        .list()
        .into_iter()
        .filter(|(_, row)| silent(row))
        .collect();
    if wanted.json {
        let mut pins = BTreeMap::<&str, Vec<String>>::new();
        for (pin, name) in &config.client_pins {
            pins.entry(name).or_default().push(pin.to_string());
        }
        let lines = rows.iter().map(|(id, row)| {
            let told = told(id, row, (&pins, &enrolled), now);
            // Texts and numbers always have a JSON form.
            serde_json::to_string(&told).unwrap_or_default() + "\n"
        });
        return Ok(lines.collect());
    }
    if wanted.csv {
        return Ok(csv(&rows, now));
    }
    Ok(match (rows.as_slice(), wanted.silent_for) {
        ([], None) => "no client has sent mail".to_owned(),
        ([], Some(span)) => format!("no client that sent mail before has been silent for {span}"),
        (rows, _) => table(rows, now),
    })
}

fn told<'a>(
    id: &'a str,
    row: &'a Machine,
    (known, enrolled): (&BTreeMap<&str, Vec<String>>, &Enrolled),
    now: Timestamp,
) -> Told<'a> {
    let mut pins = Vec::new();
    if row.known_by == By::Key {
        pins.extend(known.get(id).into_iter().flatten().cloned());
        pins.extend(enrolled.keys_of(id));
    }
    Told {
        client: id,
        name: &row.name,
        address: &row.address,
        known_by: row.known_by,
        pins,
        agent: row.agent.as_deref(),
        first: row.first.rfc3339(),
        last: row.last.rfc3339(),
        today: row.within(1, now),
        last_7_days: row.within(7, now),
        last_30_days: row.within(DAYS, now),
        messages: row.messages,
        by_day: &row.days,
    }
}

fn known_by(by: By) -> &'static str {
    match by {
        By::Address => "address",
        By::Key => "key",
        By::Login => "login",
    }
}

/// Aligned columns.
fn table(rows: &[(&str, &Machine)], now: Timestamp) -> String {
    let head = [
        "CLIENT",
        "NAME",
        "KNOWN BY",
        "TODAY",
        "7 DAYS",
        "30 DAYS",
        "LAST MESSAGE",
        "AGENT",
    ];
    let mut lines = vec![head.map(str::to_owned)];
    for (id, row) in rows {
        let shown = |text: &str| escape(text.as_bytes(), WIDTH);
        lines.push([
            shown(id),
            shown(&row.name),
            known_by(row.known_by).to_owned(),
            row.within(1, now).to_string(),
            row.within(7, now).to_string(),
            row.within(DAYS, now).to_string(),
            row.last.rfc3339(),
            row.agent.as_deref().map_or_else(|| "-".to_owned(), shown),
        ]);
    }
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(String::len).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let mut text = String::new();
        for (cell, (index, &width)) in line.iter().zip(widths.iter().enumerate()) {
            // Numbers to the right. Writing to a String cannot fail.
            let _ = match index {
                3..=5 => write!(text, "{cell:>width$}  "),
                _ => write!(text, "{cell:<width$}  "),
            };
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

/// RFC 4180, and nothing that a spreadsheet takes for a formula.
fn csv(rows: &[(&str, &Machine)], now: Timestamp) -> String {
    let days: Vec<_> = (0..DAYS)
        .rev()
        .map(|back| day(now.before(DAY * back)))
        .collect();
    let head = [
        "client", "name", "address", "known_by", "agent", "first", "last", "messages",
    ];
    let mut out = format!("{},{}\r\n", head.join(","), days.join(","));
    for (id, row) in rows {
        let agent = row.agent.as_deref().unwrap_or_default();
        let (first, last) = (row.first.rfc3339(), row.last.rfc3339());
        let texts = [
            *id,
            &row.name,
            &row.address,
            known_by(row.known_by),
            agent,
            &first,
            &last,
        ];
        let cells = texts.iter().map(|text| cell(text));
        let counts = days
            .iter()
            .map(|day| row.days.get(day).copied().unwrap_or_default());
        let counts = std::iter::once(row.messages)
            .chain(counts)
            .map(|count| count.to_string());
        let cells: Vec<_> = cells.chain(counts).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

fn cell(text: &str) -> String {
    let text = printable(text);
    let formula = text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    let text = if formula { format!("'{text}") } else { text };
    if text.contains([',', '"', ';']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_that_a_client_gives_itself_is_a_column_or_a_formula() {
        assert_eq!(cell("vm7"), "vm7");
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("a,\"b\"\n"), "\"a,\"\"b\"\"?\"");
    }
}
