//! Begins to empty this server into another one, if that one would have the mail.
//!
//! Contract: nothing changes before the other server has shown its key and offered XMOVE; whoever
//! asked hears meanwhile that somebody is there. The same order once more begins nothing anew.

use std::{io, sync::Arc};

use control::order;
use mail::{clock, nexthop::Nexthop};
use relay::trust::Pin;
use spool::Hold;

use super::alive;
use crate::{
    admin::Answer,
    delivery::target,
    dispatch::{Dispatch, Event, left},
    drain::NAMED,
    draining::comes,
    server::Server,
};

pub(super) fn begin(
    server: &Arc<Server>,
    to: String,
    pin: String,
    say: &mut dyn FnMut(&Answer) -> io::Result<()>,
) -> io::Result<()> {
    let dispatch = &server.dispatch;
    let begun = match begins(dispatch, &to, &pin) {
        Ok(false) => {
            dispatch.draining().again();
            Ok(())
        }
        Err(why) => Err(why),
        Ok(true) => {
            let name = dispatch.draining().name();
            let test = target::test(server.current.get(), &to, &pin, name);
            let told =
                alive::wait(&server.ending, test, say)?.map_err(|failure| failure.log_text());
            told.and_then(|()| rest(dispatch, &to, &pin))
        }
    };
    say(&match begun {
        Ok(()) => Answer::Drain(dispatch.drained()),
        Err(why) => Answer::Queue(order::Answer::Refused(why)),
    })
}

/// Whether it is to begin; not if it goes on already.
fn begins(dispatch: &Dispatch, to: &str, pin: &str) -> Result<bool, String> {
    let nexthop = Nexthop::parse(to).map_err(|error| error.to_string())?;
    Pin::parse(pin).map_err(|error| error.to_string())?;
    match dispatch.draining().drain() {
        None => nothing_arrives(dispatch).map(|()| true),
        Some(drain) if Nexthop::parse(&drain.to).ok() != Some(nexthop) => {
            let there = drain.to;
            Err(if drain.stopped {
                format!(
                    "{there} has messages that were given up here, and has to hear that first: \
                     smarthost queue list --held"
                )
            } else {
                format!(
                    "this server is being emptied into {there}; to change that: \
                     smarthost drain --stop, then the new one"
                )
            })
        }
        Some(drain) => Ok(drain.stopped || drain.pin != pin),
    }
}

/// Whether nothing here waits for another server's word.
fn nothing_arrives(dispatch: &Dispatch) -> Result<(), String> {
    let entries = dispatch.spool().walk_entries();
    let arriving: Vec<_> = entries
        .filter(|entry| matches!(entry.hold, Hold::Arriving { .. }))
        .collect();
    let Some(first) = arriving.first() else {
        return Ok(());
    };
    let ids = arriving
        .iter()
        .take(NAMED)
        .map(|entry| entry.id.to_string());
    let ids = ids.collect::<Vec<_>>().join(", ");
    let more = if arriving.len() > NAMED { ", …" } else { "" };
    let why = comes(first);
    Err(format!(
        "{} of this queue (smarthost queue list --held) would not move: {ids}{more}: {why}",
        arriving.len()
    ))
}

/// All that is queued rests from here on; what is in delivery ends first.
fn rest(dispatch: &Dispatch, to: &str, pin: &str) -> Result<(), String> {
    // Also what has come while the other server was asked.
    nothing_arrives(dispatch)?;
    let mut queue = dispatch.lock();
    let begun = dispatch.draining().begin(to, pin, left(&queue));
    begun.map_err(|error| format!("not on disk: {error}"))?;
    for id in queue.ids() {
        queue.handle(Event::Parked { id }, clock::now());
    }
    drop(queue);
    dispatch.wake();
    Ok(())
}
