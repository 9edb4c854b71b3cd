//! XMOVE: another server is emptied into this one.
//!
//! Contract: only who is in `drain_from` has it, under TLS, for himself, and not over a proxy,
//! whatever address that names. No restriction, limit or filter is asked: the mail was taken
//! already, by a server that this one believes. The size alone counts here, too.
//! Failures: what does not fit together is refused for good, and stays where it is; what cannot be
//! kept is refused for now.
//! See also: [`crate::drain`].

use mail::{address::Domain, limits, outcome::escape};
use smtp::{
    reply::Reply,
    session::{Mail, Question, Verdict},
};

use super::{
    acceptance::no_room,
    moved::{Arriving, Fault, Message, Moving, may_give},
    session::Connection,
    transaction::Transaction,
};
use crate::{arriving::Refusal, draining::Closed};

/// Longest name of a server, bytes.
const NAME: usize = 255;

/// What whoever brings mail hears while a server is being emptied.
pub(crate) fn emptied(host: &Domain, to: &str) -> Reply {
    Reply::literal(&format!(
        "421 4.3.2 {host} Error: this server is being emptied into {to} and takes no mail"
    ))
}

impl Connection {
    /// The answer to a question where this server, or another one into it, is being emptied;
    /// `None`: that makes no difference to it.
    pub(super) async fn decide_drained(&mut self, question: &Question) -> Option<Verdict> {
        let draining = self.server.dispatch.draining();
        let gives = self.gives();
        let moves = self.transaction.as_ref().is_some_and(|it| it.mail.moved);
        let to = match question {
            // What it has brought before it may still give up, or it would stay here for ever.
            Question::Connect if gives => None,
            Question::Mail(mail) if mail.moved => None,
            Question::Recipient(_) | Question::Data if moves => None,
            Question::Connect | Question::Mail(_) | Question::Recipient(_) => draining.to(),
            Question::Data => match draining.enter() {
                Ok(inside) => {
                    if let Some(transaction) = &mut self.transaction {
                        transaction.inside = Some(inside);
                    }
                    None
                }
                Err(to) => Some(to),
            },
            _ => None,
        };
        if let Some(to) = to {
            return Some(Verdict::Close(emptied(&self.setup.config.hostname, &to)));
        }
        self.decide_moved(question, moves).await
    }

    /// Whether it is a server whose queue may come here.
    fn gives(&self) -> bool {
        let itself = !self.unnamed && self.client == self.connected;
        itself && may_give(&self.setup.config, self.peer)
    }

    /// What it calls itself, and its address, as copies remember whose they are.
    fn giver(&self) -> String {
        let helo = escape(self.machine.helo().unwrap_or("unknown").as_bytes(), NAME);
        format!("{helo}[{}]", self.connected)
    }

    /// The answer to a question about mail that moves; `None`: it is about other mail.
    async fn decide_moved(&mut self, question: &Question, moves: bool) -> Option<Verdict> {
        match question {
            Question::Mail(mail) if mail.moved => Some(self.may_move(mail)),
            Question::Recipient(_) | Question::Data if moves => Some(Verdict::Accept),
            Question::Message { .. } if moves => Some(self.moved().await),
            _ => None,
        }
    }

    fn may_move(&mut self, mail: &Mail) -> Verdict {
        if !self.gives() {
            return Verdict::Refuse(Reply::literal(
                "550 5.7.0 Error: insufficient authorization",
            ));
        }
        let spool = self.server.dispatch.spool();
        match spool.has_room(0) {
            Ok(()) => {
                let moving = Moving::new(spool, self.giver());
                self.transaction = Some(Transaction::moving(mail.clone(), moving));
                Verdict::Accept
            }
            Err(error) => Verdict::Refuse(no_room(&self.server, &error)),
        }
    }

    async fn moved(&mut self) -> Verdict {
        let moving = self.transaction.take().and_then(|it| it.moving);
        let Some(moving) = moving else {
            return Verdict::Refuse(Reply::literal("503 5.5.1 Error: no message"));
        };
        let entered = self.server.dispatch.draining().enter();
        let done = match moving.end() {
            Err(fault) => Err(fault),
            Ok(Arriving::GivenUp(ids)) => {
                let done = self.server.dispatch.let_go(&ids, &self.giver());
                done.map_err(Fault::from)
            }
            Ok(Arriving::Asks(server)) => self.would_take(&server),
            Ok(Arriving::Message(message)) => match entered {
                Ok(_inside) => self.keep_moved(*message).await,
                Err(to) => Err(Fault::Emptied(to)),
            },
        };
        match done {
            Ok(()) => Verdict::Accept,
            Err(Fault::Disk(error)) => Verdict::Refuse(no_room(&self.server, &error)),
            Err(Fault::Emptied(to)) => {
                let reply = format!(
                    "451 4.3.2 Error: this server is itself being emptied into {to}: \
                     smarthost drain --stop there first"
                );
                Verdict::Refuse(Reply::literal(&reply))
            }
            Err(Fault::Asks(to)) => {
                let reply = format!(
                    "451 4.3.2 Error: this server asks {to} at this moment whether its own mail \
                     may go there: only one of both can be emptied into the other"
                );
                Verdict::Refuse(Reply::literal(&reply))
            }
            Err(Fault::Said(why)) => {
                let reply = format!("451 4.6.0 Error: {why}");
                Verdict::Refuse(Reply::literal(&reply))
            }
        }
    }

    /// Another server asks whether its queue may come.
    fn would_take(&self, server: &str) -> Result<(), Fault> {
        let draining = self.server.dispatch.draining();
        if draining.is(server) {
            return Err(Fault::Said("this is the very server that asks"));
        }
        draining.admit(server).map_err(|closed| match closed {
            Closed::Emptied(to) => Fault::Emptied(to),
            Closed::Asks(to) => Fault::Asks(to),
        })
    }

    async fn keep_moved(&mut self, mut message: Message) -> Result<(), Fault> {
        let header = message.finish()?;
        let most = self.setup.config.message_size;
        if message.facts.size > most.saturating_add(limits::HEADER as u64) {
            return Err(Fault::Said("message size exceeds fixed limit"));
        }
        let Message {
            id, facts, draft, ..
        } = message;
        let dispatch = &self.server.dispatch;
        match dispatch
            .arrive(id, &facts, &header, draft, &self.name)
            .await
        {
            Ok(()) => {
                self.messages = self.messages.saturating_add(1);
                Ok(())
            }
            Err(refusal) => Err(refusal.into()),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Spool(error) => Self::Disk(error),
            Refusal::Taken => Self::Said("a message of this queue id is here, and is another one"),
            Refusal::Others => Self::Said("a message of this queue id came from another server"),
        }
    }
}
