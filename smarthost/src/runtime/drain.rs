//! Begins to empty this server into another one, if that one would have the mail.
//!
//! Contract: nothing changes before the other server has shown its key and offered XMOVE; whoever
//! asked hears meanwhile that somebody is there; nothing begins once he has gone, or after a stop.
//! The same order once more begins nothing anew, and one for another server is refused, also while
//! the first server is still asked.

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
    draining::{Claim, comes},
    server::Server,
};

pub(super) fn begin(
    server: &Arc<Server>,
    to: String,
    pin: String,
    say: &mut dyn FnMut(&Answer) -> io::Result<()>,
) -> io::Result<()> {
    let dispatch = &server.dispatch;
    let begun = match claim(dispatch, &to, &pin) {
        Ok(None) => {
            dispatch.draining().again();
            Ok(())
        }
        Err(why) => Err(why),
        Ok(Some(claim)) => {
            let name = dispatch.draining().name();
            let test = target::test(server.current.get(), &to, &pin, name);
            let asked = async {
                tokio::select! {
                    asked = test => asked.map_err(|failure| failure.log_text()),
                    why = claim.ended() => Err(why.to_owned()),
                }
            };
            let told = alive::wait(&server.ending, asked, say)?;
            // Whoever has gone wants it no more.
            say(&Answer::Queue(order::Answer::Working))?;
            told.and_then(|()| rest(dispatch, &claim, &to, &pin))
        }
    };
    say(&match begun {
        Ok(()) => Answer::Drain(dispatch.drained()),
        Err(why) => Answer::Queue(order::Answer::Refused(why)),
    })
}

/// Who may ask that server; nobody has to if it goes on already.
fn claim<'a>(dispatch: &'a Dispatch, to: &str, pin: &str) -> Result<Option<Claim<'a>>, String> {
    let nexthop = Nexthop::parse(to).map_err(|error| error.to_string())?;
    Pin::parse(pin).map_err(|error| error.to_string())?;
    let draining = dispatch.draining();
    let claim = draining.claim(to, &nexthop, pin)?;
    if claim.is_some() && draining.drain().is_none() {
        nothing_arrives(dispatch)?;
    }
    Ok(claim)
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
fn rest(dispatch: &Dispatch, claim: &Claim<'_>, to: &str, pin: &str) -> Result<(), String> {
    // Also what has come while the other server was asked.
    nothing_arrives(dispatch)?;
    let draining = dispatch.draining();
    let queued = left(&dispatch.lock());
    let beginning = draining.begin(claim, to, pin, queued)?;
    let mut queue = dispatch.lock();
    beginning.done(left(&queue));
    for id in queue.ids() {
        queue.handle(Event::Parked { id }, clock::now());
    }
    drop(queue);
    dispatch.wake();
    draining.keep();
    Ok(())
}
