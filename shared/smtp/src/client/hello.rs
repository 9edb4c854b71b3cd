//! From the greeting to the first `Ready`: EHLO, HELO, STARTTLS.

use std::time::Instant;

use super::{
    commands,
    event::Action,
    machine::{Client, Expect, Phase},
    settings::{Protocol, Security},
};
use crate::{
    capability::Capabilities,
    reply::{Parser, Reply},
};
use mail::{
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};

impl Client {
    pub(super) fn hello(&mut self, now: Instant) {
        self.send(Expect::Hello, self.hello_command(), now);
    }

    pub(super) fn hello_command(&self) -> Vec<u8> {
        let verb = if self.settings.protocol == Protocol::Lmtp {
            "LHLO"
        } else {
            "EHLO"
        };
        commands::hello(verb, &self.settings.helo)
    }

    /// EHLO is not known here: without it there is no STARTTLS (RFC 5321 §3.2).
    pub(super) fn fall_back(&mut self, now: Instant) {
        if self.settings.security == Security::StartTls && !self.encrypted {
            return self.tls_missing();
        }
        self.send(
            Expect::Helo,
            commands::hello("HELO", &self.settings.helo),
            now,
        );
    }

    pub(super) fn greeted(&mut self, reply: &Reply, now: Instant) {
        self.offered = Capabilities::parse(reply);
        self.capabilities = self.offered.clone();
        if self.phase != Phase::Hello {
            return self.proceed(now);
        }
        match self.settings.security {
            Security::StartTls | Security::Opportunistic
                if !self.encrypted && self.capabilities.starttls =>
            {
                self.send(Expect::StartTls, b"STARTTLS\r\n".to_vec(), now);
            }
            Security::StartTls if !self.encrypted => self.tls_missing(),
            _ => self.authenticate(now),
        }
    }

    pub(super) fn tls_missing(&mut self) {
        self.fail(Failure::new(
            Blame::Peer,
            Stage::Tls,
            EnhancedStatus::new(4, 7, 4),
            "TLS is required, but was not offered",
        ));
    }

    pub(super) fn injected(&mut self) {
        let text = "bytes came between the answer to STARTTLS and the handshake: somebody in between forges replies, or the peer is broken";
        self.fail(Failure::new(
            Blame::Peer,
            Stage::Tls,
            EnhancedStatus::new(4, 7, 0),
            text,
        ));
    }

    /// What was said in clear text counts no more (RFC 3207 §4.2).
    pub(super) fn tls_started(&mut self, now: Instant) {
        self.encrypted = true;
        self.parser = Parser::default();
        self.offered = Capabilities::default();
        self.capabilities = Capabilities::default();
        self.phase = Phase::Hello;
        self.hello(now);
    }

    pub(super) fn ready(&mut self) {
        self.phase = Phase::Idle;
        self.actions.push_back(Action::Ready);
    }
}
