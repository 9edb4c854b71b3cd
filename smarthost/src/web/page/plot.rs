//! A day as a plot: one series a picture, in steps, with its largest value; the same as a table by
//! the hour. Pure.

use std::fmt::Write as _;

use mail::clock::Timestamp;
use maud::{Markup, PreEscaped, html};

use super::number;
use crate::activity::{SLOT, Slot};

/// Height of a plot, in its own units; a piece of time is one wide.
const HEIGHT: u64 = 60;
/// Pieces in an hour.
const HOUR: usize = 12;

/// What a plot is of.
struct Series {
    name: &'static str,
    /// Its colour in the style.
    class: &'static str,
    of: fn(&Slot) -> u64,
}

const SERIES: [Series; 4] = [
    Series {
        name: "Received",
        class: "received",
        of: |slot| slot.received,
    },
    Series {
        name: "Delivered",
        class: "delivered",
        of: |slot| slot.delivered,
    },
    Series {
        name: "Deferred",
        class: "deferred",
        of: |slot| slot.deferred,
    },
    Series {
        name: "Refused",
        class: "refused",
        of: |slot| slot.refused,
    },
];

/// All of them, and the table.
pub(super) fn day(day: &[(u64, Slot)]) -> Markup {
    html! {
        div.plots {
            @for series in &SERIES { (picture(series, day)) }
        }
        details {
            summary { "The same as a table, by the hour" }
            (table(day))
        }
    }
}

fn picture(series: &Series, day: &[(u64, Slot)]) -> Markup {
    let values: Vec<u64> = day.iter().map(|(_, slot)| (series.of)(slot)).collect();
    let total: u64 = values.iter().sum();
    let most = values.iter().copied().max().unwrap_or_default();
    let when = values.iter().position(|value| *value == most);
    let when = when
        .and_then(|at| day.get(at))
        .map(|(start, _)| clock(*start));
    let told = match (&when, most) {
        (Some(when), 1..) => format!(
            "{}: {} in 24 hours, at most {} in five minutes, at {when}",
            series.name,
            number(total),
            number(most)
        ),
        _ => format!("{}: none in 24 hours", series.name),
    };
    let width = values.len();
    html! {
        figure class=(series.class) {
            figcaption {
                span.series { (series.name) }
                strong { (number(total)) }
                span.peak {
                    @if most > 0 { "peak " (number(most)) " in 5 min" } @else { "none" }
                }
            }
            svg viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none" role="img"
                aria-label=(told) focusable="false" {
                title { (told) }
                (PreEscaped(path(&values, most)))
            }
            div.axis aria-hidden="true" {
                @for back in [24u64, 18, 12, 6, 0] {
                    span {
                        @match day.last() {
                            Some((last, _)) if back > 0 => (clock(last.saturating_sub(back * 3600).saturating_add(SLOT))),
                            _ => "now",
                        }
                    }
                }
            }
        }
    }
}

/// The outline, in steps; numbers alone.
fn path(values: &[u64], most: u64) -> String {
    let mut data = format!("M0 {HEIGHT}");
    let scale = most.max(1);
    let mut height = HEIGHT;
    for (at, value) in values.iter().enumerate() {
        // A tenth of a unit, and never invisible.
        let tenths = value.saturating_mul(HEIGHT * 10 - 20).div_ceil(scale);
        let top = (HEIGHT * 10).saturating_sub(tenths);
        if at > 0 && top == height {
            continue;
        }
        height = top;
        // Writing to a String cannot fail.
        let _ = write!(data, "H{at}V{}.{}", top / 10, top % 10);
    }
    let _ = write!(data, "H{}V{HEIGHT}Z", values.len());
    format!("<path d=\"{data}\"/>")
}

fn table(day: &[(u64, Slot)]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="The last day by the hour" {
            table {
                caption.unseen { "The last day by the hour" }
                thead {
                    tr {
                        th scope="col" { "From" }
                        @for series in &SERIES { th.number scope="col" { (series.name) } }
                        th.number scope="col" { "Given up" }
                    }
                }
                tbody {
                    @for hour in day.chunks(HOUR) {
                        tr {
                            th scope="row" { @if let Some((start, _)) = hour.first() { (clock(*start)) } }
                            @for series in &SERIES {
                                td.number { (number(hour.iter().map(|(_, slot)| (series.of)(slot)).sum())) }
                            }
                            td.number { (number(hour.iter().map(|(_, slot)| slot.failed).sum())) }
                        }
                    }
                }
            }
        }
    }
}

fn clock(second: u64) -> String {
    Timestamp::from_secs(second).time_of_day()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_numbers_in_a_path_and_a_sentence_for_who_does_not_see_it() {
        let mut slots = vec![(0, Slot::default()); 288];
        for (index, (start, _)) in slots.iter_mut().enumerate() {
            *start = 1_800_000_000 + 300 * u64::try_from(index).unwrap();
        }
        slots[10].1.delivered = 1;
        slots[20].1.delivered = 1_000_000;
        let markup = day(&slots).into_string();
        assert!(
            markup.contains("Delivered: 1,000,001 in 24 hours, at most 1,000,000 in five minutes")
        );
        assert!(markup.contains("Refused: none in 24 hours"));
        let path = path(
            &slots
                .iter()
                .map(|(_, slot)| slot.delivered)
                .collect::<Vec<_>>(),
            1_000_000,
        );
        assert_eq!(
            path,
            "<path d=\"M0 60H0V60.0H10V59.9H11V60.0H20V2.0H21V60.0H288V60Z\"/>"
        );
        assert_eq!(markup.matches("<tr>").count(), 25);
        day(&[]);
    }
}
