//! A session that never was, up to RCPT: the daemon's machine, its chain and its questions, with a
//! trace beside them.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use mail::{address::Sender, clock};
use smtp::session::{Action, Event, Question, Session, Verdict};
use tokio::{task::JoinSet, time};

use super::{
    answer::{Client, Rule, Stage, Warnings, warn},
    told::{self, Place},
};
use crate::{
    policy::{
        self, Answer, Facts, Listing, Query, Step,
        health::News as ListNews,
        trace::{Judged, Named, Origin},
    },
    server::{CLOSED, News, World, emptied},
    setup::Setup,
};

/// As in the daemon: what the world does not answer in this time is unknown.
const PATIENCE: Duration = Duration::from_mins(2);

/// The session.
pub(super) struct Rehearsal {
    machine: Session,
    setup: Arc<Setup>,
    world: Arc<World>,
    client: Client,
    sender: Option<Sender>,
    size: Option<u64>,
    /// The command that is being answered.
    stage: Stage,
    heard: Vec<u8>,
    pub(super) refused: bool,
    /// Nobody may log in from there.
    pub(super) closed: bool,
    /// Where mail moves to: none is taken.
    pub(super) emptied: Option<String>,
    /// Block lists that are switched off.
    pub(super) off: BTreeMap<String, String>,
    warnings: Warnings,
}

impl Rehearsal {
    /// At its beginning.
    pub(super) fn new(
        machine: Session,
        world: World,
        client: &Client,
        (setup, warnings): (&Arc<Setup>, &Warnings),
    ) -> Self {
        Self {
            machine,
            setup: Arc::clone(setup),
            world: Arc::new(world),
            client: client.clone(),
            sender: None,
            size: None,
            stage: Stage::default(),
            heard: Vec::new(),
            refused: false,
            closed: false,
            emptied: None,
            off: BTreeMap::new(),
            warnings: Arc::clone(warnings),
        }
    }

    pub(super) async fn run(&mut self, helo: &str, sender: &str) -> Vec<Stage> {
        self.machine.handle(Event::Connected, Instant::now());
        let mut stages = vec![self.answered("(connection)".to_owned()).await];
        let utf8 = if self.client.utf8 { " SMTPUTF8" } else { "" };
        let commands = [
            format!("EHLO {helo}"),
            format!("MAIL FROM:<{sender}>{utf8}"),
            format!("RCPT TO:<{}>", self.client.recipient),
        ];
        for command in commands {
            if self.refused {
                break;
            }
            if self.closed && self.client.login.is_some() && command.starts_with("MAIL") {
                self.refused = true;
                stages.push(Stage {
                    command: "AUTH".to_owned(),
                    reply: CLOSED.to_owned(),
                    ..Stage::default()
                });
                break;
            }
            let line = format!("{command}\r\n");
            self.machine
                .handle(Event::Received(line.as_bytes()), Instant::now());
            stages.push(self.answered(command).await);
        }
        stages
    }

    /// Drains the machine.
    async fn answered(&mut self, command: String) -> Stage {
        self.stage.command = command;
        while let Some(action) = self.machine.next_action() {
            match action {
                Action::Send(bytes) => self.heard.extend_from_slice(&bytes),
                Action::Ask(question) => {
                    let verdict = self.judge(&question).await;
                    if let (Question::Mail(mail), Verdict::Accept) = (&question, &verdict) {
                        (self.sender, self.size) = (Some(mail.sender()), mail.size);
                    }
                    self.machine.handle(Event::Verdict(verdict), Instant::now());
                }
                Action::Refused { .. } | Action::Close => self.refused = true,
                Action::StartTls | Action::Body(_) | Action::Abort => {}
            }
        }
        let heard = std::mem::take(&mut self.heard);
        let heard = String::from_utf8_lossy(&heard).replace("\r\n", "\n");
        heard.trim_end().clone_into(&mut self.stage.reply);
        std::mem::take(&mut self.stage)
    }

    async fn judge(&mut self, question: &Question) -> Verdict {
        if let Some(to) = &self.emptied {
            return Verdict::Close(emptied(&self.setup.config.hostname, to));
        }
        let evaluation = self.setup.policy.evaluate(self.facts(question), question);
        let mut evaluation = evaluation.traced();
        let patience = time::Instant::now() + PATIENCE;
        let ruling = loop {
            match evaluation.step() {
                Step::Done(ruling) => break ruling,
                Step::Ask(queries) => {
                    let Ok(answers) = time::timeout_at(patience, self.ask(queries)).await else {
                        let text =
                            "no answer in two minutes: the client would get a temporary error";
                        warn(&self.warnings, text.to_owned());
                        return Verdict::Refuse(smtp::reply::Reply::literal(
                            "451 4.3.0 Error: temporary lookup failure",
                        ));
                    };
                    for (query, answer) in answers {
                        evaluation.answer(query, answer);
                    }
                }
            }
        };
        let trace = evaluation.trace();
        let judged = trace.judged.iter().map(|judged| self.judged(judged));
        let (judged, skipped) = (judged.collect(), trace.skipped.iter());
        let skipped = skipped.map(|rule| self.named(rule)).collect();
        (self.stage.rules, self.stage.not_reached) = (judged, skipped);
        ruling.verdict
    }

    async fn ask(&self, queries: Vec<Query>) -> Vec<(Query, Answer)> {
        let mut asking = JoinSet::new();
        let (off, queries): (Vec<_>, Vec<_>) = queries
            .into_iter()
            .partition(|it| self.is_off(it).is_some());
        let unknown = || Answer::Listed(Listing::Unknown);
        let mut known: Vec<_> = off.into_iter().map(|query| (query, unknown())).collect();
        for query in queries {
            let (world, setup) = (Arc::clone(&self.world), Arc::clone(&self.setup));
            let warnings = Arc::clone(&self.warnings);
            asking.spawn(async move {
                let learned = world.find_out(&setup, &query).await;
                if let Some(News::List(ListNews::Off { list, why })) = &learned.news {
                    warn(&warnings, format!("block list {list} does not work: {why}"));
                }
                (query, learned.answer)
            });
        }
        known.extend(asking.join_all().await);
        known
    }

    /// Since when and why a list is switched off, as at a real client.
    fn is_off(&self, query: &Query) -> Option<&str> {
        match query {
            Query::Listed(list, _) => self.off.get(&list.name()).map(String::as_str),
            _ => None,
        }
    }

    fn facts(&self, question: &Question) -> Facts {
        let (sender, recipient) = match question {
            Question::Mail(mail) => (Some(mail.sender()), None),
            Question::Recipient(rcpt) => (self.sender.clone(), rcpt.to.address().cloned()),
            _ => (self.sender.clone(), None),
        };
        let mut facts = Facts::of(self.client.address.to_canonical());
        facts.session = policy::Session {
            server: self.setup.config.listen.first().map(|it| it.address),
            protocol: "ESMTP",
            helo: self.machine.helo().map(str::to_owned),
            tls: self
                .client
                .encrypted
                .then(|| "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)".to_owned()),
            login: self.client.login.clone(),
            method: if self.client.login.is_some() {
                "PLAIN"
            } else {
                ""
            },
            pinned: self.client.pin.clone(),
            ..facts.session
        };
        facts.transaction = policy::Transaction {
            sender,
            returns_nowhere: recipient
                .as_ref()
                .and_then(|it| self.setup.router.returns_nowhere(it, clock::now())),
            recipient,
            size: self.size,
            instance: "explain".to_owned(),
            ..facts.transaction
        };
        facts
    }

    fn judged(&self, judged: &Judged) -> Rule {
        let (verdict, text) = told::verdict(&judged.thought);
        Rule {
            verdict,
            text,
            entries: told::entries(&judged.because),
            asked: told::exchanges(&judged.because, |query| self.is_off(query)),
            because: judged.because.words.clone(),
            ..self.named(&judged.rule)
        }
    }

    fn named(&self, rule: &Named) -> Rule {
        let config = &self.setup.config;
        let (origin, place) = match rule.origin {
            Origin::Always => ("always", None),
            Origin::Named => ("table", None),
            Origin::Written(index) => {
                let place = config.place_of(&["restrictions"], Some(index));
                let origin = if place.is_some() { "file" } else { "default" };
                (origin, place.map(Place::from))
            }
        };
        Rule {
            rule: rule.rule.clone(),
            origin,
            place,
            ..Rule::default()
        }
    }
}
