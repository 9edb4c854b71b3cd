//! What the lines of smarthosts have set: `enrolled.toml` in the spool, beside the key that it
//! belongs to, which counts less than what the administrator wrote, and more than the rest.
//!
//! Contract: it sets relayhost, tls and pins, and the key beside it as certificate; nothing else is
//! taken from it, for it belongs to the agent's user. Whoever cannot read it could not use the key,
//! either, and goes without.
//! Failures: [`ConfigError`] with file and line.

use std::{io, path::Path};

use relay::{relayhost::Relayhost, trust::Pin};
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
    pub pins: OneOrMany<Pin>,
}

impl Enrolled {
    /// As the file has it.
    pub fn text(&self) -> String {
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
            Ok(text) => settings::parse(&file, &text).map(Some),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Ok(None),
                _ => Err(provision::unreadable(&file, &error)),
            },
        }
    }
}

/// The files of a configuration with this one among them.
pub(super) fn among(
    mut layers: Vec<Layer>,
    spool: &Path,
) -> Result<Option<Vec<Layer>>, ConfigError> {
    let Some(enrolled) = Enrolled::read(spool)? else {
        return Ok(None);
    };
    let key = path(&spool.join(KEY));
    let text = format!("{}certificate = {key}\n", enrolled.text());
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
