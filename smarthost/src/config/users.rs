//! Who may log in: a file with a line `name:verifier` each, as `smarthost passwd` writes it.
//!
//! Contract: a changed file counts once it was left alone for two seconds. One that cannot be read,
//! is gone or suddenly empty leaves in force what was read before, as a table does, but a faulty
//! line costs itself alone. Where nothing was read before, nobody knows who may log in.
//! RFC 5803 (form of a verifier).

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use mail::{
    clock::{self, Timestamp},
    maps::Problem,
};
use settings::ConfigError;
use smtp::sasl::Verifier;
use tables::{
    Missing, Watched,
    watched::{Looked, Rules},
};

use crate::{config::Config, limits};

/// By login.
pub type Verifiers = BTreeMap<String, Verifier>;

/// The file.
#[derive(Debug)]
pub struct Users(Option<Watched<Arc<Verifiers>>>);

impl Users {
    /// Reads what has changed.
    pub fn refresh(&mut self, now: Timestamp) -> Looked {
        let read = |path: &Path, text: &str| {
            let (verifiers, problems) = read(path, text);
            (Arc::new(verifiers), problems)
        };
        let looked = self
            .0
            .as_mut()
            .map(|file| file.look(now, read, |it| it.is_empty()));
        looked.unwrap_or_default()
    }

    /// Whether it is known who may log in: nobody, where the file says so.
    pub fn are_known(&self) -> bool {
        let mut file = self.0.iter();
        file.all(|file| file.holds(|it| it.is_empty()))
    }

    /// The file, and whether it holds anything.
    pub fn held(&self) -> impl Iterator<Item = (&Path, bool)> {
        let file = self.0.iter();
        file.map(|file| (file.path.as_path(), file.holds(|it| it.is_empty())))
    }

    /// Why the file is not taken as it is now.
    pub fn refused(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter().flat_map(Watched::refused)
    }

    /// Those in force; `None` if nobody may log in at all.
    pub fn verifiers(&self) -> Option<Arc<Verifiers>> {
        let file = self.0.as_ref()?;
        Some(file.value.clone().unwrap_or_default())
    }
}

impl Config {
    /// Reads who may log in.
    pub fn read_users(&self) -> Result<(Users, Vec<Problem>), ConfigError> {
        let rules = Rules {
            missing: Missing::EmptyAtFirst,
            trusted: false,
            lenient: true,
        };
        let file = self.auth.clone();
        let mut users = Users(file.map(|path| Watched::new(path, rules)));
        let looked = users.refresh(clock::now());
        match users.0.as_ref().filter(|file| file.value.is_none()) {
            None => Ok((users, looked.problems)),
            Some(file) => Err(self.unread("auth", &file.path, &looked.problems)),
        }
    }
}

/// The lines of a file, and what is wrong with them. Of two lines for one login the first counts.
pub fn read(path: &Path, text: &str) -> (Verifiers, Vec<Problem>) {
    let mut verifiers = Verifiers::new();
    let mut problems = Vec::new();
    let mut wrong = |line: usize, fault, text: String| {
        problems.push(Problem {
            path: PathBuf::from(path),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            text,
            fault,
        });
    };
    let looked = system::read::metadata(path);
    if looked.is_ok_and(|file| file.mode() & 0o007 != 0) {
        let what =
            "other users can read who may log in, and guess passwords offline: run chmod o= on \
             it"
            .to_owned();
        wrong(0, false, what);
    }
    for (number, line) in (1..).zip(lines(text)) {
        match entry(line) {
            Ok(None) => {}
            Ok(Some((login, verifier))) => {
                if verifiers.contains_key(&login) {
                    let text = format!("{login} is listed twice; keep one of the lines");
                    wrong(number, true, text);
                    continue;
                }
                verifiers.insert(login, verifier);
            }
            Err(why) => wrong(number, true, why),
        }
    }
    (verifiers, problems)
}

/// Without the byte order mark that some editors put at the beginning.
pub fn lines(text: &str) -> std::str::Lines<'_> {
    text.strip_prefix('\u{feff}').unwrap_or(text).lines()
}

/// The line of a login; the error: it would not be read back as that.
pub fn line(login: &str, verifier: &Verifier) -> Result<String, String> {
    let name = limits::name(login)?;
    let line = format!("{name}:{verifier}");
    let mut all = read(Path::new(""), &line).0;
    if all.remove(&*name).as_ref() != Some(verifier) {
        return Err(format!(
            "`{}` cannot be a login: in the file of logins, such a line would be another login or \
             a comment",
            login.escape_debug()
        ));
    }
    Ok(line)
}

/// Whether a line is about a login, faulty or not.
pub fn is_of_login(line: &str, login: &str) -> bool {
    let of = line.trim().split_once(':').map(|(of, _)| of);
    of.filter(|of| !of.starts_with('#')).is_some_and(|of| {
        of == login || limits::name(of).is_ok_and(|of| limits::name(login) == Ok(of))
    })
}

/// One line; `None`: a comment, or nothing.
fn entry(line: &str) -> Result<Option<(String, Verifier)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let Some((login, verifier)) = line.split_once(':') else {
        return Err(
            "no colon between login and verifier; write the line with smarthost passwd".into(),
        );
    };
    let login = limits::name(login)?.to_string();
    // The text is a secret, and is not shown.
    let verifier = verifier.trim().parse().map_err(str::to_owned)?;
    Ok(Some((login, verifier)))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_login_that_would_not_be_read_back_is_refused_and_a_byte_order_mark_is_part_of_none() {
        let verifier = Verifier::new("pencil", b"salt", NonZeroU32::MIN);
        for login in [
            "#x",
            "\u{feff}x",
            "#",
            "",
            "a:b",
            "a b",
            "10.0.0.7",
            " x",
            "x\n",
        ] {
            assert!(line(login, &verifier).is_err(), "{login:?}");
        }
        let written = line("x#y", &verifier).unwrap();
        let (verifiers, problems) = read(Path::new("users"), &format!("\u{feff}{written}\r\n"));
        assert_eq!(problems, []);
        assert!(verifiers.contains_key("x#y"));
    }

    #[test]
    fn lines_are_read_and_what_is_wrong_is_told_with_its_line_and_without_the_secret() {
        let verifier = Verifier::new("pencil", b"salt", NonZeroU32::MIN).to_string();
        let text = format!(
            "# printers\n\nprinter:{verifier}\nvm7@example.org: {verifier}\nplain:secret\n10.0.0.7:{verifier}\nnobody\nprinter:{verifier}\n"
        );
        let (verifiers, problems) = read(Path::new("users"), &text);
        let logins: Vec<_> = verifiers.keys().map(String::as_str).collect();
        assert_eq!(logins, ["printer", "vm7@example.org"]);
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        for (told, (line, what)) in told.iter().zip([
            (5, "a password is written as SCRAM-SHA-256$"),
            (6, "looks like an address"),
            (7, "no colon"),
            (8, "twice"),
        ]) {
            assert!(
                told.contains(&format!("users:{line}")) && told.contains(what),
                "{told}"
            );
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
