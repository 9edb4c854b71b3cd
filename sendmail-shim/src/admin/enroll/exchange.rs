//! What is said to one smarthost: over TLS whose key is pinned, under a key of this machine.

use std::{path::Path, time::Duration};

use mail::{
    address::Domain,
    outcome::{Failure, Stage},
    status::ReplyCode,
};
use relay::{
    enroll::{Line, NOT_KNOWN, Said, USED_BEFORE, is_refusal},
    net::{Connection, Target as Place, addresses},
    tls::{ClientTls, Trust},
    trust::Pin,
};
use smtp::client::{NO_MACHINES, Protocol, Security, Settings, Timeouts};
use system::sysexits::Exit;

use crate::{config::enrolled::unfit, terminal::CommandError};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where, and as whom.
pub(super) struct Target<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) wrapped: bool,
    pub(super) pins: Vec<Pin>,
    /// Certificate and key that are shown.
    pub(super) identity: &'a Path,
}

impl<'a> Target<'a> {
    pub(super) fn of_line(line: &'a Line, identity: &'a Path) -> Self {
        Self {
            host: &line.host,
            port: line.port,
            wrapped: line.wrapped,
            pins: vec![line.pin.clone()],
            identity,
        }
    }
}

/// Why it was of no use.
pub(super) enum Failed {
    /// The same may work later.
    Now(String),
    ForGood(String),
    /// The key that was shown is nobody's there, or nothing is known of machines at all.
    NotKnown(String),
    /// A key that is to be let in was used before: another one is needed.
    UsedBefore(String),
    /// It is not to be spoken with as it was said: another key, another kind of TLS.
    Otherwise(String),
}

impl Failed {
    pub(super) fn why(self) -> String {
        match self {
            Self::Now(why)
            | Self::ForGood(why)
            | Self::NotKnown(why)
            | Self::UsedBefore(why)
            | Self::Otherwise(why) => why,
        }
    }

    /// For the administrator, with what follows from it.
    pub(super) fn told(self, relay: &str, consequence: &str) -> CommandError {
        match self {
            Self::Now(why) => CommandError::new(
                Exit::TempFail,
                format!("{relay}: {why}; {consequence}; run the same command again to go on"),
            ),
            Self::Otherwise(why) => CommandError::new(
                Exit::TempFail,
                format!(
                    "{relay}: {why}; {consequence}. If somebody intercepted the connection, run \
                     the same command again later; if the relay has another key or port by now, \
                     you need a new line: run smarthost enroll NAME there"
                ),
            ),
            Self::NotKnown(why) => not_done(format!(
                "{relay}: {why}; {consequence}. A line is valid for the port that it names: run \
                 smarthost enroll NAME there, with --relay HOST:PORT for another port"
            )),
            Self::ForGood(why) | Self::UsedBefore(why) => {
                not_done(format!("{relay}: {why}; {consequence}"))
            }
        }
    }
}

pub(super) fn not_done(why: String) -> CommandError {
    CommandError::new(Exit::NotDone, why)
}

/// Says it to the first address that answers.
pub(super) fn say(target: &Target<'_>, said: &Said, helo: &Domain) -> Result<(), Failed> {
    let trust = Trust::Pins(target.pins.clone());
    let tls = ClientTls::with_identity(&trust, Some((target.identity, target.identity)));
    let tls = tls.map_err(|error| Failed::ForGood(unfit(&error).0))?;
    let security = if target.wrapped {
        Security::Wrapped
    } else {
        Security::StartTls
    };
    let settings = Settings {
        helo: helo.to_string(),
        protocol: Protocol::Smtp,
        security,
        timeouts: Timeouts {
            opening: PATIENCE,
            ..Timeouts::default()
        },
        known: None,
        credentials: None,
        enroll: Some(said.to_string()),
    };
    let found = addresses(target.host, target.port);
    let found = found.map_err(|failure| Failed::Now(failure.log_text()))?;
    let mut last = None;
    for address in found {
        let place = Place::tcp(target.host, address, Some(&tls));
        match Connection::open(&place, &settings, PATIENCE) {
            Ok(connection) => {
                connection.quit();
                return Ok(());
            }
            // It has answered: another address is no other smarthost.
            Err(failure) if failure.reply.is_some() || failure.status == NO_MACHINES => {
                return Err(failed(target, &failure));
            }
            Err(failure) => last = Some(failure),
        }
    }
    Err(last.map_or_else(
        || Failed::Now("the name has no address".to_owned()),
        |failure| failed(target, &failure),
    ))
}

fn failed(target: &Target<'_>, failure: &Failure) -> Failed {
    let told = failure.log_text();
    let is = |sort| is_refusal(failure.status, sort);
    match failure.reply.map(ReplyCode::value) {
        None if failure.status == NO_MACHINES => Failed::NotKnown(told),
        _ if failure.stage == Stage::Tls => {
            let begins = if target.wrapped {
                "from the first byte"
            } else {
                "by STARTTLS"
            };
            Failed::Otherwise(format!(
                "{told} (TLS {begins} was tried at port {})",
                target.port
            ))
        }
        // Before XENROLL nothing was said of this machine.
        Some(_) if failure.stage != Stage::Enroll => Failed::Now(told),
        Some(500..) if is(NOT_KNOWN) => Failed::NotKnown(told),
        Some(500..) if is(USED_BEFORE) => Failed::UsedBefore(told),
        Some(500..) => Failed::ForGood(told),
        _ => Failed::Now(told),
    }
}
