//! A session that never was, up to RCPT: the daemon's machine, its chain and its questions, with a trace beside them.

use std::{
    fmt::Write as _,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use mail::{
    address::Sender,
    clock,
    outcome::{Delivery, Handover, Outcome},
};
use serde::Serialize;
use smtp::session::{Action, Event, Question, Session, Verdict};
use tokio::{sync::mpsc, task::JoinSet, time};

use super::told::{self, Entry, Exchange, Place};
use crate::{
    config::{Config, ListenTls, Offer},
    delivery,
    dispatch::{Dispatch, Probe},
    limits::{Peer, Report},
    policy::{
        self, Answer, Facts, Query, Step,
        health::News as ListNews,
        trace::{Judged, Named, Origin},
    },
    server::{News, World, settings},
    setup::{Current, Setup},
    state::{Memory, Restored, Store},
    transport::Transports,
};

/// As in the daemon: what the world does not answer in this time is unknown.
const PATIENCE: Duration = Duration::from_mins(2);

/// A client that does not exist.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: IpAddr,
    /// As it calls itself; by default by its address.
    pub helo: Option<String>,
    /// `None`: the null sender.
    pub sender: Option<String>,
    pub recipient: String,
    pub login: Option<String>,
    /// As whom its key is known.
    pub pin: Option<String>,
    pub encrypted: bool,
    /// The next hop may be asked for the recipient.
    pub probe: bool,
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Decision {
    pub client: String,
    /// It is in `networks`.
    pub own: bool,
    pub helo: String,
    pub sender: String,
    pub recipient: Recipient,
    /// Commands, each with what was thought of it and its reply.
    pub stages: Vec<Stage>,
    /// Who would be asked besides, in this order; nobody is asked here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub milters: Vec<Filter>,
    /// The last reply, as the client would hear it.
    pub reply: String,
    pub accepted: bool,
    /// Who is counted, and how far each is.
    pub limits: Vec<Report>,
    pub exempt: bool,
    /// What is not known, or is wrong in a table.
    pub warnings: Vec<String>,
}

/// The recipient.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Recipient {
    pub address: String,
    /// `local`, `relay` or `virtual`, if its domain is ours.
    pub class: Option<&'static str>,
    pub place: Option<Place>,
}

/// A milter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Filter {
    pub address: String,
    pub on_failure: &'static str,
    pub place: Option<Place>,
}

/// A command.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Stage {
    pub command: String,
    pub rules: Vec<Rule>,
    pub not_reached: Vec<Rule>,
    pub reply: String,
}

/// A rule, and what it came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Rule {
    pub rule: String,
    /// `default`, `always`, `table` (an entry named it), or the file.
    pub origin: &'static str,
    pub place: Option<Place>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Exchange>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
}

/// What is wrong or missing, from wherever it is noticed.
type Warnings = Arc<Mutex<Vec<String>>>;

fn warn(warnings: &Warnings, text: String) {
    let mut warnings = warnings.lock().unwrap_or_else(PoisonError::into_inner);
    if !warnings.contains(&text) {
        warnings.push(text);
    }
}

/// The whole session.
pub(super) async fn decide(setup: Setup, client: &Client, problems: Vec<String>) -> Decision {
    let warnings = Arc::new(Mutex::new(problems));
    let setup = Arc::new(setup);
    let memory = remembered(&setup, &warnings);
    let limits = Arc::clone(&memory.limits);
    let address = client.address.to_canonical();
    let client = &Client {
        pin: pinned(&setup, client, &warnings),
        ..client.clone()
    };
    let name = client.pin.as_deref().or(client.login.as_deref());
    let peer = Peer {
        address,
        name: name.map(Into::into),
        unnamed: false,
    };
    let own = peer.name.is_some() || setup.policy.may_relay(address);
    let counted = {
        let limits = limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.of(&peer, clock::now())
    };
    let (probes, asked) = Dispatch::probes();
    let answering = prober(&setup, client.probe, asked, &warnings);
    let mut answering_too = JoinSet::new();
    answering_too.spawn(answering);
    let offer = Offer {
        tls: if client.encrypted {
            ListenTls::Wrapped
        } else {
            ListenTls::StartTls
        },
        submission: true,
    };
    let helo = client.helo.clone().unwrap_or_else(|| literal(address));
    let settings = smtp::session::Settings {
        // Nobody would talk before the greeting.
        greet_wait: Duration::ZERO,
        ..settings(&setup, offer, own)
    };
    let mut session = Rehearsal {
        machine: Session::new(settings, Instant::now()),
        world: Arc::new(World::new(&memory, probes)),
        client: client.clone(),
        sender: None,
        size: None,
        stage: Stage::default(),
        heard: Vec::new(),
        refused: false,
        warnings: Arc::clone(&warnings),
        setup: Arc::clone(&setup),
    };
    let sender = client.sender.clone().unwrap_or_default();
    let stages = session.run(&helo, &sender).await;
    let accepted = !session.refused;
    drop(session);
    let reply = stages.last().map(|stage| stage.reply.clone());
    let told = warnings.lock().unwrap_or_else(PoisonError::into_inner);
    Decision {
        client: address.to_string(),
        own,
        helo,
        sender,
        recipient: recipient(&setup, &client.recipient),
        reply: reply.unwrap_or_default(),
        accepted,
        milters: milters(&setup.config),
        stages,
        limits: counted,
        exempt: setup.config.limits.exempt.contains(address),
        warnings: told.clone(),
    }
}

/// As whom a key, or a name of `client_pins`, is known.
fn pinned(setup: &Setup, client: &Client, warnings: &Warnings) -> Option<String> {
    let written = client.pin.as_ref()?;
    let mut pins = setup.config.client_pins.iter();
    let found = pins.find(|(pin, name)| name == written || pin.to_string() == *written);
    if found.is_none() {
        warn(
            warnings,
            format!("{written} does not stand in client_pins: it is nobody's key"),
        );
    }
    found.map(|(_, name)| name.clone())
}

/// What the daemon's database holds, in a memory of our own.
fn remembered(setup: &Setup, warnings: &Warnings) -> Memory {
    let state: &Path = &setup.config.state;
    let restored = Store::peek(state).unwrap_or_else(|error| {
        let text = format!("what was counted and remembered before is not known: {error}");
        warn(warnings, text);
        Restored::default()
    });
    let (memory, unread) = Memory::of(setup.config.limits.clone(), restored, clock::now());
    for text in unread {
        warn(warnings, text);
    }
    memory
}

/// Asks next hops, or says why it does not.
fn prober(
    setup: &Arc<Setup>,
    allowed: bool,
    mut asked: mpsc::Receiver<Probe>,
    warnings: &Warnings,
) -> impl Future<Output = ()> + Send + 'static {
    let (setup, warnings) = (Arc::clone(setup), Arc::clone(warnings));
    async move {
        let current = Current::new(Setup::clone(&setup), None);
        let transports = Transports::new(None, Arc::new(current));
        while let Some(probe) = asked.recv().await {
            let outcome = if allowed {
                delivery::ask(&transports, Arc::clone(&setup), &probe).await
            } else {
                let text = format!(
                    "{} was not asked whether {} exists: decided as if it did; ask with --probe",
                    probe.destination, probe.recipient
                );
                warn(&warnings, text);
                Outcome::Delivered(Delivery {
                    relay: String::new(),
                    reply: String::new(),
                    handover: Handover::Relayed,
                })
            };
            // It may have lost patience.
            let _ = probe.done.send(outcome);
        }
    }
}

fn recipient(setup: &Setup, written: &str) -> Recipient {
    let address = mail::address::Address::parse(written).ok();
    let named = address.and_then(|it| setup.config.domains.nearest(it.domain()));
    Recipient {
        address: written.to_owned(),
        class: named.map(|(class, _)| class.word()),
        place: named.and_then(|(class, index)| {
            let place = setup
                .config
                .place_of(&["domains", class.word()], Some(index));
            place.map(Place::from)
        }),
    }
}

fn milters(config: &Config) -> Vec<Filter> {
    let all = config.milters.iter().enumerate();
    all.map(|(index, milter)| Filter {
        address: milter.endpoint.to_string(),
        on_failure: milter.on_failure.word(),
        place: config.place_of(&["milters"], Some(index)).map(Place::from),
    })
    .collect()
}

/// RFC 5321 §4.1.3.
fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

/// The session.
struct Rehearsal {
    machine: Session,
    setup: Arc<Setup>,
    world: Arc<World>,
    client: Client,
    sender: Option<Sender>,
    size: Option<u64>,
    /// The command that is being answered.
    stage: Stage,
    heard: Vec<u8>,
    refused: bool,
    warnings: Warnings,
}

impl Rehearsal {
    async fn run(&mut self, helo: &str, sender: &str) -> Vec<Stage> {
        self.machine.handle(Event::Connected, Instant::now());
        let mut stages = vec![self.answered("(connection)".to_owned()).await];
        let commands = [
            format!("EHLO {helo}"),
            format!("MAIL FROM:<{sender}>"),
            format!("RCPT TO:<{}>", self.client.recipient),
        ];
        for command in commands {
            if self.refused {
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
        let evaluation = self.setup.policy.evaluate(self.facts(question), question);
        let mut evaluation = evaluation.traced();
        let patience = time::Instant::now() + PATIENCE;
        let ruling = loop {
            match evaluation.step() {
                Step::Done(ruling) => break ruling,
                Step::Ask(queries) => {
                    let Ok(answers) = time::timeout_at(patience, self.ask(queries)).await else {
                        let text =
                            "no answer in two minutes: the client would be told to come again";
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
        asking.join_all().await
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
            asked: told::exchanges(&judged.because),
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

impl Rule {
    /// `FILE:LINE`, or where else it comes from.
    pub fn source(&self) -> String {
        let mut text = String::new();
        match &self.place {
            // Writing to a String cannot fail.
            Some(place) => drop(write!(text, "{}:{}", place.file, place.line)),
            None => text.push_str(self.origin),
        }
        text
    }
}
