//! One message: the state of each recipient that is not settled.

use mail::{clock::Timestamp, outcome::Failure};

/// Where a recipient stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Waiting(Timestamp),
    /// [`crate::queue::Action::Load`] was asked for.
    Loading,
    /// In its destination's lane.
    Queued,
    /// In a delivery.
    Flying,
    /// For good; the bounce is being made, or will be when no other recipient is on its way.
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pending {
    pub(super) recipient: u32,
    pub(super) state: State,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) arrival: Timestamp,
    pub(super) held: bool,
    /// Removed by the administrator while recipients were on their way: so many others were not delivered to.
    pub(super) deleted: Option<usize>,
    /// By the administrator: the next attempt is made also where the destination is suspended.
    pub(super) flushed: bool,
    /// The sender was warned of the delay, or is just being.
    pub(super) warned: bool,
    /// Jobs in lanes that carry another number are void.
    pub(super) epoch: u32,
    /// Its place in the order of what is due.
    pub(super) due: Option<Timestamp>,
    pub(super) recipients: Vec<Pending>,
    /// What the warning of the delay will tell.
    pub(super) late: Vec<(u32, Failure)>,
    /// What the next bounce will tell.
    pub(super) failed: Vec<(u32, Failure)>,
    /// One of `failed` was given up after the queue lifetime.
    pub(super) expired: bool,
    /// Recipients of the bounce that is being made; empty if none is.
    pub(super) bouncing: Vec<u32>,
}

impl Message {
    pub(super) fn new(arrival: Timestamp, held: bool, recipients: Vec<Pending>) -> Self {
        Self {
            arrival,
            held,
            deleted: None,
            flushed: false,
            warned: false,
            epoch: 0,
            due: None,
            recipients,
            late: Vec::new(),
            failed: Vec::new(),
            expired: false,
            bouncing: Vec::new(),
        }
    }

    pub(super) fn any(&self, which: impl Fn(State) -> bool) -> bool {
        self.recipients.iter().any(|pending| which(pending.state))
    }

    /// When the first waiting recipient is due.
    pub(super) fn first_due(&self) -> Option<Timestamp> {
        self.recipients
            .iter()
            .filter_map(|pending| match pending.state {
                State::Waiting(until) => Some(until),
                _ => None,
            })
            .min()
    }

    /// Recipients in a state for which `which` holds are put into `state`; gives them.
    pub(super) fn shift(&mut self, which: impl Fn(State) -> bool, state: State) -> Vec<u32> {
        let matching = self
            .recipients
            .iter_mut()
            .filter(|pending| which(pending.state));
        matching
            .map(|pending| {
                pending.state = state;
                pending.recipient
            })
            .collect()
    }

    /// Puts these recipients into a state.
    pub(super) fn set(&mut self, recipients: &[u32], state: State) {
        for pending in &mut self.recipients {
            if recipients.contains(&pending.recipient) {
                pending.state = state;
            }
        }
    }

    /// Takes these recipients out: they are settled.
    pub(super) fn settle(&mut self, recipients: &[u32]) {
        self.recipients
            .retain(|pending| !recipients.contains(&pending.recipient));
    }
}
