//! Submission over the agent's socket.
//!
//! Contract: an agent that does not answer costs at most two seconds, and one that is waited for
//! until it listens those of [`starting`](super::starting); once the message has gone out, the
//! answer is waited for, because only it tells whether the agent has the mail. The message is
//! neither completed nor rewritten here.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use mail::{
    envelope::Mail,
    outcome::{Blame, Failure, Outcome, Stage},
};
use relay::{conversation::unreachable, net::Connection};
use smtp::{
    capability::Capabilities,
    client::{Protocol, Security, Settings, Timeouts, Transaction},
};

use super::{
    ready::{Ready, unreadable},
    starting,
};
use crate::compose::read::Message;

/// An agent that is alive answers in milliseconds.
const ANSWER: Duration = Duration::from_secs(2);
/// The answer to the message: a slow disk syncs.
pub(super) const COMMIT: Duration = Duration::from_mins(2);

/// What the agent did.
#[derive(Debug)]
pub enum HandedOver {
    /// One outcome for each recipient, in order.
    Outcomes(Vec<Outcome>),
    /// It certainly does not have the message, for this reason: somebody else may be tried.
    NotTaken {
        failure: Failure,
        /// Nobody listened, or it ended: one that is starting would take it.
        starts: bool,
    },
}

/// Hands a program's message over.
pub fn send(socket: &Path, ready: &Ready) -> HandedOver {
    hand_over(socket, transaction(ready), &ready.message)
}

/// The same, where there is no other way: for some seconds an agent that is starting is waited for.
pub fn send_once_it_listens(socket: &Path, ready: &Ready) -> HandedOver {
    let attempt = || match send(socket, ready) {
        outcomes @ HandedOver::Outcomes(_) => Ok(outcomes),
        not_taken @ HandedOver::NotTaken { .. } => Err(not_taken),
    };
    let passes = |it: &HandedOver| matches!(it, HandedOver::NotTaken { starts: true, .. });
    starting::wait_for(attempt, passes).unwrap_or_else(|not_taken| not_taken)
}

/// Hands a message over with an envelope that is made already; the outcomes are in its order.
pub fn hand_over(socket: &Path, transaction: Transaction, message: &Message) -> HandedOver {
    let settings = Settings {
        helo: "localhost".to_owned(),
        protocol: Protocol::Smtp,
        security: Security::None,
        timeouts: Timeouts {
            opening: ANSWER,
            reply: ANSWER,
            data: ANSWER,
            piece: ANSWER,
            message: COMMIT,
        },
        known: Some(offered()),
        credentials: None,
        enroll: None,
    };
    let begun = Instant::now();
    let stream = match system::socket::connect(socket, ANSWER) {
        Ok(stream) => stream,
        Err(error) => return not_reached(socket, &error),
    };
    let mut connection = match Connection::over(stream, socket, &settings) {
        Ok(connection) => connection,
        Err(failure) => return not_taken(failure, begun),
    };
    let outcomes = match message.reader() {
        Ok(mut content) => connection.send(transaction, &mut content),
        Err(error) => {
            return HandedOver::NotTaken {
                failure: unreadable(&error),
                starts: false,
            };
        }
    };
    connection.quit();
    match surely_not_taken(&outcomes) {
        Some(failure) => not_taken(failure.clone(), begun),
        None => HandedOver::Outcomes(outcomes),
    }
}

fn not_reached(socket: &Path, error: &io::Error) -> HandedOver {
    HandedOver::NotTaken {
        failure: unreachable(&socket.display().to_string(), Blame::Local, error),
        starts: system::socket::is_of_nobody(error),
    }
}

/// An agent that ends or has no place says 421 or closes; one that stands still is silent.
fn not_taken(failure: Failure, begun: Instant) -> HandedOver {
    let starts = match failure.reply {
        Some(code) => code.value() == 421,
        None => begun.elapsed() < ANSWER,
    };
    HandedOver::NotTaken { failure, starts }
}

/// What our agent offers: known, so that nothing waits for its greeting.
fn offered() -> Capabilities {
    Capabilities {
        pipelining: true,
        size: Some(0),
        eight_bit_mime: true,
        smtputf8: true,
        enhanced_status_codes: true,
        dsn: true,
        xcaller: true,
        ..Capabilities::default()
    }
}

/// All recipients deferred, and either before the message went out or by a reply.
fn surely_not_taken(outcomes: &[Outcome]) -> Option<&Failure> {
    let not_taken = |outcome: &Outcome| match outcome {
        Outcome::Deferred(failure) => failure.reply.is_some() || failure.stage != Stage::Message,
        Outcome::Delivered(_) | Outcome::Failed(_) => false,
    };
    match outcomes.first() {
        Some(Outcome::Deferred(first)) if outcomes.iter().all(not_taken) => Some(first),
        _ => None,
    }
}

fn transaction(ready: &Ready) -> Transaction {
    Transaction {
        mail: described(ready.submission.mail.clone(), &ready.message),
        recipients: ready.recipients.clone(),
        patience: None,
        kept: false,
    }
}

/// MAIL with what the message needs.
pub fn described(mail: Mail, message: &Message) -> Mail {
    Mail {
        size: Some(message.size()),
        eight_bit: message.content.eight_bit,
        utf8: message.content.utf8,
        ..mail
    }
}
