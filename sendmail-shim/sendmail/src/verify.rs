//! `sendmail -bv` and `-bt`: what would become of an address, and why. Sends nothing.
//!
//! Contract: each address is told with what it becomes, the cause and the route; exit status 0 if
//! all can be mailed to, 67 if one cannot.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};

use mail::{
    address::list,
    clock,
    envelope::{Mail, Rcpt},
    message::{
        Header,
        rewrite::{self, Caller, Rules},
    },
};
use system::{patient::Patient, sysexits::Exit};

use super::terminal::{CommandError, complain, say};
use crate::{
    config::{settings::Settings, tables::Tables},
    identity, relay,
};

/// Longest line of `-bt`, bytes.
const LINE: u64 = 64 * 1024;

/// `-bv ADDRESS...`
pub fn words(settings: &Settings, words: &[String]) -> Result<Exit, CommandError> {
    let mut tables = Tables::new(settings);
    let verifier = Verifier::new(settings, &mut tables);
    let mut exit = Exit::Ok;
    for word in words {
        if !verifier.tell(word) {
            exit = Exit::NoUser;
        }
    }
    Ok(exit)
}

/// `-bt`: a line an address, until the input ends.
pub fn lines(settings: &Settings) -> Result<Exit, CommandError> {
    let mut tables = Tables::new(settings);
    let verifier = Verifier::new(settings, &mut tables);
    let mut input = BufReader::new(Patient(io::stdin().lock()));
    let mut exit = Exit::Ok;
    loop {
        let mut line = Vec::new();
        // A prompt that nobody reads is no error.
        let _ = write!(io::stdout(), "> ").and_then(|()| io::stdout().flush());
        let read = input.by_ref().take(LINE).read_until(b'\n', &mut line);
        match read {
            Ok(0) => {
                say("");
                return Ok(exit);
            }
            Ok(_) => {}
            Err(error) => return Err(CommandError::new(Exit::NoInput, error)),
        }
        let address = String::from_utf8_lossy(&line);
        if !address.trim().is_empty() && !verifier.tell(address.trim()) {
            exit = Exit::NoUser;
        }
    }
}

struct Verifier<'a> {
    caller: Caller,
    rules: &'a Rules,
    route: String,
}

impl<'a> Verifier<'a> {
    fn new(settings: &Settings, tables: &'a mut Tables) -> Self {
        let (rules, problems) = tables.refresh(clock::now());
        for problem in problems {
            complain("sendmail", problem);
        }
        let relays = relay::ordered(settings).into_iter();
        let relays: Vec<_> = relays.map(ToString::to_string).collect();
        Self {
            caller: identity::caller(rustix::process::getuid().as_raw()),
            rules,
            route: match relays.as_slice() {
                [] => "queued: no relayhost is set".to_owned(),
                relays => format!("via {}", relays.join(", or ")),
            },
        }
    }

    /// Whether it can be mailed to.
    fn tell(&self, text: &str) -> bool {
        let list = list::argument(text.trim());
        let to: Vec<_> = list
            .entries
            .into_iter()
            .map(|entry| Rcpt::from(entry.target))
            .collect();
        let rewritten = match list.problems.first() {
            Some(problem) => Err(format!(
                "bad recipient `{}`: {}",
                problem.text, problem.error
            )),
            None if to.is_empty() => Err("bad recipient: the address is empty".to_owned()),
            None => rewrite::rewrite(
                &Mail::of_caller(None),
                &to,
                &mut Header::default(),
                &self.caller,
                self.rules,
            )
            .map_err(|error| error.to_string()),
        };
        match rewritten {
            Ok((envelope, changes)) => {
                for recipient in envelope.recipients {
                    let address = recipient.address.as_str();
                    let because = changes
                        .iter()
                        .find(|change| {
                            change.what == "envelope recipient" && change.after == address
                        })
                        .map(|change| format!(" ({})", change.because))
                        .unwrap_or_default();
                    say(format_args!("{text}: <{address}>{because}, {}", self.route));
                }
                true
            }
            Err(error) => {
                say(format_args!("{text}: undeliverable: {error}"));
                false
            }
        }
    }
}
