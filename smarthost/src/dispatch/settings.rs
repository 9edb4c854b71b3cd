//! What the scheduler is told of the configuration.

use std::{collections::HashMap, sync::Arc};

use super::Client;
use crate::{config::Config, destination::Destination};

/// How the queue is run as a configuration says; `only_queues`: nothing is delivered.
pub fn queue_settings(config: &Config, only_queues: bool) -> queue::Settings<Client> {
    let schedule = config.retry.schedule;
    let deliveries = if only_queues {
        0
    } else {
        config.concurrency.deliveries
    };
    queue::Settings {
        schedule,
        back_off: queue::BackOff::of_many(&schedule),
        warning: config.retry.warning,
        slots: queue::Slots::of_many(deliveries, config.concurrency.destination),
        first: None,
    }
}

/// Which transport each destination has.
pub fn transports(config: &Config) -> queue::Transports<Destination> {
    let unnamed = Arc::new(config.queue_transport(None));
    let named: HashMap<_, _> = config
        .transports
        .keys()
        .map(|name| {
            (
                Arc::clone(name),
                Arc::new(config.queue_transport(Some(name))),
            )
        })
        .collect();
    queue::Transports::new(move |destination: &Destination| {
        let name = destination.transport.as_ref();
        Arc::clone(name.and_then(|name| named.get(name)).unwrap_or(&unnamed))
    })
}
