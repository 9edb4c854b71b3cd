//! Turns a request into calls of the queue, the spool and the limits.

use std::sync::Mutex;

use shared::{clock::Timestamp, spool::Spool};

use crate::{
    admin::{Answer, Request, Status},
    limits::Limits,
    queue::Queue,
    state::Keeper,
};

/// What requests act on.
#[derive(Clone, Copy)]
pub struct Office<'a> {
    pub spool: &'a Spool,
    pub queue: &'a Mutex<Queue>,
    /// Called after the queue was given events: its driver drains the actions.
    pub wake: &'a (dyn Fn() + Sync),
    pub limits: &'a Mutex<Limits>,
    pub state: &'a Keeper,
    /// What only the composition root knows; `queued`, `in_flight` and `clients` are filled in here.
    pub status: &'a (dyn Fn() -> Status + Sync),
}

/// Answers one request of root or of the daemon's own user, line by line.
pub fn answer(
    _request: Request,
    _office: &Office<'_>,
    _now: Timestamp,
    _each: &mut dyn FnMut(Answer),
) {
    todo!()
}
