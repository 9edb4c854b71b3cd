//! Settings that reach a machine without an administrator's hand: the files beside his own, read
//! and written ([`crate::layers`]).
//!
//! Contract: what is written was valid, alone and with the other files. A credential that cannot be
//! used changes nothing.
//! Answers are separate: those that can be used count, and one that cannot leaves what was answered
//! before. A reader sees the old file or the new one.
//! Failures: [`ConfigError`]: what was given cannot be used, or a file cannot be read or written.
//! For answers a line each, ` KEY: reason`, after the others were written.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    ConfigError,
    layers::{self, LAYERS, Layer},
};
use system::{fs::replace, read::NotUtf8};

/// Largest file of settings, bytes.
pub const MOST: u64 = 16 * 1024 * 1024;
/// Largest credential, bytes.
const MAX: u64 = 64 * 1024;

/// Where settings come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Given<'a> {
    /// A file that the service manager passes; none is no fault.
    Credential(&'a Path),
    /// `KEY=VALUE`, the answers to the package's questions.
    Answers(&'a [String]),
}

/// The files of a directory that are there, the one that decides first at the front.
pub fn read(directory: &Path) -> Result<Vec<Layer>, ConfigError> {
    let mut found = Vec::new();
    for path in LAYERS.map(|name| directory.join(name)) {
        match system::read::text(&path, MOST) {
            Ok(text) => found.push((path, text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&path, &error)),
        }
    }
    Ok(found)
}

/// Writes the file for what is given, as far as `check` agrees to all files together. Tells which
/// one, or that there was nothing to write.
pub fn write(
    directory: &Path,
    given: Given<'_>,
    check: impl Fn(Vec<Layer>) -> Result<(), ConfigError>,
) -> Result<Option<PathBuf>, ConfigError> {
    match given {
        Given::Credential(source) => {
            let Some(text) = credential(source)?.filter(|text| !text.is_empty()) else {
                return Ok(None);
            };
            let origin = "The credential that this machine was started with";
            let file = Provided::new(directory, layers::CREDENTIAL, origin, &check)?;
            file.usable(&text)?;
            file.replace(&text)
        }
        Given::Answers(words) => {
            let origin = "The answers to the package's questions (dpkg-reconfigure)";
            let file = Provided::new(directory, layers::ANSWERS, origin, &check)?;
            file.answers(words)
        }
    }
}

/// The file that is written, among the others of its directory.
struct Provided<'a, C> {
    path: PathBuf,
    origin: &'static str,
    others: Vec<Layer>,
    before: String,
    check: &'a C,
}

impl<'a, C: Fn(Vec<Layer>) -> Result<(), ConfigError>> Provided<'a, C> {
    fn new(
        directory: &Path,
        name: &str,
        origin: &'static str,
        check: &'a C,
    ) -> Result<Self, ConfigError> {
        let path = directory.join(name);
        let (own, others): (Vec<_>, Vec<_>) = read(directory)?
            .into_iter()
            .partition(|(other, _)| *other == path);
        let before = own.into_iter().map(|(_, text)| text).collect();
        Ok(Self {
            path,
            origin,
            others,
            before,
            check,
        })
    }

    fn content(&self, text: &str) -> String {
        let (origin, own) = (self.origin, layers::OWN);
        format!("# {origin}. {own} beside this file overrides it.\n{text}")
    }

    /// Alone, and with the other files.
    fn usable(&self, text: &str) -> Result<(), ConfigError> {
        // Without what stands above it in the file, so that a line is that of what was given.
        let layer = (self.path.clone(), text.to_owned());
        (self.check)(vec![layer.clone()])?;
        let mut all = self.others.clone();
        all.push(layer);
        all.sort_by_key(|(path, _)| LAYERS.iter().position(|name| path.ends_with(name)));
        (self.check)(all)
    }

    fn replace(&self, text: &str) -> Result<Option<PathBuf>, ConfigError> {
        replace(&self.path, self.content(text).as_bytes(), 0o644).map_err(|error| ConfigError {
            text: format!("{}: cannot be written: {error}", self.path.display()),
        })?;
        Ok(Some(self.path.clone()))
    }

    fn answers(&self, words: &[String]) -> Result<Option<PathBuf>, ConfigError> {
        let mut open = Vec::new();
        for word in words {
            let line = layers::answers(std::slice::from_ref(word))?;
            if let Some((key, _)) = line.split_once(" = ") {
                open.push((key.to_owned(), line.clone()));
            }
        }
        // No answer at all is no reason to forget what was once answered.
        if open.is_empty() {
            return Ok(None);
        }
        let mut text: String = open.iter().map(|(_, line)| line.as_str()).collect();
        let mut refused = Vec::new();
        if self.usable(&text).is_err() {
            self.usable("")?;
            (text, refused) = self.select(open);
        }
        let written = if text.is_empty() {
            None
        } else {
            self.replace(&text)?
        };
        if refused.is_empty() {
            return Ok(written);
        }
        Err(ConfigError {
            text: format!("these answers cannot be used:\n{}", refused.join("\n")),
        })
    }

    /// The answers that can be used together, and why each of the others cannot. Two rounds, since
    /// one may need another.
    fn select(&self, mut open: Vec<(String, String)>) -> (String, Vec<String>) {
        let mut text = String::new();
        let mut refused = Vec::new();
        for last in [false, true] {
            let mut left = Vec::new();
            for (key, line) in open {
                match self.usable(&format!("{text}{line}")) {
                    Ok(()) => text.push_str(&line),
                    Err(_) if !last => left.push((key, line)),
                    Err(error) => {
                        let reason = error.text.split_whitespace().collect::<Vec<_>>().join(" ");
                        refused.push(format!("  {key}: {reason}"));
                        let prefix = format!("{key} = ");
                        let old = self.before.lines().find(|line| line.starts_with(&prefix));
                        let with_old = old.map(|old| format!("{text}{old}\n"));
                        text = with_old.filter(|t| self.usable(t).is_ok()).unwrap_or(text);
                    }
                }
            }
            open = left;
        }
        (text, refused)
    }
}

fn credential(source: &Path) -> Result<Option<String>, ConfigError> {
    match system::read::text(source, MAX) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(source, &error)),
    }
}

/// A file that is there, or should be, and cannot be read.
pub fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    let path = path.display();
    let text = match NotUtf8::of(error) {
        Some(NotUtf8 { line, column }) => format!(
            "{path}:{line}:{column}: this is not UTF-8; save the file as UTF-8, or type the \
             character again"
        ),
        None => format!("{path}: cannot be read: {error}"),
    };
    ConfigError { text }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::faults;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        admin: Option<String>,
        relayhost: Option<String>,
    }

    /// A relayhost without an administrator is wrong, in one file or in several.
    fn check(layers: Vec<Layer>) -> Result<(), ConfigError> {
        let sample: Sample = faults::read(&layers, &[], Ok)?;
        match sample {
            Sample {
                admin: None,
                relayhost: Some(_),
            } => Err(layers::wrong(&layers, "no admin")),
            _ => Ok(()),
        }
    }

    #[test]
    fn what_can_be_used_is_written_beside_the_administrators_file_and_anything_else_changes_nothing()
     {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let put = |name: &str, text: &[u8]| replace(&path(name), text, 0o644).unwrap();
        let answers = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            write(directory.path(), Given::Answers(&words), check)
        };
        assert_eq!(
            answers(&["admin=", "relayhost="]),
            Ok(None),
            "nothing was answered"
        );
        let written = answers(&["admin=a", "relayhost=r"]);
        assert_eq!(written, Ok(Some(path("debconf.toml"))));
        let good = fs::read_to_string(path("debconf.toml")).unwrap();
        assert!(
            good.starts_with("# ") && good.ends_with("\nadmin = \"a\"\nrelayhost = \"r\"\n"),
            "{good}"
        );
        for (wrong, key) in [
            (["relayhost=r", "relayhots=r"], "relayhots"),
            (["admin=a b", "relayhost=r"], "admin"),
        ] {
            let told = answers(&wrong).unwrap_err().text;
            assert!(told.contains(&format!("\n  {key}: ")), "{wrong:?}: {told}");
        }
        let now = fs::read_to_string(path("debconf.toml")).unwrap();
        assert_eq!(
            now, good,
            "an answer that cannot be used leaves the earlier one"
        );
        let told = answers(&["admin=b", "nonsense=1"]).unwrap_err().text;
        assert!(
            told.contains("  nonsense: ") && !told.contains("  admin: "),
            "{told}"
        );
        let now = fs::read_to_string(path("debconf.toml")).unwrap();
        assert!(
            now.ends_with("\nadmin = \"b\"\n"),
            "the good one counts: {now}"
        );
        put("debconf.toml", good.as_bytes());
        assert_eq!(
            answers(&["admin="]),
            Ok(None),
            "answers that were lost are not forgotten"
        );
        put("config.toml", b"broken");
        assert!(
            answers(&["admin=b"])
                .unwrap_err()
                .text
                .contains("config.toml:1")
        );
        assert_eq!(fs::read_to_string(path("debconf.toml")).unwrap(), good);
    }

    #[test]
    fn a_credential_comes_between_the_administrators_file_and_the_answers() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let put = |name: &str, text: &[u8]| replace(&path(name), text, 0o644).unwrap();
        let given = |text: &[u8]| {
            put("given", text);
            write(directory.path(), Given::Credential(&path("given")), check)
        };
        assert_eq!(
            write(directory.path(), Given::Credential(&path("none")), check),
            Ok(None),
            "a machine may have none"
        );
        put("debconf.toml", b"admin = \"answered\"");
        put("config.toml", b"relayhost = \"own\"\nadmin = \"own\"");
        assert_eq!(given(b"admin = \"c\""), Ok(Some(path("credential.toml"))));
        let names: Vec<_> = read(directory.path())
            .unwrap()
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        assert_eq!(names, LAYERS.map(path));
        let large = vec![b'#'; 65 * 1024];
        let told = given(b"admin = \"c\"\nnonsense = 1\n").unwrap_err().text;
        assert!(told.contains("credential.toml:2:1: "), "{told}");
        for wrong in [b"admin".as_slice(), b"\xff", &large] {
            assert!(given(wrong).is_err());
        }
        let kept = fs::read_to_string(path("credential.toml")).unwrap();
        assert!(kept.ends_with("\nadmin = \"c\""), "{kept}");
    }
}
