//! A table: its columns have names, and on a narrow screen it scrolls by itself, by keyboard too.

use maud::{Markup, html};

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    Text(&'static str),
    /// Set to the right.
    Number(&'static str),
    /// Named for who does not see it.
    Unseen(&'static str),
}

use Column::{Number, Text, Unseen};

/// From that many columns on a phone is too narrow.
const WIDE: usize = 2;

/// The table itself. `labelled` is the id of its heading; `rows` are `tr`.
pub(super) fn table(labelled: &str, columns: &[Column], rows: &[Markup]) -> Markup {
    let table = html! {
        table {
            thead {
                tr {
                    @for column in columns {
                        @match column {
                            Text(name) => th scope="col" { (name) },
                            Number(name) => th.number scope="col" { (name) },
                            Unseen(name) => th scope="col" { span.unseen { (name) } },
                        }
                    }
                }
            }
            tbody { @for row in rows { (row) } }
        }
    };
    if columns.len() < WIDE {
        return table;
    }
    html! { div.scroll tabindex="0" role="region" aria-labelledby=(labelled) { (table) } }
}

/// A section of the page with its heading: a table, or one sentence where there are no rows.
pub(super) fn section(
    id: &str,
    title: &str,
    empty: &str,
    columns: &[Column],
    rows: &[Markup],
    below: Option<Markup>,
) -> Markup {
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (title) }
            @if rows.is_empty() {
                p.empty { (empty) }
            } @else {
                (table(id, columns, rows))
                @if let Some(below) = below { p.more { (below) } }
            }
        }
    }
}
