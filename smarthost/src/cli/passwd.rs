//! `smarthost passwd`: the file of those who may log in, changed.
//!
//! Contract: a password is read from standard input or made here, never taken from the command line, which every user can see. The file is
//! replaced as a whole; other lines stay as they are.

use std::{
    fs,
    io::{BufRead as _, IsTerminal as _, Read as _, stdin},
    num::NonZeroU32,
    os::unix::fs::{MetadataExt, PermissionsExt as _, chown},
    path::Path,
};

use smtp::sasl::Verifier;

use super::{Failed, arguments::Passwd};
use crate::{
    config::{Config, login_of_line},
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
            "nobody can log in yet: write auth = { users = \"users\" } into the configuration, then again".to_owned(),
        ));
    };
    let failed = |error: std::io::Error| Failed::new(format!("{}: {error}", file.display()));
    let text = match system::read::text(file, MOST) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.map_err(failed)?,
    };
    let Some(login) = &order.login else {
        let logins: Vec<_> = text.lines().filter_map(login_of_line).collect();
        return Ok(logins.join("\n"));
    };
    let login = limits::name(login).map_err(Failed::new)?;
    let is_known = text.lines().any(|line| login_of_line(line) == Some(&login));
    if order.delete {
        if !is_known {
            return Err(Failed::new(format!("{login} has no login")));
        }
        write(&config, file, &without(&text, &login)).map_err(failed)?;
        return Ok(format!("{login} cannot log in any more"));
    }
    let (password, made) = if order.generate || stdin().is_terminal() {
        (made_up()?, true)
    } else {
        (given()?, false)
    };
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| Failed::new(error.to_string()))?;
    let verifier = Verifier::new(&password, &salt, ROUNDS);
    let text = format!("{}{login}:{verifier}\n", without(&text, &login));
    write(&config, file, &text).map_err(failed)?;
    let done = if is_known {
        "has another password"
    } else {
        "can log in"
    };
    Ok(if made {
        format!("{login} {done}, which is shown this once:\n{password}")
    } else {
        format!("{login} {done}")
    })
}

/// The lines of all others, each ended.
fn without(text: &str, login: &str) -> String {
    let others = text
        .lines()
        .filter(|line| login_of_line(line) != Some(login));
    others.flat_map(|line| [line, "\n"]).collect()
}

/// The first line of standard input.
fn given() -> Result<String, Failed> {
    let mut line = String::new();
    let read = stdin().lock().take(LONGEST).read_line(&mut line);
    read.map_err(|error| Failed::new(format!("standard input: {error}")))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.contains('\0') {
        return Err(Failed::new(
            "standard input has no password in its first line; --generate makes one".to_owned(),
        ));
    }
    Ok(password.to_owned())
}

/// 130 random bits, in signs that nobody confuses.
fn made_up() -> Result<String, Failed> {
    const SIGNS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 26];
    getrandom::fill(&mut bytes).map_err(|error| Failed::new(error.to_string()))?;
    let sign = |byte: u8| SIGNS.get(usize::from(byte % 32)).copied().map(char::from);
    Ok(bytes.into_iter().filter_map(sign).collect())
}

/// A new file belongs to whoever calls, and the daemon's group may read it; one that is there keeps owner, group and mode.
fn write(config: &Config, file: &Path, text: &str) -> std::io::Result<()> {
    let before = fs::metadata(file).ok();
    let state = fs::metadata(&config.state).ok();
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
