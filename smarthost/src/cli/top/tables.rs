//! A status as rows that can be sorted. Pure.

use control::{
    status::Status,
    summary::{Group, Summary, shown},
};
use mail::{clock::Timestamp, text::printable};
use settings::Span;

/// What is shown, one at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Table {
    Destinations,
    Senders,
    Clients,
    Refused,
    Asked,
}

/// How one table is sorted, and where it is scrolled to.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Order {
    pub(super) column: usize,
    /// The other way round.
    pub(super) reversed: bool,
    /// Rows that are scrolled away.
    pub(super) first: usize,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Numbers stand at the right, the largest first.
    pub(super) number: bool,
}

const fn text(title: &'static str) -> Column {
    Column {
        title,
        number: false,
    }
}

const fn number(title: &'static str) -> Column {
    Column {
        title,
        number: true,
    }
}

/// By what a cell is sorted: a number or, in a column of texts, a text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Cell {
    Number(u64, String),
    Text(String),
}

impl Cell {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Number(_, text) | Self::Text(text) => text,
        }
    }

    fn count(count: u64) -> Self {
        Self::Number(count, count.to_string())
    }
}

impl Table {
    pub(super) const ALL: [Self; 5] = [
        Self::Destinations,
        Self::Senders,
        Self::Clients,
        Self::Refused,
        Self::Asked,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Destinations => "destinations",
            Self::Senders => "senders",
            Self::Clients => "clients",
            Self::Refused => "refused",
            Self::Asked => "asked",
        }
    }

    /// In place of rows.
    pub(super) const fn empty(self) -> &'static str {
        match self {
            Self::Destinations | Self::Senders => "the queue is empty",
            Self::Clients => "no client has sent anything",
            Self::Refused => "nothing was refused",
            Self::Asked => "nobody is asked",
        }
    }

    pub(super) fn next(self) -> Self {
        let next = (self as usize).saturating_add(1);
        Self::ALL.get(next).copied().unwrap_or(Self::Destinations)
    }

    pub(super) const fn columns(self) -> &'static [Column] {
        match self {
            Self::Destinations => {
                const {
                    &[
                        number("RECIPIENTS"),
                        number("HELD"),
                        number("OLDEST"),
                        number("NEXT IN"),
                        text("DESTINATION"),
                        text("WHY THE NEWEST WAITS"),
                    ]
                }
            }
            Self::Senders => {
                const {
                    &[
                        number("MESSAGES"),
                        number("HELD"),
                        number("OLDEST"),
                        number("NEXT IN"),
                        text("FROM"),
                        text("WHY THE NEWEST WAITS"),
                    ]
                }
            }
            Self::Clients => {
                const {
                    &[
                        number("USED"),
                        number("MESSAGES"),
                        text("CLIENT"),
                        text("LIMITS"),
                    ]
                }
            }
            Self::Refused => const { &[number("TIMES"), text("RULE")] },
            Self::Asked => const { &[text("STATE"), text("WHO"), text("WHAT IS KNOWN")] },
        }
    }

    /// As the daemon tells them.
    pub(super) fn rows(self, status: &Status, now: Timestamp) -> Vec<Vec<Cell>> {
        match self {
            Self::Destinations => groups(&status.destinations, now),
            Self::Senders => groups(&status.senders, now),
            Self::Clients => clients(status),
            Self::Refused => {
                let refused = status.refused.iter();
                refused
                    .map(|(rule, count)| vec![Cell::count(*count), Cell::Text(shown(rule))])
                    .collect()
            }
            Self::Asked => {
                let services = status.services.iter();
                services
                    .map(|service| {
                        let state = if service.works { "ok" } else { "FAIL" };
                        let who = format!("{} {}", service.kind, shown(&service.name));
                        [state.to_owned(), who, printable(&service.text)]
                            .map(Cell::Text)
                            .into()
                    })
                    .collect()
            }
        }
    }

    /// As they are shown.
    pub(super) fn sorted(self, status: &Status, order: Order, now: Timestamp) -> Vec<Vec<Cell>> {
        let mut rows = self.rows(status, now);
        let column = self.columns().get(order.column);
        let descends = column.is_some_and(|column| column.number) != order.reversed;
        rows.sort_by(|a, b| {
            let ordered = a.get(order.column).cmp(&b.get(order.column));
            if descends { ordered.reverse() } else { ordered }
        });
        rows
    }
}

fn groups(summary: &Summary, now: Timestamp) -> Vec<Vec<Cell>> {
    let row = |group: &Group| {
        let age = now.since(group.oldest);
        let next = group.next_attempt.map_or_else(
            // It is under way, or on hold.
            || Cell::Number(0, "-".to_owned()),
            |next| {
                let wait = next.since(now);
                Cell::Number(wait.as_secs(), Span::coarse(wait).to_string())
            },
        );
        vec![
            Cell::count(group.count),
            Cell::count(group.held),
            Cell::Number(age.as_secs(), Span::coarse(age).to_string()),
            next,
            Cell::Text(shown(&group.name)),
            Cell::Text(printable(&group.reason)),
        ]
    };
    summary.groups.iter().map(row).collect()
}

/// Who has used most of a limit, and who has sent most.
fn clients(status: &Status) -> Vec<Vec<Cell>> {
    let sent = |name: &str| {
        let mut sent = status.client_messages.iter();
        sent.find(|(client, _)| client == name)
            .map(|(_, count)| *count)
    };
    let row = |name: &str, percent: u64, count: Option<u64>, usage: &str| {
        vec![
            Cell::Number(percent, format!("{percent} %")),
            count.map_or_else(|| Cell::Number(0, "-".to_owned()), Cell::count),
            Cell::Text(shown(name)),
            Cell::Text(printable(usage)),
        ]
    };
    let limited = status.limits.iter();
    let limited = limited.map(|(name, percent, usage)| row(name, *percent, sent(name), usage));
    let others = status.client_messages.iter().filter(|(name, _)| {
        let mut limited = status.limits.iter();
        limited.all(|(client, ..)| client != name)
    });
    let others = others.map(|(name, count)| row(name, 0, Some(*count), ""));
    limited.chain(others).collect()
}
