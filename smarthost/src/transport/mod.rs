//! Transports: how mail is handed on, one file each.
//!
//! | part | what |
//! |---|---|
//! | [`smtp`](self::smtp) | the hosts behind a next hop, whom to believe, passwords |
//! | [`demands`] | what each host must show: authorities, DANE |
//! | [`ledger`] | who has a message, before its delivery ends |
//! | [`lmtp`] | a server that is named |
//! | [`course`] | what these two share: the delivery core's driver over tokio |
//! | [`session`] | what it asks for: peers, hosts, connections |
//! | [`forwarding`] | the sender of mail that is passed on for others |
//! | [`signing`] | what a peer gets: fitted to it, and signed |
//! | [`pool`] | connections that wait for the next message |
//! | [`refusing`] | relayhosts that refuse this server while others take its mail |
//! | [`maildir`] | mail that ends on this machine |
//! | [`pipe`] | a program |
//! | [`blocking`] | the thread that the last two work on |
//!
//! Contract: one outcome for each recipient, in order; what is not known is deferred. `None`: it
//! was not made, its turn comes again.

mod blocking;
mod course;
mod demands;
mod forwarding;
mod job;
mod ledger;
mod lmtp;
mod maildir;
pub(crate) mod pipe;
mod pool;
mod refusing;
mod session;
mod signing;
mod smtp;
mod transports;

use std::pin::pin;

use mail::outcome::{Failure, Outcome};
use relay::delivery::Way;
use tokio::time;

use self::transports::STALL;
pub(crate) use self::{
    demands::Demands,
    job::{Errand, Job, all},
    ledger::Ledger,
    smtp::{credentials, relayhosts},
    transports::Transports,
};
use crate::{
    destination::{Destination, Kind},
    setup::Setup,
};

/// Makes one delivery.
pub(crate) async fn deliver(transports: &Transports, job: Job) -> Option<Vec<Outcome>> {
    match &job.destination.kind {
        Kind::Smtp { .. } | Kind::Lmtp(_) => {
            course::deliver(transports, &job, Some(&job.stored)).await
        }
        Kind::Pipe(_) | Kind::Program(_) => run(transports, job).await,
        Kind::Maildir(_) => Some(blocking::run(job, maildir::deliver).await),
        // The queue's own, and no transport.
        Kind::Aliases => Some(all(
            job.envelope.recipients.len(),
            Failure::ours("no transport"),
        )),
    }
}

/// Has a program take it. One that takes its time has its transport's places alone: however many
/// hang, mail to others goes.
async fn run(transports: &Transports, job: Job) -> Option<Vec<Outcome>> {
    let ticket = job.ticket;
    let running = async {
        if job.pipe().socket.is_some() {
            course::deliver(transports, &job, Some(&job.stored)).await
        } else {
            Some(blocking::run(job, pipe::deliver).await)
        }
    };
    let mut running = pin!(running);
    if let Ok(ended) = time::timeout(STALL, &mut running).await {
        return ended;
    }
    transports.runs(ticket);
    running.await
}

/// Whether a next hop would take these recipients: MAIL and RCPT, no message.
pub(crate) async fn probe(transports: &Transports, errand: &Errand) -> Option<Vec<Outcome>> {
    course::deliver(transports, errand, None).await
}

/// The hosts behind a destination that mail is handed to over a connection, and what they must show
/// if they are other people's.
pub(crate) async fn hosts(
    setup: &Setup,
    to: &Destination,
) -> Result<(Way, Option<Demands>), Failure> {
    match &to.kind {
        Kind::Smtp {
            nexthop,
            relayhost,
            named,
        } => {
            let mut demands = match relayhost {
                true => None,
                false => Some(Demands::new(setup, nexthop).await?),
            };
            let way = smtp::way(setup, nexthop, *relayhost, *named, demands.as_mut()).await?;
            Ok((way, demands))
        }
        Kind::Lmtp(target) => Ok((lmtp::way(target), None)),
        Kind::Maildir(_) | Kind::Pipe(_) | Kind::Program(_) | Kind::Aliases => {
            Err(Failure::ours("no connection is made"))
        }
    }
}
