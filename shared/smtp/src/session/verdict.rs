//! What each answer of the policy does.
//!
//! Contract: a reply that does not fit its verdict (a 250 that refuses, a 550 that accepts) becomes
//! a temporary refusal: mail is never lost by it.

use super::{
    interface::{Question, Verdict},
    machine::Session,
    state::{Asked, Greeting, Mode, OpenChunk, Transaction},
};
use crate::{
    capability::Capabilities,
    command::{
        Chunk,
        xclient::{Override, Told},
    },
    data::{Checker, Decoder},
    reply::Reply,
};
use mail::status::Severity;

impl Session {
    pub(super) fn answer(&mut self, asked: Asked, verdict: Verdict) {
        match verdict {
            Verdict::Accept => self.accept(asked, None),
            Verdict::AcceptWith(reply) if reply.code.severity() == Severity::Success => {
                self.accept(asked, Some(&reply));
            }
            Verdict::AcceptWith(reply) | Verdict::Refuse(reply) => {
                self.refuse_asked(asked, refusal(reply));
            }
            Verdict::Close(reply) => {
                self.reply(&refusal(reply));
                self.end();
            }
        }
        self.end_if_gone();
    }

    fn accept(&mut self, asked: Asked, reply: Option<&Reply>) {
        let usual = match asked {
            Asked::Connect => return self.greet(reply),
            Asked::Helo(greeting) => return self.welcome(greeting),
            Asked::Auth(exchange) => return self.begin_auth(*exchange),
            Asked::Login(user, acceptor) => return self.admit(user, *acceptor),
            Asked::Client(said) => return self.hand_on(*said),
            Asked::Enroll => "250 2.0.0 Ok",
            Asked::Mail { utf8, moved } => {
                self.refused_ahead = false;
                self.transaction = Some(Transaction {
                    utf8,
                    moved,
                    ..Transaction::default()
                });
                "250 2.1.0 Ok"
            }
            Asked::Recipient => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients = transaction.recipients.saturating_add(1);
                }
                self.waits.earn_recipient();
                "250 2.1.5 Ok"
            }
            Asked::Data => {
                self.mode = Mode::Data(Decoder::default());
                return self.say("354 End data with <CR><LF>.<CR><LF>");
            }
            Asked::Chunk(chunk) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.chunks = Some(Checker::default());
                }
                return self.open_chunk(chunk, None);
            }
            Asked::Message => {
                self.transaction = None;
                self.errors = 0;
                self.junk = 0;
                self.waits.begin_again();
                "250 2.0.0 Ok"
            }
        };
        match reply {
            Some(reply) => self.reply(reply),
            None => self.say(usual),
        }
    }

    fn refuse_asked(&mut self, asked: Asked, reply: Reply) {
        match asked {
            // Their bytes are on the way: skipped first, answered then.
            Asked::Chunk(chunk) => {
                self.reset();
                return self.open_chunk(chunk, Some(reply));
            }
            Asked::Data | Asked::Message => self.reset(),
            Asked::Auth(_) | Asked::Login(..) | Asked::Enroll | Asked::Mail { .. }
                if reply.code.severity() == Severity::Transient =>
            {
                self.count_junk();
            }
            Asked::Connect
            | Asked::Helo(_)
            | Asked::Auth(_)
            | Asked::Login(..)
            | Asked::Client(_)
            | Asked::Enroll
            | Asked::Mail { .. }
            | Asked::Recipient => {}
        }
        let ends = matches!(asked, Asked::Connect);
        self.refuse_with(&reply);
        if ends {
            self.end();
        }
    }

    /// A refusal of the policy; a temporary one is not held against the client.
    pub(super) fn refuse_with(&mut self, reply: &Reply) {
        let permanent = reply.code.severity() == Severity::Permanent;
        self.pausing = permanent;
        self.reply(reply);
        if permanent {
            self.errors = self.errors.saturating_add(1);
        }
    }

    pub(super) fn open_chunk(&mut self, chunk: Chunk, refusal: Option<Reply>) {
        self.mode = Mode::Chunk(OpenChunk {
            chunk,
            left: chunk.size,
            refusal,
        });
    }

    /// The session is another client's: nothing of what was before holds, and the greeting comes
    /// again.
    fn hand_on(&mut self, said: Override) {
        let told = |it| match it {
            Some(Told::Is(it)) => Some(it),
            _ => None,
        };
        self.reset();
        let extended = said.extended.unwrap_or_default();
        self.greeting = told(said.helo).map(|name| Greeting { name, extended });
        self.login = told(said.login);
        (self.errors, self.junk, self.sent_ahead) = (0, 0, false);
        self.waits.begin_again();
        self.verb = "CONNECT";
        self.ask(Question::Connect, Asked::Connect);
    }

    /// Says the greeting, at once or after a while in which only who has no manners talks.
    pub(super) fn greet(&mut self, reply: Option<&Reply>) {
        let wait = self.settings.greet_wait;
        let first = matches!(self.mode, Mode::Greeting) && reply.is_none();
        if first && !self.early && !wait.is_zero() {
            return self.waits.for_greeting(wait);
        }
        if self.early {
            return self.finish(
                "521 5.5.1 Error: the client must wait for the greeting (RFC 5321 section 3.1)",
            );
        }
        self.mode = Mode::Command;
        match (reply, &self.settings.banner) {
            (Some(reply), _) => self.reply(reply),
            (None, Some(banner)) => self.reply(&Reply::plain(220, vec![banner.clone()])),
            (None, None) => self.reply(&Reply::plain(
                220,
                vec![format!("{} ESMTP", self.settings.hostname)],
            )),
        }
    }

    fn welcome(&mut self, greeting: Greeting) {
        self.reset();
        let reply = if greeting.extended {
            self.offered().reply(&self.settings.hostname)
        } else {
            Reply::plain(250, vec![self.settings.hostname.clone()])
        };
        self.greeting = Some(greeting);
        self.reply(&reply);
    }

    fn offered(&self) -> Capabilities {
        Capabilities {
            pipelining: true,
            size: Some(self.settings.max_size),
            eight_bit_mime: true,
            smtputf8: true,
            enhanced_status_codes: true,
            chunking: true,
            dsn: true,
            starttls: self.settings.starttls && !self.encrypted,
            auth: self.mechanisms(),
            xcaller: self.settings.local,
            xclient: self.settings.xclient,
            xwriter: self.settings.xwriter && self.encrypted,
            xmove: self.settings.xmove && self.encrypted,
            xenroll: self.settings.xenroll && self.encrypted,
        }
    }
}

fn refusal(reply: Reply) -> Reply {
    match reply.code.severity() {
        Severity::Transient | Severity::Permanent => reply,
        Severity::Success | Severity::Intermediate => {
            Reply::literal("451 4.3.0 Error: server configuration problem")
        }
    }
}
