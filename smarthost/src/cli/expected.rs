//! `smarthost expected`: mail that must come.

use std::{fmt::Write as _, path::Path};

use mail::{clock::Timestamp, text::printable};
use serde::Serialize;

use super::{ask::ask, failed::Failed};
use crate::{
    admin::{Answer, Request},
    expected::{Every, Pattern, Proposal, Standing, Wanted, Who},
};

/// Longest text of others in a line, characters.
const WIDTH: usize = 400;

/// `expected …`
#[derive(clap::Subcommand, Debug)]
pub(super) enum Order {
    /// List the mail that must come, missing mail first
    List {
        /// List mail that comes regularly and could be expected, with the number for `expected add
        /// --learned`
        #[arg(long)]
        learned: bool,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Declare mail that must come; admins get mail when it does not, and when it comes again
    #[command(after_help = "Examples:\n  \
        smarthost expected add --client vm7 --subject 'backup*' --every 1d --grace 3h\n  \
        smarthost expected add --sender '*@shop.example.org' --every 7d\n  \
        smarthost expected add --learned 3                     the proposal with this number")]
    Add(Add),
    /// Stop expecting it
    Forget {
        /// The number that `expected list` shows
        number: u32,
    },
}

#[derive(clap::Args, Debug)]
pub(super) struct Add {
    /// The client: the name of its key, its login, its host name, its address or a network
    #[arg(long, value_name = "CLIENT")]
    client: Option<Who>,
    /// The sender; * stands for anything
    #[arg(long, value_name = "PATTERN")]
    sender: Option<Pattern>,
    /// The subject; * stands for anything
    #[arg(long, value_name = "PATTERN")]
    subject: Option<Pattern>,
    /// It must come at least this often: 1h, 1d, 7d, 31d
    #[arg(long, value_name = "TIME", required_unless_present = "learned")]
    every: Option<Every>,
    /// How late it may be; by default an eighth of --every
    #[arg(long, value_name = "TIME")]
    grace: Option<Every>,
    /// The number of a proposal in `expected list --learned`
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["client", "sender", "subject", "every", "grace"])]
    learned: Option<u32>,
}

pub(super) fn run(config: &Path, order: Order) -> Result<String, Failed> {
    match order {
        Order::List { learned, json } => {
            let answers = ask(config, &Request::ExpectedList { learned })?;
            if answers.is_empty() && !json {
                let nothing = if learned { "proposed" } else { "expected" };
                return Ok(format!("nothing is {nothing}"));
            }
            Ok(answers.iter().map(|answer| listed(answer, json)).collect())
        }
        Order::Add(add) => {
            let request = match (add.learned, add.every) {
                (Some(number), _) => Request::ExpectedConfirm { number },
                (None, every) => {
                    let every = every.unwrap_or(Every(std::time::Duration::from_hours(24)));
                    let of = (add.client, add.sender, add.subject);
                    let wanted = Wanted::new(of, every, add.grace).map_err(Failed::new)?;
                    Request::ExpectedAdd { wanted }
                }
            };
            Ok(ask(config, &request)?
                .iter()
                .map(|it| listed(it, false))
                .collect())
        }
        Order::Forget { number } => {
            let forgotten = ask(config, &Request::ExpectedForget { number })?;
            let what = forgotten.iter().find_map(|answer| match answer {
                Answer::Expected(it) => Some(shown(&it.wanted.to_string())),
                _ => None,
            });
            Ok(format!(
                "{} is no longer expected",
                what.unwrap_or_default()
            ))
        }
    }
}

fn shown(text: &str) -> String {
    printable(text).chars().take(WIDTH).collect()
}

fn listed(answer: &Answer, json: bool) -> String {
    let value = match answer {
        Answer::Expected(it) if json => serde_json::to_string(&Told::expected(it)),
        Answer::Proposed(it) if json => serde_json::to_string(&Told::proposed(it)),
        Answer::Expected(it) => return expected(it),
        Answer::Proposed(it) => return proposed(it),
        _ => return String::new(),
    };
    // Texts and numbers always have a JSON form.
    value.unwrap_or_default() + "\n"
}

fn expected(it: &Standing) -> String {
    let wanted = &it.wanted;
    let mut text = format!("{:4}  {}\n", it.number, shown(&wanted.to_string()));
    let (every, grace) = (wanted.every, wanted.grace);
    let last = it
        .last
        .map_or_else(|| "never".to_owned(), Timestamp::rfc3339);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "      every {every}, up to {grace} late; last seen {last}, "
    );
    let _ = match it.missing {
        Some(_) => write!(text, "MISSING, late since {}", it.due.rfc3339()),
        None => write!(text, "late from {} on", it.due.rfc3339()),
    };
    text.push_str(if it.setting {
        "; in the configuration\n"
    } else {
        "\n"
    });
    text
}

fn proposed(it: &Proposal) -> String {
    let Proposal {
        number,
        wanted,
        last,
        ..
    } = it;
    let (every, grace) = (wanted.every, wanted.grace);
    let user = match it.user.as_str() {
        "" => String::new(),
        user => format!(", user {}", shown(user)),
    };
    format!(
        "{number:4}  {}\n      comes every {every}, up to {grace} late; last seen {}; machine {}{user}\n",
        shown(&wanted.to_string()),
        last.rfc3339(),
        shown(&it.machine)
    )
}

/// A row for programs.
#[derive(Serialize)]
struct Told<'a> {
    number: u32,
    #[serde(flatten)]
    wanted: &'a Wanted,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configured: Option<bool>,
    count: Option<u64>,
    last: Option<String>,
    /// From when on it is late.
    due: Option<String>,
    missing: bool,
}

impl<'a> Told<'a> {
    fn expected(it: &'a Standing) -> Self {
        Self {
            number: it.number,
            wanted: &it.wanted,
            machine: None,
            user: None,
            configured: Some(it.setting),
            count: Some(it.count),
            last: it.last.map(Timestamp::rfc3339),
            due: Some(it.due.rfc3339()),
            missing: it.missing.is_some(),
        }
    }

    fn proposed(it: &'a Proposal) -> Self {
        Self {
            number: it.number,
            wanted: &it.wanted,
            machine: Some(&it.machine),
            user: Some(&it.user),
            configured: None,
            count: None,
            last: Some(it.last.rfc3339()),
            due: None,
            missing: false,
        }
    }
}
