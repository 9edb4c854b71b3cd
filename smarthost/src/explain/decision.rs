//! What would be decided about a client that does not exist.

use std::{
    borrow::Cow,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use mail::{
    clock,
    outcome::{Delivery, Handover, Outcome},
};
use relay::trust::Pin;
use smtp::{sasl::prepared, session::Session};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    answer::{Client, Decision, Filter, Known, Recipient, Warnings, warn},
    rehearsal::Rehearsal,
    told::Place,
};
use crate::{
    budget::{self, Budget, Everywhere, Id},
    config::{Config, ListenTls, Offer},
    delivery,
    dispatch::{Dispatch, Probe},
    enrolling::Found,
    limits::{ClientId, Peer, Report},
    server::{World, settings},
    setup::{Current, Setup},
    state::{Memory, Restored, Store},
    transport::Transports,
};

/// The whole session.
pub(super) async fn decide(
    setup: Setup,
    client: &Client,
    known: Known,
    problems: Vec<String>,
) -> Decision {
    let warnings = Arc::new(Mutex::new(problems));
    let Known {
        failed,
        everywhere,
        budget,
        memory,
        emptied,
        off,
    } = known;
    let closed = failed.is_some_and(|it| it.refused_until.is_some());
    if let Some(failed) = failed {
        warn(
            &warnings,
            format!("{} of {}", failed.words(), client.address),
        );
    }
    let setup = Arc::new(setup);
    let memory = memory.unwrap_or_else(|| remembered(&setup, &warnings));
    let address = client.address.to_canonical();
    let client = &Client {
        pin: pinned(&setup, client, &warnings),
        login: login(&setup, client, &warnings),
        ..client.clone()
    };
    let peer = peer(client);
    let own = peer.name.is_some() || setup.policy.may_relay(address);
    let counted = counted(&memory, &peer, &everywhere, budget.as_deref());
    let (probes, asked) = Dispatch::probes();
    let answering = prober(&setup, client.probe, asked, &warnings);
    let mut answering_too = JoinSet::new();
    answering_too.spawn(answering);
    let helo = client.helo.clone().unwrap_or_else(|| literal(address));
    let budget = Arc::new(Budget::seen(&memory, everywhere, budget));
    let mut session = Rehearsal::new(
        Session::new(spoken(&setup, client, own), Instant::now()),
        World::new(&memory, budget, probes),
        client,
        (&setup, &warnings),
    );
    session.closed = closed;
    session.emptied = emptied;
    session.off = off;
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

/// As whom it is counted.
fn peer(client: &Client) -> Peer {
    let name = client.pin.as_deref().or(client.login.as_deref());
    Peer {
        address: client.address.to_canonical(),
        name: name.map(Into::into),
        unnamed: false,
    }
}

/// How much of its limits the client has used, here and elsewhere.
fn counted(
    memory: &Memory,
    peer: &Peer,
    everywhere: &Everywhere,
    daemon: Option<&Budget>,
) -> Vec<Report> {
    let (limits, now) = (memory.limits.lock(), clock::now());
    let limits = limits.unwrap_or_else(PoisonError::into_inner);
    let mut counted = limits.of(peer, now);
    for report in &mut counted {
        if let Ok(client) = ClientId::parse(&report.client) {
            report.everywhere = budget::sums(&limits, &client, everywhere, now);
            let shared = limits.limits_of(&client, now).into_iter();
            let alone = shared.filter_map(|(counted, limit)| {
                daemon?.alone(&Id::new(counted, &limit), limit.window.limit)
            });
            report.alone = alone.collect();
        }
    }
    counted
}

/// How a session with the client goes.
fn spoken(setup: &Setup, client: &Client, own: bool) -> smtp::session::Settings {
    let offer = Offer {
        tls: if client.encrypted {
            ListenTls::Wrapped
        } else {
            ListenTls::StartTls
        },
        submission: true,
    };
    smtp::session::Settings {
        // Nobody would talk before the greeting.
        greet_wait: Duration::ZERO,
        ..settings(setup, offer, own)
    }
}

/// A client without an address is one that is known by its key, or nobody.
pub(super) fn examine(setup: &Setup, client: &Client) -> anyhow::Result<()> {
    match &client.pin {
        Some(name) if client.address.is_unspecified() && known(setup, name).is_none() => {
            anyhow::bail!(
                "no machine is known here as {name}: see smarthost enroll list and client_pins, or name the client's address"
            )
        }
        _ => Ok(()),
    }
}

fn pinned(setup: &Setup, client: &Client, warnings: &Warnings) -> Option<String> {
    let written = client.pin.as_ref()?;
    let found = known(setup, written);
    if found.is_none() {
        warn(
            warnings,
            format!("{written} is neither enrolled nor in client_pins: no client has this key"),
        );
    }
    found
}

/// As whom a key, or a name of `client_pins` or of a machine that is enrolled, is known.
fn known(setup: &Setup, written: &str) -> Option<String> {
    let mut pins = setup.config.client_pins.iter();
    let found = pins.find(|(pin, name)| name == written || pin.to_string() == written);
    found.map(|(_, name)| name.clone()).or_else(|| {
        let is_enrolled = |name: &String| !setup.enrolled.keys_of(name).is_empty();
        match Pin::parse(written) {
            Ok(pin) => match setup.enrolled.look_up(&pin) {
                Found::Known(name) => Some(name),
                _ => None,
            },
            Err(_) => Some(written.to_ascii_lowercase()).filter(is_enrolled),
        }
    })
}

/// As whom it is counted that logs in so.
fn login(setup: &Setup, client: &Client, warnings: &Warnings) -> Option<String> {
    let written = client.login.as_ref()?;
    let name = prepared(written).map_or_else(|| written.clone(), Cow::into_owned);
    if !setup.logins.as_ref().is_some_and(|all| all.knows(&name)) {
        warn(
            warnings,
            format!("{written} has no login here: nobody can log in under that name"),
        );
    }
    Some(name)
}

/// What the daemon's database holds, in a memory of our own.
fn remembered(setup: &Setup, warnings: &Warnings) -> Memory {
    let state: &Path = &setup.config.state;
    let restored = Store::peek(state).unwrap_or_else(|error| {
        let text = format!("what was counted and remembered before is not known: {error}");
        warn(warnings, text);
        Restored::default()
    });
    let (limits, tokens) = (setup.config.limits.clone(), Arc::clone(&setup.tokens));
    let (memory, unread) = Memory::of(limits, restored, tokens, clock::now());
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
        let transports = Transports::new(None, Arc::new(current), Arc::default());
        while let Some(probe) = asked.recv().await {
            let outcome = if allowed {
                delivery::probe::ask_beside(&transports, Arc::clone(&setup), &probe).await
            } else {
                let text = format!(
                    "{} was not asked whether {} exists: decided as if it did; ask with --probe",
                    probe.destination, probe.recipient
                );
                warn(&warnings, text);
                Some(Outcome::Delivered(Delivery {
                    relay: String::new(),
                    reply: String::new(),
                    handover: Handover::Relayed,
                }))
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
