//! First mail to a host that was never asked, while hundreds of others are silent.

use std::{collections::VecDeque, time::Duration};

use mail::clock::Timestamp;

use super::{START, accepted, deliveries, finished, hundred, sent, silence, tell};
use crate::{
    Patience, Routed, Silence,
    simulation::{Action, Delivery, Event, ORIGIN, Queue, destination},
};

/// Hundreds that were silent before, and hundreds that were not tried yet.
#[test]
fn one_clients_mail_to_silent_hosts_leaves_places_to_his_mail_to_new_ones() {
    let mut queue = hundred();
    let (mut flights, mut now) = (VecDeque::new(), START);
    let mut number = 0;
    let mut send = |queue: &mut Queue, name: String, now| {
        number += 1;
        deliveries(&tell(queue, accepted(number, &[&name]), now))
    };
    for silent in 0..300 {
        let begun = send(&mut queue, format!("silent{silent}"), now);
        flights.extend(begun.into_iter().map(|it| (now, it)));
    }
    for new in 0..30 {
        let begun = send(&mut queue, format!("new{new}"), now);
        flights.extend(begun.into_iter().map(|it| (now, it)));
        let mut waited = 0;
        while !flights
            .iter()
            .any(|(_, it)| it.destination.starts_with("new"))
        {
            assert!(
                waited < 10,
                "{waited} s for {new}, {} under way",
                flights.len()
            );
            waited += 1;
            now = now.after(Duration::from_secs(1));
            tick(&mut queue, &mut flights, now);
        }
        let at = flights
            .iter()
            .position(|(_, it)| it.destination.starts_with("new"));
        let (_, found) = flights.remove(at.unwrap()).unwrap();
        let next = deliveries(&tell(&mut queue, finished(&found, sent()), now));
        flights.extend(next.into_iter().map(|it| (now, it)));
        assert!(flights.len() <= 85, "{} of 100 places", flights.len());
        // Minutes, in which more and more of them are silent for minutes.
        for _ in 0..15 {
            now = now.after(Duration::from_secs(1));
            tick(&mut queue, &mut flights, now);
        }
    }
}

/// Silent ones time out: after ten seconds, or after five minutes of patience.
fn tick(queue: &mut Queue, flights: &mut VecDeque<(Timestamp, Delivery)>, now: Timestamp) {
    let mut begun = tell(queue, Event::TimedOut, now);
    for (began, flight) in std::mem::take(flights) {
        let patience = match flight.patience {
            Patience::Short => Duration::from_secs(10),
            Patience::Full => Duration::from_mins(5),
        };
        let is_new = flight.destination.starts_with("new");
        if now.since(began) < patience || is_new {
            flights.push_back((began, flight));
        } else {
            begun.extend(tell(queue, finished(&flight, silence()), now));
        }
    }
    while let Some(at) = begun
        .iter()
        .position(|it| matches!(it, Action::Load { .. }))
    {
        let Action::Load { id, recipients } = begun.remove(at) else {
            unreachable!()
        };
        let number: u64 = serde_json::to_string(&id).unwrap().parse().unwrap();
        let to = |recipient| Routed {
            recipient,
            destination: Ok(destination(&format!("silent{}", number - 1))),
            lifetime: None,
        };
        let loaded = Event::Loaded {
            id,
            origin: ORIGIN,
            recipients: recipients.into_iter().map(to).collect(),
        };
        begun.extend(tell(queue, loaded, now));
    }
    flights.extend(deliveries(&begun).into_iter().map(|it| (now, it)));
}

/// As many as one host gets, all silent at their messages.
#[test]
fn a_host_that_is_silent_at_some_messages_is_not_kept_by_them_from_others() {
    let mut queue = hundred();
    let host = ["192.0.2.1:25".into()];
    let mut ask = |number: u64, name: &str| {
        let begun = deliveries(&tell(&mut queue, accepted(number, &[name]), START));
        for flight in &begun {
            let ticket = flight.ticket;
            if !queue.admits(&flight.destination, &host, START) {
                tell(&mut queue, Event::Withdrawn { ticket }, START);
            }
        }
        begun
    };
    let mut silent = Vec::new();
    for number in 0..5 {
        silent.extend(ask(number, &format!("silent{number}")));
    }
    assert_eq!(silent.len(), 5);
    for number in 5..8 {
        ask(number, &format!("other{number}"));
    }
    let silence = Silence {
        in_doubt: false,
        named: false,
    };
    for flight in &silent {
        let ticket = flight.ticket;
        tell(&mut queue, Event::Silent { ticket, silence }, START);
    }
    let due = queue.deadline().unwrap();
    let cut = tell(&mut queue, Event::TimedOut, due);
    assert!(matches!(cut[..], [Action::Cut { .. }]), "one: {cut:?}");
}
