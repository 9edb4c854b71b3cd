//! A delivery that is cut short where the program ends.

use mail::outcome::{Failure, Outcome, Stage};
use spool::{Event as Recorded, Settlement};

use super::{START, accepted, deliveries, id, queue, tell};
use crate::simulation::{Action, Event, replied, sent};

#[test]
fn whoever_was_answered_before_a_stop_is_settled_and_the_others_are_tried_as_if_nothing_had_been() {
    let mut queue = queue();
    let begun = deliveries(&tell(&mut queue, accepted(1, &["a"; 4]), START));
    let refused = replied(Stage::Recipient, 550);
    let outcomes = vec![
        sent(),
        refused.clone(),
        Failure::ours("interrupted").outcome(),
        replied(Stage::Recipient, 451),
    ];
    let event = Event::interrupted(begun[0].ticket, outcomes);
    let told = tell(&mut queue, event, START);
    let settled = |of: &Action| match of {
        Action::Record {
            event:
                Recorded::Settled {
                    recipient,
                    settlement,
                },
            ..
        } => Some((*recipient, *settlement)),
        _ => None,
    };
    assert_eq!(
        told.iter().filter_map(settled).collect::<Vec<_>>(),
        [(0, Settlement::Delivered)]
    );
    let waits = |of: &Action| match of {
        Action::Record {
            event: Recorded::Deferred { recipients, .. },
            ..
        } => Some(recipients.clone()),
        _ => None,
    };
    let waiting: Vec<_> = told.iter().filter_map(waits).collect();
    assert_eq!(waiting, [vec![3]], "the third was not tried");
    let due = Action::Load {
        id: id(1),
        recipients: vec![2],
    };
    assert!(told.contains(&due), "at once, at the next start: {told:?}");
    let Outcome::Failed(refused) = refused else {
        panic!("{refused:?} is for good");
    };
    assert!(
        told.contains(&Action::Bounce {
            id: id(1),
            failed: vec![(1, refused)],
            expired: false,
        }),
        "{told:?}"
    );
}

#[test]
fn a_return_that_was_ordered_meanwhile_returns_nothing_to_the_sender_of_what_was_delivered() {
    let mut queue = queue();
    let begun = deliveries(&tell(&mut queue, accepted(1, &["a"; 2]), START));
    let order = Event::Return {
        id: id(1),
        failure: Failure::ours("returned"),
        null_sender: false,
    };
    tell(&mut queue, order, START);
    let outcomes = vec![sent(), Failure::ours("interrupted").outcome()];
    let told = tell(
        &mut queue,
        Event::interrupted(begun[0].ticket, outcomes),
        START,
    );
    let bounced: Vec<_> = told
        .iter()
        .filter_map(|action| match action {
            Action::Bounce { failed, .. } => Some(failed.iter().map(|it| it.0).collect::<Vec<_>>()),
            _ => None,
        })
        .collect();
    assert_eq!(bounced, [vec![1]], "{told:?}");
}
