//! `sendmail-shim init`: a guided set-up of a machine.
//!
//! Contract: asks for the relayhost, its key, the domain and the administrators; what another
//! program's configuration says is offered to be taken over instead. The file is shown, and the way
//! to the relayhost tried, before it is written after a yes. An administrator's file is not
//! replaced without asking, and kept beside the new one.
//! In the end the agent takes the file, and a mail to the administrators is followed to its end, if
//! they agree.
//! Failures: nothing is written, unless it says so.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use console::{
    dialog::{self, Answers, Dialog, Question},
    target::Target,
    trial::{self, Trial},
};
use control::findings::{Findings, Level};
use relay::relayhost::Relayhost;
use settings::layers;
use system::{copied, sysexits::Exit};

use super::{check, import, pin, running, test};
use crate::config::{
    places::{self, SYSTEM},
    settings::Settings,
};
use crate::terminal::{CommandError, say};

/// What can be answered beforehand: the questions of the package.
const KEYS: [&str; 5] = ["relayhost", "pins", "tls", "domain", "admin"];

/// `init …`
#[derive(Debug, Args)]
pub struct Options {
    /// Answers in advance: relayhost, pins, tls, domain, admin; several words are a list.
    #[arg(value_name = "KEY=VALUE")]
    pub answers: Vec<String>,
    /// Ask nothing: use what is proposed for the rest, and write the file.
    #[arg(long)]
    pub yes: bool,
    /// With --yes: replace a file with your own settings, and write a configuration that does not
    /// pass the check.
    #[arg(long, requires = "yes")]
    pub force: bool,
    /// Root directory of another system: its files are read and written there.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    #[command(flatten)]
    pub trial: Trial,
}

/// Asks, shows, and writes.
pub fn run(file: Option<&Path>, options: &Options) -> Result<Exit, CommandError> {
    let own = import::under(&options.root, SYSTEM)?;
    let elsewhere = file.is_none() && copied::is_other(&options.root);
    let possible = options.trial.may_be(elsewhere);
    possible.map_err(|why| CommandError::new(Exit::Arguments, why))?;
    let path = file.unwrap_or(&own);
    let (mut input, mut output) = (io::stdin().lock(), io::stdout());
    let files: (&mut dyn io::BufRead, &mut dyn io::Write) = (&mut input, &mut output);
    let people = dialog::people();
    let answers = Answers::of(&options.answers, &KEYS)
        .map_err(|why| CommandError::new(Exit::Arguments, why))?;
    let mut dialog = Dialog::new(files, people, options.yes, answers).map_err(wrong)?;
    let target = Target::open(path, "")?;
    if !dialog.may_replace(&target, options.force).map_err(wrong)? {
        return Ok(nothing());
    }
    // It writes to the place that is usual.
    let other =
        import::program(&options.root).filter(|_| options.answers.is_empty() && file.is_none());
    if let Some(name) = other {
        let ask = format!("{name} is set up on this machine. Take over its configuration?");
        if dialog.agree(&ask, true).map_err(wrong)? {
            return take_over(&target, &mut dialog, options);
        }
    }
    let text = ask_all(path, &mut dialog)?;
    let settings = Settings::layered(&[(path.to_owned(), text.clone())])?;
    let mut findings = Findings::default();
    check::way(&settings, &mut findings);
    let works = findings.level() < Level::Critical;
    dialog.say(&format!(
        "\n# {}\n{text}\nChecked:\n{}\n",
        path.display(),
        findings.table()
    ));
    if !may_be_written(&mut dialog, options, works)? {
        return Ok(nothing());
    }
    target.write(&text).map_err(wrong)?;
    say(format_args!("{} written.", path.display()));
    end(file, &mut dialog, options)
}

/// What was written is tried, if that is wanted.
fn end(
    file: Option<&Path>,
    dialog: &mut Dialog<'_>,
    options: &Options,
) -> Result<Exit, CommandError> {
    let under_root = import::under(&options.root, SYSTEM)?;
    let here = !copied::is_other(&options.root);
    let written = file.or((!here).then_some(&*under_root));
    let settings = places::load(written)?;
    let to = match &settings.admin {
        Some(admin) => admin.to_string(),
        None => format!("root@{}", settings.domain),
    };
    let wanted = options
        .trial
        .is_wanted(dialog, ("sendmail-shim", &to), &options.root);
    if !wanted.map_err(wrong)? {
        say(
            "Now: systemctl restart sendmail-shim, then sendmail-shim check and sendmail-shim \
             test.",
        );
        return Ok(Exit::Ok);
    }
    let restarted = written.is_none() && trial::restart("sendmail-shim").map_err(wrong)?;
    if !restarted && !running::has(&settings) {
        let why = "no agent runs with these settings: restart it, then run sendmail-shim test";
        return Err(CommandError::new(Exit::Unavailable, why.to_owned()));
    }
    test::run(&settings, None)
}

fn wrong(why: String) -> CommandError {
    CommandError::new(Exit::NotDone, why)
}

fn nothing() -> Exit {
    say("nothing was written");
    Exit::NotDone
}

fn may_be_written(
    dialog: &mut Dialog<'_>,
    options: &Options,
    right: bool,
) -> Result<bool, CommandError> {
    if options.yes && !right && !options.force {
        let why = "not written: something above does not work, or needs a decision; --force \
             writes it anyway";
        return Err(wrong(why.to_owned()));
    }
    dialog
        .agree("Write it?", right || options.force)
        .map_err(wrong)
}

fn take_over(
    target: &Target<'_>,
    dialog: &mut Dialog<'_>,
    options: &Options,
) -> Result<Exit, CommandError> {
    let import = |apply| import::Options {
        from: None,
        root: options.root.clone(),
        apply,
        force: apply,
        queue: false,
        held: false,
    };
    let right = import::run(&import(false))? == Exit::Ok;
    if !may_be_written(dialog, options, right)? {
        return Ok(nothing());
    }
    target.keep().map_err(wrong)?;
    import::run(&import(true))?;
    end(None, dialog, options)
}

/// The file, with an answer to each question.
fn ask_all(path: &Path, dialog: &mut Dialog<'_>) -> Result<String, CommandError> {
    let mut answers: Vec<String> = Vec::new();
    let file = |answers: &[String]| -> Result<String, String> {
        let settings = layers::answers(answers).map_err(|error| error.text)?;
        Ok(format!("# Written by sendmail-shim init.\n{settings}"))
    };
    let machine = Settings::layered(&[])?;
    let mut shown = Shown::default();
    for key in KEYS {
        if key == "pins" && dialog.is_asking() {
            shown = look(&machine, &answers, dialog);
        }
        let question = question(key, &machine, &shown);
        let with = |answer: &str| [&answers[..], &[format!("{key}={answer}")]].concat();
        let usable = |answer: &str| {
            let layer = (path.to_owned(), file(&with(answer))?);
            Settings::layered(&[layer])
                .map(drop)
                .map_err(|error| error.text)
        };
        let answer = dialog.ask(&question, &usable).map_err(wrong)?;
        answers = with(&answer);
    }
    dialog.all_used().map_err(wrong)?;
    file(&answers).map_err(wrong)
}

/// What the relay shows to who asks it.
#[derive(Default)]
struct Shown {
    pin: String,
    tls: String,
}

/// Asks the first relay, and tells what it shows.
fn look(machine: &Settings, answers: &[String], dialog: &mut Dialog<'_>) -> Shown {
    let relays = answers
        .iter()
        .find_map(|answer| answer.strip_prefix("relayhost="));
    let first = relays.and_then(|relays| relays.split([' ', ',']).find(|it| !it.is_empty()));
    let Some(host) = first.and_then(|first| Relayhost::parse(first).ok()) else {
        return Shown::default();
    };
    match pin::ask(machine, &host) {
        Ok((pin, tls, line)) => {
            let compare = "Compare it with what the relay's administrator says (on a smarthost: smarthost pin).";
            dialog.say(&format!("\n{host} shows this key: {line}\n{compare}"));
            Shown {
                pin,
                tls: tls.to_owned(),
            }
        }
        Err(why) => {
            dialog.say(&format!("\n{host} shows no key: {why}"));
            Shown::default()
        }
    }
}

/// With what is proposed.
fn question(key: &'static str, machine: &Settings, shown: &Shown) -> Question {
    let (text, help) = match key {
        "relayhost" => (
            "The relay that takes all mail of this machine",
            "HOST, HOST:PORT or srv:DOMAIN; several, separated by spaces, are tried in this order. Without one mail is queued.",
        ),
        "pins" => (
            "Pins of the relay's key",
            "Proposed is the key that it shows. - for none: then it needs a certificate from an \
             authority that web browsers trust.",
        ),
        "tls" => (
            "How TLS begins there",
            "starttls, or wrapped (from the first byte); - for the default.",
        ),
        "domain" => (
            "The domain of addresses that programs give without one",
            "Such as example.org.",
        ),
        _ => (
            "The address of the administrators",
            "Takes the mail for root and for other local names that /etc/aliases does not send elsewhere.",
        ),
    };
    let proposed = match key {
        "pins" => shown.pin.clone(),
        "tls" => shown.tls.clone(),
        "domain" => {
            let name = machine.hostname.to_string();
            name.split_once('.')
                .map_or(String::new(), |(_, domain)| domain.to_owned())
        }
        _ => String::new(),
    };
    Question {
        key,
        text,
        help,
        proposed,
    }
}
