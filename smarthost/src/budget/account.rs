//! One budget as this node keeps it. Pure.
//!
//! Contract: what is counted here is what was spent and what is leased, by slots of the store's
//! clock; nothing is spent that is not counted. A lease ends a slot after it was asked for, and
//! what is left of it is given back. A message that is under way for longer counts as of now.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::protocol::{Id, KEEP, Millis, Reply, Request, TOLERANCE, Told};

/// What was asked for at once, at most.
const MOST: u32 = 64;
/// After an answer that grants nothing the store is left alone for this long.
const REST: Millis = 1000;

#[derive(Clone, Debug)]
pub(super) struct Account {
    width: Millis,
    slots: BTreeMap<u64, u32>,
    leases: VecDeque<Lease>,
    /// Spent for messages that are not answered yet, oldest first.
    under_way: VecDeque<Lease>,
    /// Spent before the store's clock was known.
    early: u32,
    /// Of the record that this was restored from.
    skew: Option<i64>,
    /// Something was counted that the store was not told.
    pub(super) changed: bool,
    /// And something that is not on the disk; what is spent of a lease is there with the lease.
    unkept: bool,
    pub(super) asking: bool,
    /// The number of the last request that the store answered; until then it must know it.
    known: (u64, Millis),
    /// All was forgiven while the store was asked: what it grants is of no use.
    void: bool,
    /// The store has nothing to give until then.
    rest: Option<Rest>,
    /// The slot that has begun, and what was spent in it.
    pace: (u64, u32),
    /// Who has come since the store was asked.
    pub(super) waiting: u32,
}

/// Of the budget: so much of what was granted in a slot, to be spent until then.
#[derive(Clone, Copy, Debug)]
struct Lease {
    slot: u64,
    left: u32,
    until: Millis,
}

/// What the store said last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rest {
    until: Millis,
    pub(super) sum: u32,
    /// When something may be free again.
    pub(super) free_at: Millis,
    pub(super) complete: bool,
}

/// As it is kept for the next start; leases that were not spent count as spent then.
#[derive(Serialize, Deserialize)]
struct Record {
    slots: Vec<(u64, u32)>,
    /// The store's clock less the machine's, milliseconds.
    skew: Option<i64>,
}

impl Account {
    pub(super) fn new(id: &Id) -> Self {
        Self {
            width: id.width(),
            slots: BTreeMap::new(),
            leases: VecDeque::new(),
            under_way: VecDeque::new(),
            early: 0,
            skew: None,
            changed: false,
            unkept: false,
            asking: false,
            known: (0, 0),
            void: false,
            rest: None,
            pace: (0, 0),
            waiting: 0,
        }
    }

    pub(super) fn restore(id: &Id, record: &str) -> Option<Self> {
        let record: Record = serde_json::from_str(record).ok()?;
        Some(Self {
            slots: record.slots.into_iter().collect(),
            skew: record.skew,
            changed: true,
            ..Self::new(id)
        })
    }

    /// Adds what was kept before all that is counted here.
    pub(super) fn absorb(&mut self, earlier: Self) {
        for (slot, count) in earlier.slots {
            self.count(slot, count);
        }
        self.skew = self.skew.or(earlier.skew);
    }

    /// `skew`: the store's clock less the machine's, if it is known.
    pub(super) fn record(&self, skew: Option<i64>) -> String {
        let mut slots = self.slots.clone();
        if self.early > 0 {
            let last = slots.last_key_value().map_or(0, |(slot, _)| *slot);
            *slots.entry(last).or_default() += self.early;
        }
        let record = Record {
            slots: slots.into_iter().collect(),
            skew: skew.or(self.skew),
        };
        serde_json::to_string(&record).unwrap_or_default()
    }

    fn slot(&self, now: Millis) -> u64 {
        now / self.width
    }

    fn count(&mut self, slot: u64, more: u32) {
        let count = self.slots.entry(slot).or_default();
        *count = count.saturating_add(more);
        self.has_changed();
    }

    fn has_changed(&mut self) {
        self.changed = true;
        self.unkept = true;
    }

    /// Whether something is to be kept anew since the last call.
    pub(super) fn take_unkept(&mut self) -> bool {
        std::mem::take(&mut self.unkept)
    }

    fn uncount(&mut self, slot: u64, less: u32) {
        if let Some(count) = self.slots.get_mut(&slot) {
            *count = count.saturating_sub(less);
            if *count == 0 {
                self.slots.remove(&slot);
            }
        }
        self.has_changed();
    }

    /// Whether nothing slides out or ends before the slot does that was advanced to last.
    fn is_as_of(&self, now: Millis) -> bool {
        let mut lasting = self.leases.iter().chain(&self.under_way);
        self.pace.0 == self.slot(now) && lasting.all(|it| it.until > now)
    }

    /// What slides out and ends by itself.
    pub(super) fn advance(&mut self, now: Millis) {
        if self.is_as_of(now) {
            return;
        }
        while let Some(lease) = self.leases.pop_front_if(|lease| lease.until <= now) {
            self.uncount(lease.slot, lease.left);
        }
        let current = self.slot(now);
        self.date(now);
        let oldest = current.saturating_sub(KEEP);
        self.slots = self.slots.split_off(&oldest);
        // Of the future: the store's clock was set back.
        let future = self.slots.split_off(&current.saturating_add(2));
        for count in future.into_values() {
            self.count(current, count);
        }
        if self.pace.0 != current {
            self.pace = (current, self.pace.1 / 2);
        }
    }

    /// What is under way for longer than its lease counts as of now.
    fn date(&mut self, now: Millis) {
        let mut under_way = std::mem::take(&mut self.under_way);
        for spent in under_way.iter_mut().filter(|spent| spent.until <= now) {
            let known = spent.left > 0 && self.slots.contains_key(&spent.slot);
            if known {
                self.uncount(spent.slot, 1);
                spent.slot = self.slot(now);
                self.count(spent.slot, 1);
            }
            spent.until = now.saturating_add(self.width);
        }
        self.under_way = under_way;
    }

    /// All that was spent here and is leased, within the window.
    pub(super) fn own(&self) -> u32 {
        let slots = self.slots.values();
        slots.fold(self.early, |sum, count| sum.saturating_add(*count))
    }

    /// Whether nothing of it matters any more.
    pub(super) fn is_idle(&self) -> bool {
        !self.changed && !self.asking && self.under_way.is_empty() && self.own() == 0
    }

    /// Whether a lease is left.
    pub(super) fn has_lease(&self, now: Millis) -> bool {
        self.leases.iter().any(|lease| lease.until > now)
    }

    /// Spends of a lease, for one message or recipient.
    pub(super) fn spend(&mut self) -> bool {
        let Some(lease) = self.leases.front_mut() else {
            return false;
        };
        lease.left = lease.left.saturating_sub(1);
        let spent = Lease { left: 1, ..*lease };
        if lease.left == 0 {
            self.leases.pop_front();
        }
        self.under_way.push_back(spent);
        self.pace.1 = self.pace.1.saturating_add(1);
        true
    }

    /// Spends without having asked; `timeless`: the store's clock is not known yet.
    pub(super) fn spend_alone(&mut self, now: Millis, timeless: bool) {
        let slot = self.slot(now);
        if timeless {
            self.early = self.early.saturating_add(1);
            self.has_changed();
        } else {
            self.count(slot, 1);
        }
        self.under_way.push_back(Lease {
            slot,
            left: 1,
            until: slot.saturating_add(1).saturating_mul(self.width),
        });
    }

    /// Of all nodes, as the store said last.
    pub(super) fn everywhere(&self) -> Option<u32> {
        self.rest.map(|rest| rest.sum)
    }

    /// What the store said, as long as it need not be asked again.
    pub(super) fn rest(&self, now: Millis) -> Option<Rest> {
        self.rest.filter(|rest| now < rest.until)
    }

    /// All that is counted here.
    pub(super) fn tell(&mut self, id: &Id, now: Millis) -> Request {
        self.asking = true;
        self.void = false;
        self.changed = false;
        let slots = self.slots.iter().map(|(slot, count)| (*slot, *count));
        Request {
            id: id.clone(),
            epoch: String::new(),
            generation: String::new(),
            sequence: 0,
            answered: if now < self.known.1 { self.known.0 } else { 0 },
            now,
            limit: 0,
            want: 0,
            slots: slots.collect(),
        }
    }

    /// The same, and a wish for more: for those who wait, or as much as the client has spent
    /// lately, and a small part of this node's share at least, since mail seldom comes alone.
    pub(super) fn ask(&mut self, id: &Id, now: Millis, limit: u32, nodes: u32) -> Request {
        let share = limit / nodes.max(1).saturating_mul(8);
        let waiting = std::mem::take(&mut self.waiting);
        let more = self.pace.1.max(share / 8).min(share).max(waiting);
        Request {
            limit,
            want: more.min(MOST).saturating_add(1),
            ..self.tell(id, now)
        }
    }

    /// What became of a request. The store may have done what it did not say: it is told again.
    pub(super) fn answered(&mut self, request: &Request, reply: Option<&Reply>, now: Millis) {
        self.asking = false;
        let Some(Reply::Told(told)) = reply else {
            self.changed = true;
            return;
        };
        let kept = self.width.saturating_mul(KEEP);
        self.known = (request.sequence, request.now.saturating_add(kept));
        if self.void {
            return;
        }
        self.granted(request, told, now);
    }

    fn granted(&mut self, request: &Request, told: &Told, now: Millis) {
        if told.grant > 0 {
            let changed = self.changed;
            self.count(told.slot, told.grant);
            // The store has counted that itself.
            self.changed = changed;
            let until = request.now.saturating_add(self.width);
            self.leases.push_back(Lease {
                slot: told.slot,
                left: told.grant,
                until,
            });
        }
        let oldest = told.oldest.unwrap_or(told.slot);
        let free = oldest.saturating_add(KEEP).saturating_add(1);
        let nothing = request.want > 0 && told.grant == 0;
        self.rest = Some(Rest {
            until: if nothing {
                now.saturating_add(REST.min(self.width))
            } else {
                0
            },
            sum: told.sum,
            free_at: free.saturating_mul(self.width).max(now),
            complete: told.complete,
        });
    }

    /// So many that were spent are answered now, of which so many were taken.
    pub(super) fn settle(&mut self, ended: u32, taken: u32) {
        for nth in 0..ended {
            let Some(spent) = self.under_way.pop_front() else {
                return;
            };
            if nth >= taken && spent.left > 0 {
                if self.slots.contains_key(&spent.slot) {
                    self.leases.push_front(spent);
                } else {
                    self.give_back(spent.slot);
                }
            }
        }
    }

    pub(super) fn give_back_leases(&mut self) {
        while let Some(lease) = self.leases.pop_front() {
            self.uncount(lease.slot, lease.left);
        }
    }

    /// One that was taken was lost on its way to the disk.
    pub(super) fn take_back(&mut self) {
        if let Some((&slot, _)) = self.slots.last_key_value() {
            self.give_back(slot);
        }
    }

    fn give_back(&mut self, slot: u64) {
        if self.early > 0 && !self.slots.contains_key(&slot) {
            self.early -= 1;
            self.has_changed();
        } else {
            self.uncount(slot, 1);
        }
    }

    /// The store has forgotten it, or all.
    pub(super) fn is_unknown(&mut self) {
        self.known = (0, 0);
        self.changed |= !self.slots.is_empty();
    }

    /// The store's clock is known now. Where it was set on since this was kept, what is counted
    /// goes with it; where one of the clocks was set back, it counts as of now at the latest.
    pub(super) fn place(&mut self, now: Millis, skew: i64) {
        let set = self.skew.map_or(0, |before| skew.saturating_sub(before));
        if set > TOLERANCE.cast_signed() {
            self.shift(set);
        }
        let early = std::mem::take(&mut self.early);
        if early > 0 {
            self.count(self.slot(now), early);
        }
    }

    /// The store's clock was set: what is counted goes with it, and not too far back.
    pub(super) fn shift(&mut self, jump: i64) {
        let width = self.width.cast_signed();
        let slots = jump.div_euclid(width) + i64::from(jump.rem_euclid(width) > 0);
        let moved = |slot: u64| slot.saturating_add_signed(slots);
        let old = std::mem::take(&mut self.slots);
        for (slot, count) in old {
            self.count(moved(slot), count);
        }
        for lease in self.leases.iter_mut().chain(&mut self.under_way) {
            lease.slot = moved(lease.slot);
            lease.until = lease.until.saturating_add_signed(jump);
        }
        self.rest = None;
    }

    /// An administrator forgives all; what is under way is forgiven too.
    pub(super) fn reset(&mut self) {
        self.slots.clear();
        self.leases.clear();
        self.under_way.iter_mut().for_each(|it| it.left = 0);
        self.early = 0;
        self.rest = None;
        self.void = true;
        self.has_changed();
    }
}
