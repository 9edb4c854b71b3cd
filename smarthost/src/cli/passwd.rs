//! `smarthost passwd`: the file of those who may log in, changed.
//!
//! Contract: a password is read from standard input or made here, never taken from the command
//! line, which every user can see. The file is replaced as a whole, under a lock from its reading
//! on, and where a link leads; other lines stay as they are, and faulty ones are named. What is
//! said to be done is in the file, in a form that the daemon reads.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, IsTerminal as _, Read as _, stdin},
    num::NonZeroU32,
    os::unix::fs::{MetadataExt, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use mail::maps::Problem;
use rustix::fs::FlockOperation;
use smtp::sasl::{Verifier, prepared};
use system::{open, read, secret::made_up, terminal::try_say, within};
use tables::watched::EMPTY;

use super::{Failed, arguments::Passwd, eyes::groups};
use crate::{
    config::{Config, is_of_login, login_line, login_lines, read_logins},
    limits,
};

/// Rounds of PBKDF2, as `PostgreSQL` takes.
const ROUNDS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
/// Longest file of logins, bytes: what tables may hold.
const MOST: u64 = 16 * 1024 * 1024;
/// Longest password, bytes.
const LONGEST: u64 = 1024;

pub(super) fn run(path: &Path, order: &Passwd) -> Result<String, Failed> {
    let config = Config::load(path)?;
    let Some(file) = &config.auth else {
        return Err(Failed::new(
            "nobody can log in yet: write auth = { users = \"users\" } into the configuration, \
             then run this again"
                .to_owned(),
        ));
    };
    let failed = |error: io::Error| Failed::new(format!("{}: {error}", file.display()));
    let Some(login) = &order.login else {
        let (logins, problems) = read_logins(file, &text(file).map_err(failed)?);
        warn(&problems);
        let logins: Vec<_> = logins.into_keys().collect();
        return Ok(logins.join("\n"));
    };
    if !order.delete {
        limits::name(login).map_err(Failed::arguments)?;
    }
    let change = Change {
        config: &config,
        named: file,
        login,
        tell: |_| Ok(()),
    };
    if order.delete {
        let done = |_| format!("{login} can no longer log in");
        return change.make(None, done);
    }
    let (password, made) = if order.generate || stdin().is_terminal() {
        (made_up().map_err(Failed::new)?, true)
    } else {
        (given()?, false)
    };
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| Failed::new(error.to_string()))?;
    let verifier = Verifier::new(&password, &salt, ROUNDS);
    let line = login_line(login, &verifier).map_err(Failed::new)?;
    let change = Change {
        tell: if made {
            |text| try_say(text)
        } else {
            change.tell
        },
        ..change
    };
    let done = change.make(Some(&line), |was_known| {
        let done = if was_known {
            "has another password"
        } else {
            "can log in"
        };
        if made {
            format!("{login} {done}, which is shown this once:\n{password}")
        } else {
            format!("{login} {done}")
        }
    })?;
    // That was told already.
    Ok(if made { String::new() } else { done })
}

/// What is to be done to the file.
struct Change<'a> {
    config: &'a Config,
    named: &'a Path,
    login: &'a str,
    /// Tells what must not be lost, while the change can be taken back.
    tell: fn(&str) -> io::Result<()>,
}

impl Change<'_> {
    /// Replaces the lines of the login by one, or by none; what to say, which hears whether there
    /// was one.
    fn make(&self, line: Option<&str>, done: impl Fn(bool) -> String) -> Result<String, Failed> {
        let failed = |error: io::Error| Failed::new(format!("{}: {error}", self.named.display()));
        let path = system::fs::target(self.named).map_err(failed)?;
        let lock = lock(&path).map_err(failed)?;
        let before = text(&path).map_err(failed)?;
        let was_known = login_lines(&before).any(|line| is_of_login(line, self.login));
        if line.is_none() && !was_known {
            return Err(Failed::new(format!("{} has no login", self.login)));
        }
        let after = replaced(&before, self.login, line);
        if u64::try_from(after.len()).is_ok_and(|length| length > MOST) {
            return Err(failed(io::ErrorKind::FileTooLarge.into()));
        }
        write(self.config, &path, &after).map_err(failed)?;
        if let Err(error) = (self.tell)(&done(was_known)) {
            write(self.config, &path, &before).map_err(failed)?;
            return Err(Failed::new(format!(
                "standard output cannot be written: {error}; {} is as it was",
                path.display()
            )));
        }
        drop(lock);
        warn(&read_logins(self.named, &after).1);
        if let Some(why) = unreadable(self.config, &path) {
            let done = done(was_known);
            return Err(Failed::new(format!(
                "{}: {why}; when that is mended, {done}",
                path.display()
            )));
        }
        Ok(done(was_known))
    }
}

/// Faulty lines count for nothing; nobody should find that out by a login that fails.
fn warn(problems: &[Problem]) {
    for problem in problems {
        system::log::line(system::log::Level::Warning, problem);
    }
}

/// The whole file; one that is not there is empty.
fn text(file: &Path) -> io::Result<String> {
    match read::text(file, MOST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}

/// Waits until nobody else changes the file: a lock on it, or on its directory as long as it is not
/// there. The file is replaced by whoever holds the lock, so that it has to be looked at again.
fn lock(path: &Path) -> io::Result<File> {
    loop {
        let place = lockable(path);
        let held = within::ask(&place, open::at_once)?;
        rustix::fs::flock(&held, FlockOperation::LockExclusive)?;
        let of = |file: fs::Metadata| (file.dev(), file.ino());
        if read::metadata(&lockable(path))
            .is_ok_and(|now| held.metadata().is_ok_and(|it| of(it) == of(now)))
        {
            return Ok(held);
        }
    }
}

fn lockable(path: &Path) -> PathBuf {
    if read::is_there(path) {
        return path.to_owned();
    }
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Why the daemon, whom the state directory belongs to, could not read it.
fn unreadable(config: &Config, path: &Path) -> Option<String> {
    let (file, daemon) = (
        read::metadata(path).ok()?,
        read::metadata(&config.state).ok()?,
    );
    let needed = match () {
        () if daemon.uid() == 0 => 0,
        () if file.uid() == daemon.uid() => 0o400,
        () if file.gid() == daemon.gid() => 0o040,
        () => 0o004,
    };
    // It may be in more groups.
    let tried = || {
        Command::new("setpriv")
            .arg(format!("--reuid={}", daemon.uid()))
            .arg(format!("--regid={}", daemon.gid()))
            .args([groups(daemon.uid()), "--", "test", "-r"])
            .arg(path)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    let may = file.mode() & needed == needed || tried();
    let ids = format!("{}:{}", daemon.uid(), daemon.gid());
    (!may).then(|| {
        format!(
            "the daemon's user ({ids}) may not read it: change its group and mode \
         (chgrp, chmod)"
        )
    })
}

/// The lines of all others, each ended, and that one; where nobody is left, the file says that it
/// is meant.
fn replaced(text: &str, login: &str, line: Option<&str>) -> String {
    let others = login_lines(text).filter(|line| !is_of_login(line, login));
    let others = others.filter(|line| line.trim() != EMPTY);
    let lines: Vec<_> = others.chain(line).collect();
    let says = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with('#');
    let nobody = (!lines.iter().any(says)).then_some(EMPTY);
    let lines = lines.into_iter().chain(nobody);
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The first line of standard input.
fn given() -> Result<String, Failed> {
    let mut line = String::new();
    // With its line end, and one more: what is longer is not cut to another password.
    let read = stdin().lock().take(LONGEST + 3).read_line(&mut line);
    read.map_err(|error| Failed::new(format!("standard input: {error}")))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.contains('\0') {
        return Err(Failed::new(
            "standard input has no password in its first line; --generate makes one".to_owned(),
        ));
    }
    if u64::try_from(password.len()).is_ok_and(|length| length > LONGEST) {
        return Err(Failed::new(format!(
            "the password is longer than {LONGEST} bytes: no client could log in with it"
        )));
    }
    if prepared(password).is_none_or(|it| it.is_empty()) {
        return Err(Failed::new(
            "the password has characters that not everybody can type: control characters, or signs of several directions of writing".to_owned(),
        ));
    }
    Ok(password.to_owned())
}

/// A new file belongs to whoever calls, and the daemon's group may read it; one that is there keeps
/// owner, group and mode.
fn write(config: &Config, file: &Path, text: &str) -> io::Result<()> {
    let before = read::metadata(file).ok();
    let state = read::metadata(&config.state).ok();
    let (owner, group) = match (&before, &state) {
        (Some(before), _) => (Some(before.uid()), Some(before.gid())),
        (None, state) => (None, state.as_ref().map(MetadataExt::gid)),
    };
    let mode = before.map_or(0o640, |before| before.permissions().mode() & 0o7777);
    system::fs::replace(file, text.as_bytes(), mode)?;
    // Whoever may not give the file away owns the daemon, too.
    let given = chown(file, owner, group);
    if rustix::process::geteuid().is_root() {
        given
    } else {
        Ok(())
    }
}
