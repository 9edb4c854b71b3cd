//! Messages whose envelope cannot be read.

use std::time::Duration;

use mail::outcome::Failure;

use super::{START, id, queue, recovered, tell};
use crate::{
    Waiting,
    simulation::{Action, Event},
};

#[test]
fn damage_is_tried_again_after_growing_pauses_and_given_up_when_the_message_is_old_and_other_faults_wait()
 {
    for damaged in [true, false] {
        let mut queue = queue();
        let waiting = vec![Waiting {
            recipient: 0,
            until: None,
        }];
        let mut actions = tell(&mut queue, recovered(id(1), false, true, waiting), START);
        let (mut now, mut pauses) = (START, Vec::new());
        let old = START.after(Duration::from_hours(150));
        while now < old && actions.iter().any(|it| matches!(it, Action::Load { .. })) {
            let event = Event::LoadFailed {
                id: id(1),
                failure: Failure::ours("the disk cannot read it"),
                damaged,
            };
            actions = tell(&mut queue, event, now);
            if let Some(due) = queue.deadline() {
                pauses.push(due.since(now));
                now = due;
                actions.extend(tell(&mut queue, Event::TimedOut, now));
            }
        }
        let is_given_up = |it: &Action| matches!(it, Action::Bounce { expired: true, .. });
        assert_eq!(actions.iter().any(is_given_up), damaged, "{actions:?}");
        assert!(pauses.len() > 10 && pauses[9] > pauses[0], "{pauses:?}");
    }
}
