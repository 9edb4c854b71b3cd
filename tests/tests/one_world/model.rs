//! The oracle: what was promised, what the world got, and what must hold between the two. It knows
//! nothing of how the programs work.
//!
//! Contract: each recipient of a message that was accepted ends in exactly one of delivered,
//! bounced, removed by an administrator, or kept as dead mail; more than once only where a crash or
//! a lost acknowledgement excuses it. What arrives is what was sent, at whom it was meant for.
//! Nobody bounces without a reason, and a bounce brings the content back. No client has more mail
//! taken in an hour than its limit.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::network::{Micros, SECOND};

/// How long mail is tried, in both programs.
pub(crate) const LIFETIME: Micros = 24 * 3600 * SECOND;
/// Messages are returned whole up to about this size.
const RETURNED: usize = 45_000;
pub(crate) const HOUR: Micros = 3600 * SECOND;

/// What became of a message.
#[derive(Default, Debug)]
struct Fate {
    submitted: Micros,
    recipients: Vec<String>,
    body: Vec<u8>,
    /// The submitter was told that it is accepted.
    promised: bool,
    /// An administrator removed it, or gave it back.
    removed: bool,
    returned: bool,
    /// A bounce of it was refused for good: it may be kept, or expire.
    dead: bool,
    excuses: BTreeSet<&'static str>,
    excused: u32,
    taken: BTreeMap<String, u32>,
    bounced: BTreeMap<String, u32>,
}

#[derive(Default)]
pub(crate) struct Model {
    fates: BTreeMap<u32, Fate>,
    /// Recipients whom somebody refused for good.
    refused: BTreeSet<String>,
    /// What each client had accepted at the relay, and under which limit.
    counted: BTreeMap<IpAddr, Vec<Micros>>,
    /// A program was started anew with another time: what is old is not certain.
    pub(crate) clocks_differ: bool,
    pub(crate) wrong: Vec<String>,
}

/// The number of the message that a text is, or carries.
pub(crate) fn token_of(text: &[u8]) -> Option<u32> {
    let at = text.windows(6).position(|six| six == b"token-")?;
    let digits = text[at + 6..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let digits: Vec<u8> = digits.copied().collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

impl Model {
    fn fate(&mut self, token: u32) -> &mut Fate {
        self.fates.entry(token).or_default()
    }

    fn complain(&mut self, what: String) {
        self.wrong.push(what);
    }

    pub(crate) fn submitted(&mut self, token: u32, to: &[String], body: &[u8], now: Micros) {
        // There is no such domain.
        let nowhere = to.iter().filter(|it| it.ends_with("@none.example"));
        self.refused.extend(nowhere.cloned());
        let fate = Fate {
            submitted: now,
            recipients: to.to_vec(),
            body: body.to_vec(),
            ..Fate::default()
        };
        self.fates.insert(token, fate);
    }

    pub(crate) fn promised(&mut self, token: u32) {
        self.fate(token).promised = true;
    }

    pub(crate) fn excuse(&mut self, token: u32, why: &'static str) {
        let fate = self.fate(token);
        fate.excuses.insert(why);
        fate.excused += 1;
    }

    pub(crate) fn may_bounce(&mut self, recipient: &str) {
        self.refused.insert(recipient.to_owned());
    }

    pub(crate) fn is_dead(&mut self, token: u32) {
        self.fate(token).dead = true;
    }

    pub(crate) fn removed(&mut self, token: u32) {
        self.fate(token).removed = true;
    }

    pub(crate) fn returned(&mut self, token: u32) {
        self.fate(token).returned = true;
    }

    /// A clock was set: how old mail is, and what was sent in an hour, is not certain any more.
    pub(crate) fn clock_set(&mut self, of_the_relay: bool) {
        self.clocks_differ = true;
        if of_the_relay {
            self.counted.clear();
        }
    }

    /// The relay has counted a message of a client, and answers it.
    pub(crate) fn counted(&mut self, client: IpAddr, limit: u32, shown: u32, now: Micros) {
        let times = self.counted.entry(client).or_default();
        times.push(now);
        let recent = times.iter().filter(|then| now - **then < HOUR).count();
        if recent > shown as usize {
            self.complain(format!(
                "{client} had {recent} messages taken in an hour, and {shown} are counted"
            ));
        } else if recent > limit as usize {
            self.complain(format!(
                "{client} had {recent} messages taken in an hour, and may have {limit}"
            ));
        }
    }

    /// A server of the world took a message.
    pub(crate) fn taken(&mut self, sender: &str, to: &[String], message: &[u8], now: Micros) {
        let Some(token) = token_of(message) else {
            return;
        };
        if !self.fates.contains_key(&token) {
            return self.complain(format!("a message {token} that nobody sent arrived"));
        }
        if sender.is_empty() && to.iter().any(|to| to.starts_with("sender-")) {
            return self.told(token, message, now);
        }
        let fate = self.fate(token);
        if !message.ends_with(&fate.body) {
            return self.complain(format!("message {token} arrived with another content"));
        }
        for recipient in to {
            let fate = self.fate(token);
            if fate.recipients.contains(recipient) {
                *fate.taken.entry(recipient.clone()).or_default() += 1;
            } else {
                self.complain(format!(
                    "message {token} went to {recipient}, who is none of its recipients"
                ));
            }
        }
    }

    /// A sender got a report.
    fn told(&mut self, token: u32, report: &[u8], now: Micros) {
        let text = String::from_utf8_lossy(report).into_owned();
        let mut about = None;
        let mut failed = Vec::new();
        for line in text.lines() {
            if let Some(who) = line.strip_prefix("Final-Recipient: rfc822; ") {
                about = Some(who.trim().to_owned());
            } else if line.trim() == "Action: failed" {
                failed.extend(about.take());
            }
        }
        let (refused, uncertain) = (self.refused.clone(), self.clocks_differ);
        let mut wrong = Vec::new();
        let fate = self.fate(token);
        let body = String::from_utf8_lossy(&fate.body).into_owned();
        let whole = text.contains(&body) || fate.body.len() > RETURNED;
        if !failed.is_empty() && !whole {
            wrong.push(format!(
                "the bounce of message {token} does not bring its content back"
            ));
        }
        for recipient in failed {
            *fate.bounced.entry(recipient.clone()).or_default() += 1;
            let old = uncertain || now - fate.submitted >= LIFETIME;
            if !(old || fate.returned || refused.contains(&recipient)) {
                wrong.push(format!(
                    "message {token} to {recipient} was given up without a reason"
                ));
            }
        }
        self.wrong.append(&mut wrong);
    }

    /// At the end; `kept`: messages that are on hold, or bounces of them.
    pub(crate) fn judge(&mut self, kept: &BTreeSet<u32>) {
        let mut wrong = Vec::new();
        for (token, fate) in &self.fates {
            for recipient in &fate.recipients {
                let taken = fate.taken.get(recipient).copied().unwrap_or_default();
                let bounced = fate.bounced.get(recipient).copied().unwrap_or_default();
                let ended =
                    taken + bounced > 0 || fate.removed || kept.contains(token) && fate.dead;
                if fate.promised && !ended {
                    wrong.push(format!(
                        "message {token} to {recipient} was promised, and is lost"
                    ));
                }
                if taken + bounced > 1 + fate.excused {
                    wrong.push(format!(
                        "message {token} to {recipient} was delivered {taken} times and bounced {bounced} times, excused {:?}",
                        fate.excuses
                    ));
                }
            }
        }
        self.wrong.append(&mut wrong);
    }

    pub(crate) fn promises(&self) -> usize {
        self.fates.values().filter(|fate| fate.promised).count()
    }
}
