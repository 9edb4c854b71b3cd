//! Delivery to the relayhost by `sendmail` itself: no queue, so the exit status is the only record.
//!
//! Contract: the relayhosts are tried in order until one answers; the message goes to one of them only. The caller waits, so
//! the timeouts are shorter than those of a queue.
//! Failures: one [`Outcome`] a recipient; without a relayhost, or with none that answers, the [`Failure`] that says why.

use std::{io::Read, time::Duration};

use mail::{
    envelope::Envelope,
    limits,
    message::Header,
    outcome::{Failure, Outcome},
};
use smtp::client::Timeouts;

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
    envelope: &Envelope,
    header: &Header,
    message: &Message,
) -> Result<Vec<Outcome>, Failure> {
    let tls = settings
        .client_tls()
        .map_err(|error| relay::local(&error.0))?;
    let mut connection = relay::open(settings, tls.as_ref(), TIMEOUTS, CONNECT)?;
    let read = || Ok(Box::new(message.reader_with(header)?) as Box<dyn Read>);
    let size = message.size_with(header);
    let mut outcomes = Vec::new();
    for recipients in envelope.recipients.chunks(limits::SURE_RECIPIENTS) {
        let some = Envelope {
            recipients: recipients.to_vec(),
            ..envelope.clone()
        };
        match relay::fit(&connection, some, size, &read) {
            Ok(mut fitted) => {
                outcomes.extend(connection.send(fitted.transaction, &mut fitted.content));
            }
            Err(error) => {
                let failure = Outcome::Deferred(super::run::unreadable(&error));
                outcomes.extend(vec![failure; recipients.len()]);
            }
        }
    }
    connection.quit();
    Ok(outcomes)
}
