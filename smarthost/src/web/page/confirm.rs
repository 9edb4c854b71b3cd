//! The question before an order, and what came of it.

use maud::{Markup, html};

use super::plain;

/// An order in words.
#[derive(Debug)]
pub(in crate::web) struct Question {
    /// `Delete message X?`
    pub(in crate::web) title: String,
    /// What it does.
    pub(in crate::web) about: String,
    /// What the button says.
    pub(in crate::web) button: String,
    /// What cannot be taken back.
    pub(in crate::web) grave: bool,
    /// What is sent with it.
    pub(in crate::web) fields: Vec<(String, String)>,
    /// The limit and its time are asked for; what it counts: `messages in a day`.
    pub(in crate::web) limit: Option<String>,
    /// Where one goes who thinks better of it.
    pub(in crate::web) back: String,
}

pub(in crate::web) fn page(question: &Question) -> Markup {
    let class = if question.grave { "grave" } else { "" };
    html! {
        h1 { (plain(&question.title)) }
        p { (question.about) }
        form.question method="post" action="/order" {
            @for (key, value) in &question.fields {
                input type="hidden" name=(key) value=(value);
            }
            @if let Some(counts) = &question.limit { (limit(counts)) }
            div.orders {
                button.(class) type="submit" { (question.button) }
                a href=(question.back) { "Cancel" }
            }
        }
    }
}

fn limit(counts: &str) -> Markup {
    html! {
        p {
            label for="limit" { "So many " (counts) " (0 blocks it)" }
            input id="limit" name="limit" type="number" min="0" max="1000000" required inputmode="numeric";
        }
        p {
            label for="hours" { "For so many hours" }
            input id="hours" name="hours" type="number" min="1" max="8760" value="24" required inputmode="numeric";
        }
    }
}

/// What came of it; `done`: as it was wanted.
pub(in crate::web) fn result(done: bool, lines: &[String], back: &str) -> Markup {
    html! {
        h1 { @if done { "Done" } @else { "Not done" } }
        div role="status" {
            @for line in lines { p { (plain(line)) } }
        }
        p { a href=(back) { "Back" } }
    }
}
