//! What the lines of smarthosts have set: `enrolled.toml` in the spool, beside the key that it
//! belongs to, which counts less than what the administrator wrote, and more than the rest.
//!
//! Contract: it sets relayhost, tls and pins, and the key beside it as certificate; nothing else is
//! taken from it, for it belongs to the agent's user. Whoever cannot read it could not use the key,
//! either, and goes without.
//! Failures: [`ConfigError`] with file, line and the command that writes it anew.

use std::{collections::HashSet, io, path::Path};

use relay::{
    enroll::{Digest, Name},
    relayhost::Relayhost,
    tls::TlsError,
    trust::Pin,
};
use serde::Deserialize;
use settings::{
    ConfigError, OneOrMany,
    layers::{ANSWERS, CREDENTIAL, Layer},
    provision,
    rows::{one_or_list, path},
};

use super::file::Tls;

/// Its name, and that of the key.
pub const FILE: &str = "enrolled.toml";
pub const KEY: &str = "identity.pem";

/// What it says.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolled {
    /// Where the key is known.
    pub relayhost: OneOrMany<Relayhost>,
    pub tls: Option<Tls>,
    /// The key of each, in their order: a new one takes the place of that one alone.
    pub pins: OneOrMany<Pin>,
    /// As whom this machine is known there.
    pub name: Option<Name>,
    /// What is left of the line that each was reached by: it is good no more.
    #[serde(default)]
    pub lines: OneOrMany<Digest>,
}

impl Enrolled {
    /// As the file has it.
    pub fn text(&self) -> String {
        let digests = self.lines.0.iter().copied().map(String::from);
        let digests: Vec<_> = digests.map(|digest| format!("{digest:?}")).collect();
        let name = self.name.iter().map(|name| format!("name = \"{name}\"\n"));
        let name: String = name.collect();
        format!(
            "{}{name}lines = [{}]\n",
            self.settings(),
            digests.join(", ")
        )
    }

    /// As it would stand in a configuration.
    fn settings(&self) -> String {
        let (relayhost, pins) = (one_or_list(&self.relayhost.0), one_or_list(&self.pins.0));
        let tls = match self.tls {
            Some(Tls::Wrapped) => "wrapped",
            _ => "starttls",
        };
        format!("relayhost = {relayhost}\ntls = \"{tls}\"\npins = {pins}\n")
    }

    /// What a spool has; `None`: nothing, or nothing for this user.
    pub fn read(spool: &Path) -> Result<Option<Self>, ConfigError> {
        let file = spool.join(FILE);
        match system::read::text(&file, provision::MOST) {
            Ok(text) => {
                let parsed = settings::parse(&file, &text).and_then(|it| whole(&file, it));
                parsed.map(Some).map_err(with_remedy)
            }
            Err(error) => match error.kind() {
                // That the spool is no directory is told elsewhere.
                io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::PermissionDenied => Ok(None),
                _ => Err(provision::unreadable(&file, &error)),
            },
        }
    }
}

/// What holds of what was read.
fn whole(file: &Path, enrolled: Enrolled) -> Result<Enrolled, ConfigError> {
    let (relays, lines) = (enrolled.relayhost.0.len(), enrolled.lines.0.len());
    if relays == enrolled.pins.0.len() && (lines == relays || lines == 0) {
        return Ok(enrolled);
    }
    let text = format!(
        "{}: there is not one pin, and one line, for each relayhost",
        file.display()
    );
    Err(ConfigError { text })
}

fn with_remedy(error: ConfigError) -> ConfigError {
    const REMEDY: &str = "; to write it again, run sendmail-shim enroll with a new line from each \
         relay (smarthost enroll NAME)";
    // What follows shows the place.
    let mut text = error.text;
    let end = text.find('\n').unwrap_or(text.len());
    text.insert_str(end, REMEDY);
    ConfigError { text }
}

/// What is wrong with the key beside the file, and what makes another one.
pub fn unfit(error: &TlsError) -> TlsError {
    TlsError(format!(
        "{error}; another key: sendmail-shim enroll --new-key LINE"
    ))
}

/// The files of a configuration with this one among them.
pub(super) fn among(
    mut layers: Vec<Layer>,
    spool: &Path,
) -> Result<Option<Vec<Layer>>, ConfigError> {
    let Some(mut enrolled) = Enrolled::read(spool)? else {
        return Ok(None);
    };
    // Several of them may have one key.
    let mut known = HashSet::new();
    enrolled.pins.0.retain(|pin| known.insert(pin.clone()));
    let key = path(&spool.join(KEY));
    let text = format!("{}certificate = {key}\n", enrolled.settings());
    // A file that was named is the administrator's, whatever it is called.
    let own = layers.first().is_some_and(|(path, _)| {
        let others = [CREDENTIAL, ANSWERS];
        !others.iter().any(|other| path.ends_with(other))
    });
    layers.insert(usize::from(own), (spool.join(FILE), text));
    Ok(Some(layers))
}

/// Whether a file is this one: relative paths start from the others.
pub(super) fn is_it(path: &Path) -> bool {
    path.ends_with(FILE)
}
