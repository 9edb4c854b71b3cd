//! `sendmail -bv` and `-bt`: what would become of an address, and why. Sends nothing.
//!
//! Contract: each address is told with what it becomes, the cause and the route; exit status 0 if
//! all can be mailed to, 67 if one cannot. The agent tells it, by what it has in force, which is
//! not what a wrong or missing file says; where none answers, the files do.

use std::{
    collections::HashMap,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
};

use mail::{
    address::list,
    clock,
    envelope::{Mail, Rcpt},
    message::{
        Header,
        rewrite::{self, Caller, Rules},
    },
};
use settings::ConfigError;
use system::{patient::Patient, sysexits::Exit};

use super::terminal::{CommandError, complain, say};
use crate::{
    config::{places, settings::Settings, tables::Tables},
    identity,
    queue::{Answer, Request},
    relay,
};

/// Longest line of `-bt`, bytes.
const LINE: u64 = 64 * 1024;

/// `-bv ADDRESS...`
pub fn words(words: &[String]) -> Result<Exit, CommandError> {
    let mailable = Source::find()?.tell(words)?;
    Ok(if mailable { Exit::Ok } else { Exit::NoUser })
}

/// `-bt`: a line an address, until the input ends.
pub fn lines() -> Result<Exit, CommandError> {
    let mut source = Source::find()?;
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
        let address = address.trim();
        if !address.is_empty() && !source.tell(&[address.to_owned()])? {
            exit = Exit::NoUser;
        }
    }
}

/// Who knows what becomes of an address.
struct Source {
    settings: Settings,
    /// What is wrong with the configuration: without an agent, nothing can be told.
    wrong: Option<ConfigError>,
    /// The files, where no agent answers.
    tables: Option<Tables>,
}

impl Source {
    fn find() -> Result<Self, CommandError> {
        let (settings, wrong) = places::load_anyway(None)?;
        Ok(Self {
            settings,
            wrong,
            tables: None,
        })
    }

    /// Tells of these addresses; whether all can be mailed to.
    fn tell(&mut self, words: &[String]) -> Result<bool, CommandError> {
        if self.tables.is_none()
            && let Some((lines, mailable)) = self.asked(words)
        {
            lines.iter().for_each(say);
            return Ok(mailable);
        }
        if let Some(wrong) = self.wrong.take() {
            return Err(wrong.into());
        }
        let settings = &self.settings;
        let tables = self.tables.get_or_insert_with(|| {
            let mut tables = Tables::recalled(settings);
            for problem in tables.refresh(clock::now()).1 {
                complain("sendmail", problem);
            }
            tables
        });
        let caller = identity::caller(rustix::process::getuid().as_raw());
        let mut all = true;
        for word in words {
            let (lines, mailable) = told(word, settings, &caller, tables.rules());
            lines.iter().for_each(say);
            all &= mailable;
        }
        Ok(all)
    }

    /// What the agent says, if one answers that knows this question.
    fn asked(&self, words: &[String]) -> Option<(Vec<String>, bool)> {
        let (mut lines, mut mailable) = (Vec::new(), None);
        let request = Request::Verify(words.to_vec());
        let asked = control::ask(
            &self.settings.control,
            &request,
            &mut |answer| match answer {
                Answer::Told(line) => lines.push(line),
                Answer::Mailable(all) => mailable = Some(all),
                _ => {}
            },
        );
        asked.ok()?;
        Some((lines, mailable?))
    }
}

/// What is told of an address that this caller mails to, a line each, and whether he can.
pub fn told(
    text: &str,
    settings: &Settings,
    caller: &Caller,
    rules: &Rules,
) -> (Vec<String>, bool) {
    let relays = relay::ordered(settings).into_iter();
    let relays: Vec<_> = relays.map(ToString::to_string).collect();
    let route = match relays.as_slice() {
        [] => "queued: no relayhost is set".to_owned(),
        relays => format!("via {}", relays.join(", or ")),
    };
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
            caller,
            rules,
        )
        .map_err(|error| error.to_string()),
    };
    let (envelope, changes) = match rewritten {
        Ok(rewritten) => rewritten,
        Err(error) => return (vec![format!("{text}: undeliverable: {error}")], false),
    };
    let left_out = changes.iter().filter(|it| it.what == rewrite::LEFT_OUT);
    let mut lines: Vec<_> = left_out
        .map(|it| format!("{text}: not all of it: {} ({})", it.after, it.because))
        .collect();
    let refused = changes.iter().filter(|it| it.what == rewrite::REFUSED);
    let refused: HashMap<_, _> = refused.map(|it| (it.before.as_str(), it)).collect();
    let mut because = HashMap::new();
    for change in changes.iter().filter(|it| it.what == "envelope recipient") {
        because.entry(&change.after).or_insert(&change.because);
    }
    lines.extend(envelope.recipients.into_iter().map(|recipient| {
        let address = recipient.address.to_string();
        if let Some(it) = refused.get(address.as_str()) {
            let because = &it.because;
            return format!("{text}: undeliverable: refused {} ({because})", it.after);
        }
        let because = because.get(&address).map(|because| format!(" ({because})"));
        format!(
            "{text}: <{address}>{}, {route}",
            because.unwrap_or_default()
        )
    }));
    (lines, refused.is_empty())
}
