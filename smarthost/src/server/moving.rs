//! XMOVE: another server is emptied into this one.
//!
//! Contract: only who is in `drain_from` has it, under TLS and for himself. No restriction, limit or
//! filter is asked: the mail was taken already, by a server that this one believes. The size alone
//! counts here, too.
//! Failures: what does not fit together is refused for good, and stays where it is; what cannot be
//! kept is refused for now.
//! See also: [`crate::drain`].

use mail::{clock, limits};
use smtp::{
    reply::Reply,
    session::{Mail, Question, Verdict},
};
use spool::{Draft, Hold, QueueId, Spool, SpoolError};
use tokio::task::block_in_place;

use super::{acceptance::no_room, session::Connection, transaction::Transaction};
use crate::{
    arriving::Refusal,
    drain::told::{Facts, Told},
};

/// Longest line in front of a message, bytes.
const LINE: usize = 15 * 1024 * 1024;

/// What is moving here, as far as it has come.
pub(super) struct Moving {
    spool: Spool,
    /// The line in front, up to its end.
    line: Vec<u8>,
    told: Option<Arriving>,
    fault: Option<Fault>,
}

/// What the line in front says.
enum Arriving {
    Message(Box<Message>),
    GivenUp(Vec<QueueId>),
}

/// A message that is coming.
struct Message {
    id: QueueId,
    facts: Box<Facts>,
    /// The header section and the empty line.
    header: Vec<u8>,
    draft: Draft,
}

enum Fault {
    Said(&'static str),
    Disk(SpoolError),
}

impl Moving {
    pub(super) fn new(spool: &Spool) -> Self {
        Self {
            spool: spool.clone(),
            line: Vec::new(),
            told: None,
            fault: None,
        }
    }

    /// Takes a piece.
    pub(super) fn write(&mut self, piece: &[u8]) {
        if self.fault.is_none() {
            self.fault = self.take(piece).err();
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let rest = match &self.told {
            Some(_) => piece,
            None => {
                let Some(rest) = self.read_line(piece)? else {
                    return Ok(());
                };
                rest
            }
        };
        match &mut self.told {
            Some(Arriving::Message(message)) => message.take(rest),
            _ if rest.is_empty() => Ok(()),
            _ => Err(Fault::Said("nothing was to follow")),
        }
    }

    /// What is behind the line, once it is whole.
    fn read_line<'a>(&mut self, piece: &'a [u8]) -> Result<Option<&'a [u8]>, Fault> {
        let end = piece
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|at| at.saturating_add(1));
        let (part, rest) = piece.split_at(end.unwrap_or(piece.len()));
        if self.line.len().saturating_add(part.len()) > LINE {
            return Err(Fault::Said("too much is told of the message"));
        }
        self.line.extend_from_slice(part);
        if end.is_none() {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        let told = match Told::read(line.trim_ascii_end()).map_err(Fault::Said)? {
            Told::GivenUp(names) => {
                let ids = names.iter().map(|name| QueueId::parse(name));
                let ids: Option<Vec<_>> = ids.collect();
                Arriving::GivenUp(ids.ok_or(Fault::Said("no queue id"))?)
            }
            Told::Message(facts) => {
                let id = facts.check(clock::now()).map_err(Fault::Said)?;
                let (hold, waiting) = (Hold::Arriving { held: facts.held }, facts.waiting());
                let (since, warned) = (facts.arrival, facts.warned);
                let draft = self.spool.draft_moved(id, since, hold, warned, waiting);
                Arriving::Message(Box::new(Message {
                    id,
                    facts,
                    header: Vec::new(),
                    draft,
                }))
            }
        };
        self.told = Some(told);
        Ok(Some(rest))
    }
}

impl Message {
    fn take(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let header = usize::try_from(self.facts.header).unwrap_or(usize::MAX);
        let missing = header.saturating_add(2).saturating_sub(self.header.len());
        let (front, body) = piece.split_at(missing.min(piece.len()));
        self.header.extend_from_slice(front);
        if body.is_empty() {
            return Ok(());
        }
        block_in_place(|| self.draft.write(body)).map_err(Fault::Disk)
    }

    /// The header section, once all is there.
    fn finish(&mut self) -> Result<Vec<u8>, Fault> {
        let size = (self.header.len() as u64).saturating_add(self.draft.size());
        let header = self.header.strip_suffix(b"\r\n");
        let whole = header.filter(|header| header.len() as u64 == self.facts.header);
        match whole {
            Some(header) if size == self.facts.size => Ok(header.to_vec()),
            _ => Err(Fault::Said("the message is not as long as was told")),
        }
    }
}

impl Connection {
    /// The answer to a question where this server, or another one into it, is being emptied; `None`:
    /// that makes no difference to it.
    pub(super) async fn decide_drained(&mut self, question: &Question) -> Option<Verdict> {
        if let Question::Connect | Question::Mail(_) = question
            && let Some(to) = self.server.dispatch.draining().to()
        {
            let host = &self.setup.config.hostname;
            let reply = format!(
                "421 4.3.2 {host} Error: this server is being emptied into {to} and takes no mail"
            );
            return Some(Verdict::Close(Reply::literal(&reply)));
        }
        self.decide_moved(question).await
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
        let done = match (moving.fault, moving.told) {
            (Some(fault), _) => Err(fault),
            (None, Some(Arriving::GivenUp(ids))) => {
                let done = self.server.dispatch.let_go(&ids);
                done.map_err(Fault::Disk)
            }
            (None, Some(Arriving::Message(message))) => self.keep_moved(*message).await,
            (None, None) => Err(Fault::Said("nothing was told")),
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
