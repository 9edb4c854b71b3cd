//! AUTH and XENROLL, after EHLO and under TLS only.
//!
//! Failures: whatever goes wrong here is a matter of configuration, so it defers the mail and
//! bounces nothing, 535 included.
//! RFC 4954 §4 (initial response, cancel, success).

use std::time::Instant;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    attempt::temporary,
    machine::{Client, Expect},
};
use crate::{reply::Reply, sasl::Exchange};
use mail::{
    outcome::{Blame, Failure, MAX_TEXT, Stage, escape},
    status::{EnhancedStatus, Severity},
};

/// Longest command with an initial response, bytes (RFC 4954 §4); a longer one waits for the
/// server's word.
const MAX_COMMAND: usize = 500;
/// Nothing is known of machines there.
pub const NO_MACHINES: EnhancedStatus = EnhancedStatus::new(4, 5, 1);

impl Client {
    /// EHLO is answered: AUTH if we have something to say there, else ready.
    pub(super) fn authenticate(&mut self, now: Instant) {
        let Some(credentials) = self.settings.credentials.clone() else {
            return self.enroll(now);
        };
        if !self.encrypted {
            return self.unauthenticated("a password is not sent without TLS");
        }
        let mut nonce = [0; 18];
        if getrandom::fill(&mut nonce).is_err() {
            return self.unauthenticated("no random numbers for AUTH");
        }
        let nonce = BASE64_STANDARD.encode(nonce);
        let wanted = credentials.wanted();
        let offered = &self.capabilities.auth;
        let Some(mut exchange) = Exchange::choose(offered, credentials, &nonce) else {
            let text = if offered.is_empty() {
                "a user is set, but the relay offers no AUTH".to_owned()
            } else {
                format!(
                    "the relay offers AUTH only with {}; {wanted} is needed",
                    offered.join(" ")
                )
            };
            return self.unauthenticated(&text);
        };
        let mut command = format!("AUTH {}", exchange.mechanism());
        self.initial = None;
        if let Some(initial) = exchange
            .initial()
            .map(|bytes| BASE64_STANDARD.encode(bytes))
        {
            if command.len().saturating_add(initial.len()) < MAX_COMMAND {
                command.push(' ');
                command.push_str(&initial);
            } else {
                self.initial = Some(initial);
            }
        }
        command.push_str("\r\n");
        self.exchange = Some(exchange);
        self.send(Expect::Auth, command.into_bytes(), now);
    }

    /// A reply to AUTH or to a response of ours.
    pub(super) fn challenged(&mut self, reply: &Reply, now: Instant) {
        let Some(exchange) = &mut self.exchange else {
            return self.unauthenticated("an answer to AUTH that nobody asked for");
        };
        match reply.code.severity() {
            Severity::Success if exchange.may_succeed() => {
                self.exchange = None;
                self.enroll(now);
            }
            Severity::Success => {
                self.unauthenticated("the relay did not prove that it knows the password");
            }
            Severity::Intermediate => {
                let answer = match self.initial.take() {
                    Some(initial) => Ok(initial),
                    None => answer(exchange, reply),
                };
                match answer {
                    Ok(line) => {
                        self.send(Expect::Auth, format!("{line}\r\n").into_bytes(), now);
                    }
                    Err(why) => self.unauthenticated(why),
                }
            }
            Severity::Transient | Severity::Permanent => {
                let failure = temporary(Stage::Auth, reply);
                let objection = exchange.objection();
                let text = objection.map(|said| format!("{} ({said})", failure.text));
                self.fail(match text {
                    Some(text) => Failure {
                        text: escape(text.as_bytes(), MAX_TEXT),
                        ..failure
                    },
                    None => failure,
                });
            }
        }
    }

    /// XENROLL if we have something to say there, else ready.
    fn enroll(&mut self, now: Instant) {
        let Some(said) = self.settings.enroll.clone() else {
            return self.ready();
        };
        if !self.encrypted {
            return self.fail(Failure::new(
                Blame::Policy,
                Stage::Enroll,
                EnhancedStatus::new(4, 7, 8),
                "no machine is enrolled without TLS",
            ));
        }
        if !self.capabilities.xenroll {
            let text = "it enrols no machines at this port";
            return self.fail(Failure::new(
                Blame::Policy,
                Stage::Enroll,
                NO_MACHINES,
                text,
            ));
        }
        self.send(
            Expect::Enroll,
            format!("XENROLL {said}\r\n").into_bytes(),
            now,
        );
    }

    fn unauthenticated(&mut self, why: &str) {
        self.fail(Failure::new(
            Blame::Policy,
            Stage::Auth,
            EnhancedStatus::new(4, 7, 8),
            why,
        ));
    }
}

/// In base64, without its line end.
fn answer(exchange: &mut Exchange, reply: &Reply) -> Result<String, &'static str> {
    let text = reply.lines.first().map_or("", |line| line.trim());
    let challenge = BASE64_STANDARD.decode(text);
    // LOGIN's questions are for people; some servers do not even encode them.
    let challenge = match (challenge, exchange.mechanism()) {
        (Ok(challenge), _) => challenge,
        (Err(_), "LOGIN") => Vec::new(),
        (Err(_), _) => return Err("the relay's challenge is not base64"),
    };
    exchange
        .answer(&challenge)
        .map(|bytes| BASE64_STANDARD.encode(bytes))
}
