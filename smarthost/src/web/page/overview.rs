//! How it goes.

use control::{
    status::{GROUPS, Status},
    summary::{Group, Summary, shown},
    troubles::What,
};
use mail::clock::Timestamp;
use maud::{Markup, html};

use super::{
    ago, counted, encoded, number, plain, plot, span,
    table::{
        Column::{Number, Text},
        section,
    },
    time,
};
use crate::activity::Slot;

const MIB: u64 = 1024 * 1024;

pub(in crate::web) fn page(status: &Status, day: &[(u64, Slot)], now: Timestamp) -> Markup {
    html! {
        h1.unseen { "Overview" }
        (standing(status))
        (figures(status, now))
        section aria-labelledby="day" {
            h2 id="day" { "The last 24 hours" }
            (plot::day(day))
        }
        (destinations(&status.destinations, now))
        div.halves {
            (limits(status))
            (refused(status))
        }
        (services(status))
        (machine(status, now))
    }
}

/// Whether mail goes, in one sentence.
fn standing(status: &Status) -> Markup {
    let troubles = status.troubles();
    let mut stops = troubles.iter().filter(|it| it.stops);
    let none = stops.any(|it| it.what != What::Configuration);
    let (class, text) = match (none, status.queues_only, status.fault.is_some()) {
        (true, ..) => ("bad", "Takes no mail"),
        (_, true, _) => ("bad", "Takes mail, sends none"),
        (_, _, true) => ("warn", "Runs with older settings"),
        _ if troubles.is_empty() => ("good", "Takes and sends mail"),
        _ => ("warn", "Takes and sends mail, with something to look at"),
    };
    // Services have a table of their own, but for one without which nothing goes.
    let told = troubles
        .iter()
        .filter(|it| it.stops || !matches!(it.what, What::Service(_)));
    html! {
        section.standing.(class) aria-label="State" {
            p.state { (text) }
            @for trouble in told { p { (plain(&trouble.text)) } }
        }
    }
}

fn figures(status: &Status, now: Timestamp) -> Markup {
    let total = &status.destinations.total;
    let figure = |name: &str, value: String, note: String| {
        html! { div { dt { (name) } dd { span.value { (value) } span.note { (note) } } } }
    };
    let oldest = if total.count > 0 {
        format!("oldest {}", ago(total.oldest, now))
    } else {
        "nothing waits".to_owned()
    };
    let free = status.spool.free_bytes;
    let free = free.map_or("unknown".to_owned(), |bytes| {
        format!("{} MiB", number(bytes / MIB))
    });
    let sync = status.spool.last_sync.map_or(String::new(), |(_, micros)| {
        format!("last sync {}.{} ms", micros / 1000, micros % 1000 / 100)
    });
    let counts = &status.counted;
    html! {
        dl.figures {
            (figure("In the queue", number(status.queued), oldest))
            (figure("Under way", number(status.in_flight), format!("{} on hold", number(total.held))))
            (figure("Sessions", number(status.sessions), format!("{} counted", counted(status.clients, "client"))))
            (figure("Delivered", number(counts.delivered.count()), format!("{} given up, since the start", number(counts.failed.count()))))
            (figure("Disk free", free, sync))
        }
    }
}

fn destinations(summary: &Summary, now: Timestamp) -> Markup {
    let (groups, more) = summary.largest(GROUPS);
    let rows: Vec<_> = groups.iter().map(|group| destination(group, now)).collect();
    section(
        "waits",
        "What waits, by destination",
        "The queue is empty.",
        &[
            Text("Destination"),
            Number("Recipients"),
            Number("Held"),
            Text("Oldest"),
            Text("Next attempt"),
            Text("Why the newest waits"),
        ],
        &rows,
        (more > 0).then(|| html! { "and " (counted(more, "destination")) " more" }),
    )
}

fn destination(group: &Group, now: Timestamp) -> Markup {
    let name = shown(&group.name);
    html! {
        tr {
            th scope="row" {
                a href=(format!("/queue?destination={}", encoded(&group.name))) { (name) }
            }
            td.number { (number(group.count)) }
            td.number { (number(group.held)) }
            td.short { (ago(group.oldest, now)) }
            td.short {
                @match group.next_attempt {
                    Some(at) => (at.seen_from(now)),
                    None => span.dim { "–" },
                }
            }
            td.reason {
                @if group.reason.is_empty() { span.dim { "not tried yet" } }
                @else { (plain(&group.reason)) }
            }
        }
    }
}

fn limits(status: &Status) -> Markup {
    let nearest = status.limits.iter().take(GROUPS);
    let rows: Vec<_> = nearest
        .map(|(client, percent, usage)| {
            html! {
                tr {
                    th scope="row" { (shown(client)) }
                    td { (bar(*percent)) span.note { (plain(usage)) } }
                }
            }
        })
        .collect();
    section(
        "limits",
        "Nearest to a limit",
        "No client has used any of its limit.",
        &[Text("Client"), Text("Used")],
        &rows,
        Some(html! { a href="/clients" { "All clients" } }),
    )
}

/// How much of a limit is used.
pub(super) fn bar(percent: u64) -> Markup {
    let class = match percent {
        0..80 => "",
        80..100 => "warn",
        _ => "bad",
    };
    html! {
        span.used {
            svg.bar.(class) viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
                rect.ground width="100" height="8" {}
                rect.part width=(percent.min(100)) height="8" {}
            }
            span.percent { (percent) " %" }
        }
    }
}

/// Rules that are shown.
const RULES: usize = 12;

fn refused(status: &Status) -> Markup {
    let rules = status.refused.iter().take(RULES);
    let rows: Vec<_> = rules
        .map(|(rule, count)| {
            html! {
                tr {
                    th scope="row" { (shown(rule)) }
                    td.number { (number(*count)) }
                }
            }
        })
        .collect();
    section(
        "refused",
        "Refused since the start, by rule",
        "Nothing was refused.",
        &[Text("Rule"), Number("Times")],
        &rows,
        None,
    )
}

fn services(status: &Status) -> Markup {
    let services = status.services.iter();
    let rows: Vec<_> = services
        .map(|service| {
            html! {
                tr {
                    th scope="row" { (service.kind) " " (shown(&service.name)) }
                    td.short {
                        @if service.works { span.tag.good { "works" } }
                        @else { span.tag.bad { "fails" } }
                    }
                    td.reason { (plain(&service.text)) }
                }
            }
        })
        .collect();
    section(
        "services",
        "What the relay asks",
        "Nothing is asked.",
        &[Text("Service"), Text("State"), Text("What is known")],
        &rows,
        None,
    )
}

fn machine(status: &Status, now: Timestamp) -> Markup {
    html! {
        footer {
            p {
                (status.program) " " (status.version) ", process " (status.pid) ", running for "
                (span(now.since(status.started))) ". Settings of " (time(status.configured))
                ". Listens on " (status.listen.join(", ")) "."
                @if let Some(ends) = status.certificate_ends {
                    @if ends <= now { " Its certificate expired " (time(ends)) "." }
                    @else { " Its certificate ends " (time(ends)) "." }
                }
            }
            p { "As of " (time(now)) ". " a href="/" { "Show it anew" } }
        }
    }
}
