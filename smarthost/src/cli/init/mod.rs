//! `smarthost init`: a guided set-up, from a fresh machine to a configuration that was checked.
//!
//! Contract: what the machine tells is proposed, and only what it cannot know is asked. The file is
//! shown and checked before it is written, after a yes. With `--root` the files are another
//! system's, and this machine's own are neither read nor written.
//! A file with settings of an administrator's
//! is not replaced without asking, and kept beside the new one.
//! Postfix's configuration, where there is one, is offered to be taken over instead.
//! In the end the daemon takes the file, and a mail to the administrators is followed to its end,
//! if they agree.
//! Failures: nothing is written, unless it says so.

pub(super) mod arguments;
mod machine;

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use console::{
    dialog::{self, Answers, Dialog, Question},
    target::Target,
    trial,
};
use control::findings::{Findings, Level};
use settings::layers;
use system::copied;

use arguments::Init;

use super::{arguments::Import, check, failed::Failed, import, remote};
use crate::config::Config;

/// What the package installs: answers go in front of it.
const SHIPPED: &str = include_str!("../../../../packaging/smarthost/config.toml");
/// What can be answered beforehand.
const KEYS: [&str; 6] = [
    "hostname",
    "networks",
    "domains.local",
    "relayhost",
    "relay_tls.pins",
    "admins",
];
/// The networks of this machine alone.
const OWN: &str = "127.0.0.0/8 ::1";

pub(super) fn run(config: &Path, init: &Init) -> Result<(String, ExitCode), Failed> {
    let elsewhere = config == Path::new(Config::PATH) && copied::is_other(&init.root);
    init.trial.may_be(elsewhere).map_err(Failed::arguments)?;
    let path = &if elsewhere {
        of_root(init, config)?
    } else {
        config.to_owned()
    };
    let (mut input, mut output) = (io::stdin().lock(), io::stdout());
    let files: (&mut dyn io::BufRead, &mut dyn io::Write) = (&mut input, &mut output);
    let answers = Answers::of(&init.answers, &KEYS).map_err(Failed::arguments)?;
    let dialog = Dialog::new(files, dialog::people(), init.yes, answers);
    let mut dialog = dialog.map_err(Failed::new)?;
    let target = Target::open(path, SHIPPED)?;
    let may = dialog.may_replace(&target, init.force);
    if !may.map_err(Failed::new)? {
        return Ok(nothing());
    }
    let postfix = of_root(init, Path::new("/etc/postfix"))?;
    let answered = !init.answers.is_empty();
    if postfix.join("main.cf").exists() && !answered {
        let ask = "Postfix is set up on this machine. Take over its configuration?";
        if dialog.agree(ask, true).map_err(Failed::new)? {
            return take_over((path, &target), &mut dialog, &postfix, init);
        }
    }
    let text = ask_all(path, &mut dialog, init).map_err(Failed::new)?;
    let layer = (path.to_owned(), text.clone());
    let config = Config::of_files(&[layer])?;
    let mut findings = Findings::default();
    if elsewhere {
        check::elsewhere(path, &config, &mut findings);
    } else {
        check::check(path, &config, &mut findings);
    }
    let works = findings.level() < Level::Critical;
    let shown = format!(
        "\n# {}\n{text}\nChecked:\n{}\n",
        path.display(),
        findings.table()
    );
    dialog.say(&shown);
    if init.yes && !works && !init.force {
        return Err(Failed::new(
            "not written: the check found what does not work; --force writes it anyway".to_owned(),
        ));
    }
    let usual = works || init.force;
    if !dialog.agree("Write it?", usual).map_err(Failed::new)? {
        return Ok(nothing());
    }
    target.write(&text).map_err(Failed::new)?;
    end(path, &mut dialog, init)
}

/// A file of the machine that is set up.
fn of_root(init: &Init, path: &Path) -> Result<PathBuf, Failed> {
    let place = copied::below(&init.root, path);
    place.map_err(|error| {
        Failed::new(format!(
            "{} of {}: {error}",
            path.display(),
            init.root.display()
        ))
    })
}

/// What was written is tried, if that is wanted.
fn end(path: &Path, dialog: &mut Dialog<'_>, init: &Init) -> Result<(String, ExitCode), Failed> {
    let admins = Config::load(path)?.admins;
    let names: Vec<_> = admins.iter().map(ToString::to_string).collect();
    let names = ("smarthost", &*names.join(" and "));
    let asked = !admins.is_empty() || init.trial.test;
    let wanted = asked && {
        let wanted = init.trial.is_wanted(dialog, names, &init.root);
        wanted.map_err(Failed::new)?
    };
    if !wanted {
        return Ok((written(path), ExitCode::SUCCESS));
    }
    dialog.say(&format!("{} written.", path.display()));
    let usual = path == Path::new(Config::PATH);
    let restarted = usual && trial::restart("smarthost").map_err(Failed::new)?;
    if !restarted {
        // One that runs with this file.
        remote::reload(path)?;
    }
    let exit = remote::test(path, None)?;
    let told = "smarthost pin prints what machines need to know.".to_owned();
    Ok((told, exit.into()))
}

fn nothing() -> (String, ExitCode) {
    ("nothing was written".to_owned(), ExitCode::FAILURE)
}

fn written(path: &Path) -> String {
    format!(
        "{} written. Now: systemctl restart smarthost, then smarthost check; smarthost pin prints what machines need to know.",
        path.display()
    )
}

fn take_over(
    (path, target): (&Path, &Target<'_>),
    dialog: &mut Dialog<'_>,
    postfix: &Path,
    init: &Init,
) -> Result<(String, ExitCode), Failed> {
    let import = |apply| Import {
        directory: postfix.to_owned(),
        of_another: copied::is_other(&init.root),
        apply,
        force: apply,
        // Who has read it and says yes has decided.
        looser: apply,
        json: false,
    };
    let (text, exit) = import::run(path, &import(false))?;
    dialog.say(&text);
    let as_it_was = exit == ExitCode::SUCCESS;
    if init.yes && !as_it_was && !init.force {
        return Err(Failed::new(
            "not written: something is not taken over, or needs a decision \
             (above); --force writes it anyway"
                .to_owned(),
        ));
    }
    let usual = as_it_was || init.force;
    if !dialog.agree("Write it?", usual).map_err(Failed::new)? {
        return Ok(nothing());
    }
    target.keep().map_err(Failed::new)?;
    let (text, _) = import::run(path, &import(true))?;
    dialog.say(&text);
    end(path, dialog, init)
}

/// The file, with an answer to each question.
fn ask_all(path: &Path, dialog: &mut Dialog<'_>, init: &Init) -> Result<String, String> {
    let default = Config::machine_default().map_err(|error| error.text)?;
    let found = machine::networks(&init.root);
    if !found.others.is_empty() {
        let others: Vec<_> = found.others.iter().map(ToString::to_string).collect();
        dialog.say(&format!(
            "This machine is also in {}. These are public networks, so they are not proposed; \
             name them if all machines in them are yours.",
            others.join(", ")
        ));
    }
    let hostname = default.hostname.to_string();
    let mut answers: Vec<String> = Vec::new();
    let file = |answers: &[String]| -> Result<String, String> {
        // The machine itself is not asked about.
        let whole = answers
            .iter()
            .map(|answer| match answer.strip_prefix("networks=") {
                Some(others) if !others.trim().is_empty() => format!("networks={OWN} {others}"),
                _ => answer.clone(),
            });
        let settings = layers::answers(&whole.collect::<Vec<_>>()).map_err(|error| error.text)?;
        Ok(format!(
            "# Written by smarthost init.\n{settings}\n{SHIPPED}"
        ))
    };
    for question in questions(&hostname, &found.own) {
        let with = |answer: &str| {
            let answer = format!("{}={answer}", question.key);
            [&answers[..], &[answer]].concat()
        };
        let usable = |answer: &str| {
            let layer = (path.to_owned(), file(&with(answer))?);
            Config::of_files(&[layer])
                .map(drop)
                .map_err(|error| error.text)
        };
        let relayed = |it: &String| {
            it.strip_prefix("relayhost=")
                .is_some_and(|to| !to.is_empty())
        };
        if question.key == "relay_tls.pins" && !answers.iter().any(relayed) {
            continue;
        }
        let answer = dialog.ask(&question, &usable)?;
        answers = with(&answer);
    }
    dialog.all_used()?;
    file(&answers)
}

fn questions(hostname: &str, networks: &str) -> [Question; 6] {
    let question = |key, text, help, proposed: &str| Question {
        key,
        text,
        help,
        proposed: proposed.to_owned(),
    };
    let domain = hostname.split_once('.').map_or("", |(_, domain)| domain);
    let admin = if domain.contains('.') {
        format!("postmaster@{domain}")
    } else {
        String::new()
    };
    [
        question(
            "hostname",
            "The name of this relay",
            "The name that it uses for itself, and that DNS should have.",
            hostname,
        ),
        question(
            "networks",
            "Networks whose machines may send through it",
            "Separated by spaces. Proposed are the private networks that this machine is in; the \
             machine itself may always send. - for none.",
            networks,
        ),
        question(
            "domains.local",
            "Domains whose mail ends here",
            "Postmaster and the addresses in /etc/aliases get mail; all others are refused. - for \
             none.",
            "",
        ),
        question(
            "relayhost",
            "The relay that takes the mail for elsewhere",
            "HOST or HOST:PORT; [HOST] is this host itself, not the MX of its domain. Without a \
             relay, mail goes to the MX of each domain.",
            "",
        ),
        question(
            "relay_tls.pins",
            "Pins of the relayhost's key",
            "As smarthost pin prints them on the relayhost. Without a pin, any key is accepted.",
            "",
        ),
        question(
            "admins",
            "Addresses that get mail about limits and faults",
            "Separated by spaces.",
            &admin,
        ),
    ]
}
