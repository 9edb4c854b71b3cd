//! A transaction from MAIL to the final dot: what is sent, and when.

use std::time::Instant;

use super::{
    attempt::{Attempt, Purpose},
    commands,
    event::{Action, Transaction},
    machine::{Client, Expect, Phase},
    parameters::Asked,
    settings::Protocol,
};
use crate::command::{write_mail, write_recipient};
use mail::{
    limits,
    outcome::{Blame, Failure, Handover, Outcome, Stage},
    status::EnhancedStatus,
};

/// Most commands that are on their way unanswered, so that neither side fills the other's buffers
/// (RFC 2920 §3.1).
const WINDOW: usize = 100;

impl Client {
    pub(super) fn begin(&mut self, transaction: &Transaction, purpose: Purpose, now: Instant) {
        let asked = Asked::of(transaction, &self.capabilities);
        let mut attempt = Attempt::new(transaction.recipients.len(), purpose, asked);
        attempt.handover = match self.settings.protocol {
            _ if self.capabilities.dsn => Handover::Promised,
            Protocol::Smtp => Handover::Relayed,
            Protocol::Lmtp => Handover::Final,
        };
        if let Err(failure) = self.check(transaction) {
            attempt.settle_rest(&failure.outcome());
        }
        if let Err(failure) = self.takes_utf8() {
            for index in commands::in_utf8(transaction) {
                attempt.settle(index, failure.clone().outcome());
            }
        }
        let utf8 = commands::needs_utf8(transaction);
        if self.dirty {
            self.commands
                .push_back((Expect::Reset, b"RSET\r\n".to_vec()));
        }
        let mut command = Vec::new();
        write_mail(&mut command, &transaction.mail, utf8, &self.capabilities);
        self.commands.push_back((Expect::Mail, command));
        let utf8 = utf8 && self.capabilities.smtputf8;
        for (index, rcpt) in transaction.recipients.iter().enumerate() {
            if !attempt.is_waiting(index) {
                continue;
            }
            let mut command = Vec::new();
            write_recipient(&mut command, rcpt, utf8, &self.capabilities);
            self.commands.push_back((Expect::Recipient(index), command));
        }
        if purpose == Purpose::Deliver {
            self.commands
                .push_back((Expect::Data, b"DATA\r\n".to_vec()));
        }
        if !attempt.is_open() {
            self.commands.clear();
        } else if std::mem::take(&mut self.hello_due) {
            self.commands
                .push_front((Expect::Hello, self.hello_command()));
        }
        self.attempt = Some(attempt);
        self.patience = transaction.patience;
        self.doubt = transaction.kept;
        self.moved = transaction.mail.moved;
        self.accepted = 0;
        self.phase = Phase::Envelope;
        self.since = Some(now);
        self.proceed(now);
    }

    /// What is known before anything is sent and concerns all (RFC 1870 §6.1, RFC 6531 §3.5).
    pub(super) fn check(&self, transaction: &Transaction) -> Result<(), Failure> {
        let peer = &self.offered;
        let size = transaction.mail.size.unwrap_or_default();
        if let Some(limit) = peer.size.filter(|limit| *limit > 0 && size > *limit) {
            let text = format!("message size {size} exceeds size limit {limit} of the peer");
            return Err(Failure::new(
                Blame::Peer,
                Stage::Mail,
                EnhancedStatus::new(5, 3, 4),
                &text,
            ));
        }
        if commands::needs_utf8_for_all(&transaction.mail) {
            self.takes_utf8()?;
        }
        Ok(())
    }

    /// Whether an address in UTF-8 can be said to this peer (RFC 6531 §3.2).
    fn takes_utf8(&self) -> Result<(), Failure> {
        let (class, text) = if !self.offered.smtputf8 {
            (5, "SMTPUTF8 is required, but was not offered")
        } else if !self.capabilities.smtputf8 {
            let text =
                "SMTPUTF8 is required; the peer offers it, and refuses it when it is asked for";
            (4, text)
        } else {
            return Ok(());
        };
        let status = EnhancedStatus::new(class, 6, 7);
        Err(Failure::new(Blame::Peer, Stage::Mail, status, text))
    }

    /// Sends what can be sent now; when all is answered, the transaction is over.
    pub(super) fn proceed(&mut self, now: Instant) {
        if self.phase != Phase::Envelope && self.phase != Phase::End {
            return;
        }
        if self
            .attempt
            .as_ref()
            .is_some_and(|attempt| !attempt.is_open())
        {
            self.commands.clear();
        }
        if self
            .expected
            .iter()
            .all(|expect| *expect == Expect::Greeting)
        {
            let count = if self.capabilities.pipelining {
                WINDOW
            } else {
                1
            };
            let batch: Vec<_> = self
                .commands
                .drain(..count.min(self.commands.len()))
                .collect();
            let mut bytes = Vec::new();
            for (expect, command) in batch {
                self.expected.push_back(expect);
                bytes.extend_from_slice(&command);
            }
            if !bytes.is_empty() {
                self.since = Some(now);
                self.actions.push_back(Action::Send(bytes));
            }
        }
        let greeting_only = self
            .expected
            .iter()
            .all(|expect| *expect == Expect::Greeting);
        if greeting_only && self.commands.is_empty() {
            if self.doubt {
                return self.send(Expect::Proof, b"QUIT\r\n".to_vec(), now);
            }
            self.conclude();
        }
    }

    pub(super) fn conclude(&mut self) {
        self.finish(&self.unanswered());
        self.ready();
    }

    pub(super) fn unanswered(&self) -> Outcome {
        Outcome::Deferred(self.failure(
            Blame::Local,
            EnhancedStatus::new(4, 3, 0),
            "the transaction ended without an answer",
        ))
    }

    /// The peer waits for the message.
    pub(super) fn go_ahead(&mut self, now: Instant) {
        // Nothing else is answered so.
        self.doubt = false;
        let wanted = self
            .attempt
            .as_ref()
            .is_some_and(|attempt| attempt.accepted().next().is_some());
        if wanted {
            self.phase = Phase::Body;
            self.actions.push_back(Action::WantBody);
        } else if self.settings.protocol == Protocol::Smtp {
            self.send(Expect::EmptyEnd, b".\r\n".to_vec(), now);
        } else {
            // LMTP answers the end of a message once for each accepted recipient: not at all.
            let text = "the peer asked for a message for nobody";
            self.cut(self.failure(Blame::Peer, EnhancedStatus::new(4, 5, 0), text));
        }
    }

    pub(super) fn body(&mut self, piece: &[u8], now: Instant) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        if attempt.encoder.encode(piece, &mut attempt.buffer).is_err() {
            return self.bare_line_end();
        }
        if attempt.buffer.len() >= limits::PIECE {
            self.actions
                .push_back(Action::Send(std::mem::take(&mut attempt.buffer)));
        }
        self.since = Some(now);
        self.actions.push_back(Action::WantBody);
    }

    pub(super) fn body_end(&mut self, now: Instant) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        if attempt.encoder.finish(&mut attempt.buffer).is_err() {
            return self.bare_line_end();
        }
        match self.settings.protocol {
            Protocol::Smtp => self.expected.push_back(Expect::End),
            Protocol::Lmtp => self.expected.extend(attempt.accepted().map(Expect::EndFor)),
        }
        self.actions
            .push_back(Action::Send(std::mem::take(&mut attempt.buffer)));
        self.phase = Phase::End;
        self.since = Some(now);
    }

    pub(super) fn bare_line_end(&mut self) {
        let text = "the message has a CR or an LF that stands alone and cannot be sent";
        self.abandon(&Outcome::Failed(Failure::local(
            EnhancedStatus::new(5, 6, 0),
            text,
        )));
    }
}
