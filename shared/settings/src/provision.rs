//! Settings that reach a machine without an administrator's hand: the files beside his own, read and written ([`crate::layers`]).
//!
//! Contract: what is written was valid, alone and with the other files; otherwise the file is as it was. A reader sees the old or the new one.
//! Failures: [`ConfigError`]: what was given cannot be used, or a file cannot be read or written.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::{
    ConfigError,
    layers::{self, LAYERS, Layer},
};
use system::fs::replace;

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
        match fs::read_to_string(&path) {
            Ok(text) => found.push((path, text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&path, &error)),
        }
    }
    Ok(found)
}

/// Writes the file for what is given, once `check` agrees to all files together. Tells which one, or that there was nothing to write.
pub fn write(
    directory: &Path,
    given: Given<'_>,
    check: impl Fn(Vec<Layer>) -> Result<(), ConfigError>,
) -> Result<Option<PathBuf>, ConfigError> {
    let (name, origin, text) = match given {
        Given::Credential(source) => {
            let origin = "The credential that this machine was started with";
            (layers::CREDENTIAL, origin, credential(source)?)
        }
        Given::Answers(words) => {
            let origin = "The answers to the package's questions (dpkg-reconfigure)";
            (layers::ANSWERS, origin, Some(layers::answers(words)?))
        }
    };
    let path = directory.join(name);
    // No answer at all is no reason to forget what was once answered.
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let own = layers::OWN;
    let text = format!("# {origin}. What stands in {own} beside this file counts more.\n{text}");
    check(vec![(path.clone(), text.clone())])?;
    let mut all = read(directory)?;
    all.retain(|(other, _)| *other != path);
    all.push((path.clone(), text.clone()));
    all.sort_by_key(|(path, _)| LAYERS.iter().position(|name| path.ends_with(name)));
    check(all)?;
    replace(&path, text.as_bytes(), 0o644).map_err(|error| ConfigError {
        text: format!("{}: cannot be written: {error}", path.display()),
    })?;
    Ok(Some(path))
}

fn credential(source: &Path) -> Result<Option<String>, ConfigError> {
    let mut text = String::new();
    let bound = MAX.saturating_add(1);
    let read = fs::File::open(source).and_then(|file| file.take(bound).read_to_string(&mut text));
    match read {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length <= MAX) => Ok(Some(text)),
        Ok(_) => Err(unreadable(source, &io::ErrorKind::FileTooLarge.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(source, &error)),
    }
}

/// A file that is there, or should be, and cannot be read.
pub fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError {
        text: format!("{}: cannot be read: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::layered;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        admin: Option<String>,
        relayhost: Option<String>,
    }

    /// A relayhost without an administrator is wrong, in one file or in several.
    fn check(layers: Vec<Layer>) -> Result<(), ConfigError> {
        let sample: Sample = layered(&layers, &[])?;
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
        for wrong in [&["relayhost=r"], &["relayhots=r"], &["admin=a b"]] {
            assert!(answers(wrong).is_err(), "{wrong:?}");
        }
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
        for wrong in [b"admin".as_slice(), b"\xff", &large] {
            assert!(given(wrong).is_err());
        }
        let kept = fs::read_to_string(path("credential.toml")).unwrap();
        assert!(kept.ends_with("\nadmin = \"c\""), "{kept}");
    }
}
