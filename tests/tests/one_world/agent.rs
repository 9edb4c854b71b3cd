//! The agent of a machine: what its own code decides, with the relay as the one destination.
//!
//! In place of `sendmail-shim`'s `agent::session` and `agent::transaction`, whose lines are not
//! covered; storms and budgets are not there.

use std::{sync::Arc, time::Duration};

use mail::{
    address::{Address, Domain},
    clock::Timestamp,
    envelope::Envelope,
    maps::Table,
    message::rewrite::{Caller, Rules},
    outcome::Failure,
    status::EnhancedStatus,
};
use queue::{BackOff, Origin, Queue, Routed, Slots, retry::Schedule};
use relay::delivery::{Host, Way};
use sendmail::prepare::{Submitted, prepare};
use smtp::{
    client::Security,
    reply::Reply,
    session::{Question, Settings, Verdict},
};

use crate::{
    model::token_of,
    names::Names,
    network::Micros,
    program::{Context, Role, Up},
    receiving::Reception,
};

/// Where all mail goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Relayhost;

pub(crate) struct Agent {
    hostname: String,
    rules: Rules,
}

pub(crate) const SCHEDULE: Schedule = Schedule {
    minimal: Duration::from_mins(5),
    maximal: Duration::from_hours(1),
    lifetime: Duration::from_hours(24),
};

impl Agent {
    pub(crate) fn new(hostname: &str) -> Self {
        let domain = Domain::name(hostname).unwrap();
        let none = || Arc::new(Table::aliases("aliases".into(), "").0);
        Self {
            hostname: hostname.to_owned(),
            rules: Rules {
                hostname: domain.clone(),
                nodename: None,
                domain,
                admin: Some(Address::parse("sender-admin@home.example").unwrap()),
                revaliases: none(),
                aliases: none(),
                from_override: true,
            },
        }
    }
}

impl Role for Agent {
    type D = Relayhost;
    type O = u32;

    fn start(&mut self, _: Timestamp) {}

    fn hostname(&self) -> &str {
        &self.hostname
    }

    fn queue(&self, seed: u64, _: Timestamp) -> Queue<Relayhost, u32> {
        let settings = queue::Settings {
            schedule: SCHEDULE,
            back_off: BackOff::of_one(&SCHEDULE),
            warning: Some(Duration::from_hours(4)),
            slots: Slots::of_one(2, 4),
            first: Some(0),
        };
        Queue::new(settings, seed)
    }

    fn origin(&self, envelope: &Envelope) -> Origin<u32> {
        Origin {
            owner: envelope.uid.unwrap_or(u32::MAX),
            unreturnable: envelope.sender == mail::address::Sender::Null,
            sender: queue::sender(&envelope.sender),
        }
    }

    fn owner(&self, uid: Option<u32>) -> u32 {
        uid.unwrap_or(u32::MAX)
    }

    fn routed(&self, recipient: u32, envelope: &Envelope) -> Option<Routed<Relayhost>> {
        let known = (recipient as usize) < envelope.recipients.len();
        known.then(|| Routed {
            recipient,
            destination: Ok(Arc::new(Relayhost)),
            lifetime: None,
        })
    }

    fn way(&self, _: &Relayhost, _: &Names, _: Micros) -> Result<Way, Failure> {
        let host = Host::named("relay.example".to_owned(), 25);
        Ok(Way {
            hosts: vec![host],
            security: Security::None,
            clear_text_is_as_good: true,
        })
    }

    fn shares() -> bool {
        false
    }

    fn session(&self) -> Settings {
        Settings {
            hostname: self.hostname.clone(),
            local: true,
            command_timeout: Duration::from_mins(1),
            ..Settings::default()
        }
    }

    fn is_strangers(&self, _: &Envelope) -> bool {
        false
    }

    fn decide(
        up: &mut Up<Self>,
        role: &mut Self,
        reception: &mut Reception,
        question: &Question,
        context: &mut Context<'_>,
    ) -> Verdict {
        match question {
            Question::Message { .. } => role.accept(up, reception, context),
            other => up.follow(reception, other, unavailable),
        }
    }

    fn abort(&mut self, reception: &mut Reception, _: Timestamp) {
        reception.transaction = None;
    }
}

fn unavailable(why: &str) -> Verdict {
    Verdict::Refuse(Reply::new(
        451,
        EnhancedStatus::new(4, 3, 0),
        why.to_owned(),
    ))
}

impl Agent {
    fn accept(
        &self,
        up: &mut Up<Self>,
        reception: &mut Reception,
        context: &mut Context<'_>,
    ) -> Verdict {
        let Some(transaction) = reception.transaction.take() else {
            return unavailable("no transaction");
        };
        let Some(draft) = transaction.draft.filter(|_| !transaction.broken) else {
            return unavailable("cannot be kept");
        };
        let charset = transaction.splitter.charset();
        let (header, content) = transaction.splitter.finish();
        let submitted = Submitted {
            caller: &Caller {
                user: "user".to_owned(),
                full_name: String::new(),
            },
            uid: 1000,
            id: &draft.id().to_string(),
            now: context.wall,
            mail: &transaction.mail,
            recipients: &transaction.recipients,
            content,
            charset,
        };
        let prepared = match prepare(&submitted, header, &self.rules) {
            Ok(prepared) => prepared,
            Err(error) => {
                return Verdict::Refuse(Reply::new(
                    554,
                    EnhancedStatus::new(5, 6, 0),
                    error.to_string(),
                ));
            }
        };
        let header = prepared.header.to_bytes();
        match up.spool.accept(draft, &prepared.envelope, &header) {
            Ok(id) => {
                let token = token_of(&header);
                reception.accepted = token;
                up.arrived(self, id, &prepared.envelope, token, context);
                context.story.tell(context.now, &self.hostname, || {
                    format!("{id} accepted: {token:?}")
                });
                Verdict::AcceptWith(Reply::new(
                    250,
                    EnhancedStatus::new(2, 0, 0),
                    format!("Ok: queued as {id}"),
                ))
            }
            Err(error) => {
                up.doubtful.extend(token_of(&header));
                unavailable(&error.to_string())
            }
        }
    }
}
