//! Rights of an open session: what gave them may be taken away while it lasts, and clients keep
//! their sessions for long.
//!
//! Contract: judged at each MAIL by what is in force then: the login that was proved is still there
//! with the same password, who handed the session on may still do so, and the proxy is still ours.
//! Keys are [`super::enrolment`]'s, networks the policy's. Where a right is gone the session ends
//! (421): the client comes again as what it is now.

use std::net::IpAddr;

use smtp::sasl::Verifier;

use crate::setup::Setup;

/// What a session has its rights from.
#[derive(Clone, Default, Debug)]
pub(super) struct Rights {
    /// The login that was proved, and what it was held against.
    pub(super) login: Option<(String, Verifier)>,
    /// The front end that has handed it on.
    pub(super) handed_on: Option<IpAddr>,
    /// The proxy that it came over.
    pub(super) proxy: Option<IpAddr>,
}

impl Rights {
    /// Which of them is gone, if one is.
    pub(super) fn lost(&self, setup: &Setup) -> Option<&'static str> {
        let login = self.login.as_ref().is_some_and(|(name, verifier)| {
            let logins = setup.logins.as_ref();
            logins.and_then(|it| it.verifier(name)) != Some(verifier)
        });
        let handed_on = self
            .handed_on
            .is_some_and(|it| !setup.config.xclient.contains(it));
        let proxy = self
            .proxy
            .is_some_and(|it| !setup.config.proxy.contains(it));
        match (login, handed_on, proxy) {
            (true, ..) => Some("this login has changed"),
            (_, true, _) => Some("XCLIENT is taken from this host no more"),
            (.., true) => Some("this proxy is believed no more"),
            _ => None,
        }
    }
}
