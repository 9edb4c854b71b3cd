//! Sessions: the programs' own [`smtp::session::Session`] over the world's network.
//!
//! In place of the agent's `session` and smarthost's `server::session`, which move the same bytes
//! over sockets; these lines are not covered.

use std::net::IpAddr;

use mail::{
    envelope::{Mail, Rcpt},
    message::Splitter,
};
use smtp::{
    reply::Reply,
    session::{Action, Event, Question, Session, Verdict},
};
use spool::Draft;

use crate::{
    network::{Arrival, ConnId, Sent, Side},
    program::{Context, Role, Up},
};

/// A session and the message that comes in it.
pub(crate) struct Reception {
    pub(crate) session: Session,
    pub(crate) client: IpAddr,
    pub(crate) transaction: Option<Transaction>,
    /// Recipients of the message that the limits let begin.
    pub(crate) begun: Option<u32>,
    /// The message that was just accepted.
    pub(crate) accepted: Option<u32>,
    out: Vec<u8>,
    closed: bool,
}

pub(crate) struct Transaction {
    pub(crate) mail: Mail,
    pub(crate) recipients: Vec<Rcpt>,
    pub(crate) splitter: Splitter,
    pub(crate) draft: Option<Draft>,
    pub(crate) broken: bool,
}

impl Transaction {
    pub(crate) fn new(mail: Mail) -> Self {
        Self {
            mail,
            recipients: Vec::new(),
            splitter: Splitter::arriving(),
            draft: None,
            broken: false,
        }
    }

    fn write(&mut self, piece: &[u8]) {
        let Some(draft) = self.draft.as_mut().filter(|_| !self.broken) else {
            return;
        };
        let body = self.splitter.split(piece);
        self.broken = !body.is_ok_and(|body| draft.write(body).is_ok());
    }
}

impl<R: Role> Up<R> {
    /// Something came over a connection that somebody made to us.
    pub(crate) fn receive(
        &mut self,
        role: &mut R,
        conn: ConnId,
        arrival: Arrival,
        context: &mut Context<'_>,
    ) {
        if let Arrival::Dialled(client) = arrival {
            let reception = Reception {
                session: Session::new(role.session(), context.steady),
                client,
                transaction: None,
                begun: None,
                accepted: None,
                out: Vec::new(),
                closed: false,
            };
            self.sessions.insert(conn, reception);
        }
        let Some(mut reception) = self.sessions.remove(&conn) else {
            return;
        };
        let event = match &arrival {
            Arrival::Dialled(_) => Event::Connected,
            Arrival::Bytes(bytes) => Event::Received(bytes),
            Arrival::End | Arrival::Reset | Arrival::Connected => Event::Closed,
        };
        reception.session.handle(event, context.steady);
        self.serve(role, conn, reception, context);
    }

    /// Waits that are over.
    pub(crate) fn tick_sessions(&mut self, role: &mut R, context: &mut Context<'_>) {
        let due = |reception: &Reception| {
            reception
                .session
                .deadline()
                .is_some_and(|at| at <= context.steady)
        };
        let over = self
            .sessions
            .iter()
            .filter(|(_, it)| due(it))
            .map(|(conn, _)| *conn);
        for conn in over.collect::<Vec<_>>() {
            if let Some(mut reception) = self.sessions.remove(&conn) {
                reception.session.handle(Event::TimedOut, context.steady);
                self.serve(role, conn, reception, context);
            }
        }
    }

    /// What an accepted command does; `no_room`: how the program refuses what it cannot keep.
    pub(crate) fn follow(
        &mut self,
        reception: &mut Reception,
        question: &Question,
        no_room: fn(&str) -> Verdict,
    ) -> Verdict {
        match question {
            // A message is kept by whoever asks.
            Question::Connect | Question::Helo { .. } | Question::Message { .. } => {}
            Question::Auth | Question::Login(_) | Question::Client(_) | Question::Enroll(_) => {
                return Verdict::Refuse(Reply::literal("535 5.7.8 Error: no logins here"));
            }
            Question::Mail(mail) => {
                if let Err(error) = self.spool.has_room(mail.size.unwrap_or_default()) {
                    return no_room(&error.to_string());
                }
                reception.transaction = Some(Transaction::new(mail.clone()));
            }
            Question::Recipient(rcpt) => {
                if let Some(transaction) = &mut reception.transaction {
                    transaction.recipients.push(rcpt.clone());
                }
            }
            Question::Data => {
                let (Ok(draft), Some(transaction)) =
                    (self.spool.draft(), &mut reception.transaction)
                else {
                    return no_room("no draft");
                };
                transaction.draft = Some(draft);
            }
        }
        Verdict::Accept
    }

    fn serve(
        &mut self,
        role: &mut R,
        conn: ConnId,
        mut reception: Reception,
        context: &mut Context<'_>,
    ) {
        while let Some(action) = reception.session.next_action() {
            match action {
                Action::Send(bytes) => reception.out.extend_from_slice(&bytes),
                Action::Ask(question) => {
                    let verdict = R::decide(self, role, &mut reception, &question, context);
                    reception
                        .session
                        .handle(Event::Verdict(verdict), context.steady);
                }
                Action::Body(piece) => {
                    if let Some(transaction) = &mut reception.transaction {
                        transaction.write(&piece);
                    }
                }
                Action::Abort => role.abort(&mut reception, context.wall),
                Action::Refused { stage, reply, .. } => {
                    context.story.tell(context.now, &role.hostname(), || {
                        format!("refuses {stage}: {reply}")
                    });
                }
                Action::StartTls | Action::Close => reception.closed = true,
            }
        }
        if !reception.out.is_empty() {
            context.out.push(Sent::Bytes {
                conn,
                by: Side::Listener,
                bytes: std::mem::take(&mut reception.out),
                acknowledges: reception.accepted.take(),
            });
        }
        if reception.closed {
            role.abort(&mut reception, context.wall);
            let by = Side::Listener;
            context.out.push(Sent::Close { conn, by });
        } else {
            self.sessions.insert(conn, reception);
        }
    }
}
