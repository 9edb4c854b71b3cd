//! `sendmail-shim enroll`: this machine becomes known to smarthosts by a key of its own.
//!
//! | part | what |
//! |---|---|
//! | [`alone`] | one command at a time |
//! | [`exchange`] | what is said to one smarthost |
//! | [`key`] | the key's files |
//! | [`pasted`] | lines as people paste them |
//! | [`roll`] | another key, which relays are told under the one that they know |
//! | [`written`] | the settings that follow from lines |
//!
//! Contract: the private key never leaves the machine; nobody but the agent's user and root can
//! read it. Of several relays those that know the key are used, whatever is wrong with the others;
//! the same command goes on with these. Nothing is said to a smarthost that has not shown the key
//! of its line. A step whose answer was lost is repeated by the same command, and means the same:
//! the key that a smarthost may know already is kept until it is used. The settings, in the spool
//! too, are written last.
//! Failures: what was in use before stays in use.
//! See also: [`relay::enroll`], the line.

mod alone;
mod exchange;
mod key;
mod pasted;
mod roll;
mod written;

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ::relay::{
    enroll::{Line, Said},
    tls::pins_of_file,
};
use clap::{ArgGroup, Args};
use mail::address::Domain;
use sendmail::listing;
use system::{secret, sysexits::Exit};

use self::{
    alone::pause,
    exchange::{Failed, Target, not_done},
    key::Keys,
};
use super::running;
use crate::{
    config::{enrolled, places, settings::Settings},
    terminal::{CommandError, complain, say},
};

/// A line that was put there for the next start.
const PROVIDED: &str = "enroll";
/// The same, as a credential of the service.
const NEW: &str = "enroll-file";
/// Longest text with lines, bytes.
const MOST: u64 = 64 * 1024;
/// How long the agent is given to take new settings.
const TAKES: Duration = Duration::from_secs(10);

/// `enroll …`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("given").args(["lines", "provided"]))]
pub struct Options {
    /// The line that `smarthost enroll NAME` printed, one for each relay; - reads lines from
    /// standard input.
    #[arg(value_name = "LINE")]
    pub lines: Vec<String>,
    /// Make another key, which replaces the one that the smarthosts know; the old key is valid
    /// until shortly after the new one is first used.
    #[arg(long, conflicts_with_all = ["lines", "new_key", "provided"])]
    pub roll: bool,
    /// Make another key for these lines, because the present one was revoked or belongs to another
    /// machine.
    #[arg(long, requires = "given")]
    pub new_key: bool,
    /// Use the lines in the file `enroll` beside the configuration, and then remove it. Without
    /// that file, use those in the service's credential `enroll-file`, or in the credential
    /// `enroll` while this machine is not enrolled or has not used them. Without any line, nothing
    /// is done. If the present key was revoked, another one is made.
    #[arg(long, conflicts_with = "lines")]
    pub provided: bool,
}

/// Which key lines are for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    /// The one that is used, if there is one.
    Used,
    /// The same; another one where relays let it in no more: nobody is there to ask for it.
    UsedOrNew,
    New,
}

/// Does what is asked.
pub fn run(file: Option<&Path>, options: &Options) -> Result<Exit, CommandError> {
    let asks = options.lines.is_empty() && !options.roll && !options.provided;
    if asks {
        return shown(&places::load(file)?);
    }
    let lines = match options.lines.as_slice() {
        [] => Vec::new(),
        [only] if only == "-" => parsed(&given()?)?,
        lines => parsed(&lines.join("\n"))?,
    };
    let _alone = alone::alone(&settings(file)?.spool)?;
    // As whoever was at work before has left them.
    let settings = settings(file)?;
    Keys::of(&settings.spool).clear_unfinished();
    if options.roll {
        return roll::roll(&settings);
    }
    if options.provided {
        return provided(file, &settings, options.new_key);
    }
    let key = if options.new_key { For::New } else { For::Used };
    enroll(file, &settings, &lines, key)
}

/// Also where what earlier lines have set is damaged: that is written anew.
fn settings(file: Option<&Path>) -> Result<Settings, CommandError> {
    places::load(file).or_else(|error| {
        let without = places::load_without_lines(file).ok();
        let is_damaged = |it: &Settings| enrolled::Enrolled::read(&it.spool).is_err();
        without.filter(is_damaged).ok_or(error.into())
    })
}

fn parsed(text: &str) -> Result<Vec<Line>, CommandError> {
    pasted::lines(text).map_err(|why| CommandError::new(Exit::Arguments, why))
}

/// All of standard input.
fn given() -> Result<String, CommandError> {
    let mut text = String::new();
    let read = io::stdin().lock().take(MOST).read_to_string(&mut text);
    read.map_err(|error| CommandError::new(Exit::NotDone, format!("standard input: {error}")))?;
    Ok(text)
}

/// Lets each smarthost know the key, and uses it once one of them does.
fn enroll(
    file: Option<&Path>,
    settings: &Settings,
    lines: &[Line],
    key: For,
) -> Result<Exit, CommandError> {
    let keys = Keys::of(&settings.spool);
    let known = known(settings);
    // Whatever a relay was told cannot be taken back, and its line is used up.
    if let Some(why) = written::misfit(&written::wanted(lines), &known) {
        return Err(not_done(format!(
            "{why}; no relay was told anything, and the line can still be used"
        )));
    }
    let made = (key == For::New).then(|| made_for(lines));
    let (shown, is_used) = keys.to_show(made, &settings.hostname).map_err(not_done)?;
    let is_other = !is_used && keys.is_used();
    if is_other && let Some(line) = lines.iter().find(|line| was_used(&known, line)) {
        // The relay would take it for a line in two hands.
        let (relay, name) = (line.nexthop(), &line.name);
        return Err(not_done(format!(
            "{relay}: this line was used already, with the present key; nothing has changed. \
             Another key needs another line: run smarthost enroll {name} there"
        )));
    }
    let mut exit = Exit::Ok;
    if is_other && !roll::tell_others(settings, &keys, &shown, lines)? {
        exit = Exit::NotDone;
    }
    let (known, mut failures) = let_in(lines, &shown, &settings.hostname);
    let mut others = Vec::new();
    if key == For::UsedOrNew && is_used {
        let is_of_key = |(_, failed): &(Line, Failed)| matches!(failed, Failed::UsedBefore(_));
        let refused = failures.extract_if(.., |it| is_of_key(it));
        others.extend(refused.map(|(line, _)| line));
    }
    let failed = trouble(failures, known.is_empty() && others.is_empty());
    if !known.is_empty() {
        if !is_used {
            keys.use_next().map_err(not_done)?;
        }
        exit = worse(exit, settle(file, settings, &known)?);
    }
    if !others.is_empty() {
        let settings = self::settings(file)?;
        exit = worse(exit, enroll(file, &settings, &others, For::New)?);
    }
    failed.map_or(Ok(exit), Err)
}

fn worse(one: Exit, other: Exit) -> Exit {
    if one == Exit::Ok { other } else { one }
}

/// The settings that follow from lines are written, and taken by the agent.
fn settle(file: Option<&Path>, settings: &Settings, known: &[Line]) -> Result<Exit, CommandError> {
    let wanted = written::wanted(known);
    written::write(&settings.spool, wanted.clone()).map_err(not_done)?;
    for line in known {
        let (name, relay) = (&line.name, line.nexthop());
        say(format_args!("{name} is enrolled at {relay}"));
    }
    let now = places::load(file)?;
    let missing = written::missing(&wanted, &Keys::of(&settings.spool).used(), &now);
    if missing.is_empty() {
        push(&now);
        return Ok(Exit::Ok);
    }
    let (of, missing) = (own(&now), missing.join(", "));
    complain(
        "sendmail-shim",
        format_args!(
            "not used yet: {of} overrides it. Remove there: {missing}; enrolled.toml in the spool \
             has them"
        ),
    );
    Ok(Exit::NotDone)
}

/// The lines whose relays know the key now, and what is wrong with others.
fn let_in(lines: &[Line], identity: &Path, helo: &Domain) -> (Vec<Line>, Vec<(Line, Failed)>) {
    let (mut known, mut failures) = (Vec::new(), Vec::new());
    for line in lines {
        let target = Target::of_line(line, identity);
        let said = Said::Key {
            name: line.name.clone(),
            secret: line.secret.clone(),
        };
        match exchange::say(&target, &said, helo) {
            Ok(()) => known.push(line.clone()),
            Err(failed) => failures.push((line.clone(), failed)),
        }
    }
    (known, failures)
}

/// For the administrator; `all`: no relay knows the key.
fn trouble(failures: Vec<(Line, Failed)>, all: bool) -> Option<CommandError> {
    let consequence = if all {
        "nothing has changed"
    } else {
        "the other relays are used"
    };
    let troubles = failures.into_iter();
    let troubles =
        troubles.map(|(line, failed)| failed.told(&line.nexthop().to_string(), consequence));
    // What may work later is tried again, whatever else there is.
    troubles.reduce(|one, other| {
        let is_later = one.exit == Exit::TempFail;
        let exit = if is_later { one.exit } else { other.exit };
        CommandError::new(exit, format!("{}\n{}", one.text, other.text))
    })
}

/// By what a key is known again that was made for lines.
fn made_for(lines: &[Line]) -> String {
    let digests = lines.iter().map(|line| line.secret.digest(&line.name));
    let digests: Vec<_> = digests.map(String::from).collect();
    format!("# made for {}\n", digests.join(" "))
}

/// The administrator's file.
fn own(settings: &Settings) -> String {
    let mut files = settings.files.iter();
    let own = files.find(|file| !file.ends_with(enrolled::FILE));
    own.map_or_else(
        || places::SYSTEM.to_owned(),
        |own| own.display().to_string(),
    )
}

/// What was put there for the next start, if anything.
fn provided(file: Option<&Path>, settings: &Settings, new_key: bool) -> Result<Exit, CommandError> {
    let place = PathBuf::from(own(settings)).with_file_name(PROVIDED);
    let new = credential(NEW)?;
    let is_new = pasted::is_any(&new);
    let is_file = !is_new && place.symlink_metadata().is_ok();
    let (of, text) = if is_new {
        (format!("the credential {NEW}"), new)
    } else if is_file {
        let text = secret::text(&place).map_err(not_done)?;
        (place.display().to_string(), text)
    } else {
        let text = credential(PROVIDED)?;
        (format!("the credential {PROVIDED}"), text)
    };
    if !pasted::is_any(&text) && !is_file {
        return Ok(Exit::Ok);
    }
    let lines = pasted::lines(&text);
    let lines = lines.map_err(|why| CommandError::new(Exit::Arguments, format!("{of}: {why}")))?;
    if !is_new && !is_file && !new_key && !wants(settings, &lines) {
        return Ok(Exit::Ok);
    }
    let key = if new_key { For::New } else { For::UsedOrNew };
    let exit = enroll(file, settings, &lines, key)?;
    if is_file {
        // What stays is of no use to anybody else.
        let removed = std::fs::remove_file(&place);
        removed.map_err(|error| not_done(format!("{of}: {error}")))?;
    }
    Ok(exit)
}

/// Whether lines that stay there are still to be used: none was, or only some of them were, or they
/// are new ones for this machine.
fn wants(settings: &Settings, lines: &[Line]) -> bool {
    let known = known(settings);
    let mut lines = lines.iter();
    let is_new = |line: &Line| known.name.as_ref() == Some(&line.name) && !was_used(&known, line);
    !Keys::of(&settings.spool).is_used() || lines.any(is_new)
}

/// Whether this machine has used a line already.
fn was_used(known: &enrolled::Enrolled, line: &Line) -> bool {
    let digest = line.secret.digest(&line.name);
    known.lines.0.contains(&digest)
}

/// What earlier lines have set; what is damaged is nothing.
fn known(settings: &Settings) -> enrolled::Enrolled {
    let known = enrolled::Enrolled::read(&settings.spool);
    known.ok().flatten().unwrap_or_default()
}

/// A credential of the service; one that is not there is empty.
fn credential(name: &str) -> Result<String, CommandError> {
    match secret::credentials_directory().map(|all| all.join(name)) {
        Some(path) if path.exists() => system::read::text(&path, MOST)
            .map_err(|error| not_done(format!("{}: {error}", path.display()))),
        _ => Ok(String::new()),
    }
}

/// Which key this machine has, for whoever compares it.
fn shown(settings: &Settings) -> Result<Exit, CommandError> {
    let Some((certificate, _)) = &settings.identity else {
        return Err(not_done(
            "this machine is not enrolled. On the smarthost: smarthost enroll NAME, then here: sendmail-shim enroll LINE".to_owned(),
        ));
    };
    let shown = pins_of_file(certificate).map_err(|error| not_done(enrolled::unfit(&error).0))?;
    let relays = settings.relayhost.iter().map(ToString::to_string);
    let relays = relays.collect::<Vec<_>>().join(", ");
    say(format_args!("{} is shown to {relays}", shown.pin()));
    Ok(Exit::Ok)
}

/// What waits goes now, with the settings that the agent may have to take first.
fn push(settings: &Settings) {
    let begun = Instant::now();
    while begun.elapsed() < TAKES && waits(settings) {
        if running::has(settings) {
            // It goes by itself later.
            let _ = listing::flush(settings, None);
            return;
        }
        pause();
    }
}

/// Whether mail waits in the agent, as far as it tells.
fn waits(settings: &Settings) -> bool {
    running::status(settings).is_ok_and(|status| status.queued > 0)
}
