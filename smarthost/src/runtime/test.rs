//! Queues a test message, for whoever follows it: `smarthost test`.
//!
//! Contract: it goes the way of all mail from the queue on, and no limit counts it. Who would be
//! refused at RCPT for nobody being there gets none, and that is told as an attempt that failed.

use std::io;

use control::order::{Answer as Told, AttemptRow};
use mail::{
    address::{Address, Sender},
    clock,
    envelope::{Envelope, Recipient},
    notice,
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};

use super::alive;
use crate::{admin::Answer, route::Router, server::Server};

/// Where it is from, in the envelope's trace.
const OURS: &str = "smarthost test";

/// Queues one for this address, or for the administrators.
pub(super) fn begin(
    server: &Server,
    to: Option<&str>,
    say: &mut dyn FnMut(&Answer) -> io::Result<()>,
) -> io::Result<()> {
    let tell = |told| Answer::Queue(told);
    if let Some(other) = server.dispatch.draining().to() {
        let why = format!("this server is being emptied into {other}, and takes no mail");
        return say(&tell(Told::Refused(why)));
    }
    let to = match named(server, to) {
        Ok(to) => to,
        Err(why) => return say(&tell(Told::Refused(why))),
    };
    let setup = server.current.get();
    let mut reached = Vec::new();
    for address in to {
        match nobody(&setup.router, &address) {
            Some(failure) => {
                let row = AttemptRow::new(0, &address.into(), &failure.outcome());
                say(&tell(Told::Attempt(row.into())))?;
            }
            None => reached.push(address),
        }
    }
    let Some(first) = reached.first() else {
        return Ok(());
    };
    let host = &setup.config.hostname;
    let message = notice::test("smarthost", host, clock::now(), first);
    let sender = Address::new("postmaster", host).map_or(Sender::Null, Sender::Address);
    let envelope = Envelope {
        sender,
        recipients: reached.into_iter().map(Recipient::from).collect(),
        origin: OURS.to_owned(),
        ..Envelope::default()
    };
    let queued = server
        .dispatch
        .inject_followed(&message, envelope, &setup.router);
    let told = match alive::wait(&server.ending, queued, say)? {
        Ok(id) => Told::Done(id.to_string()),
        Err(error) => Told::Refused(format!("not queued: {error}")),
    };
    say(&tell(told))
}

fn named(server: &Server, to: Option<&str>) -> Result<Vec<Address>, String> {
    let Some(to) = to else {
        let admins = server.current.get().config.admins.clone();
        if admins.is_empty() {
            return Err("admins names nobody: give an address".to_owned());
        }
        return Ok(admins);
    };
    let address = Address::parse(to).map_err(|error| error.to_string())?;
    Ok(vec![address])
}

/// Why this recipient would be refused to whoever may relay.
fn nobody(router: &Router, address: &Address) -> Option<Failure> {
    if let Some(table) = router.unlisted(address) {
        let status = EnhancedStatus::new(5, 1, 1);
        let text = format!("User unknown in {table}");
        return Some(Failure::new(Blame::Policy, Stage::Recipient, status, &text));
    }
    match router.expand(&Recipient::from(address.clone())) {
        Ok(recipients) => router.refusal(&recipients),
        Err(failure) => Some(failure),
    }
}
