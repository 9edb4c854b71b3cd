//! `sendmail-shim enroll`: this machine becomes known to smarthosts by a key of its own.
//!
//! | part | what |
//! |---|---|
//! | [`exchange`] | what is said to one smarthost |
//! | [`key`] | the key's files |
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

mod exchange;
mod key;
mod roll;
mod written;

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use ::relay::{
    enroll::{Line, Said},
    tls::pins_of_file,
};
use clap::Args;
use mail::address::Domain;
use sendmail::listing;
use system::{secret, sysexits::Exit};

use self::{
    exchange::{Target, not_done},
    key::Keys,
};
use super::running;
use crate::{
    config::{enrolled, places, settings::Settings},
    terminal::{Trouble, complain, say},
};

/// A line that was put there for the next start.
const PROVIDED: &str = "enroll";
/// The same, as a credential of the service.
const NEW: &str = "enroll-file";
/// Longest text with lines, bytes.
const MOST: u64 = 64 * 1024;
/// How long the agent is given to take new settings, and how often it is asked.
const TAKES: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(200);

/// `enroll …`
#[derive(Debug, Args)]
pub struct Request {
    /// What `smarthost enroll NAME` printed, one for each relay; - reads them from standard input.
    #[arg(value_name = "LINE")]
    pub lines: Vec<String>,
    /// Make another key, which takes the place of the one that the smarthosts know; the old one is
    /// good until shortly after the new one was seen.
    #[arg(long, conflicts_with_all = ["lines", "new_key", "provided"])]
    pub roll: bool,
    /// Make another key for these lines: the one that there is was revoked, or is another
    /// machine's.
    #[arg(long, requires = "lines")]
    pub new_key: bool,
    /// The lines in the file `enroll` beside the configuration, which is removed then; without it,
    /// those in the service's credential `enroll-file`, or, while this machine is not enrolled,
    /// `enroll`. None: nothing is done.
    #[arg(long, conflicts_with = "lines")]
    pub provided: bool,
}

/// Does what is asked.
pub fn run(file: Option<&Path>, request: &Request) -> Result<Exit, Trouble> {
    let settings = places::load(file)?;
    if request.roll {
        return roll::roll(&settings);
    }
    if request.provided {
        return provided(file, &settings);
    }
    if request.lines.is_empty() {
        return shown(&settings);
    }
    let lines = match request.lines.as_slice() {
        [only] if only == "-" => parsed(said(&given()?)),
        lines => parsed(lines.iter().map(String::as_str)),
    };
    let lines = lines.map_err(|why| Trouble::new(Exit::Arguments, why))?;
    enroll(file, &settings, &lines, request.new_key)
}

/// All of standard input.
fn given() -> Result<String, Trouble> {
    let mut text = String::new();
    let read = io::stdin().lock().take(MOST).read_to_string(&mut text);
    read.map_err(|error| Trouble::new(Exit::NotDone, format!("standard input: {error}")))?;
    Ok(text)
}

/// The lines of a text, comments and empty ones apart.
fn said(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn parsed<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Line>, String> {
    let lines: Vec<Line> = lines.map(Line::parse).collect::<Result<_, _>>()?;
    match lines.as_slice() {
        [] => Err("there is no line of `smarthost enroll`".to_owned()),
        [first, rest @ ..] if rest.iter().any(|it| it.wrapped != first.wrapped) => {
            Err("TLS begins otherwise at these relays; make lines for ports of one kind: smarthost enroll NAME --relay HOST:PORT".to_owned())
        }
        _ => Ok(lines),
    }
}

/// Lets each smarthost know the key, and uses it once one of them does.
fn enroll(
    file: Option<&Path>,
    settings: &Settings,
    lines: &[Line],
    new_key: bool,
) -> Result<Exit, Trouble> {
    let keys = Keys::of(&settings.spool);
    let (shown, is_used) = keys
        .to_show(new_key.then(|| made_for(lines)), &settings.hostname)
        .map_err(not_done)?;
    if !is_used && keys.is_used() {
        roll::tell_others(settings, &keys, &shown, lines)?;
    }
    let (known, failed) = let_in(lines, &shown, &settings.hostname);
    if known.is_empty() {
        return Err(failed.unwrap_or_else(|| not_done("there is no line".to_owned())));
    }
    if !is_used {
        keys.use_next().map_err(not_done)?;
    }
    let wanted = written::wanted(&known);
    written::write(&settings.spool, wanted.clone()).map_err(not_done)?;
    for line in &known {
        let (name, relay) = (&line.name, line.nexthop());
        say(format_args!("{name} is enrolled at {relay}"));
    }
    let now = places::load(file)?;
    let missing = written::missing(&wanted, &keys.used(), &now);
    if missing.is_empty() {
        push(&now);
        return failed.map_or(Ok(Exit::Ok), Err);
    }
    let (of, missing) = (own(&now), missing.join(", "));
    complain(
        "sendmail-shim",
        format_args!(
            "not used yet: {of} says otherwise. Remove there: {missing}; enrolled.toml in the spool has them"
        ),
    );
    failed.map_or(Ok(Exit::NotDone), Err)
}

/// The lines whose relays know the key now, and what is wrong with another one.
fn let_in(lines: &[Line], identity: &Path, helo: &Domain) -> (Vec<Line>, Option<Trouble>) {
    let (mut known, mut failures) = (Vec::new(), Vec::new());
    for line in lines {
        let target = Target::of_line(line, identity);
        let said = Said::Key {
            name: line.name.clone(),
            secret: line.secret.clone(),
        };
        match exchange::say(&target, &said, helo) {
            Ok(()) => known.push(line.clone()),
            Err(failed) => failures.push((line.nexthop().to_string(), failed)),
        }
    }
    let consequence = if known.is_empty() {
        "nothing has changed"
    } else {
        "the other relays are used"
    };
    let troubles = failures.into_iter();
    let troubles = troubles.map(|(relay, failed)| failed.told(&relay, consequence));
    // What may work later is tried again, whatever else there is.
    let worst = troubles.reduce(|one, other| {
        let is_later = one.exit == Exit::TempFail;
        let exit = if is_later { one.exit } else { other.exit };
        Trouble::new(exit, format!("{}\n{}", one.text, other.text))
    });
    (known, worst)
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
fn provided(file: Option<&Path>, settings: &Settings) -> Result<Exit, Trouble> {
    let place = PathBuf::from(own(settings)).with_file_name(PROVIDED);
    let new = credential(NEW)?;
    let is_new = said(&new).next().is_some();
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
    if said(&text).next().is_none() && !is_file {
        return Ok(Exit::Ok);
    }
    let lines = parsed(said(&text));
    let lines = lines.map_err(|why| Trouble::new(Exit::Arguments, format!("{of}: {why}")))?;
    if !is_new && !is_file && !wants(settings, &lines)? {
        return Ok(Exit::Ok);
    }
    let exit = enroll(file, settings, &lines, false)?;
    if is_file {
        // What stays is of no use to anybody else.
        let removed = std::fs::remove_file(&place);
        removed.map_err(|error| not_done(format!("{of}: {error}")))?;
    }
    Ok(exit)
}

/// Whether lines that stay there are still to be used: none was, or only some of them were.
fn wants(settings: &Settings, lines: &[Line]) -> Result<bool, Trouble> {
    let enrolled = enrolled::Enrolled::read(&settings.spool)?.unwrap_or_default();
    let relays = &enrolled.relayhost.0;
    let known = |line: &&Line| relays.iter().any(|it| it.nexthop == line.nexthop());
    let known = lines.iter().filter(known).count();
    let is_used = Keys::of(&settings.spool).is_used();
    Ok(!is_used || (known > 0 && known < lines.len()))
}

/// A credential of the service; one that is not there is empty.
fn credential(name: &str) -> Result<String, Trouble> {
    match secret::credentials_directory().map(|all| all.join(name)) {
        Some(path) if path.exists() => system::read::text(&path, MOST)
            .map_err(|error| not_done(format!("{}: {error}", path.display()))),
        _ => Ok(String::new()),
    }
}

/// Which key this machine has, for whoever compares it.
fn shown(settings: &Settings) -> Result<Exit, Trouble> {
    let Some((certificate, _)) = &settings.identity else {
        return Err(not_done(
            "this machine is not enrolled. On the smarthost: smarthost enroll NAME, then here: sendmail-shim enroll LINE".to_owned(),
        ));
    };
    let shown = pins_of_file(certificate).map_err(|error| not_done(error.0))?;
    let relays = settings.relayhost.iter().map(ToString::to_string);
    let relays = relays.collect::<Vec<_>>().join(", ");
    say(format_args!("{} is shown to {relays}", shown.pin()));
    Ok(Exit::Ok)
}

/// What waits goes now, with the settings that the agent may have to take first.
fn push(settings: &Settings) {
    let begun = Instant::now();
    while begun.elapsed() < TAKES && waits(settings) {
        if has_taken(settings) {
            // It goes by itself later.
            let _ = listing::flush(settings, None);
            return;
        }
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the agent does not tell of itself: it is asked"
)]
fn pause() {
    thread::sleep(LOOK);
}

/// Whether mail waits in the agent, as far as it tells.
fn waits(settings: &Settings) -> bool {
    running::status(settings).is_ok_and(|status| status.queued > 0)
}

fn has_taken(settings: &Settings) -> bool {
    running::settings(settings)
        .is_ok_and(|it| it.identity == settings.identity && it.relayhost == settings.relayhost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_file_are_read_among_comments_and_must_go_together() {
        let line = |port, tls| {
            let (pin, secret) = ("9f".repeat(32), "abcdefghijkmnpqrstuvwxyz23");
            format!("enroll1,vm7,mail.example.org,{port},{tls},sha256:{pin},{secret}")
        };
        let (first, second) = (line(465, "wrapped"), line(4650, "wrapped"));
        let text = format!("# vm7\n\n  {first}\r\n{second}\n");
        assert_eq!(parsed(said(&text)).unwrap().len(), 2);
        let text = format!("{first}\n{}\n", line(587, "starttls"));
        assert!(parsed(said(&text)).unwrap_err().contains("--relay"));
        assert!(parsed(said("# nothing\n")).is_err());
        assert!(parsed(said(&format!("{first}\nx\n"))).is_err());
    }
}
