//! Postfix's configuration made into ours: `main.cf`, `master.cf` and the tables that they name.
//! Pure: files are asked for by name.
//!
//! | part | what |
//! |---|---|
//! | [`report`] | what became of each parameter, and the result |
//! | [`reader`] | what is read, and how something comes into the result: only if our own settings understand it |
//! | [`files`] | tables: which are read where they are, copied, or not known here |
//! | [`names`] | who we are, who may relay, whom mail is taken for, what old levels of compatibility imply |
//! | [`recipients`] | aliases, virtual aliases, recipients that there are, mailboxes |
//! | [`restrictions`], [`lists`] | the lists of restrictions, made into one that decides the same |
//! | [`services`] | `master.cf`: listeners, and what each service sets for itself |
//! | [`transports`] | other transports, their pace, programs, and routes to them |
//! | [`classes`] | the ways of mail that no route is about |
//! | [`tls`], [`login`] | both directions; the password at the relayhost |
//! | [`limits`] | limits of clients, times, sizes, filters, postscreen |
//! | [`words`] | what needs no more than a word |
//!
//! Contract: each parameter, service and override that is set is told exactly what became of it.
//! `mapped` is said only when the value was read and stands in the result, which is a configuration
//! that `smarthost check` reads. Passwords are in no report.

mod classes;
mod files;
mod limits;
mod lists;
mod login;
mod names;
mod reader;
mod recipients;
pub mod report;
mod restrictions;
mod services;
#[cfg(test)]
mod tests;
mod tls;
mod transports;
#[cfg(test)]
mod way_tests;
#[cfg(test)]
mod wild_tests;
mod words;

use reader::Reader;
pub use reader::{Files, Place};
use report::Import;

/// Takes over what lies there; `machine` is the host's own name, `files` finds files by the paths
/// that they have on the machine whose they are. `Err`: there is no `main.cf`.
pub fn read(place: Place<'_>, machine: &str, files: &Files<'_>) -> Result<Import, String> {
    let mut reader = Reader::open(place, machine, files)?;
    names::read(&mut reader);
    services::listen(&mut reader);
    recipients::read(&mut reader);
    transports::read(&mut reader);
    login::read(&mut reader);
    tls::read(&mut reader);
    limits::read(&mut reader);
    restrictions::read(&mut reader);
    services::told(&mut reader);
    words::read(&mut reader);
    Ok(reader.result())
}
