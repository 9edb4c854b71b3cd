use std::time::Duration;

use proptest::prelude::*;

use super::*;

const RETRY: Schedule = Schedule {
    minimal: Duration::from_mins(1),
    maximal: Duration::from_hours(1),
    lifetime: Duration::from_hours(120),
};
/// Jitter of exactly nothing: 8000 + 2000 ten-thousandths.
const NO_JITTER: u32 = 2000;

fn id(number: u64) -> QueueId {
    serde_json::from_value(number.into()).unwrap()
}
fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + seconds)
}
fn with_mail(count: u64) -> Scheduler {
    let mut scheduler = Scheduler::new(RETRY, 4);
    for number in 1..=count {
        arrive(&mut scheduler, number, at(0));
    }
    scheduler
}
fn arrive(scheduler: &mut Scheduler, number: u64, now: Timestamp) {
    arrive_from(scheduler, 1000, number, now);
}
fn arrive_from(scheduler: &mut Scheduler, user: u32, number: u64, now: Timestamp) {
    scheduler.handle(
        Event::Arrived {
            id: id(number),
            user,
            arrival: now,
            due: now,
            held: false,
        },
        now,
        NO_JITTER,
    );
}
fn finish(scheduler: &mut Scheduler, number: u64, attempt: Attempt, now: Timestamp) {
    scheduler.handle(
        Event::Finished {
            id: id(number),
            attempt,
        },
        now,
        NO_JITTER,
    );
}
fn started(scheduler: &mut Scheduler, now: Timestamp) -> Vec<Action> {
    std::iter::from_fn(|| scheduler.next_action(now)).collect()
}
fn deliveries(numbers: impl IntoIterator<Item = u64>) -> Vec<Action> {
    numbers
        .into_iter()
        .map(|number| Action::Deliver(id(number)))
        .collect()
}

#[test]
fn new_mail_is_tried_at_once_and_one_connection_serves_a_few_messages() {
    let mut scheduler = with_mail(3);
    assert_eq!(started(&mut scheduler, at(0)), deliveries([1]));
    finish(&mut scheduler, 1, Attempt::Done, at(0));
    assert_eq!(started(&mut scheduler, at(0)), deliveries([2]));
}

#[test]
fn more_connections_are_used_while_many_messages_wait_but_never_more_than_the_limit() {
    let mut scheduler = with_mail(1000);
    assert_eq!(started(&mut scheduler, at(0)).len(), 4);
    assert_eq!(scheduler.active(), 4);
    assert_eq!(started(&mut with_mail(6), at(0)).len(), 2);
}

#[test]
fn a_deferred_message_waits_for_its_time_while_others_pass_it() {
    let mut scheduler = with_mail(2);
    started(&mut scheduler, at(0));
    finish(
        &mut scheduler,
        1,
        Attempt::Deferred { until: at(90) },
        at(0),
    );
    assert_eq!(started(&mut scheduler, at(0)), deliveries([2]));
    finish(&mut scheduler, 2, Attempt::Done, at(0));
    assert_eq!(scheduler.deadline(), Some(at(90)));
    assert_eq!(started(&mut scheduler, at(89)), []);
    assert_eq!(started(&mut scheduler, at(90)), deliveries([1]));
}

/// Row C7: back off, keep the mail.
#[test]
fn a_relayhost_that_is_down_is_probed_with_one_message_less_and_less_often() {
    let mut scheduler = with_mail(100);
    let mut now = at(0);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let actions = started(&mut scheduler, now);
        for action in &actions {
            let Action::Deliver(id) = *action else {
                panic!("{action:?}")
            };
            scheduler.handle(
                Event::Finished {
                    id,
                    attempt: Attempt::Unreached,
                },
                now,
                NO_JITTER,
            );
        }
        assert!(pauses.is_empty() || actions.len() == 1, "{actions:?}");
        let next = scheduler.deadline().unwrap();
        pauses.push(next.since(now).as_secs());
        now = next;
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
    // New mail, or the administrator, tries at once; and one success opens the way for all.
    arrive(&mut scheduler, 101, now);
    let probe = started(&mut scheduler, now);
    let [Action::Deliver(id)] = probe[..] else {
        panic!("{probe:?}")
    };
    scheduler.handle(
        Event::Finished {
            id,
            attempt: Attempt::Done,
        },
        now,
        0,
    );
    assert!(started(&mut scheduler, now).len() >= 3);
}

#[test]
fn flush_tries_everything_now_and_flush_of_one_message_only_that() {
    let mut scheduler = with_mail(2);
    for number in [1, 2] {
        started(&mut scheduler, at(0));
        finish(
            &mut scheduler,
            number,
            Attempt::Deferred { until: at(3000) },
            at(0),
        );
    }
    scheduler.handle(Event::Flush(Some(id(2))), at(10), 0);
    assert_eq!(started(&mut scheduler, at(10)), deliveries([2]));
    finish(
        &mut scheduler,
        2,
        Attempt::Deferred { until: at(3000) },
        at(10),
    );
    scheduler.handle(Event::Flush(None), at(20), 0);
    assert_eq!(started(&mut scheduler, at(20)), deliveries([1]));
}

#[test]
fn mail_is_returned_when_its_lifetime_is_over_even_while_the_relayhost_is_down() {
    let mut scheduler = with_mail(1);
    started(&mut scheduler, at(0));
    finish(&mut scheduler, 1, Attempt::Unreached, at(0));
    let over = at(5 * 86_400);
    // The last probe was just before.
    assert_eq!(started(&mut scheduler, at(5 * 86_400 - 1)), deliveries([1]));
    finish(&mut scheduler, 1, Attempt::Unreached, at(5 * 86_400 - 1));
    assert_eq!(scheduler.deadline(), Some(over));
    assert_eq!(started(&mut scheduler, over), [Action::Expire(id(1))]);
}

#[test]
fn held_mail_is_neither_tried_nor_returned_until_it_is_released() {
    let mut scheduler = with_mail(1);
    scheduler.handle(Event::Held(id(1)), at(0), 0);
    scheduler.handle(Event::Flush(None), at(0), 0);
    assert_eq!(started(&mut scheduler, at(10 * 86_400)), []);
    scheduler.handle(Event::Released(id(1)), at(1), 0);
    assert_eq!(started(&mut scheduler, at(1)), deliveries([1]));
    // Held while it is being tried: it stays when the attempt does not take it away.
    scheduler.handle(Event::Held(id(1)), at(1), 0);
    finish(&mut scheduler, 1, Attempt::Deferred { until: at(2) }, at(1));
    assert_eq!(started(&mut scheduler, at(9)), []);
}

/// The order in which `count` messages leave over one connection.
fn order(scheduler: &mut Scheduler, count: usize) -> Vec<u64> {
    let mut order = Vec::new();
    for _ in 0..count {
        let actions = started(scheduler, at(1));
        for action in actions {
            let Action::Deliver(tried) = action else {
                panic!("{action:?}")
            };
            let number = (1..2000).find(|&number| id(number) == tried).unwrap();
            finish(scheduler, number, Attempt::Done, at(1));
            order.push(number);
        }
    }
    order
}

#[test]
fn a_user_who_sends_in_a_loop_delays_nobody_and_root_goes_first_but_not_alone() {
    let mut scheduler = Scheduler::new(RETRY, 1);
    for number in 1..=1000 {
        arrive_from(&mut scheduler, 33, number, at(0));
    }
    for number in [1001, 1002] {
        arrive_from(&mut scheduler, 1000, number, at(1));
    }
    arrive_from(&mut scheduler, 1001, 1003, at(1));
    arrive_from(&mut scheduler, 0, 1004, at(1));
    assert_eq!(
        order(&mut scheduler, 7),
        [1004, 1, 1001, 1003, 2, 1002, 3],
        "root, then turn by turn"
    );
    for number in 1100..1120 {
        arrive_from(&mut scheduler, 0, number, at(1));
    }
    assert_eq!(
        order(&mut scheduler, 10),
        [1100, 1101, 1102, 1103, 4, 1104, 1105, 1106, 1107, 5]
    );
}

#[test]
fn mail_that_the_administrator_returns_goes_back_at_once_whether_it_waits_is_held_or_is_being_tried()
 {
    let mut scheduler = with_mail(3);
    scheduler.handle(Event::Held(id(2)), at(0), 0);
    assert_eq!(started(&mut scheduler, at(0)), deliveries([1]));
    for number in [1, 2, 3] {
        scheduler.handle(Event::Returned(id(number)), at(0), 0);
    }
    let bounces = [2, 3].map(|number| Action::Bounce(id(number)));
    assert_eq!(started(&mut scheduler, at(0)), bounces);
    finish(&mut scheduler, 1, Attempt::Unreached, at(0));
    assert_eq!(started(&mut scheduler, at(0)), [Action::Bounce(id(1))]);
    for number in [1, 2, 3] {
        finish(&mut scheduler, number, Attempt::Done, at(0));
    }
    assert_eq!(scheduler.deadline(), None);
}

proptest! {
    /// Whatever happens in whatever order: each message is tried or waits, never twice at once, and all of them end.
    #[test]
    fn no_order_of_events_loses_a_message_or_tries_it_twice_at_once(steps in proptest::collection::vec((0u8..10, 1u64..12, 0u64..5000), 0..200)) {
        let mut scheduler = Scheduler::new(RETRY, 3);
        let mut known = BTreeSet::new();
        let mut active = BTreeSet::new();
        let mut now = at(0);
        for (what, number, seconds) in steps {
            match what {
                0..=2 if known.insert(number) => arrive_from(&mut scheduler, u32::try_from(number % 3).unwrap(), number, now),
                3 if active.remove(&number) => { known.remove(&number); finish(&mut scheduler, number, Attempt::Done, now); }
                4 if active.remove(&number) => finish(&mut scheduler, number, Attempt::Deferred { until: now.after(Duration::from_secs(seconds)) }, now),
                5 if active.remove(&number) => finish(&mut scheduler, number, Attempt::Unreached, now),
                6 => scheduler.handle(Event::Held(id(number)), now, 0),
                7 => scheduler.handle(Event::Released(id(number)), now, 0),
                8 => scheduler.handle(Event::Returned(id(number)), now, 0),
                _ => now = now.after(Duration::from_secs(seconds)),
            }
            for action in started(&mut scheduler, now) {
                let (Action::Deliver(tried) | Action::Expire(tried) | Action::Bounce(tried)) = action;
                let number = (1..12).find(|&n| id(n) == tried).unwrap();
                prop_assert!(known.contains(&number) && active.insert(number), "{action:?}");
            }
            prop_assert!(active.len() <= 3 && active.len() == scheduler.active());
        }
        // Released and given time, all of them leave.
        for number in 1..12 { scheduler.handle(Event::Released(id(number)), now, 0); }
        for _ in 0..10_000 {
            for number in std::mem::take(&mut active) { known.remove(&number); finish(&mut scheduler, number, Attempt::Done, now); }
            for action in started(&mut scheduler, now) {
                let (Action::Deliver(tried) | Action::Expire(tried) | Action::Bounce(tried)) = action;
                active.insert((1..12).find(|&n| id(n) == tried).unwrap());
            }
            match scheduler.deadline() { Some(next) => now = next.max(now), None if active.is_empty() => break, None => {} }
        }
        prop_assert!(known.is_empty(), "{known:?} never left");
    }
}
