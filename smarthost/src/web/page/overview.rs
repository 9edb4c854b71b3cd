//! How it goes.

use control::{
    status::{GROUPS, Status},
    summary::{Group, Summary, shown},
};
use mail::clock::Timestamp;
use maud::{Markup, html};

use super::{ago, counted, encoded, number, plain, plot, span, time};
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
    let stops = status.spool.fault.as_ref();
    let broken = status
        .services
        .iter()
        .filter(|service| !service.works)
        .count();
    let alarms = status.alarms.len() + broken;
    let (class, text) = match (stops, status.queues_only, status.fault.is_some(), alarms) {
        (Some(_), ..) => ("bad", "Takes no mail"),
        (None, true, ..) => ("bad", "Takes mail, sends none"),
        (None, false, true, _) => ("warn", "Runs with older settings"),
        (None, false, false, 1..) => ("warn", "Takes and sends mail, with something to look at"),
        _ => ("good", "Takes and sends mail"),
    };
    let told = stops.into_iter().chain(&status.fault).chain(&status.alarms);
    html! {
        section.standing.(class) aria-label="State" {
            p.state { (text) }
            @for line in told { p { (plain(line)) } }
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
    html! {
        section aria-labelledby="waits" {
            h2 id="waits" { "What waits, by destination" }
            @if summary.groups.is_empty() {
                p.empty { "The queue is empty." }
            } @else {
                div.scroll tabindex="0" role="region" aria-labelledby="waits" {
                    table {
                        thead {
                            tr {
                                th scope="col" { "Destination" }
                                th.number scope="col" { "Recipients" }
                                th.number scope="col" { "Held" }
                                th scope="col" { "Oldest" }
                                th scope="col" { "Next attempt" }
                                th scope="col" { "Why the newest waits" }
                            }
                        }
                        tbody {
                            @for group in groups { (destination(group, now)) }
                        }
                    }
                }
                @if more > 0 {
                    p.more { "and " (counted(more, "destination")) " more" }
                }
            }
        }
    }
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
    html! {
        section aria-labelledby="limits" {
            h2 id="limits" { "Nearest to a limit" }
            @if status.limits.is_empty() {
                p.empty { "No client has used any of its limit." }
            } @else {
                table {
                    thead {
                        tr {
                            th scope="col" { "Client" }
                            th scope="col" { "Used" }
                        }
                    }
                    tbody {
                        @for (client, percent, usage) in status.limits.iter().take(GROUPS) {
                            tr {
                                th scope="row" { (shown(client)) }
                                td { (bar(*percent)) span.note { (plain(usage)) } }
                            }
                        }
                    }
                }
                p.more { a href="/clients" { "All clients" } }
            }
        }
    }
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

fn refused(status: &Status) -> Markup {
    html! {
        section aria-labelledby="refused" {
            h2 id="refused" { "Refused since the start, by rule" }
            @if status.refused.is_empty() {
                p.empty { "Nothing was refused." }
            } @else {
                table {
                    thead {
                        tr {
                            th scope="col" { "Rule" }
                            th.number scope="col" { "Times" }
                        }
                    }
                    tbody {
                        @for (rule, count) in status.refused.iter().take(12) {
                            tr {
                                th scope="row" { (shown(rule)) }
                                td.number { (number(*count)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn services(status: &Status) -> Markup {
    html! {
        section aria-labelledby="services" {
            h2 id="services" { "What the relay asks" }
            @if status.services.is_empty() {
                p.empty { "Nothing is asked." }
            } @else {
                table {
                    thead {
                        tr {
                            th scope="col" { "Service" }
                            th scope="col" { "State" }
                            th scope="col" { "What is known" }
                        }
                    }
                    tbody {
                        @for service in &status.services {
                            tr {
                                th scope="row" { (service.kind) " " (shown(&service.name)) }
                                td.short {
                                    @if service.works { span.tag.good { "works" } }
                                    @else { span.tag.bad { "fails" } }
                                }
                                td.reason { (plain(&service.text)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn machine(status: &Status, now: Timestamp) -> Markup {
    html! {
        footer {
            p {
                (status.program) " " (status.version) ", process " (status.pid) ", running for "
                (span(now.since(status.started))) ". Settings of " (time(status.configured))
                ". Listens on " (status.listen.join(", ")) "."
                @if let Some(ends) = status.certificate_ends {
                    " Its certificate ends " (time(ends)) "."
                }
            }
            p { "As of " (time(now)) ". " a href="/" { "Show it anew" } }
        }
    }
}
