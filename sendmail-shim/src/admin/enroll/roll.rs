//! Another key, which relays are told under the one that they know.
//!
//! Contract: a key that is rolled is told to all relays that know this machine before it is used;
//! whoever does not know it loses nothing, and is named.

use std::path::{Path, PathBuf};

use ::relay::{
    delivery::Host,
    enroll::{Line, Said},
    net::names::Names,
    relayhost::Relayhost,
    tls::pins_of_file,
    trust::Pin,
};
use mail::outcome::Failure;
use smtp::client::Security;
use system::sysexits::Exit;

use super::{
    exchange::{self, Failed, Target, not_done},
    key::Keys,
};
use crate::{
    config::{enrolled::unfit, settings::Settings},
    relay as relayhosts,
    terminal::{CommandError, complain, say},
};

/// What relays that know this machine lose by it.
const NOTHING: &str = "nothing has changed";

/// The next key is told to each relayhost under the one that it knows, then used.
pub(super) fn roll(settings: &Settings) -> Result<Exit, CommandError> {
    let keys = Keys::of(&settings.spool);
    if !is_own(settings, &keys) {
        return Err(not_done(why_not(settings, &keys)));
    }
    let next = keys.next("", &settings.hostname).map_err(not_done)?;
    let pin = pin(&next)?;
    let (mut known, mut strangers) = (0usize, Vec::new());
    tell_each(
        settings,
        &keys,
        &pin,
        |_| true,
        |relay, told| match told {
            Ok(()) => {
                known += 1;
                Ok(())
            }
            Err(Failed::NotKnown(why)) => {
                strangers.push((relay, why));
                Ok(())
            }
            Err(failed) => {
                if matches!(failed, Failed::UsedBefore(_)) {
                    keys.drop_next();
                }
                Err(failed.told(&relay, NOTHING))
            }
        },
    )?;
    for (relay, why) in &strangers {
        complain_of(relay, why);
    }
    if known == 0 {
        return Err(not_done(format!(
            "no relay knows this machine by its key; {NOTHING}. For a new line, run smarthost \
             enroll NAME there, then sendmail-shim enroll --new-key LINE here"
        )));
    }
    keys.use_next().map_err(not_done)?;
    say(format_args!(
        "the key is {pin} from now on; the old one ends when the relay has seen the new one"
    ));
    Ok(Exit::Ok)
}

/// A key that was made for lines is told to the other relayhosts, too, under the one that they
/// know. Where that does not work they want a line of their own, which holds nothing else up;
/// whether all know it.
pub(super) fn tell_others(
    settings: &Settings,
    keys: &Keys,
    next: &Path,
    lines: &[Line],
) -> Result<bool, CommandError> {
    if !is_own(settings, keys) {
        return Ok(true);
    }
    let (pin, mut all) = (pin(next)?, true);
    let is_other = |host: &Host| {
        let mut lines = lines.iter();
        !lines.any(|line| line.host == host.name && line.port == host.port)
    };
    tell_each(settings, keys, &pin, is_other, |relay, told| {
        if let Err(failed) = told {
            complain_of(&relay, &failed.why());
            all = false;
        }
        Ok(())
    })?;
    Ok(all)
}

/// Says to each host that is meant which key comes next, and hands on what came of it, or why the
/// hosts of a relayhost are not known.
fn tell_each(
    settings: &Settings,
    keys: &Keys,
    next: &Pin,
    is_meant: impl Fn(&Host) -> bool,
    mut heard: impl FnMut(String, Result<(), Failed>) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    for relayhost in relayhosts::ordered(settings) {
        let found = match hosts(settings, relayhost) {
            Ok(found) => found,
            Err(failed) => {
                heard(relayhost.to_string(), Err(failed))?;
                continue;
            }
        };
        for host in found.iter().filter(|host| is_meant(host)) {
            let name = format!("{}:{}", host.name, host.port);
            heard(name, tell(settings, keys, host, next))?;
        }
    }
    Ok(())
}

fn complain_of(relay: &str, why: &str) {
    complain(
        "sendmail-shim",
        format_args!(
            "{relay} does not know the new key, and accepts no mail under it: {why}. Run \
             smarthost enroll NAME there, then sendmail-shim enroll LINE here"
        ),
    );
}

/// Whether the key that is shown is that of enrolment.
fn is_own(settings: &Settings, keys: &Keys) -> bool {
    let own = |identity: &(PathBuf, PathBuf)| identity.0 == keys.used();
    settings.identity.as_ref().is_some_and(own)
}

/// Why there is nothing to roll.
fn why_not(settings: &Settings, keys: &Keys) -> String {
    match &settings.identity {
        Some((certificate, _)) if keys.is_used() => format!(
            "certificate = {:?} in the configuration overrides the key of enrolment: remove it \
             there, or change that key by hand",
            certificate.display().to_string()
        ),
        _ => "this machine is not enrolled: sendmail-shim enroll LINE".to_owned(),
    }
}

fn pin(file: &Path) -> Result<Pin, CommandError> {
    let shown = pins_of_file(file).map_err(|error| not_done(unfit(&error).0))?;
    Ok(shown.pin())
}

/// Says to one host which key comes next.
fn tell(settings: &Settings, keys: &Keys, host: &Host, next: &Pin) -> Result<(), Failed> {
    let target = Target {
        host: &host.name,
        port: host.port,
        wrapped: settings.security == Security::Wrapped,
        pins: settings.pins.clone(),
        identity: &keys.used(),
    };
    exchange::say(&target, &Said::Next(next.clone()), &settings.hostname)
}

/// The hosts of a relayhost.
fn hosts(settings: &Settings, relayhost: &Relayhost) -> Result<Vec<Host>, Failed> {
    let found = relayhosts::hosts(settings, &Names::new(settings.resolver), relayhost);
    found.map_err(|failure: Failure| Failed::Now(failure.log_text()))
}
