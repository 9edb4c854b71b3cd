//! XMOVE: another server is emptied into this one.
//!
//! Contract: only who is in `drain_from` has it, under TLS and for himself. No restriction, limit
//! or filter is asked: the mail was taken already, by a server that this one believes. The size
//! alone counts here, too.
//! Failures: what does not fit together is refused for good, and stays where it is; what cannot be
//! kept is refused for now.
//! See also: [`crate::drain`].

use mail::limits;
use smtp::{
    reply::Reply,
    session::{Mail, Question, Verdict},
};

use super::{
    acceptance::no_room,
    moved::{Arriving, Fault, Message, Moving},
    session::Connection,
    transaction::Transaction,
};
use crate::arriving::Refusal;

impl Connection {
    /// The answer to a question where this server, or another one into it, is being emptied;
    /// `None`: that makes no difference to it.
    pub(super) async fn decide_drained(&mut self, question: &Question) -> Option<Verdict> {
        let draining = self.server.dispatch.draining();
        let to = match question {
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
            return Some(Verdict::Close(self.emptied(&to)));
        }
        self.decide_moved(question).await
    }

    /// What whoever brings mail hears meanwhile.
    fn emptied(&self, to: &str) -> Reply {
        let host = &self.setup.config.hostname;
        let reply = format!(
            "421 4.3.2 {host} Error: this server is being emptied into {to} and takes no mail"
        );
        Reply::literal(&reply)
    }

    /// The answer to a question about mail that moves; `None`: it is about other mail.
    async fn decide_moved(&mut self, question: &Question) -> Option<Verdict> {
        let moves = self.transaction.as_ref().is_some_and(|it| it.mail.moved);
        match question {
            Question::Mail(mail) if mail.moved => Some(self.may_move(mail)),
            Question::Recipient(_) | Question::Data if moves => Some(Verdict::Accept),
            Question::Message { .. } if moves => Some(self.moved().await),
            _ => None,
        }
    }

    fn may_move(&mut self, mail: &Mail) -> Verdict {
        let named = self.setup.config.drain_from.contains(self.connected);
        if !named || self.unnamed || self.client != self.connected {
            return Verdict::Refuse(Reply::literal(
                "550 5.7.0 Error: insufficient authorization",
            ));
        }
        let spool = self.server.dispatch.spool();
        match spool.has_room(0) {
            Ok(()) => {
                let moving = Moving::new(spool);
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
        let done = match moving.end() {
            Err(fault) => Err(fault),
            Ok(Arriving::GivenUp(ids)) => {
                let done = self.server.dispatch.let_go(&ids);
                done.map_err(Fault::Disk)
            }
            Ok(Arriving::Message(message)) => self.keep_moved(*message).await,
        };
        match done {
            Ok(()) => Verdict::Accept,
            Err(Fault::Disk(error)) => Verdict::Refuse(no_room(&self.server, &error)),
            Err(Fault::Said(why)) => {
                let reply = format!("451 4.6.0 Error: {why}");
                Verdict::Refuse(Reply::literal(&reply))
            }
        }
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
            Err(Refusal::Spool(error)) => Err(Fault::Disk(error)),
            Err(Refusal::Taken) => Err(Fault::Said(
                "a message of this queue id is here, and is another one",
            )),
        }
    }
}
