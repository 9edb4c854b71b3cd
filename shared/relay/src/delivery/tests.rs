//! Deliveries without a network: a world of hosts, each with a script.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use mail::{
    limits,
    outcome::{self, Blame, Failure, Handover, Outcome, Stage},
    status::{EnhancedStatus, ReplyCode},
};
use smtp::client::Security;

use super::{memory::Standing, *};

mod collision;
mod failover;
mod kept;
mod silence;
mod turns;

/// What one address does: `Err`: no session; else the reply to each transaction in turn, the last
/// one again and again.
struct Peer {
    host: &'static str,
    address: &'static str,
    locality: Locality,
    opening: Result<(), Failure>,
    /// How long the opening takes.
    slow: Duration,
    says: Vec<(Stage, &'static str)>,
    /// It goes away with the first recipient above this number, of one transaction.
    takes: Option<usize>,
}

fn peer(host: &'static str, address: &'static str, says: &[(Stage, &'static str)]) -> Peer {
    Peer {
        host,
        address,
        locality: Locality::Elsewhere,
        opening: Ok(()),
        slow: Duration::ZERO,
        says: says.to_vec(),
        takes: None,
    }
}

fn dead(host: &'static str, address: &'static str) -> Peer {
    let status = EnhancedStatus::new(4, 4, 1);
    let failure = Failure::new(
        Blame::Network,
        Stage::Connect,
        status,
        "Connection timed out",
    );
    Peer {
        opening: Err(failure),
        slow: Duration::from_secs(10),
        ..peer(host, address, &[])
    }
}

const SILENT: &str = "conversation timed out";
const GARBAGE: &str = "the peer sent something that is not an SMTP reply";
const REFUSES_PARAMETER: &str = "501 5.5.4 no such option";
const OK: &[(Stage, &str)] = &[(Stage::Message, "250 2.0.0 Ok")];

struct World {
    peers: Vec<Peer>,
    named: bool,
    /// The hosts say that they have TLS.
    encrypted: bool,
    kept: Vec<(Stage, &'static str)>,
    /// What the kept connection was opened instead of.
    instead_of: Vec<Spot>,
    memory: Memory,
    now: Instant,
    /// What was done, in words.
    story: Vec<String>,
}

fn world(named: bool, peers: Vec<Peer>) -> World {
    World {
        peers,
        named,
        encrypted: false,
        kept: Vec::new(),
        instead_of: Vec::new(),
        memory: Memory::default(),
        now: Instant::now(),
        story: Vec::new(),
    }
}

fn outcome(stage: Stage, text: &str) -> Outcome {
    if text.starts_with("250") {
        return Outcome::Delivered(outcome::Delivery {
            relay: "r".into(),
            reply: text.into(),
            handover: Handover::default(),
        });
    }
    if text == REFUSES_PARAMETER {
        let failure = Failure::replied(stage, ReplyCode::new(501).unwrap(), None, text);
        let status = EnhancedStatus::new(4, 5, 4);
        return Outcome::Deferred(Failure { status, ..failure });
    }
    let Some(code) = text.get(..3).and_then(|code| code.parse().ok()) else {
        let (blame, status) = match text {
            GARBAGE => (Blame::Peer, EnhancedStatus::new(4, 5, 0)),
            _ => (Blame::Network, EnhancedStatus::new(4, 4, 2)),
        };
        return Failure::new(blame, stage, status, text).outcome();
    };
    let status = text.split(' ').nth(1).and_then(EnhancedStatus::parse);
    Failure::replied(stage, ReplyCode::new(code).unwrap(), status, text).outcome()
}

impl World {
    /// `host address` of each opening and sending; outcomes of the recipients.
    fn deliver(&mut self, sender: &str, recipients: usize) -> (Vec<Outcome>, Option<Failure>) {
        let patience = if self.named {
            Patience::AMONG_RELAYHOSTS
        } else {
            Patience::default()
        };
        let mut delivery = Delivery::new(recipients, sender.to_owned(), patience);
        self.story.clear();
        let mut at: Option<usize> = None;
        let mut over_kept = false;
        while let Some(action) = delivery.next_action() {
            let event = match action {
                Action::Reuse => {
                    over_kept = !self.kept.is_empty();
                    Event::Kept(over_kept.then(|| self.first().into()))
                }
                Action::Find => Event::Way(Ok(self.way())),
                Action::Lookup(host) => Event::Found(self.lookup(&host)),
                Action::Open(dial) => {
                    let Place::Tcp(address) = dial.place else {
                        panic!("{dial:?}")
                    };
                    self.story.push(format!("open {}", address.ip()));
                    at = Some(self.index(address));
                    let known = &self.peers[self.index(address)];
                    self.now += known.slow;
                    Event::Opened(known.opening.clone())
                }
                Action::Send(batch) => {
                    assert_eq!(batch.kept, over_kept, "what has to be proved");
                    let at = at.filter(|_| !over_kept);
                    Event::Sent(self.send(at, &batch.recipients, batch.patience))
                }
                Action::Leave => {
                    over_kept = false;
                    continue;
                }
            };
            delivery.handle(event, &mut self.memory, self.now);
        }
        delivery.finish()
    }

    /// How the kept connection was opened.
    fn first(&self) -> Dial {
        let first = self.peers[0].address.parse().unwrap();
        Dial {
            host: self.way().hosts[0].clone(),
            place: Place::Tcp(SocketAddr::new(first, 25)),
            security: Security::Opportunistic,
            connect: Duration::ZERO,
            opening: None,
            instead_of: self.instead_of.clone(),
        }
    }

    fn way(&self) -> Way {
        let mut names: Vec<&str> = self.peers.iter().map(|peer| peer.host).collect();
        names.dedup();
        let host = |name: &str| Host {
            name: name.to_owned(),
            port: 25,
            named: self.named,
            certified: None,
        };
        Way {
            hosts: names.into_iter().map(host).collect(),
            security: Security::Opportunistic,
            clear_text_is_as_good: true,
        }
    }

    fn lookup(&self, host: &Host) -> Result<Found, Failure> {
        let peers = self.peers.iter().filter(|peer| peer.host == host.name);
        let found: Vec<_> = peers
            .filter(|peer| !peer.address.is_empty())
            .map(|peer| {
                let ip = peer.address.parse().unwrap();
                (Place::Tcp(SocketAddr::new(ip, 25)), peer.locality)
            })
            .collect();
        if found.is_empty() {
            let status = EnhancedStatus::new(5, 4, 4);
            let (blame, stage) = (Blame::Network, Stage::Lookup);
            Err(Failure::new(blame, stage, status, "not found"))
        } else {
            Ok(Found {
                places: found,
                encrypted: self.encrypted,
            })
        }
    }

    fn index(&self, address: SocketAddr) -> usize {
        let is = |peer: &Peer| peer.address.parse() == Ok(address.ip());
        self.peers.iter().position(is).unwrap()
    }

    fn send(
        &mut self,
        at: Option<usize>,
        recipients: &[usize],
        patience: Option<Duration>,
    ) -> Sent {
        if let Some(most) = at.and_then(|at| self.peers[at].takes)
            && recipients.len() > most
        {
            self.story.push(format!("cut {}", recipients.len()));
            let cut = outcome(Stage::Recipient, "421 4.3.2 no more");
            return Sent {
                outcomes: vec![cut; recipients.len()],
                open: false,
                accepted: most,
            };
        }
        let says = match at {
            Some(at) => &mut self.peers[at].says,
            None => &mut self.kept,
        };
        let (stage, text) = says[0];
        if says.len() > 1 {
            says.remove(0);
        }
        self.story.push(format!("send {}", recipients.len()));
        if text == SILENT {
            // Of the end of the message the peer may have made something: it has its full time.
            let before = patience.filter(|_| stage != Stage::Message);
            self.now += before.unwrap_or(limits::REPLY_TIMEOUT);
        }
        let ends = ["421", "lost", "out of step", SILENT];
        Sent {
            outcomes: vec![outcome(stage, text); recipients.len()],
            open: !ends.iter().any(|end| text.starts_with(end)),
            accepted: 0,
        }
    }
}

fn words(outcomes: &[Outcome]) -> Vec<String> {
    let words = |outcome: &Outcome| match outcome {
        Outcome::Delivered(_) => "delivered".to_owned(),
        Outcome::Deferred(failure) => format!("deferred: {}", failure.log_text()),
        Outcome::Failed(failure) => format!("failed {}: {}", failure.status, failure.log_text()),
    };
    outcomes.iter().map(words).collect()
}

#[test]
fn every_address_of_a_host_is_tried_then_the_next_host() {
    use Stage::{Body, Data, Mail, Message, Recipient};
    for answer in [
        (Mail, "421 4.7.0 too many connections"),
        (Recipient, "421 4.3.2 going down"),
        (Message, "421 4.3.0 disk"),
        (Mail, "lost connection"),
        (Data, "lost connection"),
        (Body, "lost connection"),
    ] {
        let peers = vec![
            dead("one", "192.0.2.1"),
            peer("one", "192.0.2.2", &[answer]),
            peer("two", "192.0.2.3", &[answer]),
            peer("two", "2001:db8::4", OK),
        ];
        let mut world = world(true, peers);
        let (outcomes, unusable) = world.deliver("a@b", 1);
        assert_eq!(words(&outcomes), ["delivered"], "{answer:?}");
        assert_eq!(unusable, None);
        assert_eq!(
            world.story,
            [
                "open 192.0.2.1",
                "open 192.0.2.2",
                "send 1",
                "open 192.0.2.3",
                "send 1",
                "open 2001:db8::4",
                "send 1"
            ]
        );
    }
}

#[test]
fn what_one_host_takes_not_now_another_may_take() {
    use Stage::{Data, Mail, Message, Recipient};
    for answer in [
        (Mail, "451 4.3.0 later"),
        (Recipient, "450 4.2.0 greylisted"),
        (Recipient, "452 4.2.2 full"),
        (Data, "451 4.3.5 busy"),
        (Message, "451 4.3.0 queue write error"),
    ] {
        let peers = vec![
            peer("one", "192.0.2.1", &[answer]),
            peer("one", "192.0.2.2", OK),
            peer("two", "192.0.2.3", OK),
        ];
        let mut world = world(true, peers);
        assert_eq!(words(&world.deliver("a@b", 2).0), ["delivered"; 2]);
        let story = ["open 192.0.2.1", "send 2", "open 192.0.2.3", "send 2"];
        assert_eq!(
            world.story, story,
            "another host, not the same one: {answer:?}"
        );
    }
    let peers = vec![
        peer("one", "192.0.2.1", &[(Recipient, "450 4.2.0 greylisted")]),
        dead("two", "192.0.2.3"),
    ];
    let (outcomes, unusable) = world(true, peers).deliver("a@b", 1);
    let text = "deferred: 450 4.2.0 greylisted (in reply to RCPT TO command)";
    assert_eq!((words(&outcomes), unusable), (vec![text.to_owned()], None));
}

#[test]
fn after_the_end_of_a_message_without_an_answer_nothing_is_tried_elsewhere() {
    let peers = vec![
        peer(
            "one",
            "192.0.2.1",
            &[(Stage::Message, "lost connection: perhaps taken")],
        ),
        peer("two", "192.0.2.2", OK),
    ];
    let mut world = world(true, peers);
    let (outcomes, _) = world.deliver("a@b", 1);
    assert!(matches!(outcomes[0], Outcome::Deferred(_)));
    assert_eq!(world.story, ["open 192.0.2.1", "send 1"]);
}

#[test]
fn a_refusal_over_ipv6_is_not_final_where_ipv4_is_left() {
    use Stage::{Mail, Message, Recipient};
    for answer in [
        (Recipient, "554 5.7.1 Relay access denied"),
        (Recipient, "550 5.7.25 no PTR record"),
        (Mail, "550 your address is not welcome"),
        (Message, "550 5.7.1 does not meet IPv6 sending guidelines"),
    ] {
        for named in [true, false] {
            let peers = vec![
                peer("one", "2001:db8::1", &[answer]),
                peer("one", "2001:db8::2", &[answer]),
                peer("one", "192.0.2.1", OK),
            ];
            let mut world = world(named, peers);
            assert_eq!(
                words(&world.deliver("a@b", 1).0),
                ["delivered"],
                "{answer:?}"
            );
        }
    }
    let unknown = [(Recipient, "550 5.1.1 no such user")];
    let peers = vec![
        peer("one", "2001:db8::1", &unknown),
        peer("one", "192.0.2.1", OK),
    ];
    let (outcomes, _) = world(false, peers).deliver("a@b", 1);
    assert!(matches!(outcomes[0], Outcome::Failed(_)), "{outcomes:?}");
}

#[test]
fn mail_to_ourselves_is_never_dialled_unless_the_administrator_named_the_host() {
    let back = |locality| Peer {
        locality,
        ..peer("mx.one", "192.0.2.9", OK)
    };
    for locality in [Locality::Own, Locality::Nowhere] {
        let mut stranger = world(false, vec![back(locality)]);
        let (outcomes, _) = stranger.deliver("a@b", 1);
        assert_eq!(
            words(&outcomes),
            ["failed 5.4.6: mail for mx.one[192.0.2.9] loops back to myself"]
        );
        assert!(stranger.story.is_empty());
        let mut named = world(true, vec![back(locality)]);
        assert_eq!(words(&named.deliver("a@b", 1).0), ["delivered"]);
    }
    // Nobody means the very program that sends.
    let words_of = |named| {
        let mut world = world(named, vec![back(Locality::Itself)]);
        let told = words(&world.deliver("a@b", 1).0);
        assert!(world.story.is_empty());
        told.concat()
    };
    assert!(words_of(false).starts_with("failed 5.4.6: mail for mx.one"));
    assert!(words_of(true).starts_with("deferred: mail for mx.one"));
    // Whoever is worse than this host is not tried; a wrong address in between is merely left out.
    let peers = vec![back(Locality::Own), peer("mx.two", "192.0.2.2", OK)];
    assert!(world(false, peers).deliver("a@b", 1).0[0] != outcome(Stage::Message, "250 2.0.0 Ok"));
    let peers = vec![back(Locality::Nowhere), peer("mx.two", "192.0.2.2", OK)];
    assert_eq!(
        words(&world(false, peers).deliver("a@b", 1).0),
        ["delivered"]
    );
    let peers = vec![dead("mx.two", "192.0.2.2"), back(Locality::Own)];
    assert!(words(&world(false, peers).deliver("a@b", 1).0)[0].starts_with("deferred"));
}

#[test]
fn hosts_that_do_not_exist_are_final_only_when_none_is_left_and_nobody_of_ours_named_them() {
    let nobody = |host| peer(host, "", &[]);
    let lost = || vec![nobody("mx.one"), nobody("mx.two")];
    let (outcomes, _) = world(false, lost()).deliver("a@b", 1);
    assert_eq!(words(&outcomes), ["failed 5.4.4: not found"]);
    let (outcomes, unusable) = world(true, lost()).deliver("a@b", 1);
    assert_eq!(words(&outcomes), ["deferred: not found"]);
    assert!(unusable.is_some());
    for peers in [
        vec![nobody("mx.one"), dead("mx.two", "192.0.2.2")],
        vec![dead("mx.two", "192.0.2.2"), nobody("mx.one")],
    ] {
        assert!(words(&world(false, peers).deliver("a@b", 1).0)[0].starts_with("deferred: "));
    }
}

#[test]
fn a_refusal_of_this_machine_waits_and_counts_against_the_relayhost_when_senders_differ() {
    let refusing = [(Stage::Mail, "530 5.7.0 Authentication Required")];
    let mut world = world(true, vec![peer("one", "192.0.2.1", &refusing)]);
    for (sender, counts) in [("a@b", false), ("a@b", false), ("c@d", true), ("a@b", true)] {
        let (outcomes, unusable) = world.deliver(sender, 1);
        let text = &words(&outcomes)[0];
        assert!(
            text.starts_with("deferred: 530 5.7.0") && text.contains("it wants a login"),
            "{text}"
        );
        assert_eq!(unusable.is_some(), counts, "{sender}");
    }
    world.peers[0].says = OK.to_vec();
    assert_eq!(words(&world.deliver("a@b", 1).0), ["delivered"]);
    world.peers[0].says = refusing.to_vec();
    assert_eq!(world.deliver("a@b", 1).1, None, "forgotten");
}

#[test]
fn more_recipients_than_a_server_takes_at_once_go_in_as_many_transactions() {
    let mut one = world(true, vec![peer("one", "192.0.2.1", OK)]);
    assert_eq!(words(&one.deliver("a@b", 250).0), vec!["delivered"; 250]);
    assert_eq!(
        one.story,
        ["open 192.0.2.1", "send 100", "send 100", "send 50"]
    );
}

#[test]
fn a_delivery_ends_however_many_hosts_do_not_answer() {
    let addresses: Vec<&'static str> = (1..200)
        .map(|n| &*Box::leak(format!("192.0.2.{n}").into_boxed_str()))
        .collect();
    let peers = addresses
        .iter()
        .map(|address| dead("one", address))
        .collect();
    let mut many = world(false, peers);
    assert!(words(&many.deliver("a@b", 1).0)[0].starts_with("deferred"));
    assert!(many.story.len() <= 16, "{:?}", many.story.len());
}

/// A man in the middle who breaks the handshake must not get the mail in clear text.
#[test]
fn a_host_that_says_that_it_has_tls_is_never_tried_in_clear_text() {
    for encrypted in [false, true] {
        let mut peers = vec![peer("a.example", "192.0.2.1", OK)];
        let status = EnhancedStatus::new(4, 7, 5);
        peers[0].opening = Err(Failure::new(Blame::Policy, Stage::Tls, status, "broken"));
        let mut world = World {
            encrypted,
            ..world(false, peers)
        };
        world.deliver("a@example.org", 1);
        let tries = if encrypted { 1 } else { 2 };
        assert_eq!(world.story.len(), tries, "{:?}", world.story);
    }
}
