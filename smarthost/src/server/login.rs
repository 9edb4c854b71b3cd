//! AUTH: whether an attempt is right, and may be made at all.
//!
//! Contract: whoever failed too often lately is not listened to, right or wrong; nobody else is kept out by it. Passwords are tried one after the
//! other, so that attempts take one processor at most.

use mail::clock;
use smtp::{
    reply::Reply,
    sasl::{Attempt, Proof},
    session::Verdict,
};
use tokio::task::block_in_place;

use super::session::Connection;
use crate::maillog;

impl Connection {
    pub(super) async fn log_in(&mut self, attempt: &Attempt) -> Verdict {
        let (method, password) = match attempt.proof {
            Proof::Password(_) => ("PLAIN", true),
            Proof::Scram(_) => ("SCRAM-SHA-256", false),
        };
        let attempts = &self.server.attempts;
        if attempts.failures().is_over(self.client, clock::now()) {
            maillog::logins_refused(&self.name);
            return Verdict::Refuse(Reply::literal(
                "454 4.7.0 Error: too many failed logins, try again later",
            ));
        }
        let Some(logins) = self.setup.logins.clone() else {
            return Verdict::Refuse(Reply::literal("454 4.7.0 Temporary authentication failure"));
        };
        let turn = if password {
            attempts.passwords.acquire().await.ok()
        } else {
            None
        };
        let right = block_in_place(|| logins.admits(attempt));
        drop(turn);
        if right {
            self.method = method;
            self.own = true;
            return Verdict::Accept;
        }
        attempts.failures().failed(self.client, clock::now());
        maillog::login_failed(&self.name, method, &attempt.user);
        Verdict::Refuse(Reply::literal("535 5.7.8 Error: authentication failed"))
    }
}
