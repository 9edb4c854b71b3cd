//! Programs that take their time beside mail to others.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{START, accepted, deliveries, settings, tell};
use crate::{
    Slots, Transport, Transports,
    simulation::{Delivery, Event, Queue, sent},
};

const PROGRAMS: usize = 4;

/// Thirty lists, each with a transport of its own.
fn with_lists() -> Queue {
    let slots = Slots::of_many(200, 10);
    let mut queue = Queue::new(settings(slots), 7);
    let list = |name: &str| {
        Arc::new(Transport {
            name: Some(name.into()),
            connections: 10,
            initial: 10,
            open: 10,
            recipients: 1,
            delay: Duration::ZERO,
            processes: PROGRAMS,
        })
    };
    let lists: BTreeMap<String, Arc<Transport>> = (0..30)
        .map(|number| (format!("list{number}"), list(&format!("list{number}"))))
        .collect();
    let other = Arc::new(Transport::unnamed(&slots));
    let rule = move |to: &String| Arc::clone(lists.get(to).unwrap_or(&other));
    queue.set_transports(Transports::new(rule), START);
    queue
}

#[test]
fn programs_that_hang_hold_up_no_new_destination_and_never_are_more_than_their_transport_allows() {
    let mut queue = with_lists();
    let mut running: Vec<Delivery> = Vec::new();
    let mut begun = Vec::new();
    for number in 0..30 * 5 {
        let to = format!("list{}", number % 30);
        begun.extend(deliveries(&tell(
            &mut queue,
            accepted(number, &[&to]),
            START,
        )));
    }
    while let Some(next) = begun.pop() {
        let ticket = next.ticket;
        running.push(next);
        let told = tell(&mut queue, Event::Runs { ticket }, START);
        begun.extend(deliveries(&told));
    }
    let mut each: BTreeMap<&str, usize> = BTreeMap::new();
    for delivery in &running {
        *each.entry(delivery.destination.as_str()).or_default() += 1;
    }
    assert_eq!(each.len(), 30);
    assert!(each.values().all(|count| *count == PROGRAMS), "{each:?}");
    let fresh = deliveries(&tell(&mut queue, accepted(1000, &["new"]), START));
    assert_eq!(fresh.len(), 1, "it does not wait for any of them");
    // One that ends makes room for the next of its list.
    let ended = running.remove(0);
    let list = ended.destination.clone();
    let event = Event::Finished {
        ticket: ended.ticket,
        outcomes: vec![sent()],
    };
    let next = deliveries(&tell(&mut queue, event, START));
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].destination, list);
}
