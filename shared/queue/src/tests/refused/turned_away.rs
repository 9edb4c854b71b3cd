//! A next hop that goes away (421), or has too many connections, once it has heard of mail: of one
//! sender, or of all.

use super::*;

fn said(stage: Stage, code: u16, text: &str) -> Failure {
    let Outcome::Deferred(failure) = replied(stage, code) else {
        panic!("{code} is for now")
    };
    let text = format!("{code} {text}");
    Failure { text, ..failure }
}

fn world(one: bool, says: &Failure, of: fn(u64) -> bool) -> World {
    let mut world = World::new(one, of);
    world.says = Some(says.clone());
    world
}

/// What may mean one sender, recipient or message, in whatever words.
fn of_one_message() -> Vec<Failure> {
    const CROWD: &str = "4.7.0 too many connections from you";
    vec![
        said(Stage::Mail, 421, "4.7.0 sender blocked"),
        said(Stage::Mail, 421, CROWD),
        said(Stage::Mail, 452, CROWD),
        said(Stage::Recipient, 421, CROWD),
        said(Stage::Recipient, 450, CROWD),
        said(Stage::Data, 421, "4.3.2 bye"),
        said(Stage::Data, 451, CROWD),
        said(Stage::Message, 421, CROWD),
        said(Stage::Message, 451, CROWD),
    ]
}

#[test]
fn one_message_that_a_next_hop_turns_away_holds_up_no_other_however_often_it_is_tried() {
    for says in of_one_message() {
        for one in [true, false] {
            let mut world = world(one, &says, |sender| sender == 0);
            world.arrives(0);
            for second in (5..7200).step_by(5) {
                world.until(second);
                let good = world.arrives(GOOD);
                assert_eq!(world.gone(&[good]), Some(second), "{one}: {says:?}");
            }
            let tries = world.tries.iter().filter(|it| it.1 == 0).count();
            assert!((2..=30).contains(&tries), "{one}: {tries}, {says:?}");
            assert_eq!(world.queue.len(), 1);
        }
    }
}

/// A recipient or a content that one next hop does not like is no reason to stop the others of its
/// sender: on most machines root sends all.
#[test]
fn what_a_next_hop_says_of_a_recipient_or_a_message_holds_up_no_other_of_the_same_sender() {
    let late = of_one_message().into_iter();
    for says in late.filter(|it| it.stage > Stage::Mail) {
        for one in [true, false] {
            let mut world = world(one, &says, |_| true);
            let bad = (0..20).map(|_| world.arrives(0));
            let bad: BTreeSet<_> = bad.collect();
            world.refuses = |_| false;
            let good = world.arrives(0);
            assert_eq!(world.gone(&[good]), Some(0), "{one}: {says:?}");
            assert!(bad.iter().all(|id| !world.taken.contains_key(id)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Strangers may send as much of it as they like.
    #[test]
    fn however_many_senders_are_turned_away_another_one_is_asked_at_once(
        one: bool, many in 1u64..300, same in 1u64..4, crowd: bool, after in 0u64..2000
    ) {
        let text = if crowd { "4.7.0 too many connections" } else { "4.7.0 sender blocked" };
        let mut world = world(one, &said(Stage::Mail, 421, text), |sender| sender != GOOD);
        for number in 0..many * same {
            world.arrives(number % many);
        }
        for late in [after, after + 1, after + 60, after + 7200] {
            world.until(late);
            let tries = world.tries.len();
            let good = world.arrives(GOOD);
            prop_assert_eq!(world.gone(&[good]), Some(late), "{} tries", world.tries.len() - tries);
        }
        let hours = 3 + after / 3600;
        prop_assert!(world.tries.len() as u64 <= many * same * (4 + 14 * hours) + 4);
    }
}

/// It is busy, and says so late: each sender is asked once, and then one after a pause that grows.
#[test]
fn a_next_hop_that_turns_everybody_away_is_asked_rarely_and_gets_all_mail_once_it_is_well() {
    for (one, senders) in [(true, 20), (false, 20), (true, 1), (false, 1)] {
        let says = said(Stage::Mail, 421, "4.3.2 system overloaded");
        let mut world = world(one, &says, |_| true);
        for number in 0..200 {
            world.arrives(number % senders);
        }
        let first = world.tries.len();
        assert!(
            first <= 2 * usize::try_from(senders).unwrap() + 3,
            "{first}"
        );
        world.until(3600);
        let tries = world.tries.len();
        assert!(
            (first + 3..=first + 60).contains(&tries),
            "{one}, {senders}: {tries}"
        );
        world.refuses = |_| false;
        world.until(3 * 3600);
        assert!(
            world.queue.is_empty(),
            "{one}, {senders}: {}",
            world.queue.len()
        );
    }
}

#[test]
fn after_a_pause_another_message_is_tried_than_the_one_that_failed_last() {
    for senders in [1, 2] {
        let says = said(Stage::Mail, 421, "4.3.2 system overloaded");
        let mut world = world(true, &says, |_| true);
        for number in 0..10 {
            world.arrives(number % senders);
        }
        world.until(1800);
        assert!(world.tried.len() > 8, "{:?}", world.tries);
        let mut row = world.tried.windows(2);
        assert!(
            row.all(|two| two[0] != two[1]),
            "{senders}: {:?}",
            world.tried
        );
    }
}

#[test]
fn a_next_hop_that_turns_some_senders_away_is_not_said_to_be_suspended() {
    for one in [true, false] {
        let says = said(Stage::Mail, 421, "4.7.0 sender blocked");
        let mut world = world(one, &says, |sender| sender < 4);
        for round in 0..20 {
            for sender in 0..4 {
                world.arrives(sender);
            }
            world.arrives(GOOD);
            world.until(10 * round + 10);
        }
        assert_eq!(world.suspensions, 0, "{one}");
        assert_eq!(world.turned_away.first(), Some(&2), "{one}");
        assert_eq!(world.turned_away.iter().max(), Some(&4), "{one}");
    }
}
