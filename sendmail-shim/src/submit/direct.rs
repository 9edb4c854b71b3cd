//! Delivery to the relayhost by `sendmail` itself: no queue, so the exit status is the only record.
//!
//! Contract: the relayhosts are tried in order until one answers; the message goes to one of them only. The caller waits, so
//! the timeouts are shorter than those of a queue.
//! Failures: one [`Outcome`] a recipient; without a relayhost, or with none that answers, the [`Failure`] that says why.

use std::{io::Read, time::Duration};

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
    let read = || Ok(Box::new(message.reader_with(header)?) as Box<dyn Read>);
    let size = message.size_with(header);
    let mut fitted = relay::fit(&connection, envelope, size, &read)
        .map_err(|error| super::run::unreadable(&error))?;
    let outcomes = connection.send(fitted.transaction, &mut fitted.content);
    connection.quit();
    Ok(outcomes)
}
