//! What this node knows of the site's budgets, and decides. Pure.
//!
//! | state | meaning |
//! |---|---|
//! | `epoch` set | the store knows all that this node knows: it may be asked for more |
//! | `telling` set | the store answers, and is being told |
//! | neither | the store does not answer |
//!
//! The store may forget everything at any time. It keeps the name of an epoch: where that is
//! another one than this node has told its counts to, the node tells all of them anew, and nothing
//! is granted to anybody before every node has done so, or a whole window has passed.

mod ordered;
mod untold;

use std::collections::{HashMap, HashSet};

use super::{
    account::Account,
    orders::Orders,
    peers::Peers,
    protocol::{Id, KEEP, Millis, Reply, Request, TOLERANCE},
};
use crate::config::OnOutage;

/// Budgets at once, at most: those of all clients that are counted, in two windows each.
const MOST: usize = 262_144;

/// Rows that are not about a budget.
const ORDER: &str = "order ";
const NODE: &str = "node ";

/// Who this is, and who the others are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) node: String,
    pub(crate) nodes: u32,
    pub(crate) on_outage: OnOutage,
}

/// A time: of a clock that nobody sets, and of the machine's; milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment {
    pub(crate) monotonic: u64,
    pub(crate) wall: u64,
}

/// Whether a message or recipient may come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Take {
    /// It may, and is counted.
    Spent,
    /// The site has used up the limit: so many, and when something may be free again.
    Full { sum: u32, free_in: Millis },
    /// The store is to be asked; then once more.
    Ask(Box<Request>),
    /// It is being asked; then once more.
    Wait,
    /// The store does not answer, and this node alone lets no more through.
    Alone,
}

/// What the store says at first, and every other second.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hello {
    pub(crate) now: Millis,
    pub(crate) epoch: String,
    /// So many nodes have told all they know in it.
    pub(crate) told: usize,
}

/// What follows from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// What is untold is told, until [`Site::told_all`].
    Go,
    /// Its clock was set, or it has forgotten a part: this epoch is to end.
    Renew(String),
}

/// All budgets of this node.
#[derive(Debug)]
pub(crate) struct Site {
    terms: Terms,
    /// The store's clock less the clock that nobody sets.
    offset: Option<i64>,
    /// That was told all.
    epoch: Option<String>,
    telling: Option<String>,
    /// In which the accounts were told.
    heard_in: Option<String>,
    /// So many nodes have told all they know, as the store said last.
    told: usize,
    accounts: HashMap<Id, Account>,
    sequence: u64,
    /// What administrators have ordered.
    orders: Orders,
    /// The others.
    peers: Peers,
    /// Changed since [`Site::changes`].
    dirty: HashSet<Id>,
    /// All that the store does not know as they are, and maybe others.
    untold: HashSet<Id>,
    /// The store's clock less the machine's, with which all accounts are kept.
    kept_skew: Option<i64>,
}

impl Site {
    /// `sequence`: higher than any number of an earlier life, such as the time in microseconds.
    pub(crate) fn new(terms: Terms, sequence: u64) -> Self {
        Self {
            terms,
            offset: None,
            epoch: None,
            telling: None,
            heard_in: None,
            told: 0,
            accounts: HashMap::new(),
            sequence,
            orders: Orders::default(),
            peers: Peers::default(),
            dirty: HashSet::new(),
            untold: HashSet::new(),
            kept_skew: None,
        }
    }

    pub(crate) fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Takes back what was kept; `false`: it cannot be read.
    pub(crate) fn restore(&mut self, row: &str, record: &str) -> bool {
        if let Some(client) = row.strip_prefix(ORDER) {
            return self.orders.restore(client, record);
        }
        if let Some(node) = row.strip_prefix(NODE) {
            return self.peers.restore(node, record);
        }
        let account = Id::parse(row).and_then(|id| Some((Account::restore(&id, record)?, id)));
        let Some((account, id)) = account else {
            return false;
        };
        match self.accounts.get_mut(&id) {
            Some(known) => known.absorb(account),
            None => {
                self.accounts.insert(id.clone(), account);
            }
        }
        self.note(&id);
        true
    }

    pub(super) fn now(&self, at: Moment) -> Millis {
        match self.offset {
            Some(offset) => at.monotonic.saturating_add_signed(offset),
            None => at.wall,
        }
    }

    /// The store's clock less the machine's.
    fn skew(&self, at: Moment) -> Option<i64> {
        let offset = self.offset?;
        let ran = at
            .monotonic
            .cast_signed()
            .saturating_sub(at.wall.cast_signed());
        Some(offset.saturating_add(ran))
    }

    /// Whether the store can be asked.
    pub(crate) fn is_up(&self) -> bool {
        self.epoch.is_some()
    }

    /// One message or recipient more under a limit.
    pub(crate) fn take(&mut self, id: &Id, limit: u32, at: Moment) -> Take {
        let now = self.now(at);
        if !self.accounts.contains_key(id) && self.accounts.len() >= MOST {
            return Take::Alone;
        }
        let (up, nodes) = (self.is_up(), self.terms.nodes);
        if !self.accounts.contains_key(id) {
            self.accounts.insert(id.clone(), Account::new(id));
        }
        // Nothing is granted before all have told what they know: nobody waits to hear that.
        let grants = up && self.all_have_told(id, now);
        let Some(account) = self.account(id, now) else {
            return Take::Alone;
        };
        if account.spend() {
            return Take::Spent;
        }
        if grants && account.asking {
            account.waiting = account.waiting.saturating_add(1);
            return Take::Wait;
        }
        match account.rest(now) {
            Some(rest) if grants && rest.complete => {
                return Take::Full {
                    sum: rest.sum,
                    free_in: rest.free_at.saturating_sub(now),
                };
            }
            None if grants => {
                let request = account.ask(id, now, limit, nodes);
                return Take::Ask(Box::new(self.numbered(request)));
            }
            // Or the others have not told what they know.
            Some(_) | None => {}
        }
        self.take_alone(id, limit, at)
    }

    /// The same without asking: the answer does not come.
    pub(crate) fn take_alone(&mut self, id: &Id, limit: u32, at: Moment) -> Take {
        let (now, timed) = (self.now(at), self.offset.is_some());
        let Terms {
            nodes, on_outage, ..
        } = self.terms;
        let Some(account) = self.account(id, now) else {
            return Take::Alone;
        };
        let may = match on_outage {
            OnOutage::Share => account.own() < limit / nodes.max(1),
            OnOutage::Open => true,
            OnOutage::Defer => false,
        };
        if !may {
            return Take::Alone;
        }
        account.spend_alone(now, !timed);
        self.note(id);
        Take::Spent
    }

    /// Whether all nodes have told what they know, or all that one could know has slid out since
    /// the epoch began.
    fn all_have_told(&self, id: &Id, now: Millis) -> bool {
        if self.told >= usize::try_from(self.terms.nodes).unwrap_or(usize::MAX) {
            return true;
        }
        let began = self.epoch.as_deref().and_then(|epoch| {
            let (_, began) = epoch.rsplit_once(':')?;
            began.parse::<Millis>().ok()
        });
        let window = id.width().saturating_mul(KEEP + 1);
        began.is_some_and(|began| now.saturating_sub(began) >= window)
    }

    /// A budget as it is now; before the store's clock is known, as it was kept.
    fn account(&mut self, id: &Id, now: Millis) -> Option<&mut Account> {
        if self.offset.is_some() {
            self.accounts.get_mut(id)?.advance(now);
            self.note(id);
        }
        self.accounts.get_mut(id)
    }

    fn numbered(&mut self, request: Request) -> Request {
        self.sequence = self.sequence.saturating_add(1);
        let epoch = self.epoch.as_ref().or(self.telling.as_ref());
        Request {
            epoch: epoch.cloned().unwrap_or_default(),
            generation: self.orders.generation(&request.id.client),
            sequence: self.sequence,
            ..request
        }
    }

    /// What the store said to a request; `None`: nothing in time.
    pub(crate) fn answered(
        &mut self,
        request: &Request,
        reply: Option<&Reply>,
        at: Moment,
    ) -> Next {
        let now = self.now(at);
        if let Some(account) = self.accounts.get_mut(&request.id) {
            account.answered(request, reply, now);
            self.note(&request.id);
        }
        match reply {
            Some(Reply::Told(_)) => Next::Go,
            Some(Reply::Overtaken(sequence)) => {
                self.sequence = self.sequence.max(*sequence);
                Next::Go
            }
            Some(Reply::OtherEpoch) | None => {
                self.lost();
                Next::Go
            }
            Some(Reply::OtherTime(shown)) => {
                self.set_clock(*shown, at);
                self.lost();
                Next::Renew(request.epoch.clone())
            }
            Some(Reply::Forgotten) => {
                self.lost();
                Next::Renew(request.epoch.clone())
            }
        }
    }

    /// The store does not answer.
    pub(crate) fn lost(&mut self) {
        self.epoch = None;
        self.telling = None;
    }

    /// What the store says of itself.
    pub(crate) fn greeted(&mut self, hello: &Hello, at: Moment) -> Next {
        self.told = hello.told;
        if self.set_clock(hello.now, at) {
            self.lost();
            return Next::Renew(hello.epoch.clone());
        }
        self.keep_skew(at);
        if self.epoch.as_ref() == Some(&hello.epoch) {
            return Next::Go;
        }
        self.lost();
        if self.heard_in.as_ref() != Some(&hello.epoch) {
            self.heard_in = Some(hello.epoch.clone());
            self.accounts.values_mut().for_each(Account::is_unknown);
            self.note_all();
        }
        self.orders.is_unknown();
        self.telling = Some(hello.epoch.clone());
        Next::Go
    }

    /// Learns the store's clock; whether it was set since it was seen last.
    fn set_clock(&mut self, shown: Millis, at: Moment) -> bool {
        let known = self.now(at);
        let jump = shown.cast_signed().saturating_sub(known.cast_signed());
        let first = self.offset.is_none();
        let offset = shown
            .cast_signed()
            .saturating_sub(at.monotonic.cast_signed());
        self.offset = Some(offset);
        if first {
            let skew = self.skew(at).unwrap_or_default();
            self.orders.place(skew);
            self.accounts
                .values_mut()
                .for_each(|it| it.place(shown, skew));
            self.note_all();
            return false;
        }
        if jump.unsigned_abs() <= TOLERANCE {
            return false;
        }
        self.accounts.values_mut().for_each(|it| it.shift(jump));
        self.note_all();
        true
    }

    /// So many messages or recipients that were let begin are answered, of which so many were
    /// taken.
    pub(crate) fn settle(&mut self, id: &Id, ended: u32, taken: u32, at: Moment) {
        if let Some(account) = self.account(id, self.now(at)) {
            account.settle(ended, taken);
            self.note(id);
        }
    }

    /// So many that were taken were lost on their way to the disk.
    pub(crate) fn take_back(&mut self, id: &Id, lost: u32) {
        if let Some(account) = self.accounts.get_mut(id) {
            (0..lost).for_each(|_| account.take_back());
            self.note(id);
        }
    }

    /// What all nodes have spent and hold, as the store said last.
    pub(crate) fn everywhere(&self, id: &Id) -> Option<u32> {
        self.accounts.get(id)?.everywhere()
    }

    /// Budgets that are counted.
    pub(crate) fn len(&self) -> usize {
        self.accounts.len()
    }
}
