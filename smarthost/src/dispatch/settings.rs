//! What the scheduler is told of the configuration.

use std::{collections::HashMap, sync::Arc};

use super::Client;
use crate::{
    config::{Concurrency, Config},
    destination::Destination,
};

/// How the queue is run as a configuration says; `only_queues`: nothing is delivered.
pub fn queue_settings(config: &Config, only_queues: bool) -> queue::Settings<Client> {
    let schedule = config.retry.schedule;
    let mut slots = slots(config);
    if only_queues {
        slots.total = 0;
    }
    queue::Settings {
        schedule,
        back_off: queue::BackOff::of_many(&schedule),
        warning: config.retry.warning,
        slots,
        first: None,
    }
}

/// Which transport each destination has.
pub fn transports(config: &Config) -> queue::Transports<Destination> {
    let unnamed = Arc::new(queue::Transport::unnamed(&slots(config)));
    let named: HashMap<_, _> = config
        .transports
        .iter()
        .map(|(name, settings)| {
            let used = queue::Transport {
                name: Some(Arc::clone(name)),
                connections: settings.connections.unwrap_or(unnamed.connections),
                open: settings.connections.unwrap_or(unnamed.open),
                initial: settings.initial_connections,
                recipients: settings.recipients,
                delay: settings.delay,
                processes: settings.processes,
            };
            (Arc::clone(name), Arc::new(used))
        })
        .collect();
    queue::Transports::new(move |destination: &Destination| {
        let name = destination.transport.as_ref();
        Arc::clone(name.and_then(|name| named.get(name)).unwrap_or(&unnamed))
    })
}

/// The places that there are. A number of connections that was set is a promise.
fn slots(config: &Config) -> queue::Slots {
    let Concurrency {
        deliveries,
        destination,
        ..
    } = config.concurrency;
    let slots = queue::Slots::of_many(deliveries, destination);
    if config.concurrency.limits_destination {
        slots.strict()
    } else {
        slots
    }
}
