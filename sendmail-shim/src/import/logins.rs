//! Which relay had which login.
//!
//! Ours is one login, and every relayhost hears it. So the relays that did not have it in the other
//! program are left out, or its password would be told to them.

use mail::nexthop::Nexthop;

use super::{
    ours::Ours,
    plan::{Credentials, Plan, Verdict},
    source::{Place, Source, is_readable},
};

impl Plan {
    /// User and password of these relayhosts, as `user:password` or apart; a file that everybody
    /// can read has told them to everybody. The first of several logins is the one taken over.
    pub fn login(
        &mut self,
        source: &Source,
        at: Place<'_>,
        (user, password): (&str, &str),
        of: &[Nexthop],
    ) {
        let key = format!("user {user}");
        let credentials = Credentials {
            user: user.to_owned(),
            password: password.to_owned(),
        };
        let other = |known: &Credentials| *known != credentials;
        if self.credentials.as_ref().is_some_and(other) {
            let text = "another login: here there is one, for all relayhosts";
            return self.note(Verdict::Insecure, at, &key, text);
        }
        let usable = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        if !usable(user) || !usable(password) {
            let text = "without a user or a password: set auth.user and auth.password_file";
            return self.note(Verdict::Unmapped, at, &key, text);
        }
        if !is_readable(user) || !is_readable(password) {
            let text = "has bytes that are no UTF-8, and may be another password here: set auth.user and auth.password_file";
            return self.note(Verdict::Insecure, at, &key, text);
        }
        let text = "auth, with the password in a file of its own";
        self.mapped_as(at, &key, Ours::Auth, text);
        if source.world_readable {
            self.note(
                Verdict::Insecure,
                at,
                &key,
                "everybody on this machine could read the password: change it at the relayhost",
            );
        }
        self.credentials = Some(credentials);
        self.hears_it.extend_from_slice(of);
    }

    /// Takes out the relayhosts that did not have the login, if there is one.
    pub(super) fn leave_out_strangers(&mut self) {
        let Some(login) = &self.credentials else {
            return;
        };
        let text = format!(
            "did not have the login of {}, which every relayhost here is told: left out",
            login.user
        );
        let all = std::mem::take(&mut self.relayhost).into_iter();
        let (known, strangers): (Vec<_>, Vec<_>) = all.partition(|it| self.hears_it.contains(it));
        self.relayhost = known;
        self.left_out(&strangers, &text);
    }
}

/// The entries that relays use, in the order of the relays, each with all relays that use it.
pub(super) fn by_entry(
    relays: &[Nexthop],
    entry: impl Fn(&Nexthop) -> Option<usize>,
) -> Vec<(usize, Vec<Nexthop>)> {
    let mut found: Vec<(usize, Vec<Nexthop>)> = Vec::new();
    for relay in relays {
        let Some(nth) = entry(relay) else { continue };
        match found.iter_mut().find(|(known, _)| *known == nth) {
            Some((_, of)) => of.push(relay.clone()),
            None => found.push((nth, vec![relay.clone()])),
        }
    }
    found
}
