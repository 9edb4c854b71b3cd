//! The smarthost: its own configuration, policy, limits and routes, with the world's names.
//!
//! In place of `server::decide`, `server::counting` and `state::keeper`, whose lines are not
//! covered: what the counters' database holds is a table here, which is written when a message is
//! counted, and outlives crashes.

use std::{collections::BTreeMap, net::IpAddr, path::Path, sync::Arc};

use mail::{
    address::{Mailbox, Sender},
    clock::Timestamp,
    envelope::{Content, Envelope, Rcpt, Recipient},
    maps::Table,
    message::{Header, complete, conform, trace},
    outcome::Failure,
    status::EnhancedStatus,
};
use queue::{Origin, Queue, Routed};
use relay::delivery::{Host, Way};
use smarthost::{
    config::Config,
    destination::{Destination, Kind},
    dispatch::{self, Client},
    dns::{exchange, mx::Answer as Mx},
    limits::{ClientId, Decision, Kept, Limits},
    loops::SentOn,
    network::Network,
    policy::{self, Answer, ClientName, Facts, Listing, MailDomain, Policy, Query, Sources, Step},
    route::Router,
};
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

/// Deliveries to one destination at once.
pub(crate) const CONCURRENCY: usize = 2;

pub(crate) struct Relay {
    config: Config,
    policy: Policy,
    router: Router,
    limits: Limits,
    pub(crate) limit: u32,
    /// What is in the counters' database.
    kept: BTreeMap<(Kept, ClientId), String>,
}

fn configured(limit: u32) -> Config {
    let text = format!(
        "networks = [\"10.0.0.0/8\"]\nadmins = [\"sender-admin@home.example\"]\n\
         limits = {{ per_client = \"{limit}/hour\" }}\n\
         retry = {{ minimal = \"5m\", maximal = \"1h\", lifetime = \"1d\" }}\n\
         concurrency = {{ destination = {CONCURRENCY}, deliveries = 8 }}\n"
    );
    Config::parse(Path::new("config.toml"), &text, "relay.example")
        .unwrap_or_else(|e| panic!("{e}"))
}

impl Relay {
    pub(crate) fn new(limit: u32) -> Self {
        let config = configured(limit);
        let (aliases, _) = Table::aliases("aliases".into(), "");
        let router = Router::new(&config, Arc::new(aliases), Arc::default());
        Self {
            policy: Policy::new(&config, router.clone(), Arc::new(Sources::default())),
            limits: Limits::new(config.limits.clone()),
            router,
            config,
            limit,
            kept: BTreeMap::new(),
        }
    }

    /// Another configuration; counters stay.
    pub(crate) fn reload(&mut self, limit: u32) {
        let Self { limits, kept, .. } = std::mem::replace(self, Self::new(limit));
        self.limits = limits;
        self.limits.set_rules(self.config.limits.clone());
        self.kept = kept;
    }

    fn keep(&mut self) {
        for (what, record) in self.limits.changes() {
            match record {
                Some(record) => drop(self.kept.insert(what, record)),
                None => drop(self.kept.remove(&what)),
            }
        }
    }
}

impl Role for Relay {
    type D = Destination;
    type O = Client;

    fn start(&mut self, now: Timestamp) {
        self.limits = Limits::new(self.config.limits.clone());
        for (what, record) in &self.kept {
            assert!(
                self.limits.restore(what.clone(), record, now),
                "a record cannot be read: {record}"
            );
        }
    }

    fn hostname(&self) -> &str {
        &self.config.hostname
    }

    fn queue(&self, seed: u64, now: Timestamp) -> Queue<Destination, Client> {
        let mut queue = Queue::new(dispatch::queue_settings(&self.config, false), seed);
        queue.set_transports(dispatch::transports(&self.config), now);
        queue
    }

    fn origin(&self, envelope: &Envelope) -> Origin<Client> {
        dispatch::origin(envelope, &self.router)
    }

    fn owner(&self, _: Option<u32>) -> Client {
        None
    }

    fn routed(&self, index: u32, envelope: &Envelope) -> Option<Routed<Destination>> {
        dispatch::routed(index, envelope, &self.router)
    }

    fn way(&self, to: &Destination, names: &Names, now: Micros) -> Result<Way, Failure> {
        let Kind::Smtp { nexthop, named, .. } = &to.kind else {
            return Err(Failure::ours("no such destination in this world"));
        };
        let answer = names.mx(&nexthop.host, now);
        // Hosts of equal preference are tried in the order of the table.
        let found = exchange::order(answer, &nexthop.host, &self.config.hostname, || 0)?;
        let host = |name| Host {
            name,
            port: nexthop.port.unwrap_or(25),
            named: *named,
            certified: None,
        };
        Ok(Way {
            hosts: found.into_iter().map(host).collect(),
            security: Security::Opportunistic,
            clear_text_is_as_good: true,
        })
    }

    fn shares() -> bool {
        true
    }

    fn session(&self) -> Settings {
        Settings {
            hostname: self.config.hostname.to_string(),
            max_size: self.config.message_size,
            ..Settings::default()
        }
    }

    fn is_strangers(&self, envelope: &Envelope) -> bool {
        self.router.is_strangers(envelope)
    }

    fn decide(
        up: &mut Up<Self>,
        role: &mut Self,
        reception: &mut Reception,
        question: &Question,
        context: &mut Context<'_>,
    ) -> Verdict {
        let verdict = role.judge(reception, question, 0, context);
        if verdict != Verdict::Accept {
            if matches!(question, Question::Mail(_)) {
                role.end(reception, None, context.wall);
            }
            return verdict;
        }
        match question {
            Question::Message { size } => role.accept(up, reception, *size, context),
            other => up.follow(reception, other, no_room),
        }
    }

    fn abort(&mut self, reception: &mut Reception, now: Timestamp) {
        reception.transaction = None;
        self.end(reception, None, now);
    }
}

fn no_room(why: &str) -> Verdict {
    Verdict::Refuse(Reply::new(
        452,
        EnhancedStatus::new(4, 3, 1),
        why.to_owned(),
    ))
}

impl Relay {
    /// A message that was let begin is taken, or came to nothing.
    fn end(&mut self, reception: &mut Reception, taken: Option<u32>, now: Timestamp) {
        if let Some(recipients) = reception.begun.take() {
            self.limits
                .end(&reception.client.into(), recipients, taken, now);
        }
    }

    fn judge(
        &mut self,
        reception: &mut Reception,
        question: &Question,
        hops: usize,
        context: &Context<'_>,
    ) -> Verdict {
        let facts = facts(reception, question, hops);
        let mut evaluation = self.policy.evaluate(facts, question);
        loop {
            match evaluation.step() {
                Step::Done(ruling) => return ruling.verdict,
                Step::Ask(queries) => {
                    for query in queries {
                        let answer = self.find_out(reception, &query, context);
                        evaluation.answer(query, answer);
                    }
                }
            }
        }
    }

    fn find_out(
        &mut self,
        reception: &mut Reception,
        query: &Query,
        context: &Context<'_>,
    ) -> Answer {
        match query {
            Query::Message(client) => {
                let decision = self.limits.begin(client, context.wall);
                if matches!(decision, Decision::Within { .. }) {
                    self.end(reception, None, context.wall);
                    reception.begun = Some(0);
                }
                Answer::Limit(decision)
            }
            Query::Recipient(client) => {
                let decision = self.limits.recipient(client, context.wall);
                if let (Decision::Within { .. }, Some(begun)) = (&decision, &mut reception.begun) {
                    *begun += 1;
                }
                Answer::Limit(decision)
            }
            Query::MailDomain(domain) => {
                Answer::MailDomain(match context.names.mx(domain, context.now) {
                    Mx::Found(_) | Mx::NoMx => MailDomain::Found,
                    Mx::NullMx => MailDomain::NullMx,
                    Mx::NoDomain => MailDomain::Missing,
                    Mx::Failed(_) => MailDomain::Unknown,
                })
            }
            Query::ClientName(_) => Answer::ClientName(ClientName::Missing),
            Query::Listed(..) => Answer::Listed(Listing::NotListed),
            Query::Greylist(..) | Query::RecipientKnown(..) | Query::Service(..) => {
                panic!("this world's policy does not ask that: {query:?}")
            }
        }
    }

    fn accept(
        &mut self,
        up: &mut Up<Self>,
        reception: &mut Reception,
        size: u64,
        context: &mut Context<'_>,
    ) -> Verdict {
        let Some(transaction) = reception.transaction.take() else {
            return no_room("no transaction");
        };
        let Some(draft) = transaction.draft.filter(|_| !transaction.broken) else {
            return no_room("cannot be kept");
        };
        let charset = transaction.splitter.charset();
        let (mut header, content) = transaction.splitter.finish();
        let verdict = self.judge(
            reception,
            &Question::Message { size },
            trace::hops(&header),
            context,
        );
        if verdict != Verdict::Accept {
            return verdict;
        }
        let sender = transaction.mail.sender();
        let id = draft.id().to_string();
        let of = (id.as_str(), &sender, content, charset);
        self.complete(&mut header, of, reception, context.wall);
        let known = known(&transaction.recipients);
        let recipients = match dispatch::expand(&known, &SentOn::by(&header), &self.router) {
            Ok(recipients) => recipients,
            Err(failure) => return Verdict::Refuse(Reply::new(452, failure.status, failure.text)),
        };
        let envelope = Envelope {
            sender,
            recipients,
            origin: format!("unknown[{}]", reception.client),
            uid: None,
            content,
            ret: transaction.mail.ret,
            envid: transaction.mail.envid.clone(),
        };
        let header = header.to_bytes();
        // A bounce has its number in what it brings back.
        let token = token_of(&header).or_else(|| token_of(draft.small()?));
        let (client, counted) = (reception.client, reception.begun.is_some());
        let taken = u32::try_from(known.len()).unwrap();
        self.end(reception, Some(taken), context.wall);
        self.keep();
        match up.spool.accept(draft, &envelope, &header) {
            Ok(id) => {
                reception.accepted = token;
                up.arrived(self, id, &envelope, token, context);
                context.story.tell(context.now, &self.config.hostname, || {
                    format!("{id} accepted from {client}: {token:?}")
                });
                if counted {
                    self.told(client, context);
                }
                Verdict::AcceptWith(Reply::new(
                    250,
                    EnhancedStatus::new(2, 0, 0),
                    format!("Ok: queued as {id}"),
                ))
            }
            Err(error) => {
                up.doubtful.extend(token);
                if counted {
                    self.limits.take_back(&client.into(), taken, context.wall);
                    self.keep();
                }
                no_room(&error.to_string())
            }
        }
    }

    fn complete(
        &self,
        header: &mut Header,
        (id, sender, content, charset): (&str, &Sender, Content, &str),
        reception: &Reception,
        now: Timestamp,
    ) {
        let hostname = &self.config.hostname;
        if self.policy.may_relay(reception.client) {
            let from = sender
                .address()
                .map_or_else(|| format!("MAILER-DAEMON@{hostname}"), ToString::to_string);
            let facts = complete::Facts {
                now,
                hostname,
                id,
                from: &from,
                content,
                charset,
            };
            conform::conform(header, &from, &|_| true);
            complete::complete(header, &facts);
        }
        header.prepend(trace::received(&trace::Received {
            from: &format!("from client (unknown [{}])", reception.client),
            by: hostname,
            with: reception.session.protocol(),
            id,
            for_: None,
            date: &now.rfc5322(),
            tls: None,
        }));
    }

    fn told(&self, client: IpAddr, context: &mut Context<'_>) {
        let (limit, now) = (self.limit, context.now);
        let shown = self
            .limits
            .show(&Network::of(client, 32, 128).into(), context.wall);
        let shown = shown.map_or(0, |shown| {
            shown.windows.first().map_or(0, |(count, _)| *count)
        });
        context.notes.push(Box::new(move |model| {
            model.counted(client, limit, shown, now);
        }));
    }
}

fn known(recipients: &[Rcpt]) -> Vec<Recipient> {
    let known = recipients.iter().filter_map(|rcpt| match &rcpt.to {
        Mailbox::Address(address) => Some(Recipient {
            orcpt: rcpt.orcpt.clone(),
            notify: rcpt.notify,
            ..Recipient::from(address.clone())
        }),
        Mailbox::Local(_) => None,
    });
    known.collect()
}

fn facts(reception: &Reception, question: &Question, hops: usize) -> Facts {
    let transaction = reception.transaction.as_ref();
    let mut facts = Facts::of(reception.client);
    facts.session.helo = reception.session.helo().map(str::to_owned);
    facts.session.protocol = match reception.session.protocol() {
        "SMTP" => "SMTP",
        _ => "ESMTP",
    };
    facts.transaction = policy::Transaction {
        sender: match question {
            Question::Mail(mail) => Some(mail.sender()),
            _ => transaction.map(|it| it.mail.sender()),
        },
        recipient: match question {
            Question::Recipient(rcpt) => rcpt.to.address().cloned(),
            _ => None,
        },
        size: transaction.and_then(|it| it.mail.size),
        recipients: transaction.map_or(0, |it| it.recipients.len()),
        ..policy::Transaction::default()
    };
    if let Question::Message { size } = question {
        facts.message = policy::Message { size: *size, hops };
    }
    facts
}
