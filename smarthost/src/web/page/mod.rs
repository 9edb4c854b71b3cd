//! The pages as HTML, made here and readable without a script. Pure.
//!
//! | part | what |
//! |---|---|
//! | [`overview`] | how it goes: the last day, what waits, who is near a limit, what fails |
//! | [`plot`] | a day as SVG |
//! | [`table`] | a table with its heading |
//! | [`queue`] | messages that were looked for or that wait for a destination |
//! | [`message`] | one message: where it stands, what happened to it, its header |
//! | [`clients`] | clients against their limits |
//! | [`confirm`] | the question before an order, and what came of it |
//! | [`login`] | wants the token |
//!
//! Contract: every text of others goes through maud, which escapes it, and through [`plain`], which
//! takes control characters away.

pub(super) mod clients;
pub(super) mod confirm;
pub(super) mod login;
pub(super) mod message;
pub(super) mod overview;
mod plot;
pub(super) mod queue;
mod table;

use std::{fmt::Write as _, time::Duration};

use mail::{clock::Timestamp, text::is_unseen};
use maud::{DOCTYPE, Markup, html};
use settings::Span;

pub(super) const STYLE: &str = include_str!("style.css");

/// Which page is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Overview,
    Queue,
    Clients,
    /// Nobody is known yet.
    Login,
}

/// A whole page.
pub(super) fn frame(title: &str, hostname: &str, place: Place, main: &Markup) -> String {
    let link = |to: &str, name: &str, its: Place| {
        html! {
            li { a href=(to) aria-current=[(its == place).then_some("page")] { (name) } }
        }
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " – " (hostname) }
                link rel="stylesheet" href="/style.css";
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header {
                    a.name href="/" { (hostname) }
                    @if place != Place::Login {
                        nav aria-label="Pages" {
                            ul {
                                (link("/", "Overview", Place::Overview))
                                (link("/queue", "Queue", Place::Queue))
                                (link("/clients", "Clients", Place::Clients))
                            }
                        }
                        (search("q", ""))
                        form.leave method="post" action="/logout" {
                            button.quiet type="submit" { "Log out" }
                        }
                    }
                }
                main id="main" tabindex="-1" { (main) }
            }
        }
    };
    page.into_string()
}

/// The field that looks for messages; `id` is its own on the page.
fn search(id: &str, words: &str) -> Markup {
    html! {
        form.search role="search" method="get" action="/queue" {
            label.unseen for=(id) { "Find messages" }
            input id=(id) name="q" type="search" value=(words) maxlength="320"
                placeholder="Queue id, address or Message-ID" autocomplete="off" spellcheck="false";
            button type="submit" { "Find" }
        }
    }
}

/// A link to the question before an order.
fn order(word: &str, named: &[(&str, &str)], name: &str) -> Markup {
    html! {
        form method="get" action="/confirm" {
            input type="hidden" name="order" value=(word);
            @for (key, value) in named {
                input type="hidden" name=(key) value=(value);
            }
            button type="submit" { (name) }
        }
    }
}

/// 12,345
fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 message`, `2 messages`
fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", number(count))
}

/// The two largest parts of a time.
fn span(time: Duration) -> String {
    Span::coarse(time).to_string()
}

fn ago(then: Timestamp, now: Timestamp) -> String {
    span(now.since(then))
}

/// A moment, for people and for programs.
fn time(at: Timestamp) -> Markup {
    let whole = at.rfc3339();
    let (date, time) = whole.split_once('T').unwrap_or((&whole, ""));
    let time = time.get(..8).unwrap_or(time);
    html! { time datetime=(whole) { (date) " " (time) } }
}

/// Text of others in one line.
fn plain(text: &str) -> String {
    let shown = |c: char| if is_unseen(c) { '\u{fffd}' } else { c };
    text.chars().take(2000).map(shown).collect()
}

/// A value for a query.
pub(super) fn encoded(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_for_people() {
        for (count, shown) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(count), shown);
        }
        for (seconds, shown) in [(0, "0s"), (59, "59s"), (3700, "1h1m"), (90_061, "1d1h")] {
            assert_eq!(span(Duration::from_secs(seconds)), shown);
        }
        assert_eq!(encoded("a+b@c d&\u{e4}"), "a%2Bb@c%20d%26%C3%A4");
    }

    #[test]
    fn no_text_of_others_is_markup() {
        let evil = "<script>alert(1)</script>\"'\u{1b}[2J";
        let page = frame(
            evil,
            evil,
            Place::Queue,
            &html! { (search("q", evil)) p { (plain(evil)) } },
        );
        assert!(!page.contains("<script"), "{page}");
        assert!(
            !page.contains("\"'\u{1b}[2J\"") && page.contains("&lt;script&gt;"),
            "{page}"
        );
    }
}
