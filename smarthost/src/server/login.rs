//! AUTH: whether a client may try to log in at all, and whether its attempt is right.
//!
//! Contract: whoever failed too often lately is not listened to, right or wrong, and hears nothing
//! that a password could be tried on; nobody else is kept out by it. Passwords are tried one after
//! the other, so that attempts take one processor at most.

use std::path::Path;

use mail::clock;
use smtp::{
    reply::Reply,
    sasl::{Attempt, Proof},
    session::Verdict,
};
use tokio::task::block_in_place;

use super::session::Connection;
use crate::maillog;

/// What a client hears where nobody knows who may log in.
const UNKNOWN: &str = "454 4.7.0 Temporary authentication failure";
/// What a client hears from where too many failed.
pub(crate) const CLOSED: &str = "454 4.7.0 Error: too many failed logins, try again later";

impl Connection {
    /// AUTH, before anything is said.
    pub(super) fn may_try(&self) -> Verdict {
        if !self.setup.knows_logins() {
            let file = self.setup.config.auth.as_deref();
            maillog::logins_unknown(&self.name, file.unwrap_or(Path::new("")));
            return Verdict::Refuse(Reply::literal(UNKNOWN));
        }
        let failures = self.server.attempts.failures();
        if failures.is_closed(self.client, clock::now()) {
            drop(failures);
            return self.closed();
        }
        Verdict::Accept
    }

    pub(super) fn closed(&self) -> Verdict {
        maillog::logins_refused(&self.name);
        Verdict::Refuse(Reply::literal(CLOSED))
    }

    pub(super) async fn log_in(&mut self, attempt: &Attempt) -> Verdict {
        let (method, password) = match attempt.proof {
            Proof::Password(_) => ("PLAIN", true),
            Proof::Scram(_) => ("SCRAM-SHA-256", false),
        };
        let Some(logins) = self.setup.logins.clone() else {
            return Verdict::Refuse(Reply::literal(UNKNOWN));
        };
        let attempts = &self.server.attempts;
        // Attempts wait for their turn before they count, so that many clients behind one address
        // do not count against each other.
        let turn = if password {
            attempts.passwords.acquire().await.ok()
        } else {
            None
        };
        if !attempts.failures().begin(self.client, clock::now()) {
            return self.closed();
        }
        let right = block_in_place(|| logins.admits(attempt));
        attempts.failures().end(self.client, right, clock::now());
        drop(turn);
        if right {
            let proved = logins.verifier(&attempt.user).cloned();
            self.rights.login = proved.map(|it| (attempt.user.clone(), it));
            self.method = method;
            self.own = true;
            return Verdict::Accept;
        }
        maillog::login_failed(&self.name, method, &attempt.user);
        self.login_told = true;
        Verdict::Refuse(Reply::literal("535 5.7.8 Error: authentication failed"))
    }
}
