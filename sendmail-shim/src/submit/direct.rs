//! Delivery to the relayhost by `sendmail` itself: no queue, so the exit status is the only record.
//!
//! Contract: the relayhosts are tried in order until one answers; the message goes to one of them only. The caller waits, so
//! the timeouts are shorter than those of a queue.
//! Failures: one [`Outcome`] a recipient; without a relayhost, or with none that answers, the [`Failure`] that says why.

use std::time::Duration;

use shared::{
    envelope::Envelope,
    message::Header,
    outcome::{Failure, Outcome},
    smtp::client::Timeouts,
};

use crate::{compose::read::Message, config::settings::Settings, relay};

const CONNECT: Duration = Duration::from_secs(10);
const TIMEOUTS: Timeouts = Timeouts {
    reply: Duration::from_secs(30),
    data: Duration::from_secs(30),
    piece: Duration::from_mins(1),
    message: Duration::from_mins(2),
};

/// Sends a message that is rewritten and complete.
pub fn send(
    settings: &Settings,
    envelope: Envelope,
    header: &Header,
    message: &Message,
) -> Result<Vec<Outcome>, Failure> {
    let tls = settings
        .client_tls()
        .map_err(|error| relay::local(&error.0))?;
    let mut connection = relay::open(settings, tls.as_ref(), TIMEOUTS, CONNECT)?;
    let content = message.reader_with(header);
    let mut content = content.map_err(|error| super::run::unreadable(&error))?;
    let transaction = relay::transaction(&connection, envelope, message.size_with(header));
    let outcomes = connection.send(transaction, &mut content);
    connection.quit();
    Ok(outcomes)
}
