//! Peers that take a connection, and then say nothing or go away.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_relayhost_that_falls_silent_costs_seconds_and_the_next_one_takes_the_mail() {
    use Stage::{Body, Data, Mail, Recipient};
    for stage in [Mail, Recipient, Data, Body] {
        let peers = vec![
            peer("one", "192.0.2.1", &[(stage, SILENT)]),
            peer("one", "2001:db8::1", &[(stage, SILENT)]),
            peer("two", "192.0.2.2", OK),
        ];
        let mut world = world(true, peers);
        let began = world.now;
        assert_eq!(words(&world.deliver("a@b", 3).0), ["delivered"; 3]);
        assert!(world.now - began <= 20 * SECOND, "{:?}", world.story);
        // The other address of the same host is asked once, then each of them after a pause.
        world.deliver("a@b", 1);
        for _ in 0..3 {
            assert_eq!(words(&world.deliver("a@b", 1).0), ["delivered"]);
            assert_eq!(world.story, ["open 192.0.2.2", "send 1"]);
        }
        world.now += 60 * 6 * SECOND;
        world.peers[0].says = OK.to_vec();
        for _ in 0..2 {
            world.deliver("a@b", 1);
            assert_eq!(world.story, ["open 192.0.2.1", "send 1"], "it is back");
        }
    }
}

#[test]
fn a_relayhost_that_cuts_the_connection_or_speaks_no_smtp_is_passed_over_for_a_while() {
    use Stage::{Body, Data, Mail, Recipient};
    let stages = [Mail, Recipient, Data, Body].into_iter();
    for (stage, says) in stages.flat_map(|it| [(it, "lost connection"), (it, GARBAGE)]) {
        let peers = vec![
            peer("one", "192.0.2.1", &[(stage, says)]),
            peer("two", "192.0.2.2", OK),
        ];
        let mut world = world(true, peers);
        assert_eq!(words(&world.deliver("a@b", 1).0), ["delivered"]);
        world.deliver("c@d", 1);
        assert_eq!(world.story, ["open 192.0.2.2", "send 1"]);
    }
}

/// The message may have been taken: it waits. Its next attempt, and all other mail, goes to the
/// next relayhost.
#[test]
fn silence_or_nonsense_after_the_end_of_a_message_gives_it_to_nobody_else_but_the_next_attempt_goes_on()
 {
    for says in [SILENT, GARBAGE, "lost connection"] {
        for kept in [false, true] {
            let peers = vec![
                peer("one", "192.0.2.1", &[(Stage::Message, says)]),
                peer("two", "192.0.2.2", OK),
            ];
            let mut world = world(true, peers);
            if kept {
                world.kept = vec![(Stage::Message, says)];
            }
            let (outcomes, unusable) = world.deliver("a@b", 1);
            assert!(matches!(outcomes[0], Outcome::Deferred(_)), "{outcomes:?}");
            assert_eq!(unusable, None, "all other mail goes on");
            assert!(!world.story.contains(&"open 192.0.2.2".to_owned()));
            world.kept.clear();
            if kept && says != SILENT {
                continue;
            }
            world.now += 60 * 60 * SECOND;
            assert_eq!(words(&world.deliver("a@b", 1).0), ["delivered"]);
            assert_eq!(world.story[0], "open 192.0.2.2");
        }
    }
}

#[test]
fn a_kept_connection_that_falls_silent_costs_seconds_too() {
    let peers = vec![
        peer("one", "192.0.2.1", &[(Stage::Mail, SILENT)]),
        peer("two", "192.0.2.2", OK),
    ];
    let mut world = world(true, peers);
    world.kept = vec![(Stage::Mail, SILENT)];
    let began = world.now;
    assert_eq!(words(&world.deliver("a@b", 1).0), ["delivered"]);
    assert_eq!(world.story, ["send 1", "open 192.0.2.2", "send 1"]);
    assert!(world.now - began <= 20 * SECOND);
}

#[test]
fn the_last_host_that_is_left_has_all_the_time_that_the_protocol_gives() {
    let silent = |host, address| peer(host, address, &[(Stage::Mail, SILENT)]);
    let peers = vec![silent("one", "192.0.2.1"), silent("two", "192.0.2.2")];
    let mut world = world(true, peers);
    let began = world.now;
    assert!(words(&world.deliver("a@b", 1).0)[0].starts_with("deferred"));
    assert_eq!(world.now - began, 20 * SECOND + limits::REPLY_TIMEOUT);
}

#[test]
fn a_host_that_was_silent_is_tried_last_for_a_while() {
    let peers = vec![dead("one", "192.0.2.1"), peer("two", "192.0.2.2", OK)];
    let mut world = world(true, peers);
    world.deliver("a@b", 1);
    assert_eq!(world.story.len(), 3);
    world.deliver("a@b", 1);
    assert_eq!(world.story, ["open 192.0.2.2", "send 1"]);
    world.now += Duration::from_mins(11);
    world.deliver("a@b", 1);
    assert_eq!(world.story[0], "open 192.0.2.1");
}
