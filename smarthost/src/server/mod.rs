//! Receiving mail: listeners, one task for each session, and the driver of the session machine.
//!
//! | part | what |
//! |---|---|
//! | [`listen`] | sockets bound or handed over by systemd; the accept loop |
//! | [`proxied`] | who the client is when it comes over a proxy |
//! | [`places`] | how many sessions there may be, altogether, for strangers and for one client |
//! | [`session`] | the tokio driver of [`smtp::session`] |
//! | [`decide`] | answers the machine's questions: policy, limits |
//! | [`acceptance`] | a message that has come whole: completed, counted, kept |
//! | [`bench`] | rules are judged where that costs no other session anything |
//! | [`turns`] | a bounded number of places, whose holders change in turns of clients |
//! | [`attempts`] | who failed to log in lately, or to be enrolled |
//! | [`known`] | who the client is, and what is noted of one of ours |
//! | [`enrolment`] | XENROLL, and keys that are believed no more |
//! | [`refused`] | what a refusal is about |
//! | [`rights`] | whether what an open session has its rights from still holds |
//! | [`login`] | AUTH: whether an attempt is right, and may be made |
//! | [`xclient`] | a front end says whose session it hands on |
//! | [`moved`] | a message of another server's queue, as it comes |
//! | [`moving`] | another server is emptied into this one |
//! | [`asking`] | what the policy wants to know is asked |
//! | [`world`] | who knows it, and what is remembered of it |
//! | [`learned`] | what was found out, and what follows from it |
//! | [`services`] | policy servers: connections that are kept |
//! | [`standings`] | how policy servers and milters do |
//! | [`filtering`] | what filters (milters) are told of a session, and what becomes of their answers |
//! | [`filter`] | the tokio driver of [`crate::milter::Dialog`] |
//! | [`verification`] | whether the next hop knows a recipient |
//! | [`outages`] | block lists and next hops that fail, told to administrators |
//! | [`came`] | that a message came, for [`crate::expected`] |
//! | [`counting`] | a message that the limits let begin |
//! | [`transaction`] | the message that is being received |
//! | [`notify`] | the driver of [`crate::notices`] |

mod acceptance;
mod asking;
mod attempts;
mod bench;
mod came;
mod counting;
mod decide;
mod enrolment;
mod filter;
mod filtering;
mod known;
mod learned;
pub(crate) mod listen;
mod login;
mod moved;
mod moving;
pub(crate) mod notify;
mod outages;
mod places;
mod proxied;
mod refused;
mod rights;
mod services;
mod session;
mod standings;
mod transaction;
mod turns;
mod verification;
mod world;
mod xclient;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};

use crate::{
    budget::Budget,
    dispatch::{Dispatch, Probe},
    expected::Expected,
    limits::Limits,
    machines::Machines,
    policy::refusals::Refusals,
    setup::Current,
    state,
};

pub(crate) use attempts::Attempts;
pub(crate) use bench::Bench;
pub(crate) use learned::News;
pub(crate) use login::CLOSED;
pub(crate) use moving::emptied;
pub(crate) use outages::test_lists;
pub(crate) use places::Places;
pub(crate) use session::settings;
pub(crate) use world::World;

/// What all sessions share.
pub(crate) struct Server {
    pub(crate) current: Arc<Current>,
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) limits: Arc<Mutex<Limits>>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) state: state::Keeper,
    /// Mail that must come.
    pub(crate) expected: Arc<Mutex<Expected>>,
    /// What was refused, for administrators.
    pub(crate) refusals: Arc<Mutex<Refusals>>,
    /// Who brings mail, for administrators.
    pub(crate) machines: Arc<Mutex<Machines>>,
    pub(crate) places: Arc<Places>,
    pub(crate) world: World,
    pub(crate) attempts: Attempts,
    /// Where rules are judged.
    pub(crate) bench: Bench,
    /// Becomes true when the daemon ends.
    pub(crate) ending: watch::Receiver<bool>,
}

impl Server {
    /// Of what a start has taken back; `ending` becomes true when the daemon ends.
    pub(crate) fn new(
        current: &Arc<Current>,
        dispatch: &Arc<Dispatch>,
        memory: &state::Memory,
        (state, probes): (&state::Keeper, mpsc::Sender<Probe>),
        ending: &watch::Receiver<bool>,
    ) -> Self {
        let budget = Arc::new(Budget::new(&current.get().config, memory));
        Self {
            current: Arc::clone(current),
            dispatch: Arc::clone(dispatch),
            limits: Arc::clone(&memory.limits),
            state: state.clone(),
            expected: Arc::clone(&memory.expected),
            refusals: Arc::clone(&memory.refusals),
            machines: Arc::clone(&memory.machines),
            places: Arc::default(),
            world: World::new(memory, Arc::clone(&budget), probes),
            budget,
            attempts: Attempts::default(),
            bench: Bench::default(),
            ending: ending.clone(),
        }
    }

    /// What was refused since the start, by rule.
    pub(crate) fn refused(&self) -> Vec<(String, u64)> {
        self.refusals().by_rule()
    }

    pub(crate) fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn machines(&self) -> MutexGuard<'_, Machines> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn expected(&self) -> MutexGuard<'_, Expected> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
