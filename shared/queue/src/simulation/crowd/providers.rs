//! Who takes mail in a busy day: hosts, how they behave, and by which transport mail goes there.

use std::{sync::Arc, time::Duration};

use mail::clock::Timestamp;

use crate::{Slots, Transport, random::Random};

const DELAY: Duration = Duration::from_secs(2);
/// Deliveries at once by a transport that has a name.
pub(super) const PROCESSES: usize = 6;

/// How hosts behave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Works,
    /// Takes half a minute for each message.
    Slow,
    /// Nobody answers until then.
    Away(Duration),
    Dead,
    Refuses,
    /// More connections are too many.
    Takes(usize),
}

/// Hosts, and how mail goes there.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) kind: Kind,
    pub(super) hosts: [Arc<str>; 1],
    pub(super) transport: Arc<Transport>,
    pub(super) kept: bool,
    /// At some messages; the administrator named it.
    pub(super) falls_silent: bool,
    pub(super) named: bool,
    /// It fell silent at different messages for minutes.
    pub(super) suspended: bool,
    /// Connections now.
    pub(super) open: usize,
    pub(super) ended: Option<Timestamp>,
    /// How often it said that there were too many.
    pub(super) too_many: usize,
}

/// So many destinations at least: who takes mail, and the provider of each.
pub(super) fn providers(
    random: &mut Random,
    destinations: usize,
    slots: &Slots,
) -> (Vec<Provider>, Vec<usize>) {
    let transports = transports(slots);
    let mut providers = Vec::new();
    let mut of = Vec::new();
    while of.len() < destinations {
        let kind = match random.next() % 100 {
            0..60 => Kind::Works,
            60..65 => Kind::Slow,
            65..75 => Kind::Away(Duration::from_mins(u64::from(random.next() % 600))),
            75..85 => Kind::Dead,
            85..92 => Kind::Refuses,
            _ => Kind::Takes(1 + random.next() as usize % 3),
        };
        // One in ten hosts many domains.
        let domains = match random.next() % 10 {
            0 => 2 + random.next() as usize % 40,
            _ => 1,
        };
        let transport = match random.next() % 10 {
            0 => 1,
            1 => 2,
            _ => 0,
        };
        of.extend(std::iter::repeat_n(providers.len(), domains));
        providers.push(Provider {
            kind,
            hosts: [format!("mx{}.example:25", providers.len()).into()],
            transport: Arc::clone(&transports[transport]),
            kept: random.next().is_multiple_of(5),
            falls_silent: random.next().is_multiple_of(4),
            named: random.next().is_multiple_of(2),
            suspended: false,
            open: 0,
            ended: None,
            too_many: 0,
        });
    }
    (providers, of)
}

/// The transports: the one without a name, one with few connections, one with a pause.
fn transports(slots: &Slots) -> [Arc<Transport>; 3] {
    let unnamed = Transport::unnamed(slots);
    let named = |name: &str, connections, delay| Transport {
        name: Some(name.into()),
        connections,
        open: connections,
        recipients: 2,
        delay,
        processes: PROCESSES,
        ..unnamed.clone()
    };
    let (few, paced) = (named("few", 2, Duration::ZERO), named("paced", 5, DELAY));
    [unnamed, few, paced].map(Arc::new)
}
