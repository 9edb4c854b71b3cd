//! What past deliveries teach the next one: who failed, who had no turn, and who refuses this
//! machine.
//!
//! Contract: bounded; what is forgotten costs patience, never mail. An address of a host that the
//! administrator named, and that failed in whatever way, is tried after all others for pauses that
//! grow (`circuit`). A stranger's address that was silent is for [`SILENCE`]; one that took
//! commands and then did not answer, or went away, for [`UNANSWERED`]; so is any that left a
//! message in doubt.
//! One that went away in the midst of a list of recipients is given shorter ones for a day.
//! Who refuses this machine is in `refusals`.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use mail::outcome::Failure;

use super::{
    circuit::Circuit,
    interface::{Dial, Host, Spot},
    refusals::Refusals,
};

/// How long an address that did not answer is tried last.
pub(super) const SILENCE: Duration = Duration::from_mins(10);
/// The same where a message waits for an answer: longer than its pause to the next attempt, so that
/// this goes elsewhere.
pub(super) const UNANSWERED: Duration = Duration::from_mins(90);
/// How long it is remembered how many recipients a host takes at once: longer than any pause
/// between two attempts.
const SHORT_LISTS: Duration = Duration::from_hours(24);
/// Most that is remembered.
const MOST: usize = 1024;

/// What is known of a host that the administrator named, since the start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Standing {
    /// How long ago a session with it was opened.
    pub(super) opened: Option<Duration>,
    /// It failed since it worked last.
    pub(super) failing: Option<Failing>,
    /// It answers, and takes no mail of this machine.
    pub(super) refuses: bool,
    /// A message waits there for an answer, and others are given to other hosts.
    pub(super) stalls: bool,
    /// Why it is spoken to in clear text, where TLS was wanted.
    pub(super) clear: Option<String>,
}

/// How a host fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failing {
    /// How long ago it began.
    pub(super) since: Duration,
    /// How long ago it was met last.
    pub(super) met: Duration,
    /// In a row.
    pub(super) failures: u32,
    /// It is tried again by itself after so long, as soon as there is mail.
    pub(super) again: Duration,
    pub(super) why: String,
    /// It turned senders away, and may well take mail of others; there is no other host for these.
    pub(super) of_sender: bool,
}

/// What the queue knows of all mail for relayhosts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outlook {
    /// Nothing is tried before so long.
    pub paused: Option<Duration>,
    /// Whoever has mail tries it within so long: an older failure shows nothing of now. `None`: any
    /// does.
    pub retried: Option<Duration>,
}

impl Failing {
    /// It was not met again for so long that it may be over.
    fn is_old(&self, outlook: &Outlook) -> bool {
        outlook.retried.is_some_and(|within| self.met > within)
    }

    /// `others`: another one works.
    fn text(&self, others: bool, outlook: &Outlook) -> String {
        let Self {
            since,
            met,
            failures,
            again,
            why,
            of_sender: _,
        } = self;
        let (since, met) = (since.as_secs(), met.as_secs());
        if self.is_old(outlook) {
            return format!("failed {met} s ago, and was not tried since: {why}");
        }
        // Where no other one works it is not passed over: whatever is due tries it.
        let again = if others {
            *again
        } else {
            outlook.paused.unwrap_or_default()
        };
        let mail = if others {
            "mail goes to another meanwhile"
        } else {
            "mail waits meanwhile"
        };
        match again.as_secs() {
            0 => format!(
                "failed {failures} times, last {met} s ago; {mail}, and the next message tries it again: {why}"
            ),
            again => format!(
                "fails for {since} s, {failures} times; {mail}, and it is tried again in {again} s: {why}"
            ),
        }
    }
}

impl Standing {
    /// As far as is known.
    fn works(&self, outlook: &Outlook) -> bool {
        let failing = self.failing.as_ref();
        failing.is_none_or(|failing| failing.of_sender || failing.is_old(outlook))
    }

    /// For `status`; `others`: another one works.
    fn text(&self, others: bool, outlook: &Outlook) -> String {
        match (&self.failing, &self.opened) {
            (Some(failing), Some(opened)) if failing.of_sender => format!(
                "works, last connected {} s ago; turned a sender away {} s ago, whose mail waits: {}",
                opened.as_secs(),
                failing.met.as_secs(),
                failing.why
            ),
            (Some(failing), _) => failing.text(others, outlook),
            (None, Some(opened)) => {
                let clear = self.clear.as_ref();
                let clear = clear.map(|why| format!(", in clear text: {why}"));
                let stalls = if self.stalls {
                    ", and has not answered a message since"
                } else {
                    ""
                };
                format!(
                    "works, last connected {} s ago{}{stalls}",
                    opened.as_secs(),
                    clear.unwrap_or_default()
                )
            }
            (None, None) => "not used since the start".to_owned(),
        }
    }
}

fn age(at: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(at)
}

/// Shared by all deliveries of a program.
#[derive(Debug, Default)]
pub struct Memory {
    /// Addresses that are tried last, and for how long.
    failing: HashMap<Spot, Circuit>,
    /// When a session with a host that the administrator named was opened last, and why in clear
    /// text, where TLS was wanted.
    opened: HashMap<(String, u16), (Instant, Option<String>)>,
    /// The hosts behind the relayhosts, as they were found last.
    relayhosts: Vec<Host>,
    pub(super) refusals: Refusals,
    /// How many recipients at once a host takes that went away in the midst of more, and until when
    /// this is believed.
    takes: HashMap<String, (usize, Instant)>,
    /// The first host of many, and the one that a delivery did not get to any more.
    untried: HashMap<String, Host>,
}

impl Memory {
    /// Whether others are tried before it.
    pub(super) fn passes_over(&self, spot: &Spot, now: Instant) -> bool {
        let circuit = self.failing.get(spot);
        circuit.is_some_and(|circuit| circuit.is_open(now))
    }

    /// Whether a kept connection is given up, because what would come before it is to be tried
    /// again.
    pub(super) fn gives_way(&self, dial: &Dial, now: Instant) -> bool {
        let mut before = dial.instead_of.iter();
        before.any(|spot| !self.passes_over(spot, now))
    }

    /// It is tried: all others leave that to this delivery, if it had failed.
    pub(super) fn tries(&mut self, spot: &Spot, now: Instant) {
        if let Some(circuit) = self.failing.get_mut(spot) {
            circuit.tried(now);
        }
    }

    /// It failed, which took so long, and is passed over for a pause that grows.
    pub(super) fn fails(
        &mut self,
        (spot, host): (Spot, &Host),
        took: Duration,
        why: &str,
        now: Instant,
    ) {
        if let Some(circuit) = self.circuit(spot, host, now) {
            circuit.fails(took, why, now);
        }
    }

    /// What it failed with last may be about who sends alone.
    pub(super) fn turns_away(&mut self, spot: &Spot) {
        if let Some(circuit) = self.failing.get_mut(spot) {
            circuit.of_sender = true;
        }
    }

    /// It failed, and is passed over for so long.
    pub(super) fn silent(
        &mut self,
        (spot, host): (Spot, &Host),
        pause: Duration,
        why: &str,
        now: Instant,
    ) {
        if let Some(circuit) = self.circuit(spot, host, now) {
            circuit.fails_for(pause, why, now);
        }
    }

    /// A message waits for an answer there; others go elsewhere, if they can.
    pub(crate) fn stalls(&mut self, dial: &Dial, now: Instant) {
        if let Some(circuit) = self.circuit(Spot::of(dial), &dial.host, now) {
            circuit.waits(UNANSWERED, now);
        }
    }

    /// It answered as it should.
    pub(super) fn answered(&mut self, spot: &Spot, now: Instant) {
        if let Some(circuit) = self.failing.get_mut(spot) {
            circuit.works(now);
        }
    }

    /// A session with it was opened, in clear text if none is wanted, or for this reason.
    pub(super) fn opened(&mut self, host: &Host, clear: Option<&str>, now: Instant) {
        let key = host.key();
        if host.named && (self.opened.len() < MOST || self.opened.contains_key(&key)) {
            self.opened.insert(key, (now, clear.map(str::to_owned)));
        }
    }

    /// The hosts behind the relayhosts are these, in this order.
    pub fn found(&mut self, relayhosts: &[Host]) {
        if self.relayhosts != relayhosts {
            self.relayhosts = relayhosts.to_vec();
        }
    }

    /// How each relayhost does, also one alone: `host:port`, whether it works, and that in words;
    /// nothing before the first delivery.
    pub fn relayhosts(&self, outlook: &Outlook, now: Instant) -> Vec<(String, bool, String)> {
        let all = self.relayhosts.iter();
        let all = all.map(|host| (host, self.standing(host, now)));
        let all: Vec<_> = all.collect();
        let takes = |it: &Standing| it.works(outlook) && !it.stalls && !it.refuses;
        let others = outlook.paused.is_none() && all.iter().any(|(_, it)| takes(it));
        let told = all.iter().map(|(host, standing)| {
            let name = format!("{}:{}", host.name, host.port);
            (
                name,
                standing.works(outlook),
                standing.text(others, outlook),
            )
        });
        told.collect()
    }

    /// What is known of a host that the administrator named.
    pub(super) fn standing(&self, host: &Host, now: Instant) -> Standing {
        let key = host.key();
        let failing = self.failing.values();
        let mut broken = failing.filter(|it| it.host == key && it.is_broken());
        let opened = self.opened.get(&key);
        let mut all = self.failing.values();
        let its = self.failing.values();
        let mut its = its.filter(|it| it.host == key && it.is_broken());
        let alone = opened.is_some() && self.relayhosts.len() <= 1;
        let of_sender = alone && its.all(|it| it.of_sender);
        Standing {
            refuses: self.relayhosts.len() > 1 && self.refusals.fails(host),
            stalls: all.any(|it| it.host == key && !it.is_broken() && it.is_open(now)),
            opened: opened.map(|(at, _)| age(*at, now)),
            clear: opened.and_then(|(_, clear)| clear.clone()),
            failing: broken.next().map(|first| {
                let worst = broken.fold(
                    first,
                    |one, other| {
                        if other.until > one.until { other } else { one }
                    },
                );
                Failing {
                    since: age(worst.since, now),
                    met: age(worst.last, now),
                    failures: worst.failures,
                    again: worst.until.saturating_duration_since(now),
                    why: worst.why.clone(),
                    of_sender,
                }
            }),
        }
    }

    fn circuit(&mut self, spot: Spot, host: &Host, now: Instant) -> Option<&mut Circuit> {
        if self.failing.len() >= MOST {
            self.failing.retain(|_, it| !it.is_forgotten(now));
            if self.failing.len() >= MOST {
                self.failing.retain(|_, it| it.is_open(now));
            }
        }
        if self.failing.len() >= MOST && !self.failing.contains_key(&spot) {
            return None;
        }
        let new = || Circuit::new(host.key(), now);
        Some(self.failing.entry(spot).or_insert_with(new))
    }

    /// A host went away in the midst of a list, behind so many recipients.
    pub(super) fn takes(&mut self, host: &str, most: usize, now: Instant) {
        if self.takes.len() >= MOST {
            self.takes.retain(|_, (_, until)| *until > now);
        }
        let most = most.min(self.most(host, now));
        if self.takes.len() < MOST || self.takes.contains_key(host) {
            let until = now + SHORT_LISTS;
            self.takes.insert(host.to_owned(), (most, until));
        }
    }

    /// How many recipients a host takes at once, as far as is known.
    pub(super) fn most(&self, host: &str, now: Instant) -> usize {
        let known = self.takes.get(host).filter(|(_, until)| *until > now);
        known.map_or(usize::MAX, |(most, _)| *most)
    }

    /// A delivery to these hosts, of which this one is the first, had enough before this one's turn
    /// came.
    pub(super) fn left_off(&mut self, first: &Host, next: &Host) {
        if self.untried.len() < MOST || self.untried.contains_key(&first.name) {
            self.untried.insert(first.name.clone(), next.clone());
        }
    }

    /// With which of its hosts the next delivery begins.
    pub(super) fn begin_with(&mut self, first: &Host, hosts: &[Host]) -> usize {
        let next = self.untried.remove(&first.name);
        let found = next.and_then(|next| hosts.iter().position(|host| *host == next));
        found.unwrap_or_default()
    }

    /// One of several relayhosts refuses this machine, or a sender, for longer: news, once.
    pub(super) fn refuses(&mut self, host: &Host, failure: &Failure) {
        if self.relayhosts.len() > 1 {
            self.refusals.tell(host, failure);
        }
    }

    /// Refusals of this machine by one of several relayhosts of which nobody was told yet: the mail
    /// goes to another one, and says nothing of it.
    pub fn take_untold(&mut self) -> Vec<Failure> {
        self.refusals.take_untold()
    }

    /// Relayhosts of which that was told, and that take mail again: `host[address]:port`.
    pub fn take_mended(&mut self) -> Vec<String> {
        self.refusals.take_mended()
    }

    pub(super) fn accepted(&mut self, host: &Host) {
        self.refusals.accepted(host);
    }
}
