//! Several relayhosts: one that fails in whatever way is left within seconds, costs later mail
//! nothing, and is used again by itself.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// How a relayhost can fail, with the seconds that this takes at most.
fn failing(how: usize) -> (&'static str, Peer, u64) {
    let opening = |stage, status, text: &str| {
        let status = EnhancedStatus::parse(status).unwrap();
        Failure::new(Blame::Network, stage, status, text)
    };
    let refused = opening(Stage::Connect, "4.4.1", "Connection refused");
    let greeting = Failure::replied(
        Stage::Greeting,
        ReplyCode::new(421).unwrap(),
        None,
        "421 4.7.0 too many connections",
    );
    let pin = opening(Stage::Tls, "4.7.5", "no pin fits its key");
    let says = |stage, text| peer("mx1", "192.0.2.1", &[(stage, text)]);
    let never = |failure, slow| Peer {
        opening: Err(failure),
        slow: slow * SECOND,
        ..peer("mx1", "192.0.2.1", &[])
    };
    match how {
        0 => ("refuses", never(refused, 0), 0),
        1 => (
            "is dead",
            never(opening(Stage::Connect, "4.4.1", "timed out"), 5),
            5,
        ),
        2 => (
            "is mute",
            never(opening(Stage::Greeting, "4.4.2", "timed out"), 10),
            10,
        ),
        3 => ("has no room", never(greeting, 0), 0),
        4 => ("shows another key", never(pin, 0), 0),
        5 => ("goes away", says(Stage::Mail, "421 4.3.2 going down"), 0),
        6 => ("is full", says(Stage::Mail, "452 4.3.1 no room"), 0),
        7 => ("takes no more", says(Stage::Mail, "450 4.7.1 too much"), 0),
        8 => (
            "is in trouble",
            says(Stage::Recipient, "451 4.3.5 wrong configuration"),
            0,
        ),
        9 => ("cuts the line", says(Stage::Data, "lost connection"), 0),
        10 => ("falls silent", says(Stage::Recipient, SILENT), 20),
        _ => ("is not found", peer("mx1", "", &[]), 0),
    }
}

const WAYS: usize = 12;

fn well() -> Peer {
    peer("mx1", "192.0.2.1", OK)
}

fn two(first: Peer) -> World {
    world(true, vec![first, peer("mx2", "192.0.2.2", OK)])
}

#[test]
fn a_relayhost_that_fails_is_left_within_seconds_costs_later_mail_nothing_and_is_used_again_by_itself()
 {
    for how in 0..WAYS {
        let (name, first, seconds) = failing(how);
        let mut world = two(first);
        let began = world.now;
        assert_eq!(
            words(&world.deliver("a@b", 2).0),
            ["delivered"; 2],
            "{name}"
        );
        assert!(
            world.now - began <= SECOND * u32::try_from(seconds).unwrap(),
            "{name}"
        );
        assert_eq!(world.story.last().unwrap(), "send 2", "{name}");
        for _ in 0..50 {
            assert_eq!(words(&world.deliver("c@d", 1).0), ["delivered"], "{name}");
            assert_eq!(world.story, ["open 192.0.2.2", "send 1"], "{name}");
        }
        // It is well again, and mail comes once in a while.
        world.peers[0] = well();
        world.now += SECOND * u32::try_from(3 * seconds).unwrap().max(10);
        world.deliver("a@b", 1);
        assert_eq!(world.story, ["open 192.0.2.1", "send 1"], "{name}");
    }
}

/// As long as there is mail the connection to the second one is kept; it is given up for the first
/// when its pause is over.
#[test]
fn a_kept_connection_to_the_second_relayhost_gives_way_to_the_first() {
    let (_, first, _) = failing(0);
    let mut world = two(first);
    world.deliver("a@b", 1);
    let Host { name, port, .. } = world.way().hosts[0].clone();
    assert_eq!((name.as_str(), port), ("mx1", 25));
    world.kept = OK.to_vec();
    world.instead_of = vec![Spot::Place(Place::Tcp(([192, 0, 2, 1], 25).into()))];
    world.deliver("a@b", 1);
    assert_eq!(world.story, ["send 1"], "not yet");
    world.now += 10 * SECOND;
    world.deliver("a@b", 1);
    let story = ["open 192.0.2.1", "open 192.0.2.2", "send 1"];
    assert_eq!(world.story, story, "tried in vain");
    world.deliver("a@b", 1);
    assert_eq!(world.story, ["send 1"], "the next pause is longer");
    world.now += 20 * SECOND;
    world.peers[0] = well();
    world.deliver("a@b", 1);
    assert_eq!(world.story, ["open 192.0.2.1", "send 1"]);
}

/// What is about the mail says nothing of the host.
#[test]
fn a_relayhost_that_refuses_one_message_takes_the_next() {
    for says in [
        (Stage::Recipient, "450 4.2.0 greylisted"),
        (Stage::Recipient, "550 5.1.1 no such user"),
        (Stage::Mail, "450 4.1.8 sender's domain not found"),
        (Stage::Message, "451 4.7.1 try later"),
        (Stage::Message, "554 5.7.1 spam"),
    ] {
        let mut world = two(peer("mx1", "192.0.2.1", &[says, OK[0]]));
        world.deliver("a@b", 1);
        world.deliver("c@d", 1);
        assert_eq!(world.story, ["open 192.0.2.1", "send 1"], "{says:?}");
    }
}

#[test]
fn what_is_known_of_each_relayhost_can_be_told() {
    let (_, first, _) = failing(0);
    let mut world = two(first);
    world.deliver("a@b", 1);
    world.now += 4 * SECOND;
    let hosts = world.way().hosts;
    let failing = world.memory.standing(&hosts[0], world.now).failing.unwrap();
    assert_eq!((failing.failures, failing.again), (1, 6 * SECOND));
    assert_eq!(failing.since, 4 * SECOND);
    assert!(failing.why.contains("refused"), "{}", failing.why);
    let second = world.memory.standing(&hosts[1], world.now);
    assert_eq!(
        second,
        Standing {
            opened: Some(4 * SECOND),
            ..Standing::default()
        }
    );
    world.peers[0] = well();
    world.now += 7 * SECOND;
    world.deliver("a@b", 1);
    assert_eq!(world.memory.standing(&hosts[0], world.now).failing, None);
}

proptest! {
    /// Over hours in which the first relayhost fails and recovers as it likes: each message is
    /// delivered at once, to one host; and all the waiting is a small part of the time.
    #[test]
    fn while_the_second_relayhost_is_well_each_message_goes_once_and_few_of_them_wait(
        moods in prop::collection::vec((0..=WAYS, 1u64..1800), 1..12)
    ) {
        let mut world = two(well());
        for (mood, seconds) in moods {
            let (_, first, most) = failing(mood);
            world.peers[0] = if mood == WAYS { well() } else { first };
            let (mut waited, mut late) = (Duration::ZERO, 0);
            for _ in 0..seconds / 5 {
                world.now += 5 * SECOND;
                let began = world.now;
                let (outcomes, unusable) = world.deliver("a@b", 1);
                prop_assert_eq!(words(&outcomes), ["delivered"]);
                prop_assert_eq!(unusable, None);
                let took = world.now - began;
                prop_assert!(took <= u32::try_from(most).unwrap() * SECOND, "{took:?} in mood {mood}");
                waited += took;
                late += u32::from(took > Duration::ZERO);
            }
            // Tried in vain after 10, 20, 40, 80, 160 seconds, then every five minutes.
            let tries = 7 + u32::try_from(seconds / 300).unwrap();
            prop_assert!(late <= tries, "{late} of {tries}");
            prop_assert!(waited <= tries * u32::try_from(most).unwrap() * SECOND);
        }
    }
}

/// As on a machine where root sends all: no other sender shows that it is refused. Mail goes by the
/// second one, which says nothing of it.
#[test]
fn a_relayhost_that_refuses_all_mail_of_one_sender_fails_after_some_and_is_told_once() {
    for refusal in [
        (Stage::Mail, "530 5.7.0 Authentication Required"),
        (Stage::Mail, "535 5.7.8 bad credentials"),
        (Stage::Recipient, "554 5.7.1 Relay access denied"),
    ] {
        let mut world = two(peer("mx1", "192.0.2.1", &[refusal]));
        let hosts = world.way().hosts;
        world.memory.found(&hosts);
        let works = |world: &World| {
            let told = world.memory.relayhosts(&Outlook::default(), world.now);
            assert!(told[1].1, "the second does");
            told[0].clone()
        };
        // A hundred recipients are one delivery.
        for (recipients, is_well) in [(100, true), (1, true), (1, false)] {
            assert_eq!(world.memory.take_untold(), []);
            let delivered = vec!["delivered"; recipients];
            assert_eq!(words(&world.deliver("root@b", recipients).0), delivered);
            assert_eq!(works(&world).1, is_well, "{refusal:?}");
        }
        let [failure] = world.memory.take_untold().try_into().unwrap();
        assert!(failure.remedy.is_some() && failure.text == refusal.1);
        assert!(works(&world).2.contains(refusal.1), "{}", works(&world).2);
        world.deliver("root@b", 1);
        assert_eq!(
            world.story,
            ["open 192.0.2.2", "send 1"],
            "it is passed over"
        );
        for _ in 0..5 {
            world.now += 300 * SECOND;
            assert_eq!(words(&world.deliver("root@b", 1).0), ["delivered"]);
            assert!(!works(&world).1);
            assert_eq!(world.memory.take_untold(), [], "told once");
            assert_eq!(world.memory.take_mended().len(), 0);
        }
        world.peers[0] = well();
        world.now += 300 * SECOND;
        world.deliver("root@b", 1);
        assert!(works(&world).1);
        assert_eq!(world.memory.take_mended().len(), 1, "its end is told");
    }
}

/// It says that it is the sender whom it does not take: that is no fault of the host's until
/// another one is refused, too; told it is all the same.
#[test]
fn a_relayhost_that_does_not_take_one_sender_works_until_it_does_not_take_another_one() {
    for stage in [Stage::Mail, Stage::Recipient] {
        let refusal = (
            stage,
            "550 5.7.1 Sender address rejected: not owned by user",
        );
        for peers in [1, 2] {
            let mut all = vec![peer("mx1", "192.0.2.1", &[refusal])];
            all.extend((peers > 1).then(|| peer("mx2", "192.0.2.2", OK)));
            let mut world = world(true, all);
            world.memory.found(&world.way().hosts);
            let works =
                |world: &World| world.memory.relayhosts(&Outlook::default(), world.now)[0].1;
            let mut untold = Vec::new();
            for _ in 0..8 {
                let (outcomes, unusable) = world.deliver("root@b", 1);
                assert!(works(&world) && unusable.is_none(), "{stage:?}");
                if let Outcome::Deferred(failure) = &outcomes[0] {
                    assert!(failure.of_sender && failure.log_text().contains("this sender"));
                }
                untold.extend(world.memory.take_untold());
                world.now += 60 * SECOND;
            }
            assert_eq!(untold.len(), peers - 1);
            assert!(untold.iter().all(|it| it.of_sender));
            let (outcomes, _) = world.deliver("cron@b", 1);
            assert!(!works(&world), "{stage:?}");
            assert_eq!(world.memory.take_untold().len(), peers - 1, "of all mail");
            if let Outcome::Deferred(failure) = &outcomes[0] {
                assert!(failure.blame == Blame::Us && !failure.of_sender);
            }
        }
    }
}

/// Nor is one sender's mail that it refuses a failure, while it takes that of others.
#[test]
fn a_relayhost_that_takes_mail_between_refusals_works() {
    let refusal = (Stage::Recipient, "554 5.7.1 Relay access denied");
    let mut world = two(peer("mx1", "192.0.2.1", &[refusal]));
    world.memory.found(&world.way().hosts);
    for round in 0..20 {
        world.peers[0].says = if round % 3 == 2 {
            OK.to_vec()
        } else {
            vec![refusal]
        };
        world.deliver("root@b", 1);
        assert!(
            world.memory.relayhosts(&Outlook::default(), world.now)[0].1,
            "round {round}"
        );
    }
    assert_eq!(world.memory.take_untold(), []);
}

#[test]
fn status_says_that_mail_waits_where_all_relayhosts_fail_and_that_it_goes_elsewhere_where_one_works()
 {
    let mut world = world(
        true,
        vec![dead("mx1", "192.0.2.1"), peer("mx2", "192.0.2.2", OK)],
    );
    world.memory.found(&world.way().hosts);
    let told = |world: &World| world.memory.relayhosts(&Outlook::default(), world.now);
    world.deliver("root@b", 1);
    let now = told(&world);
    assert!(
        !now[0].1 && now[1].1,
        "the first fails and the second works"
    );
    let first = &now[0].2;
    assert!(first.contains("mail goes to another meanwhile"), "{first}");
    world.peers[1] = dead("mx2", "192.0.2.2");
    world.deliver("root@b", 1);
    for (host, works, text) in told(&world) {
        assert!(
            !works && text.contains("mail waits meanwhile"),
            "{host}: {text}"
        );
    }
    // The queue tries nothing before its pause is over, whatever the circuit says; and what nobody
    // has tried for long may be over.
    let outlook = Outlook {
        paused: Some(90 * SECOND),
        retried: Some(3600 * SECOND),
    };
    for (host, works, text) in world.memory.relayhosts(&outlook, world.now) {
        let again = "; mail waits meanwhile, and it is tried again in 90 s: ";
        assert!(!works && text.contains(again), "{host}: {text}");
    }
    world.now += 600 * SECOND;
    for (host, works, text) in told(&world) {
        let again = "; mail waits meanwhile, and the next message tries it again: ";
        assert!(!works && text.contains(again), "{host}: {text}");
        assert!(text.contains("times, last 6"), "{host}: {text}");
    }
    world.now += 3600 * SECOND;
    for (host, works, text) in world.memory.relayhosts(&outlook, world.now) {
        let old = "failed 42";
        assert!(works && text.starts_with(old), "{host}: {text}");
        assert!(text.contains("was not tried since"), "{host}: {text}");
    }
}
