//! Finds messages for a page: in the queue, in what is known of those that have left, and among
//! refusals.
//!
//! Contract: bounded by what is shown and by a second of looking; what may be missing is said.

use std::{
    collections::HashSet,
    io,
    time::{Duration, Instant},
};

use console::trace::Said;
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
    list(
        daemon,
        some(&wanted.words),
        some(&wanted.destination),
        &mut found,
    );
    if !wanted.words.is_empty() {
        past(daemon, &wanted.words, &mut found);
        found.refusals = daemon.refusals(&wanted.words, MOST);
    }
    found
        .rows
        .sort_by(|a, b| (a.arrival, &a.queue_id).cmp(&(b.arrival, &b.queue_id)));
    found
}

/// What waits for the destination, from or for somebody with these words; the queue is read once.
fn list(
    daemon: &dyn Daemon,
    words: Option<String>,
    destination: Option<String>,
    found: &mut Found,
) {
    let (began, now) = (Instant::now(), clock::now());
    let from = Selection {
        sender: words.clone(),
        ..Selection::default()
    };
    let to = Selection {
        recipient: words,
        ..Selection::default()
    };
    let selection = Selection {
        destination,
        ..Selection::default()
    };
    let request = Request::Queue(order::Request::List(selection));
    let asked = daemon.ask(request, &mut |answer| {
        if let Answer::Queue(order::Answer::Row(row)) = answer
            && (from.matches(row, now) || to.matches(row, now))
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
fn past(daemon: &dyn Daemon, words: &str, found: &mut Found) {
    let mut named = daemon.trail().search(words, PAST);
    let mut queued: HashSet<_> = found.rows.iter().map(|row| row.queue_id.clone()).collect();
    named.retain(|id| !queued.contains(&id.to_string()));
    if named.is_empty() {
        return;
    }
    let selection = Selection::ids(named.iter().map(ToString::to_string).collect());
    let request = Request::Queue(order::Request::List(selection));
    // Those without a row are not in the queue.
    let _ = daemon.ask(request, &mut |answer| {
        if let Answer::Queue(order::Answer::Row(row)) = answer {
            queued.insert(row.queue_id.clone());
            found.rows.push(row.clone());
        }
        Ok(())
    });
    named.retain(|id| !queued.contains(&id.to_string()));
    for id in named {
        let story = daemon.trail().of(id);
        let last = story
            .iter()
            .rev()
            .find(|(_, line)| matches!(Said::parse(line), Said::Attempt(_) | Said::Expired));
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
