//! What administrators type about the queue, and what they read: `sendmail-shim queue …`,
//! `smarthost queue …`.
//!
//! Contract: every [`Order`] is a command; its answer is a line for each message that was named,
//! and how many there were. With `--json` each line is one JSON object; messages are as `postqueue
//! -j` prints them.
//! A crate beside `control`, since `sendmail` is built on that and must not be linked with clap:
//! cargo gives all programs of one build the same features, so that only a crate of its own keeps
//! it out.
//! Failures: exit status 1 if something was not done, 69 if the daemon does not answer; the reason
//! is on standard error.

pub mod answers;
pub mod config;
pub mod dialog;
pub mod refusal;
pub mod room;
pub mod status;
pub mod target;
pub mod test;
pub mod trace;
pub mod trial;
pub mod unit;

use std::path::Path;

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Subcommand, error::ErrorKind,
};
use control::{
    listing,
    order::{Answer, Order, Request, Selection},
    summary::{self, By},
};
use mail::clock::{self, Timestamp};
use settings::Span;
use system::{
    sysexits::Exit,
    terminal::{complain, say},
};

/// In place of the ids, as older scripts name every message.
const ALL: &str = "ALL";

/// `queue …`
#[derive(Debug, Args)]
pub struct Queue {
    /// JSON, one object per line; messages as postqueue -j prints them
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub words: Words,
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Words(pub Request);

/// Whom to ask.
#[derive(Clone, Copy, Debug)]
pub struct Daemon<'a> {
    /// The program that asks, for its messages.
    pub program: &'a str,
    pub socket: &'a Path,
    /// What to do when nobody answers.
    pub remedy: &'a str,
}

impl Words {
    fn commands() -> Vec<Command> {
        let list = Command::new("list").about("List queued mail, each recipient with its reason");
        let show = Command::new("show")
            .about("Show one message: its state and its header")
            .arg(
                Arg::new("id")
                    .value_name("ID")
                    .required(true)
                    .value_parser(text),
            );
        let orders = Order::ALL.map(|order| {
            Command::new(order.word())
                .about(order.about())
                .args(selecting())
        });
        let summary = Command::new("summary")
            .about("Count queued mail by destination, sender, client or age, in columns of minutes as qshape does")
            .arg(
                Arg::new("by")
                    .long("by")
                    .value_name("WHAT")
                    .value_parser(By::ALL.map(By::word))
                    .default_value(By::Destination.word())
                    .help("How to group the counts: recipients by destination, messages otherwise"),
            );
        [list.args(selecting()), summary.args(selecting()), show]
            .into_iter()
            .chain(orders)
            .collect()
    }
}

/// Which messages.
fn selecting() -> Vec<Arg> {
    let part = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .value_parser(text)
            .help(help)
    };
    let age = |name: &'static str, help: &'static str| {
        part(name, "SPAN", help).value_parser(|text: &str| Span::try_from(text.to_owned()))
    };
    vec![
        Arg::new("ids")
            .value_name("ID")
            .num_args(0..)
            .action(ArgAction::Append)
            .value_parser(text)
            .help("Queue ids"),
        Arg::new("all")
            .long("all")
            .action(ArgAction::SetTrue)
            .conflicts_with("ids")
            .help("The whole queue"),
        part(
            "sender",
            "TEXT",
            "Messages whose sender contains this; <> is the null sender",
        ),
        part(
            "recipient",
            "TEXT",
            "Messages with a recipient that contains this",
        ),
        part(
            "destination",
            "DOMAIN",
            "Messages with a recipient in this domain",
        ),
        part(
            "client",
            "TEXT",
            "Messages that came from this name or address",
        ),
        age("older", "Messages at least this old: 90m, 2d"),
        age("newer", "Messages at most this old"),
        part("reason", "TEXT", "Messages whose reason contains this"),
        Arg::new("held")
            .long("held")
            .action(ArgAction::SetTrue)
            .help("Messages on hold"),
    ]
}

impl Subcommand for Words {
    fn augment_subcommands(command: Command) -> Command {
        command
            .subcommands(Self::commands())
            .subcommand_required(true)
            .arg_required_else_help(true)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Self::commands()
            .iter()
            .any(|command| command.get_name() == name)
    }
}

impl FromArgMatches for Words {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Some((name, words)) = matches.subcommand() else {
            return Err(clap::Error::raw(ErrorKind::MissingSubcommand, "no command"));
        };
        if name == "show" {
            let id = words.get_one::<String>("id").cloned().unwrap_or_default();
            return Ok(Self(Request::Show { id }));
        }
        let selection = selection(words);
        if name == "summary" {
            let word = words.get_one::<String>("by").map_or("", String::as_str);
            let by = By::ALL.into_iter().find(|by| by.word() == word);
            let by = by.unwrap_or_default();
            return Ok(Self(Request::Summary { by, selection }));
        }
        let Some(order) = Order::ALL.into_iter().find(|order| order.word() == name) else {
            return Ok(Self(Request::List(selection)));
        };
        let mut selection = selection;
        if order == Order::Flush && !selection.names_something() {
            selection = Selection::all();
        }
        if !selection.names_something() {
            return Err(clap::Error::raw(
                ErrorKind::MissingRequiredArgument,
                format!(
                    "which messages? Name their ids, what they have in common (--sender, --reason, …), or --all (queue {name} --help)\n"
                ),
            ));
        }
        Ok(Self(Request::Change { order, selection }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn selection(words: &ArgMatches) -> Selection {
    let text = |name: &str| words.get_one::<String>(name).cloned();
    let age = |name: &str| words.get_one::<Span>(name).map(|span| span.0.as_secs());
    let ids: Vec<String> = words
        .get_many::<String>("ids")
        .unwrap_or_default()
        .cloned()
        .collect();
    let every = ids == [ALL];
    Selection {
        all: words.get_flag("all") || every,
        ids: if every { Vec::new() } else { ids },
        sender: text("sender"),
        recipient: text("recipient"),
        destination: text("destination"),
        client: text("client"),
        older: age("older"),
        newer: age("newer"),
        reason: text("reason"),
        held: words.get_flag("held"),
    }
}

/// Asks, and tells what is answered.
pub fn run(queue: &Queue, daemon: &Daemon<'_>) -> Exit {
    let mut exit = Exit::Ok;
    let mut rows = Vec::new();
    let Words(request) = &queue.words;
    let done = match request {
        Request::Change { order, .. } => order.done(),
        Request::List(_)
        | Request::Summary { .. }
        | Request::Show { .. }
        | Request::Follow { .. } => "",
    };
    let listed = matches!(request, Request::List(_));
    let mut ended = listed;
    let asked = control::ask(daemon.socket, request, &mut |answer: Answer| {
        ended |= !matches!(answer, Answer::Row(_) | Answer::Done(_) | Answer::Working);
        if let Answer::Refused(why) = &answer {
            complain(daemon.program, why);
            exit = Exit::NotDone;
        }
        match answer {
            Answer::Working => {}
            Answer::Row(row) if listed && !queue.json => rows.push(row),
            answer if queue.json => say(json(&answer)),
            answer => tell(&answer, done),
        }
    });
    match asked {
        Err(error) => {
            complain(
                daemon.program,
                format_args!(
                    "the mail queue is not available: {}",
                    control::told(&error, daemon.remedy)
                ),
            );
            control::exit(&error)
        }
        Ok(()) if !ended => {
            complain(daemon.program, "the daemon ended before it had answered");
            Exit::NotDone
        }
        Ok(()) => {
            if listed && !queue.json && (exit == Exit::Ok || !rows.is_empty()) {
                say(listing::mailq(&rows).trim_end());
            }
            exit
        }
    }
}

fn tell(answer: &Answer, done: &str) {
    match answer {
        Answer::Row(row) => {
            say(listing::mailq(std::slice::from_ref(row)).trim_end());
            if !row.origin.is_empty() {
                say(format_args!("\nFrom:         {}", row.origin));
            }
            if let Some(next) = row.next_attempt {
                say(format_args!("Next attempt: {}", next.rfc3339()));
            }
        }
        Answer::Summary(summary) => say(summary::table(summary)),
        Answer::Header(header) => say(format_args!("\n{header}")),
        Answer::Done(id) => say(format_args!("{id}: {done}")),
        Answer::Noted(what) => say(what),
        Answer::Changed(1) => say(format_args!("1 message {done}")),
        Answer::Changed(count) => say(format_args!("{count} messages {done}")),
        Answer::Attempt(row) => say(row),
        Answer::Refused(_) | Answer::Working => {}
    }
}

/// A message as `postqueue -j` has it, anything else as the daemon said it.
fn json(answer: &Answer) -> String {
    match answer {
        Answer::Row(row) => listing::json_lines(std::slice::from_ref(row))
            .trim_end()
            .to_owned(),
        // Text and numbers always have a JSON form.
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// A word that says something.
pub fn text(typed: &str) -> Result<String, String> {
    if typed.trim().is_empty() {
        return Err("it is empty; leave it out, or write a value".to_owned());
    }
    Ok(typed.to_owned())
}

/// A time, or how long ago: `2d`, `2026-11-22`, `2026-11-22 07:51`.
pub fn when(text: &str) -> Result<Timestamp, String> {
    if let Some(time) = Timestamp::parse(text) {
        return Ok(time);
    }
    let ago = Span::try_from(text.to_owned()).map_err(
        |_| "write how long ago, as 2d or 12h, or when: 2026-11-22, or \"2026-11-22 07:51\"",
    )?;
    Ok(clock::now().before(ago.0))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        queue: Queue,
    }

    fn typed(line: &str) -> Result<Request, ErrorKind> {
        let words = std::iter::once("queue").chain(line.split_whitespace());
        match Line::try_parse_from(words) {
            Ok(line) => Ok(line.queue.words.0),
            Err(error) => Err(error.kind()),
        }
    }

    #[test]
    fn deleting_everything_has_to_be_said_and_trying_everything_has_not() {
        for order in Order::ALL {
            let word = order.word();
            let change = |selection| Ok(Request::Change { order, selection });
            assert_eq!(typed(&format!("{word} --all")), change(Selection::all()));
            assert_eq!(typed(&format!("{word} ALL")), change(Selection::all()));
            assert_eq!(
                typed(&format!("{word} A B")),
                change(Selection::ids(vec!["A".into(), "B".into()]))
            );
            assert!(typed(&format!("{word} --all A")).is_err());
            let nothing = typed(word);
            match order {
                Order::Flush => assert_eq!(nothing, change(Selection::all())),
                _ => assert_eq!(nothing, Err(ErrorKind::MissingRequiredArgument)),
            }
        }
    }

    #[test]
    fn messages_are_selected_by_what_they_have_in_common() {
        let Ok(Request::Change { selection, .. }) = typed("hold --sender www --older 2d --json")
        else {
            panic!("not an order");
        };
        assert_eq!(selection.sender.as_deref(), Some("www"));
        assert_eq!(selection.older, Some(2 * 86_400));
        assert!(typed("hold --older yesterday").is_err());
        assert!(typed("destroy --all").is_err());
        assert!(Line::try_parse_from(["queue", "delete", "--sender", ""]).is_err());
        assert_eq!(
            typed("summary --by age --sender www"),
            Ok(Request::Summary {
                by: By::Age,
                selection: Selection {
                    sender: Some("www".into()),
                    ..Selection::default()
                }
            })
        );
        assert!(typed("summary --by moon").is_err());
        assert_eq!(typed("list"), Ok(Request::List(Selection::default())));
        assert_eq!(typed("show A"), Ok(Request::Show { id: "A".into() }));
    }
}
