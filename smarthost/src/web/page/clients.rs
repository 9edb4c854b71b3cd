//! Clients against their limits.

use maud::{Markup, html};

use super::{
    number, order,
    overview::bar,
    plain,
    table::{
        Column::{self, Number, Text, Unseen},
        table,
    },
    time,
};
use crate::limits::Report;

/// Clients that are shown.
pub(in crate::web) const MOST: usize = 500;

const COLUMNS: [Column; 6] = [
    Text("Client"),
    Number("Messages"),
    Text("Used"),
    Text("Counts"),
    Text("Next message"),
    Unseen("Orders"),
];

pub(in crate::web) fn page(reports: &[Report], all: usize) -> Markup {
    let rows: Vec<_> = reports.iter().map(row).collect();
    html! {
        h1 id="clients" { "Clients" }
        @if reports.is_empty() {
            p.empty { "No client is counted: none has sent anything, or no limit is set (limits.per_client)." }
        } @else {
            (table("clients", &COLUMNS, &rows))
            @if all > reports.len() {
                p.more { "Shown are the " (number(u64::try_from(reports.len()).unwrap_or(0))) " that sent most, of " (number(u64::try_from(all).unwrap_or(0))) "." }
            }
        }
    }
}

fn row(report: &Report) -> Markup {
    let about = [("client", report.client.as_str())];
    html! {
        tr {
            th.address scope="row" { (plain(&report.client)) }
            td.number { (number(report.messages())) }
            td { @if report.exempt { span.dim { "exempt" } } @else { (bar(report.percent())) } }
            td.reason {
                (plain(&report.usage()))
                @if let Some(ordered) = report.ordered() { div.dim { (plain(&ordered)) } }
            }
            td.short {
                @match report.next_slot {
                    Some(at) => (time(at)),
                    None if report.waits() => "with the other servers",
                    None => "now",
                }
            }
            td { @if !report.exempt { (order("raise", &about, "Limit …")) } }
        }
    }
}
