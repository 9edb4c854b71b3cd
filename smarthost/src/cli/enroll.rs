//! `smarthost enroll`: lines that let machines in, and the machines that they have let in.

use std::{fmt::Write as _, io::Write as _, path::Path, time::Duration};

use mail::outcome::escape;
use relay::enroll::Name;
use serde::Serialize;
use settings::Span;

use super::{ask::ask, failed::Failed, typed::nexthop};
use crate::{
    admin::{Answer, EnrollOrder, Invitation, Request},
    enroll::{Row, State},
    notices::counted,
};

/// Longest text of others in a line, bytes.
const WIDTH: usize = 255;

/// `enroll …`
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Enroll {
    /// The machine's name, for limits, clients and the log
    #[arg(value_name = "NAME", value_parser = Name::parse, required = true)]
    name: Option<Name>,
    /// How long the line is valid
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = span)]
    expires: Duration,
    /// Where the machine reaches this relay, if not by its host name; the port must be one that
    /// accepts client keys
    #[arg(long, value_name = "HOST[:PORT]", value_parser = nexthop)]
    relay: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    order: Option<Order>,
}

#[derive(clap::Subcommand, Debug)]
enum Order {
    /// List enrolled machines, lines that were not used yet, and revoked keys
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Refuse all keys of a machine, and all lines for its name; its mail waits on the machine
    Revoke {
        #[arg(value_name = "NAME", value_parser = Name::parse)]
        name: Name,
    },
    /// Forget a name and its keys, as if it had never been enrolled
    Forget {
        #[arg(value_name = "NAME", value_parser = Name::parse)]
        name: Name,
    },
}

/// A line for programs.
#[derive(Serialize)]
struct Told<'a> {
    line: &'a str,
    until: String,
    /// The machine that has the name now.
    replaces: Option<Listed<'a>>,
}

pub(super) fn run(config: &Path, enroll: &Enroll) -> Result<String, Failed> {
    match (&enroll.order, &enroll.name) {
        (Some(Order::List { json }), _) => {
            let answers = ask(config, &Request::Enroll(EnrollOrder::List))?;
            Ok(list(&answers, *json))
        }
        (Some(Order::Revoke { name }), _) => {
            let name = name.clone();
            let request = Request::Enroll(EnrollOrder::Revoke { name: name.clone() });
            ask(config, &request)?;
            Ok(format!(
                "{name} is revoked: all its keys are refused from now on. For a new line: \
                 smarthost enroll {name}"
            ))
        }
        (Some(Order::Forget { name }), _) => {
            let name = name.clone();
            let request = Request::Enroll(EnrollOrder::Forget { name: name.clone() });
            ask(config, &request)?;
            Ok(format!("{name} and its keys are forgotten"))
        }
        (None, Some(name)) => line(config, enroll, name),
        (None, None) => Err(Failed::new("name the machine".to_owned())),
    }
}

/// The line alone on standard output; what else there is to know, beside it.
fn line(config: &Path, enroll: &Enroll, name: &Name) -> Result<String, Failed> {
    let invitation = Invitation {
        name: name.clone(),
        good_for: enroll.expires,
        relay: enroll.relay.clone(),
    };
    let answers = ask(config, &Request::Enroll(EnrollOrder::Invite(invitation)))?;
    let told = answers.iter().find_map(|answer| match answer {
        Answer::Line {
            line,
            until,
            replaces,
        } => Some((line, until, replaces)),
        _ => None,
    });
    let (line, until, replaces) = told.ok_or_else(|| Failed::new("no answer".to_owned()))?;
    if enroll.json {
        let told = Told {
            line,
            until: until.rfc3339(),
            replaces: replaces.as_ref().map(Listed::of),
        };
        // Texts always have a JSON form.
        return Ok(serde_json::to_string(&told).unwrap_or_default());
    }
    let mut notes = format!(
        "On {name}, run as root: sendmail-shim enroll LINE. The line is valid for one key, until \
         {}.\n",
        until.rfc3339()
    );
    if let Some(Row { key: Some(key), .. }) = replaces {
        // Writing to a String cannot fail.
        let _ = writeln!(
            notes,
            "{name} is enrolled already, with {key}: that key ends when the line is used."
        );
    }
    // Nobody to tell if standard error is closed.
    let _ = std::io::stderr().write_all(notes.as_bytes());
    Ok(line.clone())
}

fn list(answers: &[Answer], json: bool) -> String {
    let rows = answers.iter().filter_map(|answer| match answer {
        Answer::Enrolled(row) => Some(row),
        _ => None,
    });
    if json {
        // Texts and numbers always have a JSON form.
        let lines = rows.map(|row| serde_json::to_string(&Listed::of(row)).unwrap_or_default());
        return lines.map(|line| line + "\n").collect();
    }
    let text: String = rows.map(shown).collect();
    if text.is_empty() {
        return "no machine is enrolled; a line for one: smarthost enroll NAME".to_owned();
    }
    text
}

/// A row for programs.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a Name,
    state: State,
    key: Option<String>,
    next_key: Option<String>,
    since: String,
    until: Option<String>,
    from: Option<&'a str>,
    /// How often another key came with its line.
    used_twice: u64,
}

impl<'a> Listed<'a> {
    fn of(row: &'a Row) -> Self {
        Self {
            name: &row.name,
            state: row.state,
            key: row.key.as_ref().map(ToString::to_string),
            next_key: row.next.as_ref().map(ToString::to_string),
            since: row.since.rfc3339(),
            until: row.until.map(mail::clock::Timestamp::rfc3339),
            from: row.from.as_deref(),
            used_twice: row.twice.as_ref().map_or(0, |twice| twice.count),
        }
    }
}

fn shown(row: &Row) -> String {
    let (name, state) = (&row.name, row.state.word());
    let mut text = format!("{name}  {state} since {}", row.since.rfc3339());
    let from = row.from.as_ref().map(|from| escape(from.as_bytes(), WIDTH));
    let key = row.key.as_ref();
    let parts = [
        row.until
            .map(|until| format!("can be used until {}", until.rfc3339())),
        from.map(|from| format!("from {from}")),
        key.map(|key| format!("key {key}")),
        row.next.as_ref().map(|next| format!("next key {next}")),
    ];
    for part in parts.into_iter().flatten() {
        text.push_str(", ");
        text.push_str(&part);
    }
    text.push('\n');
    if let Some(twice) = &row.twice {
        let (times, key, at) = (
            counted(twice.count, "time"),
            &twice.key,
            twice.last.rfc3339(),
        );
        let from = escape(twice.from.as_bytes(), WIDTH);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "      ITS LINE WAS USED AGAIN {times} with another key, last {key} from {from} at {at}"
        );
    }
    text
}

fn span(text: &str) -> Result<Duration, String> {
    match Span::try_from(text.to_owned())?.0 {
        Duration::ZERO => Err("the line could never be used".to_owned()),
        span if span > Duration::from_hours(24 * 366) => {
            Err("a line is valid for a year at most".to_owned())
        }
        span => Ok(span),
    }
}
