//! Finds messages for a page: in the queue, in what is known of those that have left, and among refusals.
//!
//! Contract: bounded by what is shown and by a second of looking; what may be missing is said.

use std::{
    collections::HashSet,
    io,
    time::{Duration, Instant},
};

use control::{
    listing::Row,
    order::{self, Selection},
};
use mail::clock;
use spool::QueueId;

use super::{
    page::{
        message::Known,
        queue::{Found, Wanted},
    },
    site::Daemon,
};
use crate::admin::{Answer, Request};

/// Messages that are shown of each kind.
const MOST: usize = 200;
const PAST: usize = 100;
/// How long is looked.
const LOOK: Duration = Duration::from_secs(1);

/// What there is of what is wanted.
pub(super) fn find(daemon: &dyn Daemon, wanted: &Wanted) -> Found {
    let mut found = Found {
        since: daemon.trail().since(),
        ..Found::default()
    };
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (words, destination) = (some(&wanted.words), some(&wanted.destination));
    let base = Selection {
        destination,
        ..Selection::default()
    };
    let selections = match words {
        None => vec![base],
        Some(words) => vec![
            Selection {
                sender: Some(words.clone()),
                ..base.clone()
            },
            Selection {
                recipient: Some(words),
                ..base
            },
        ],
    };
    let mut seen = HashSet::new();
    for selection in selections {
        list(daemon, selection, &mut seen, &mut found);
    }
    if !wanted.words.is_empty() {
        past(daemon, &wanted.words, &mut seen, &mut found);
        found.refusals = daemon.refusals(&wanted.words, MOST);
    }
    found
        .rows
        .sort_by(|a, b| (a.arrival, &a.queue_id).cmp(&(b.arrival, &b.queue_id)));
    found
}

fn list(daemon: &dyn Daemon, selection: Selection, seen: &mut HashSet<String>, found: &mut Found) {
    let began = Instant::now();
    let request = Request::Queue(order::Request::List(selection));
    let asked = daemon.ask(request, &mut |answer| {
        if let Answer::Queue(order::Answer::Row(row)) = answer
            && seen.insert(row.queue_id.clone())
        {
            if found.rows.len() >= MOST {
                return Err(enough());
            }
            found.rows.push(row.clone());
        }
        if began.elapsed() > LOOK {
            return Err(enough());
        }
        Ok(())
    });
    found.partly |= asked.is_err();
}

fn enough() -> io::Error {
    io::Error::other("enough")
}

/// Messages that the log has named: those in the queue join the rows, the others have left.
fn past(daemon: &dyn Daemon, words: &str, seen: &mut HashSet<String>, found: &mut Found) {
    for id in daemon.trail().search(words, PAST) {
        let text = id.to_string();
        if !seen.insert(text.clone()) {
            continue;
        }
        if let (Some(row), _) = show(daemon, &text) {
            found.rows.push(row);
            continue;
        }
        let story = daemon.trail().of(id);
        let last = story
            .iter()
            .rev()
            .find(|(_, line)| line.contains("status="));
        let last = last.or(story.last()).map(|(_, line)| line.clone());
        let first = story.first().map_or_else(clock::now, |(at, _)| *at);
        found.past.push((id, first, last.unwrap_or_default()));
    }
}

/// A message of the queue with its header.
fn show(daemon: &dyn Daemon, id: &str) -> (Option<Row>, Option<String>) {
    let request = Request::Queue(order::Request::Show { id: id.to_owned() });
    let (mut row, mut header) = (None, None);
    // Without an answer it is not in the queue.
    let _ = daemon.ask(request, &mut |answer| {
        match answer {
            Answer::Queue(order::Answer::Row(it)) => row = Some(it.clone()),
            Answer::Queue(order::Answer::Header(it)) => header = Some(it.clone()),
            _ => {}
        }
        Ok(())
    });
    (row, header)
}

/// All that is known of one message; `None`: nothing.
pub(super) fn message(daemon: &dyn Daemon, text: &str) -> Option<Known> {
    let id = QueueId::parse(text)?;
    let (row, header) = show(daemon, &id.to_string());
    let story = daemon.trail().of(id);
    (row.is_some() || !story.is_empty()).then(|| Known {
        id: id.to_string(),
        row,
        header,
        story,
        since: daemon.trail().since(),
    })
}
