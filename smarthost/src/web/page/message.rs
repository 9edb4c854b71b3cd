//! One message: where it stands, what happened to it, its header.

use console::trace::Said;
use control::listing::Row;
use mail::clock::Timestamp;
use maud::{Markup, html};

use super::{
    ago, number, order, plain, queue,
    table::{Column::Text, section},
    time,
};

/// What is known of it.
#[derive(Debug, Default)]
pub(in crate::web) struct Known {
    pub(in crate::web) id: String,
    /// While it is in the queue.
    pub(in crate::web) row: Option<Row>,
    pub(in crate::web) header: Option<String>,
    /// Lines of the log about it, oldest first.
    pub(in crate::web) story: Vec<(Timestamp, String)>,
    /// Since when these are known.
    pub(in crate::web) since: Timestamp,
}

/// Lines and recipients that are shown of a message to very many.
const MOST: usize = 500;

pub(in crate::web) fn page(known: &Known, now: Timestamp) -> Markup {
    html! {
        h1 { "Message " span.id { (known.id) } }
        @match &known.row {
            Some(row) => (standing(row, now)),
            None => p { "It is not in the queue." },
        }
        (story(known, now))
        @if let Some(header) = &known.header {
            section aria-labelledby="header" {
                h2 id="header" { "Header" }
                pre tabindex="0" { (header) }
            }
        }
    }
}

fn standing(row: &Row, now: Timestamp) -> Markup {
    let about = [("id", row.queue_id.as_str())];
    let held = row.queue_name == "hold";
    html! {
        dl.facts {
            div { dt { "State" } dd { (queue::state(&row.queue_name)) } }
            div { dt { "From" } dd.address { (queue::sender(&row.sender)) } }
            div { dt { "Came" } dd { (time(row.arrival)) ", " (ago(row.arrival, now)) " ago" } }
            @if !row.origin.is_empty() { div { dt { "Client" } dd.address { (plain(&row.origin)) } } }
            div { dt { "Size" } dd { (number(row.size)) " bytes" } }
            @if let Some(next) = row.next_attempt.filter(|_| row.queue_name == "deferred") {
                div { dt { "Next attempt" } dd { (time(next)) } }
            }
        }
        div.orders role="group" aria-label="Orders about this message" {
            (order("flush", &about, "Try now"))
            @if held { (order("release", &about, "Release")) } @else { (order("hold", &about, "Hold")) }
            (order("bounce", &about, "Return to sender"))
            (order("delete", &about, "Delete"))
        }
        (recipients(row))
    }
}

fn recipients(row: &Row) -> Markup {
    let shown = row.recipients.iter().take(MOST);
    let rows: Vec<_> = shown
        .map(|to| {
            html! {
                tr {
                    th.address scope="row" {
                        (plain(&to.address))
                        @if let Some(original) = &to.orig_address { span.dim { " for " (plain(original)) } }
                    }
                    td.reason {
                        @if to.delay_reason.is_empty() { span.dim { "not tried yet" } }
                        @else { (plain(&to.delay_reason)) }
                    }
                }
            }
        })
        .collect();
    let more = row.recipients.len().saturating_sub(MOST);
    let more = u64::try_from(more).unwrap_or(u64::MAX);
    section(
        "recipients",
        "Who still waits for it",
        "Nobody.",
        &[Text("Recipient"), Text("Why")],
        &rows,
        (more > 0).then(|| html! { "and " (number(more)) " more" }),
    )
}

fn story(known: &Known, now: Timestamp) -> Markup {
    let next = known
        .row
        .as_ref()
        .filter(|row| row.queue_name == "deferred");
    let arrival = known.row.as_ref().map(|row| row.arrival);
    let cut = arrival.filter(|arrival| *arrival < known.since);
    html! {
        section aria-labelledby="story" {
            h2 id="story" { "What happened" }
            @if known.story.is_empty() && arrival.is_none() {
                p.empty { "Nothing is known of it." }
            }
            ol.story {
                @if let Some(arrival) = cut {
                    li { (time(arrival)) span.tag { "came" } p { "What happened then until " (time(known.since)) " is in the log." } }
                }
                @for (at, line) in known.story.iter().take(MOST) {
                    @let (class, word) = told(line);
                    li {
                        (time(*at))
                        span.tag.(class) { (word) }
                        p { (plain(line)) }
                    }
                }
                @if let Some(at) = next.and_then(|row| row.next_attempt) {
                    li.next { (time(at)) span.tag { "next" } p { "The next attempt" @if at <= now { " is due" } "." } }
                }
            }
            p.honest {
                "These are the lines of the log, known since " (time(known.since)) ", in memory."
            }
        }
    }
}

/// How a line of the log is shown: its colour and a word.
fn told(line: &str) -> (&'static str, &'static str) {
    match Said::parse(line) {
        Said::Attempt(attempt) => match attempt.status {
            "sent" => ("good", "delivered"),
            "deferred" => ("warn", "deferred"),
            _ => ("bad", "failed"),
        },
        Said::Expired => ("bad", "expired"),
        Said::Taken { .. } => ("", "came"),
        Said::MessageId(_) => ("", "named"),
        Said::Queued { .. } => ("", "queued"),
        Said::Deleted => ("bad", "deleted"),
        Said::Removed => ("", "left"),
        Said::Made { what, .. } => match what {
            "sender non-delivery notification" => ("bad", "bounce"),
            "sender delay notification" => ("warn", "warning"),
            _ => ("", "confirmed"),
        },
        Said::Other if line.starts_with("DKIM") => ("", "signed"),
        Said::Other if line.starts_with("on hold") || line.starts_with("kept on hold") => {
            ("warn", "held")
        }
        Said::Moved | Said::Other => ("", "log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_by_what_we_say_and_not_by_what_a_peer_says() {
        for (line, word) in [
            (
                "to=<a@b>, relay=x, delay=1, dsn=2.0.0, status=sent (250 Ok)",
                "delivered",
            ),
            (
                "to=<a@b>, relay=x, dsn=4.0.0, status=deferred (host said: 451 status=sent)",
                "deferred",
            ),
            (
                "to=<status=sent@b>, relay=none, delay=1, dsn=4.4.1, status=deferred (x)",
                "deferred",
            ),
            ("client=vm1[10.0.0.7]", "came"),
            ("removed", "left"),
            ("something new", "log"),
        ] {
            assert_eq!(told(line).1, word, "{line}");
        }
    }
}
