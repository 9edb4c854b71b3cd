//! What each command does.
//!
//! RFC 5321 §3 (procedures), §4.1.4 (order of commands).
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use super::{
    interface::Question,
    machine::Session,
    state::{Asked, Greeting},
};
use crate::command::{self, CommandError, Rules, Verb};
use mail::limits;

/// The answer to a message, or to its announced size.
pub(super) const TOO_LARGE: &str = "552 5.3.4 Error: message size exceeds fixed limit";
pub(super) const NEED_RCPT: &str = "503 5.5.1 Error: need RCPT command";
pub(super) const NO_RECIPIENTS: &str = "554 5.5.1 Error: no valid recipients";

impl Session {
    pub(super) fn command(&mut self, line: &[u8]) {
        let (verb, arguments) = match command::split(line) {
            Ok((Verb::Unknown, _)) if command::names_chunk(line) => (Verb::Bdat, ""),
            Ok(split) => split,
            Err(error) if command::names_chunk(line) => {
                self.verb = Verb::Bdat.name();
                return self.lose_chunk(&error);
            }
            Err(error) => {
                self.verb = Verb::Unknown.name();
                return self.refuse(&error.to_string());
            }
        };
        self.verb = verb.name();
        if let Err(error) = self.dispatch(verb, arguments) {
            self.refuse(&error.to_string());
        }
    }

    /// Whether nothing may be sent behind this command before it is answered; it is the last of the
    /// session then.
    pub(super) fn must_be_last(&mut self, line: &[u8]) -> bool {
        let Ok((verb, _)) = command::split(line) else {
            return false;
        };
        let plain = self
            .greeting
            .as_ref()
            .is_some_and(|greeting| !greeting.extended);
        let last = match verb {
            Verb::Helo
            | Verb::Ehlo
            | Verb::Lhlo
            | Verb::Data
            | Verb::Auth
            | Verb::XClient
            | Verb::XEnroll => true,
            // What is behind these is not read.
            Verb::Quit | Verb::StartTls => false,
            _ => plain,
        };
        if last {
            self.verb = verb.name();
        }
        last
    }

    fn dispatch(&mut self, verb: Verb, arguments: &str) -> Result<(), CommandError> {
        match verb {
            Verb::Lhlo if self.settings.lmtp => self.helo_command(verb, arguments)?,
            Verb::Helo | Verb::Ehlo if self.settings.lmtp => {
                self.refuse("500 5.5.1 Error: this is LMTP; send LHLO");
            }
            Verb::Lhlo => self.refuse("500 5.5.1 Error: this is not LMTP; send EHLO"),
            Verb::Helo | Verb::Ehlo => self.helo_command(verb, arguments)?,
            Verb::Mail => self.mail(arguments)?,
            Verb::Rcpt => self.rcpt(arguments)?,
            Verb::Data => self.data(arguments)?,
            Verb::Bdat => self.bdat(arguments),
            Verb::Rset => {
                without_arguments(arguments, "RSET")?;
                self.reset();
                self.say("250 2.0.0 Ok");
                self.count_junk();
            }
            Verb::Noop => {
                self.say("250 2.0.0 Ok");
                self.count_junk();
            }
            Verb::Vrfy if arguments.is_empty() => return Err(CommandError::Usage("VRFY address")),
            Verb::Vrfy => {
                self.say("252 2.0.0 Addresses are not verified here; RCPT tells");
                self.count_junk();
            }
            Verb::Help => {
                self.say("214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS QUIT (RFC 5321)");
                self.count_junk();
            }
            Verb::Quit => {
                without_arguments(arguments, "QUIT")?;
                self.finish("221 2.0.0 Bye");
            }
            Verb::StartTls => {
                without_arguments(arguments, "STARTTLS")?;
                self.starttls_command();
            }
            Verb::Expn => self.refuse("502 5.5.1 Error: lists are not expanded here"),
            Verb::Auth => self.auth(arguments),
            Verb::XClient => self.xclient(arguments)?,
            Verb::XEnroll => self.xenroll(arguments),
            Verb::Http => self.finish("521 5.5.1 Error: this server speaks SMTP, not HTTP"),
            Verb::Proxy | Verb::Unknown => self.refuse("500 5.5.2 Error: command not recognized"),
        }
        Ok(())
    }

    fn helo_command(&mut self, verb: Verb, arguments: &str) -> Result<(), CommandError> {
        let name = command::helo_name(verb, arguments)?.to_owned();
        let extended = verb != Verb::Helo;
        self.ask(
            Question::Helo {
                name: name.clone(),
                extended,
            },
            Asked::Helo(Greeting { name, extended }),
        );
        Ok(())
    }

    fn xclient(&mut self, arguments: &str) -> Result<(), CommandError> {
        if !self.settings.xclient {
            self.refuse("550 5.7.0 Error: insufficient authorization");
        } else if self.transaction.is_some() {
            self.refuse("503 5.5.1 Error: MAIL transaction in progress");
        } else {
            let said = command::xclient::xclient(arguments)?;
            self.ask(
                Question::Client(said.clone()),
                Asked::Client(Box::new(said)),
            );
        }
        Ok(())
    }

    fn xenroll(&mut self, arguments: &str) {
        if !self.settings.xenroll {
            self.refuse("502 5.5.1 Error: machines are not enrolled here");
        } else if !self.encrypted {
            self.refuse("538 5.7.11 Error: send STARTTLS first, and show a key");
        } else if self.transaction.is_some() {
            self.refuse("503 5.5.1 Error: MAIL transaction in progress");
        } else {
            self.ask(Question::Enroll(arguments.to_owned()), Asked::Enroll);
        }
    }

    fn starttls_command(&mut self) {
        if self.encrypted {
            self.refuse("503 5.5.1 Error: TLS already active");
        } else if self.settings.starttls {
            self.start_tls();
        } else {
            self.refuse("502 5.5.1 Error: STARTTLS is not offered");
        }
    }

    fn mail(&mut self, arguments: &str) -> Result<(), CommandError> {
        // Scripts of a machine's own go without, as Postfix, Exim and sendmail let them.
        if self.greeting.is_none() && !self.settings.local {
            self.refuse("503 5.5.1 Error: send HELO/EHLO first");
            return Ok(());
        }
        if self.transaction.is_some() {
            self.refuse("503 5.5.1 Error: nested MAIL command");
            return Ok(());
        }
        let mail = command::mail(arguments, self.rules(false))?;
        if mail.size.is_some_and(|size| size > self.settings.max_size) {
            self.refuse(TOO_LARGE);
        } else {
            let (utf8, moved) = (mail.utf8, mail.moved);
            self.ask(Question::Mail(mail), Asked::Mail { utf8, moved });
        }
        Ok(())
    }

    fn rcpt(&mut self, arguments: &str) -> Result<(), CommandError> {
        let Some(transaction) = self.transaction.as_mut() else {
            self.follows = self.mail_was_refused();
            self.refuse("503 5.5.1 Error: need MAIL command");
            return Ok(());
        };
        if transaction.chunks.is_some() {
            self.refuse("503 5.5.1 Error: RCPT after BDAT");
            return Ok(());
        }
        transaction.tried = true;
        if transaction.recipients >= self.settings.max_recipients {
            // Not counted: the client sends the rest in a second message, as RFC 5321 §4.5.3.1.10
            // tells it.
            self.say("452 4.5.3 Error: too many recipients");
            return Ok(());
        }
        let utf8 = transaction.utf8;
        let rcpt = command::recipient(arguments, self.rules(utf8))?;
        self.ask(Question::Recipient(rcpt), Asked::Recipient);
        Ok(())
    }

    fn data(&mut self, arguments: &str) -> Result<(), CommandError> {
        without_arguments(arguments, "DATA")?;
        if let Some(reply) = self.not_ready() {
            self.follows =
                (reply == NO_RECIPIENTS && self.refused_ahead) || self.mail_was_refused();
            self.refuse(reply);
        } else if self
            .transaction
            .as_ref()
            .is_some_and(|transaction| transaction.chunks.is_some())
        {
            self.refuse("503 5.5.1 Error: DATA after BDAT");
        } else {
            self.ask(Question::Data, Asked::Data);
        }
        Ok(())
    }

    /// Why no message can come now.
    pub(super) fn not_ready(&self) -> Option<&'static str> {
        match &self.transaction {
            Some(transaction) if transaction.recipients > 0 => None,
            Some(transaction) if transaction.tried => Some(NO_RECIPIENTS),
            _ => Some(NEED_RCPT),
        }
    }

    fn rules(&self, utf8: bool) -> Rules<'_> {
        Rules {
            hostname: &self.settings.hostname,
            local: self.settings.local,
            auth: self.settings.logins.is_some(),
            xmove: self.settings.xmove && self.encrypted,
            utf8,
        }
    }

    /// Bytes that the message of this transaction may have.
    pub(super) fn max_size(&self) -> u64 {
        let more = match &self.transaction {
            Some(transaction) if transaction.moved => limits::MOVED,
            _ => 0,
        };
        self.settings.max_size.saturating_add(more)
    }
}

fn without_arguments(arguments: &str, verb: &'static str) -> Result<(), CommandError> {
    if arguments.is_empty() {
        Ok(())
    } else {
        Err(CommandError::Usage(verb))
    }
}
