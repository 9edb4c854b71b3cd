//! Delivery to the relayhost by `sendmail` itself: no queue, so the exit status is the only record.
//!
//! Contract: the relayhosts are tried in order until one takes the message. The caller waits, so
//! the timeouts are shorter than those of a queue.
//! Failures: one [`Outcome`] a recipient; without a relayhost, or with none that answers, the
//! [`Failure`] that says why.

use std::{io::Read, sync::Mutex, time::Duration};

use mail::{
    envelope::Envelope,
    message::Header,
    outcome::{Failure, Outcome},
};
use relay::{
    delivery::{Delivery, Memory, Patience},
    net::{Outgoing, Road, Text, deliver, names::Names},
};
use smtp::client::Timeouts;

use crate::{compose::read::Message, config::settings::Settings, relay as relayhost};

const TIMEOUTS: Timeouts = Timeouts {
    opening: Duration::from_secs(30),
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
        .map_err(|error| relayhost::local(&error.0))?;
    let names = Names::new(settings.resolver);
    let road = Road {
        way: &|| relayhost::way(settings, &names, tls.as_ref()),
        settings: &|| relayhost::smtp(settings, TIMEOUTS),
        tls: tls.as_ref(),
        own: &settings.listen,
        memory: &Mutex::new(Memory::default()),
        opened: &|_| (),
        others: None,
        halted: None,
        all_the_same: &|_, _| (),
    };
    let outgoing = Outgoing {
        envelope,
        text: Text {
            size: message.size_with(header),
            read: &|| Ok(Box::new(message.reader_with(header)?) as Box<dyn Read + Send>),
        },
        for_others: None,
    };
    let sender = envelope.sender.to_string();
    let delivery = Delivery::new(
        envelope.recipients.len(),
        sender,
        Patience::AMONG_RELAYHOSTS,
    );
    let mut kept = None;
    let (outcomes, unusable) = deliver(delivery, &mut kept, &road, &outgoing);
    if let Some(connection) = kept {
        connection.quit();
    }
    match unusable {
        Some(failure) => Err(failure),
        None => Ok(outcomes),
    }
}
