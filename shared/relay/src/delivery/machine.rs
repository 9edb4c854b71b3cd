//! Which address is tried next; what each answer means (`machine/judge`), also for later
//! deliveries (`machine/learn`).

pub(super) mod end;
pub(super) mod judge;
mod learn;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use mail::{
    limits,
    outcome::{Failure, Outcome, Stage},
};
use smtp::client::Security;

use super::{
    crowd::Crowd,
    fault::{broken_off_at, clear_text_goes_on, is_delivered, is_full, leads_back, with_remedy},
    interface::{
        Action, Batch, Candidate, Dial, Event, Found, Host, Patience, Place, Sent, Spot, Way,
    },
    memory::Memory,
    reuse,
};

/// Addresses of one host that are tried in one delivery; silent ones make room for others.
const ADDRESSES: usize = 16;
/// Addresses of one host that are looked at; more are a mistake or an attack.
pub const MOST_ADDRESSES: usize = 64;
/// Sessions of one delivery that may end with "not now" to the mail itself, before it waits; the
/// next one begins with the host that would have been next.
const SESSIONS: usize = 5;
/// No new connection is begun when so much time has gone into them.
const BUDGET: Duration = Duration::from_mins(5);

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    Beginning,
    Finding,
    Looking(Host),
    Opening(Dial),
    Sending(Over, Vec<usize>),
    Done,
}

/// What a transaction is made over.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Over {
    dial: Dial,
    /// Another delivery opened it.
    kept: bool,
}

/// What an outcome means for its recipient.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Verdict {
    /// It stands.
    Stands,
    /// The rest of a crowd, or without a parameter: once more in the same session.
    Again,
    /// Not now, or not here: another host may take it.
    NextHost,
    /// Refused for our address in IPv6: the same host may take it over IPv4.
    OverIpv4,
    /// The session is of no use: the next address may be.
    NextAddress,
}

/// One delivery: some recipients of one message to one next hop.
#[derive(Debug)]
pub struct Delivery {
    sender: String,
    patience: Patience,
    /// What is known of each recipient.
    outcomes: Vec<Option<Outcome>>,
    /// To be tried over the open connection.
    here: Vec<usize>,
    /// To be tried over the next one.
    elsewhere: Vec<usize>,
    way: Option<Way>,
    /// Where a kept connection led, whose answers want another place.
    avoid: Option<(Dial, Verdict)>,
    /// What answers over the kept connection wanted so far.
    passed: Verdict,
    hosts: VecDeque<Host>,
    /// Of the host that is being tried.
    addresses: VecDeque<Candidate>,
    /// Those that failed not long ago.
    postponed: VecDeque<Candidate>,
    /// What failed, of those that would have been tried before the next one.
    failed: Vec<Spot>,
    state: State,
    actions: VecDeque<Action>,
    began: Option<Instant>,
    /// Of the opening or transaction that is under way.
    since: Option<Instant>,
    /// Transactions that ended with "not now".
    deferrals: usize,
    retractions: usize,
    left_out: usize,
    reached: bool,
    /// Where this machine was refused last.
    refused: Option<Spot>,
    /// A connection is open.
    connected: bool,
    /// The session that is open has taken something.
    progress: bool,
    /// Why the one that is being opened is in clear text.
    clear: Option<String>,
}

impl Delivery {
    /// For so many recipients; `sender` as in MAIL.
    pub fn new(recipients: usize, sender: String, patience: Patience) -> Self {
        Self {
            sender,
            patience,
            outcomes: vec![None; recipients],
            here: Vec::new(),
            elsewhere: (0..recipients).collect(),
            way: None,
            avoid: None,
            passed: Verdict::Stands,
            hosts: VecDeque::new(),
            addresses: VecDeque::new(),
            postponed: VecDeque::new(),
            failed: Vec::new(),
            state: State::Beginning,
            actions: VecDeque::from([Action::Reuse]),
            began: None,
            since: None,
            deferrals: 0,
            retractions: 0,
            left_out: 0,
            reached: false,
            refused: None,
            connected: false,
            progress: false,
            clear: None,
        }
    }

    /// The next thing to do; `None`: the delivery is over.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Takes the answer to the last action.
    pub fn handle(&mut self, event: Event, memory: &mut Memory, now: Instant) {
        let state = std::mem::replace(&mut self.state, State::Done);
        match (state, event) {
            (State::Beginning, Event::Kept(Some(dial))) if memory.gives_way(&dial, now) => {
                self.actions.push_back(Action::Leave);
                self.find();
            }
            (State::Beginning | State::Opening(_), Event::Kept(Some(dial))) => {
                let dial = *dial;
                // Said of the connection that was to be opened.
                self.clear = None;
                self.begin(Over { dial, kept: true }, memory, now);
            }
            (State::Beginning, Event::Kept(None)) => self.find(),
            (State::Finding, Event::Way(Ok(way))) => {
                self.found_way(way, memory, now);
                self.began = Some(now);
                self.next_address(memory, now);
            }
            (State::Finding, Event::Way(Err(failure))) => self.unopened(&failure),
            (State::Looking(host), Event::Found(Ok(found))) => {
                memory.answered(&Spot::Name(host.name.clone()), now);
                self.found(&host, found, memory, now);
                self.next_address(memory, now);
            }
            (State::Looking(host), Event::Found(Err(failure))) => {
                let failure = self.not_found(&host, failure, memory, now);
                self.unopened(&failure);
                self.next_address(memory, now);
            }
            (State::Opening(dial), Event::Opened(Ok(()))) => {
                self.reached = true;
                let clear = self.clear.take();
                memory.opened(&dial.host, clear.as_deref(), now);
                self.begin(Over { dial, kept: false }, memory, now);
            }
            (State::Opening(dial), Event::Opened(Err(failure))) => {
                self.not_opened(dial, failure, memory, now);
            }
            (State::Sending(over, batch), Event::Sent(sent)) => {
                self.sent(over, &batch, sent, memory, now);
            }
            // A driver that answers something else has gone wrong; what is not known is deferred.
            _ => {}
        }
    }

    fn find(&mut self) {
        self.state = State::Finding;
        self.actions.push_back(Action::Find);
    }

    fn begin(&mut self, over: Over, memory: &Memory, now: Instant) {
        self.connected = true;
        self.progress = false;
        self.here = std::mem::take(&mut self.elsewhere);
        self.send(over, memory, now);
    }

    fn send(&mut self, over: Over, memory: &Memory, now: Instant) {
        let most = memory.most(&over.dial.host.name, now);
        let count = self.here.len().min(most.min(limits::SURE_RECIPIENTS));
        let batch: Vec<usize> = self.here.drain(..count).collect();
        // What is wrong with a kept connection is tried once more on a fresh one.
        let hurry = over.kept || self.others_are_left();
        self.since = Some(now);
        self.actions.push_back(Action::Send(Batch {
            recipients: batch.clone(),
            patience: hurry.then_some(self.patience.reply),
            kept: over.kept,
        }));
        self.state = State::Sending(over, batch);
    }

    /// Addresses that may be tried, those that failed lately last; none that leads back here (RFC
    /// 5321 §5.1).
    fn found(&mut self, host: &Host, found: Found, memory: &Memory, now: Instant) {
        let mut seen = Vec::new();
        for (place, locality) in found.places.into_iter().take(MOST_ADDRESSES) {
            if seen.contains(&place) {
                continue;
            }
            seen.push(place.clone());
            if self.is_avoided(&place) {
                continue;
            }
            if self.addresses.len() >= ADDRESSES {
                return;
            }
            if locality.leads_back(host.named) {
                self.unopened(&leads_back(host, &place, locality));
                if locality.is_here() {
                    self.only_better_than(host);
                }
                continue;
            }
            let spot = Spot::Place(place.clone());
            let candidate = Candidate {
                host: host.clone(),
                place,
                encrypted: found.encrypted,
            };
            if memory.passes_over(&spot, now) {
                self.passed_by(spot);
                self.postponed.push_back(candidate);
            } else {
                self.addresses.push_back(candidate);
            }
        }
    }

    /// Whoever is not better than this host is not tried.
    fn only_better_than(&mut self, own: &Host) {
        let hosts = self.way.iter().flat_map(|way| &way.hosts);
        let better: Vec<&Host> = hosts.take_while(|host| *host != own).collect();
        self.hosts.retain(|host| better.contains(&host));
    }

    /// The next address of this host, the next host, at last those that failed lately.
    fn next_address(&mut self, memory: &mut Memory, now: Instant) {
        if self.elsewhere.is_empty() {
            self.state = State::Done;
            return;
        }
        if self.is_spent(now) {
            return self.leave_off(memory);
        }
        if let Some(candidate) = self.addresses.pop_front() {
            self.dial(candidate, memory, now);
        } else if let Some(host) = self.hosts.pop_front() {
            memory.tries(&Spot::Name(host.name.clone()), now);
            self.since = Some(now);
            self.actions.push_back(Action::Lookup(host.clone()));
            self.state = State::Looking(host);
        } else if let Some(candidate) = self.postponed.pop_front() {
            self.dial(candidate, memory, now);
        } else {
            self.state = State::Done;
        }
    }

    fn is_spent(&self, now: Instant) -> bool {
        let waited = |began| now.saturating_duration_since(began);
        self.began.is_some_and(|began| waited(began) >= BUDGET)
    }

    fn others_are_left(&self) -> bool {
        !(self.addresses.is_empty() && self.hosts.is_empty() && self.postponed.is_empty())
    }

    fn dial(&mut self, candidate: Candidate, memory: &mut Memory, now: Instant) {
        let security = match &self.way {
            Some(way) if !candidate.encrypted => way.security,
            _ => Security::StartTls,
        };
        let others = self.others_are_left();
        let spot = Spot::Place(candidate.place.clone());
        memory.tries(&spot, now);
        let before = self.failed.iter().filter(|failed| **failed != spot);
        let dial = Dial {
            instead_of: if candidate.host.named {
                before.cloned().collect()
            } else {
                Vec::new()
            },
            host: candidate.host,
            place: candidate.place,
            security,
            connect: if others {
                self.patience.connect
            } else {
                limits::CONNECT_TIMEOUT.max(self.patience.connect)
            },
            opening: others.then_some(self.patience.opening),
        };
        self.open(dial, now);
    }

    fn open(&mut self, dial: Dial, now: Instant) {
        if std::mem::take(&mut self.connected) {
            self.actions.push_back(Action::Leave);
        }
        self.since = Some(now);
        self.actions.push_back(Action::Open(dial.clone()));
        self.state = State::Opening(dial);
    }

    fn not_opened(&mut self, dial: Dial, failure: Failure, memory: &mut Memory, now: Instant) {
        let clear_text_is_as_good = self
            .way
            .as_ref()
            .is_some_and(|way| way.clear_text_is_as_good);
        if clear_text_goes_on(&failure, dial.security, clear_text_is_as_good) {
            let dial = Dial {
                security: Security::None,
                ..dial
            };
            self.clear = Some(failure.text.clone());
            return self.open(dial, now);
        }
        self.clear = None;
        self.learn_unopened(&dial, &failure, memory, now);
        self.unopened(&with_remedy(failure, dial.host.named));
        self.next_address(memory, now);
    }

    /// All that wait for a connection wait with this reason, unless they have a better one.
    fn unopened(&mut self, failure: &Failure) {
        for index in self.elsewhere.clone() {
            self.provide(index, failure.clone().outcome());
        }
    }

    fn sent(
        &mut self,
        over: Over,
        batch: &[usize],
        mut sent: Sent,
        memory: &mut Memory,
        now: Instant,
    ) {
        let Over { dial, kept } = &over;
        let crowd = Crowd::of(batch.len(), &mut sent, *kept);
        self.learn(&over, &sent.outcomes, memory, now);
        let progress = sent.outcomes.iter().any(is_delivered);
        if progress {
            memory.accepted(&dial.host);
        }
        if let Some(most) = crowd.most {
            memory.takes(&dial.host.name, most, now);
        }
        let full = sent.outcomes.iter().any(is_full);
        let broken_off_at = broken_off_at(&sent, dial.host.named);
        let broken_off_at = broken_off_at.and_then(|at| batch.get(at).copied());
        let mut stale = Vec::new();
        let mut again = Vec::new();
        let mut worst = Verdict::Stands;
        for (index, outcome) in batch.iter().copied().zip(sent.outcomes) {
            if *kept && reuse::is_stale(&outcome, dial.host.named) {
                stale.push(index);
                continue;
            }
            self.reached = true;
            let (outcome, verdict) = self.judge(dial, outcome, &crowd, memory, now);
            self.provide(index, outcome);
            match verdict {
                Verdict::Stands => {}
                Verdict::Again => again.push(index),
                Verdict::NextHost | Verdict::OverIpv4 | Verdict::NextAddress => {
                    worst = worst.max(verdict);
                    self.elsewhere.push(index);
                }
            }
        }
        self.here.splice(0..0, again);
        self.progress |= progress;
        let same_session = sent.open && !full && worst <= Verdict::NextHost && stale.is_empty();
        if same_session && !self.here.is_empty() {
            self.passed = self.passed.max(worst);
            return self.send(over, memory, now);
        }
        if over.kept {
            return self.leave_kept(over.dial, stale, worst);
        }
        self.elsewhere.append(&mut self.here);
        if (crowd.most.is_some() || full) && self.progress && !self.is_spent(now) {
            return self.open(over.dial, now);
        }
        if let Some(at) = broken_off_at
            && self.leaves_out(at, now)
        {
            return self.open(over.dial, now);
        }
        if worst == Verdict::NextHost && !self.elsewhere.is_empty() {
            self.deferrals = self.deferrals.saturating_add(1);
            if self.deferrals >= SESSIONS {
                return self.leave_off(memory);
            }
            if !self.hosts.is_empty() {
                self.addresses.clear();
            }
        }
        if !self.elsewhere.is_empty() && self.others_are_left() {
            self.next_address(memory, now);
        }
    }

    /// What came to no answer over a kept connection is tried on a fresh one, and whom it answered
    /// may be taken elsewhere; not both: nobody is asked twice.
    fn leave_kept(&mut self, dial: Dial, mut again: Vec<usize>, worst: Verdict) {
        again.append(&mut self.here);
        if again.is_empty() {
            self.avoid = Some((dial, worst.max(self.passed)));
        } else {
            self.elsewhere = again;
        }
        if !self.elsewhere.is_empty() {
            self.find();
        }
    }

    /// The hosts, without the one whose kept connection has answered, as far as others are meant.
    fn found_way(&mut self, way: Way, memory: &mut Memory, now: Instant) {
        self.hosts = way.hosts.iter().cloned().collect();
        if let Some(first) = way.hosts.first() {
            self.hosts.rotate_left(memory.begin_with(first, &way.hosts));
        }
        self.pass_over_lost(memory, now);
        match &self.avoid {
            Some((dial, Verdict::OverIpv4)) => self.hosts.retain(|host| *host == dial.host),
            Some((dial, Verdict::NextHost)) if self.hosts.len() > 1 => {
                self.hosts.retain(|host| *host != dial.host);
            }
            _ => {}
        }
        self.way = Some(way);
    }

    /// Whether an address is no other one than that of the kept connection.
    fn is_avoided(&self, place: &Place) -> bool {
        self.avoid.as_ref().is_some_and(|(dial, verdict)| {
            dial.place == *place || *verdict == Verdict::OverIpv4 && !place.is_ipv4()
        })
    }

    /// A newer outcome takes the place of an older one, unless the older one came further.
    fn provide(&mut self, index: usize, new: Outcome) {
        let Some(known) = self.outcomes.get_mut(index) else {
            return;
        };
        let keep = match (&*known, &new) {
            (None, _)
            | (_, Outcome::Delivered(_))
            | (Some(Outcome::Failed(_)), Outcome::Deferred(_)) => false,
            (Some(Outcome::Delivered(_)), _) => true,
            (Some(Outcome::Deferred(_)), Outcome::Failed(new)) => new.stage == Stage::Lookup,
            (
                Some(Outcome::Failed(old) | Outcome::Deferred(old)),
                Outcome::Failed(new) | Outcome::Deferred(new),
            ) => old.stage > new.stage,
        };
        if !keep {
            *known = Some(new);
        }
    }
}
