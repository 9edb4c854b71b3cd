//! Messages that were looked for, or that wait for a destination; refusals beside them.

use control::listing::Row;
use mail::clock::Timestamp;
use maud::{Markup, html};
use spool::QueueId;

use super::{
    ago, counted, encoded, number, order, plain, search,
    table::{
        Column::{Number, Text},
        section, table,
    },
    time,
};
use crate::policy::refusals::Refusal;

/// What was found.
#[derive(Debug, Default)]
pub(in crate::web) struct Found {
    /// That wait, oldest first.
    pub(in crate::web) rows: Vec<Row>,
    /// Not all was looked at, or not all is shown.
    pub(in crate::web) partly: bool,
    /// Messages that have left the queue, newest first, with when it was heard of them first and
    /// the last that was heard.
    pub(in crate::web) past: Vec<(QueueId, Timestamp, String)>,
    pub(in crate::web) refusals: Vec<Refusal>,
    /// Since when messages that have left are known.
    pub(in crate::web) since: Timestamp,
}

/// What was asked for.
#[derive(Debug, Default)]
pub(in crate::web) struct Wanted {
    pub(in crate::web) words: String,
    pub(in crate::web) destination: String,
}

pub(in crate::web) fn page(wanted: &Wanted, found: &Found, now: Timestamp) -> Markup {
    let Wanted { words, destination } = wanted;
    let searched = !words.is_empty();
    html! {
        h1 {
            @if searched { "Messages with " q { (plain(words)) } }
            @else if !destination.is_empty() { "Waits for " (plain(destination)) }
            @else { "The queue, oldest first" }
        }
        @if searched { div.again { (search("again", words)) } }
        section aria-labelledby="queued" {
            h2 id="queued" { "In the queue" }
            @if found.rows.is_empty() {
                p.empty { @if searched { "No message in the queue." } @else { "Nothing waits." } }
            } @else {
                (rows(&found.rows, now))
            }
            @if found.partly {
                p.more { "There may be more: shown are the first " (number_of(&found.rows)) ", and at most a second was spent on looking." }
            }
            @if !found.rows.is_empty() { (together(wanted)) }
        }
        @if searched {
            (past(found, now))
            (refusals(&found.refusals, now))
            p.honest {
                "What has left the queue is known since " (time(found.since))
                ", in memory; it begins anew with the daemon. Refusals are kept for 30 days. A Message-ID is found as long as its line of the log is known here; what is older is in the log itself."
            }
        }
    }
}

fn number_of(rows: &[Row]) -> String {
    number(u64::try_from(rows.len()).unwrap_or(u64::MAX))
}

fn rows(rows: &[Row], now: Timestamp) -> Markup {
    let rows: Vec<_> = rows.iter().map(|it| row(it, now)).collect();
    table(
        "queued",
        &[
            Text("Queue id"),
            Text("State"),
            Number("Bytes"),
            Text("Age"),
            Text("From"),
            Text("To"),
            Text("Why it waits"),
        ],
        &rows,
    )
}

/// Recipients that are named in a list.
const RECIPIENTS: usize = 3;

fn row(row: &Row, now: Timestamp) -> Markup {
    let more = row.recipients.len().saturating_sub(RECIPIENTS);
    let reason = row.recipients.first().map_or("", |to| &to.delay_reason);
    html! {
        tr {
            th.id scope="row" { a href=(format!("/message/{}", encoded(&row.queue_id))) { (row.queue_id) } }
            td.short { (state(&row.queue_name)) }
            td.number { (number(row.size)) }
            td.short { (ago(row.arrival, now)) }
            td.address { (sender(&row.sender)) }
            td.address {
                @for to in row.recipients.iter().take(RECIPIENTS) { div { (plain(&to.address)) } }
                @if more > 0 { div.dim { "and " (number(u64::try_from(more).unwrap_or(u64::MAX))) " more" } }
            }
            td.reason {
                @if reason.is_empty() { span.dim { "not tried yet" } } @else { (plain(reason)) }
            }
        }
    }
}

pub(super) fn sender(sender: &str) -> String {
    if sender.is_empty() {
        "<> (a bounce)".to_owned()
    } else {
        plain(sender)
    }
}

pub(super) fn state(name: &str) -> Markup {
    let (class, word) = match name {
        "active" => ("good", "active"),
        "hold" => ("warn", "on hold"),
        _ => ("", "waits"),
    };
    html! { span.tag.(class) { (word) } }
}

/// Orders about all that wait for a destination.
fn together(wanted: &Wanted) -> Markup {
    let Wanted { destination, .. } = wanted;
    let about = [("destination", destination.as_str())];
    html! {
        @if !destination.is_empty() {
            div.orders role="group" aria-label="Orders about all of them" {
                (order("flush", &about, "Try all now"))
                (order("hold", &about, "Hold all"))
                (order("release", &about, "Release all"))
            }
        }
    }
}

fn past(found: &Found, now: Timestamp) -> Markup {
    let past = found.past.iter();
    let rows: Vec<_> = past
        .map(|(id, at, last)| {
            html! {
                tr {
                    th.id scope="row" { a href=(format!("/message/{id}")) { (id) } }
                    td.short { (ago(*at, now)) " ago" }
                    td.reason { (plain(last)) }
                }
            }
        })
        .collect();
    section(
        "past",
        "Have left the queue",
        "None that is known here.",
        &[
            Text("Queue id"),
            Text("First heard of"),
            Text("Last result"),
        ],
        &rows,
        None,
    )
}

fn refusals(refusals: &[Refusal], now: Timestamp) -> Markup {
    let rows: Vec<_> = refusals.iter().map(|it| refusal(it, now)).collect();
    section(
        "refusals",
        "Refused",
        "Nothing was refused.",
        &[
            Text("Last"),
            Text("Client"),
            Text("From"),
            Text("To"),
            Text("Rule and reply"),
        ],
        &rows,
        None,
    )
}

fn refusal(refusal: &Refusal, now: Timestamp) -> Markup {
    let text = |text: &Option<String>| text.as_deref().map_or("–".to_owned(), plain);
    html! {
        tr {
            td.short { (ago(refusal.last, now)) " ago" }
            td.address { (plain(&refusal.client)) }
            td.address { (text(&refusal.sender)) }
            td.address { (text(&refusal.recipient)) }
            td.reason {
                strong { (text(&refusal.rule)) } " " (plain(&refusal.reply))
                @if refusal.count > 1 { span.dim { " (" (counted(refusal.count, "time")) ")" } }
                @if let Some(at) = refusal.accepted { span.dim { " – was taken at " (time(at)) } }
            }
        }
    }
}
