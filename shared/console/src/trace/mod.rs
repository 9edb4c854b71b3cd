//! `trace`: the whole way of one message over both programs' ids, from the log and the queues, with
//! the peers' words.
//!
//! | part | what |
//! |---|---|
//! | [`entry`] | a line of a log, in whatever form it was kept |
//! | [`said`] | what a line says of a message |
//! | [`wanted`] | what was typed, and which lines are about it |
//! | [`source`] | the journal and files, read as streams |
//! | [`search`] | the ids that belong together, and their lines |
//! | [`story`] | what became of a message and of each recipient |
//! | [`live`] | lines as they come, and which of them are shown |
//! | [`follow`] | the journal and files as they grow |
//!
//! Contract: a log is read as a stream, once for each step between ids, and what is kept of it is
//! bounded: a log of gigabytes takes no more memory than a small one. Nothing is believed of a peer
//! but what its own log says: the id that a reply names joins two messages only if they have the
//! same Message-ID.
//! Failures: exit status 1 if nothing is found, or if a log cannot be read; the reason is on
//! standard error.

mod entry;
mod follow;
mod live;
mod said;
mod search;
mod source;
mod story;
mod wanted;

pub use said::{Attempt, Said};

use std::{
    collections::HashMap,
    io::{self, Write as _},
    path::PathBuf,
    time::Duration,
};

use control::{
    listing::Row,
    order::{Answer, Request, Selection},
};
use mail::clock::{self, Timestamp};
use system::{
    sysexits::Exit,
    terminal::{complain, say},
};

use crate::{Daemon, text, when};
use follow::Follow;
use live::Live;
use source::Source;
use story::Story;
use wanted::Wanted;

/// How far back the journal is read, unless something else is said.
const LOOK_BACK: Duration = Duration::from_hours(30 * 24);

/// `trace …`
#[derive(Debug, clap::Args)]
pub struct Trace {
    /// A queue id of either program, an address, a Message-ID, or a client's name, address or login
    #[arg(value_name = "WHAT", required_unless_present = "live", value_parser = text)]
    what: Option<String>,
    /// Read this log instead of the journal. It may be another machine's, rotated or compressed.
    /// Several logs are read together
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    /// Only log lines since then: 2d, 12h, 2026-11-22, "2026-11-22 07:51". By default 30d of the
    /// journal, all of a file
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<Timestamp>,
    /// Show at most this many messages, the newest ones
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    last: u16,
    /// One JSON object per message
    #[arg(long, conflicts_with = "live")]
    json: bool,
    /// Follow the log until interrupted; without WHAT, all of it
    #[arg(long, conflicts_with_all = ["since", "last"])]
    live: bool,
}

/// Tells it; `daemons`: whose queues are asked, the first for certain, the others where they are
/// there.
pub fn run(trace: &Trace, daemons: &[Daemon<'_>]) -> Exit {
    let program = daemons.first().map_or("", |daemon| daemon.program);
    let wanted = trace.what.as_deref().map(Wanted::new);
    let done = match &wanted {
        Some(wanted) if !trace.live => past(trace, wanted, daemons),
        wanted => live(&trace.log, wanted.as_ref()),
    };
    done.unwrap_or_else(|error| {
        complain(program, error);
        Exit::NotDone
    })
}

fn past(trace: &Trace, wanted: &Wanted, daemons: &[Daemon<'_>]) -> io::Result<Exit> {
    let now = clock::now();
    let since = trace.since.or_else(|| {
        let journal = trace.log.is_empty();
        journal.then(|| now.before(LOOK_BACK))
    });
    let sources = Source::all(&trace.log, since)?;
    let last = usize::from(trace.last);
    let selections = wanted.selections().into_iter();
    // Before the log: the newest are chosen among both.
    let named = Selection::ids(wanted.ids().collect());
    let (mut waiting, asked) = queued(selections.chain([named]), daemons);
    let since = since.unwrap_or_default();
    let found = search::search(&sources, wanted, &waiting, last, since, now)?;
    waiting.retain(|id, _| found.meant.contains(id));
    if asked {
        let others = found.lines.keys().cloned().collect();
        waiting.extend(queued([Selection::ids(others)], daemons).0);
    }
    let mut stories = Story::all(&found, waiting);
    stories.drain(..stories.len().saturating_sub(search::MOST));
    let program = daemons.first().map_or("", |daemon| daemon.program);
    if stories.is_empty() && found.refusals.is_empty() {
        let read = sources.iter().map(ToString::to_string);
        let read = read.collect::<Vec<_>>().join(", ");
        complain(
            program,
            format_args!(
                "nothing is known of {}: {}, and not in {read}{}",
                wanted.shown(),
                if asked {
                    "not in the queue"
                } else {
                    "whether it is in the queue is not known"
                },
                if rustix::process::geteuid().is_root() || !trace.log.is_empty() {
                    ""
                } else {
                    "; only root, and members of systemd-journal, read all of the journal"
                }
            ),
        );
        return Ok(Exit::NotDone);
    }
    for story in &stories {
        if trace.json {
            say(json(story));
        } else {
            say(format_args!("{}\n", story.text().trim_end()));
        }
    }
    for refusal in &found.refusals {
        if trace.json {
            say(json(&serde_json::json!({ "refused": refusal })));
        } else {
            say(format_args!(
                "{} refused {}",
                refusal.when(),
                refusal.text()
            ));
        }
    }
    if found.more && !trace.json {
        say("There are older ones too: --last shows more of them.");
    }
    Ok(Exit::Ok)
}

/// Texts and numbers always have a JSON form.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// What waits of the messages that were found, and what else waits that is wanted, by its id; and
/// whether the queue could be asked.
fn queued(
    selections: impl IntoIterator<Item = Selection>,
    daemons: &[Daemon<'_>],
) -> (HashMap<String, Row>, bool) {
    let (mut rows, mut all) = (HashMap::new(), true);
    let selections: Vec<_> = selections.into_iter().collect();
    for (index, daemon) in daemons.iter().enumerate() {
        for selection in selections.iter().cloned() {
            if !selection.names_something() {
                continue;
            }
            let request = Request::List(selection);
            let asked = control::ask(daemon.socket, &request, &mut |answer: Answer| {
                if let Answer::Row(row) = answer
                    && rows.len() < search::MOST
                {
                    rows.insert(row.queue_id.clone(), row);
                }
            });
            match asked {
                Ok(()) => {}
                Err(_) if index > 0 => break,
                Err(error) => {
                    let told = control::told(&error, daemon.remedy);
                    complain(
                        daemon.program,
                        format_args!("the queue could not be asked: {told}"),
                    );
                    all = false;
                    break;
                }
            }
        }
    }
    (rows, all)
}

fn live(logs: &[PathBuf], wanted: Option<&Wanted>) -> io::Result<Exit> {
    let mut live = Live::new(wanted);
    let mut lines = Follow::start(logs)?;
    let mut out = io::stdout();
    while let Some(entry) = lines.next(clock::now())? {
        for line in live.feed(entry) {
            // Who reads no more wants no more.
            if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                return Ok(Exit::Ok);
            }
        }
    }
    Err(io::Error::other("the log has ended"))
}
