//! Machines that are known by a key of their own: XENROLL, and what a key is worth when mail comes
//! under it.
//!
//! Contract: the key is the one that the session has proved. Secrets are guessed only so often from
//! an address, apart from passwords; one that is right is looked at however many were wrong, for
//! 130 bits are not guessed, and nobody is to be kept out by who tries. Whose key is believed no
//! more brings no mail in a session that shows it, wherever it comes from; what else lets a client
//! in stays as it is.
//! Failures: what cannot be read or written is refused for now.
//! See also: [`crate::enroll`].

use mail::clock;
use relay::{
    enroll::{Digest, NOT_KNOWN, Name, Said, USED_BEFORE},
    trust::{PeerKey, Pin},
};
use smtp::{
    reply::Reply,
    session::{Question, Verdict},
};
use system::log::{Level, line};
use tokio::task::block_in_place;

use super::session::Connection;
use crate::{
    enroll::{Announced, Book, Offered, Redeemed},
    enrolling::Found,
    maillog,
};

/// What mail is refused with, and by which rule.
const RULE: &str = "enroll";
impl Connection {
    /// Whether clients are asked for a key here.
    pub(super) fn asks_for_keys(&self) -> bool {
        let pins = !self.setup.config.client_pins.is_empty();
        self.submission() && (pins || self.setup.enrolled.is_used())
    }

    /// The client has shown a key in its handshake.
    pub(super) fn shows(&mut self, key: Option<PeerKey>) {
        if let Some(key) = &key {
            self.pinned = self.setup.client_of(key);
            self.own |= self.pinned.is_some();
        }
        self.key = key;
    }

    /// Mail is to come under the key that the client has shown.
    fn uses_key(&self) {
        let Some(key) = &self.key else { return };
        let seen = block_in_place(|| self.setup.enrolled.seen(&key.pin()));
        // It is known all the same, and is seen again.
        if let Err(why) = seen {
            line(Level::Warning, &why);
        }
    }

    /// The answer to a client that brings mail under a key that is believed no more; `None`: that
    /// is not so.
    pub(super) fn disbelieve(&mut self, question: &Question) -> Option<Verdict> {
        // What has begun ends with the key, too.
        let key = match question {
            Question::Mail(_)
            | Question::Recipient(_)
            | Question::Data
            | Question::Message { .. } => self.key.as_ref()?,
            _ => return None,
        };
        let is_named = self.setup.config.client_of(key).is_some();
        let verdict = match self.setup.enrolled.look_up(&key.pin()) {
            Found::Known(_) | Found::Unknown | Found::Unreadable if is_named => return None,
            Found::Known(name) if self.pinned.as_deref() == Some(&name) => {
                if matches!(question, Question::Mail(_)) {
                    self.uses_key();
                }
                return None;
            }
            Found::Unknown if self.pinned.is_none() => return None,
            Found::Ended(name) if matches!(question, Question::Mail(_)) => {
                Verdict::Refuse(Reply::literal(&format!(
                    "550 5.7.13 Error: this key of {name} is believed no more; the administrator here makes a new line by smarthost enroll {name}"
                )))
            }
            Found::Unreadable => Verdict::Refuse(Reply::literal(
                "451 4.3.0 Error: which machines are enrolled is not known now",
            )),
            // It changed during the session; at MAIL the client hears why.
            Found::Known(_) | Found::Unknown | Found::Ended(_) => {
                let host = &self.setup.config.hostname;
                let reply = format!("421 4.7.0 {host} Error: this key is looked up anew");
                Verdict::Close(Reply::literal(&reply))
            }
        };
        self.rule = Some(RULE.to_owned());
        Some(verdict)
    }

    /// XENROLL.
    pub(super) fn enroll(&mut self, arguments: &str) -> Verdict {
        let said = Said::parse(arguments);
        let Some(shown) = &self.key else {
            return match said {
                // Nobody was asked for one: no line waits, and no machine is known.
                Some(Said::Key { name, .. }) if !self.asks_for_keys() => self.unknown_line(&name),
                Some(Said::Next(_)) if !self.asks_for_keys() => unknown(),
                _ => refused("550 5.7.0 Error: this session has shown no key"),
            };
        };
        let key = shown.pin();
        if let Some(name) = self.setup.config.client_of(shown) {
            return refused(&format!(
                "550 5.7.0 Error: this key stands in client_pins, as {name}"
            ));
        }
        match said {
            None => {
                refused("501 5.5.4 Syntax: XENROLL NAME=name SECRET=secret, or NEXT=sha256:hex")
            }
            Some(Said::Next(next)) => self.announce(&key, &next),
            Some(Said::Key { name, secret }) => {
                let digest = secret.digest(&name);
                let look = |book: &Book| book.offered(&name, digest, &key, clock::now());
                match self.setup.enrolled.read(look) {
                    Ok(Offered::Good) => self.redeem(&key, &name, digest),
                    Ok(Offered::Spent) if self.may_be_wrong() => self.redeem(&key, &name, digest),
                    Ok(Offered::Unknown) => self.unknown_line(&name),
                    Ok(Offered::Spent) => self.too_many(&name),
                    Err(why) => not_now(&why),
                }
            }
        }
    }

    /// One more line is wrong; whether that may be said in a session that goes on, and kept.
    fn may_be_wrong(&self) -> bool {
        let (mut lines, now) = (self.server.attempts.lines(), clock::now());
        let may = lines.begin(self.client, now);
        if may {
            lines.end(self.client, false, now);
        }
        may
    }

    fn unknown_line(&self, name: &Name) -> Verdict {
        if !self.may_be_wrong() {
            return self.too_many(name);
        }
        maillog::not_enrolled(&self.name, &format!("no such line of {name}"));
        refused(&wrong(name))
    }

    fn too_many(&self, name: &Name) -> Verdict {
        maillog::not_enrolled(&self.name, "too many lines were wrong");
        Verdict::Close(Reply::literal(&wrong(name)))
    }

    fn redeem(&mut self, key: &Pin, name: &Name, digest: Digest) -> Verdict {
        let from = self.client.to_canonical().to_string();
        let redeemed = block_in_place(|| {
            let act = |book: &mut Book| book.redeem(name, digest, key, &from, clock::now());
            self.setup.enrolled.change(act)
        });
        match redeemed {
            Ok(Redeemed::Enrolled | Redeemed::Again) => {
                maillog::enrolled(&self.name, name.as_str(), key);
                self.pinned = Some(name.to_string());
                self.own = true;
                let reply = format!("250 2.0.0 Ok: {name} is known by this key");
                Verdict::AcceptWith(Reply::literal(&reply))
            }
            // Another one was made meanwhile.
            Ok(Redeemed::Wrong) => self.unknown_line(name),
            Ok(Redeemed::Expired) => {
                maillog::not_enrolled(&self.name, &format!("the line of {name} has expired"));
                refused(&format!(
                    "535 5.7.8 Error: this line has expired; a new one: smarthost enroll {name}"
                ))
            }
            Ok(Redeemed::UsedTwice(by)) => {
                maillog::used_twice(&self.name, name.as_str(), key, &by);
                self.server.dispatch.news().wake();
                refused(
                    "535 5.7.8 Error: this line was used already, with another key; the administrators here are told",
                )
            }
            Ok(Redeemed::Taken(other)) => refused(&format!(
                "550 {USED_BEFORE} Error: this key is that of {other}; make one of its own: sendmail-shim enroll --new-key LINE"
            )),
            Ok(Redeemed::Revoked) => refused(&format!(
                "550 {USED_BEFORE} Error: this key was revoked; make another one: sendmail-shim enroll --new-key LINE"
            )),
            Ok(Redeemed::Full) => refused("452 4.3.1 Error: too many machines are enrolled"),
            Err(why) => not_now(&why),
        }
    }

    fn announce(&mut self, key: &Pin, next: &Pin) -> Verdict {
        let mut pins = self.setup.config.client_pins.iter();
        if let Some((_, name)) = pins.find(|(pin, _)| pin == next) {
            return refused(&format!(
                "550 {USED_BEFORE} Error: that key stands in client_pins, as {name}; make another one"
            ));
        }
        let announced = match &self.pinned {
            None => Ok(Announced::Unknown),
            Some(_) => block_in_place(|| {
                let enrolled = &self.setup.enrolled;
                enrolled.change(|book| book.announce(key, next, clock::now()))
            }),
        };
        match announced {
            Ok(Announced::Noted) => {
                let name = self.pinned.as_deref().unwrap_or_default();
                maillog::next_key(&self.name, name, next);
                Verdict::Accept
            }
            Ok(Announced::Unknown) => unknown(),
            Ok(Announced::Taken) => refused(&format!(
                "550 {USED_BEFORE} Error: that key was used before; make another one"
            )),
            Err(why) => not_now(&why),
        }
    }
}

/// The answer to a secret that is none.
fn wrong(name: &Name) -> String {
    format!(
        "535 5.7.8 Error: this line is not known here, or was used: another one was made since, or it was revoked; a new one: smarthost enroll {name}"
    )
}

/// The key that was shown is nobody's.
fn unknown() -> Verdict {
    refused(&format!(
        "550 {NOT_KNOWN} Error: no machine that is enrolled here has this key; a new line: smarthost enroll NAME"
    ))
}

/// What cannot be written or read.
fn not_now(why: &str) -> Verdict {
    line(Level::Error, &why);
    refused("451 4.3.0 Error: machines cannot be enrolled now")
}

fn refused(reply: &str) -> Verdict {
    Verdict::Refuse(Reply::literal(reply))
}
