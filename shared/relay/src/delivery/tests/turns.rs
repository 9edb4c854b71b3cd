//! Whose turn it is: many hosts, and the same host once more.

use super::*;

/// Five "not now" are enough for one delivery; the next one begins with the sixth host, and they
/// come round.
#[test]
fn over_several_deliveries_every_host_has_its_turn() {
    let host = |n: usize| -> &'static str { Box::leak(format!("mx{n:02}").into_boxed_str()) };
    let at = |n: usize| -> &'static str { Box::leak(format!("192.0.2.{n}").into_boxed_str()) };
    let busy = [(Stage::Recipient, "450 4.2.0 later")];
    let mut peers: Vec<Peer> = (1..=12).map(|n| peer(host(n), at(n), &busy)).collect();
    peers[11].says = OK.to_vec();
    let mut world = world(false, peers);
    let mut tried = Vec::new();
    for _ in 0..3 {
        let (outcomes, _) = world.deliver("a@b", 1);
        tried.push(
            world
                .story
                .iter()
                .filter(|what| what.starts_with("open"))
                .count(),
        );
        if words(&outcomes) == ["delivered"] {
            break;
        }
    }
    assert_eq!(tried, [5, 5, 2]);
    world.deliver("a@b", 1);
    assert_eq!(world.story[0], "open 192.0.2.1", "in order again");
}

/// The order of the hosts says which of them this host may give mail to, wherever a delivery
/// begins.
#[test]
fn hosts_behind_this_one_are_not_tried_where_a_delivery_begins_in_the_middle() {
    let busy = [(Stage::Recipient, "450 4.2.0 later")];
    let mut peers: Vec<Peer> = ["1", "2", "3", "4", "5", "6"]
        .iter()
        .map(|n| {
            let (host, address) = (format!("mx{n}"), format!("192.0.2.{n}"));
            peer(host.leak(), address.leak(), &busy)
        })
        .collect();
    peers[5].locality = Locality::Own;
    peers.push(peer("mx7", "192.0.2.7", OK));
    let mut world = world(false, peers);
    world.deliver("a@b", 1);
    let (outcomes, _) = world.deliver("a@b", 1);
    assert!(words(&outcomes)[0].starts_with("deferred"), "{outcomes:?}");
    assert_eq!(world.story[0], "open 192.0.2.1");
    assert!(!world.story.contains(&"open 192.0.2.7".to_owned()));
}

#[test]
fn a_peer_that_refuses_a_parameter_is_asked_again_in_the_same_session_but_not_for_ever() {
    for stage in [Stage::Mail, Stage::Recipient] {
        let refusal = (stage, REFUSES_PARAMETER);
        let peers = vec![peer("one", "192.0.2.1", &[refusal, refusal, OK[0]])];
        let mut stubborn = world(true, peers);
        assert_eq!(words(&stubborn.deliver("a@b", 1).0), ["delivered"]);
        assert_eq!(
            stubborn.story,
            ["open 192.0.2.1", "send 1", "send 1", "send 1"]
        );
        let peers = vec![
            peer("one", "192.0.2.1", &[refusal]),
            peer("two", "192.0.2.2", OK),
        ];
        let mut endless = world(true, peers);
        assert_eq!(words(&endless.deliver("a@b", 1).0), ["delivered"]);
        assert!(endless.story.contains(&"open 192.0.2.2".to_owned()));
    }
}

/// 421, or the end, at the third RCPT of each list: what it takes is sent, in lists that it takes.
#[test]
fn a_host_that_goes_away_in_the_midst_of_a_list_is_given_shorter_ones() {
    let takes = |host, address, most| Peer {
        takes: Some(most),
        ..peer(host, address, OK)
    };
    let mut world = world(true, vec![takes("one", "192.0.2.1", 2)]);
    let (outcomes, _) = world.deliver("a@b", 5);
    assert_eq!(world.story, ["open 192.0.2.1", "cut 5"]);
    assert!(outcomes.iter().all(|it| matches!(it, Outcome::Deferred(_))));
    assert_eq!(words(&world.deliver("a@b", 5).0), ["delivered"; 5]);
    assert_eq!(
        world.story,
        ["open 192.0.2.1", "send 2", "send 2", "send 1"]
    );
    // It takes even less by now, and no more a session: each session that takes something is
    // followed by another.
    world.peers[0].takes = Some(1);
    world.deliver("a@b", 5);
    assert_eq!(world.story, ["open 192.0.2.1", "cut 2"]);
    assert_eq!(words(&world.deliver("a@b", 3).0), ["delivered"; 3]);
    world.now += Duration::from_hours(25);
    world.peers[0].takes = None;
    assert_eq!(words(&world.deliver("a@b", 5).0), ["delivered"; 5]);
    assert_eq!(world.story, ["open 192.0.2.1", "send 5"], "forgotten");
    // Over a connection that was kept, the fresh one is given the shorter list at once.
    world.peers[0].takes = Some(3);
    world.kept = vec![(Stage::Message, "250 2.0.0 Ok")];
    assert_eq!(words(&world.deliver("a@b", 4).0), ["delivered"; 4]);
}

/// Some count only once all are named, at DATA or at the end, and say it for good, or go away: the
/// list is split until it is short enough, and nobody's mail is returned.
#[test]
fn a_host_that_finds_a_list_too_long_only_at_data_or_at_the_end_is_given_shorter_ones() {
    const TOO_MANY: &str = "452 4.5.3 too many recipients";
    for says in [
        (Stage::Data, TOO_MANY),
        (Stage::Data, "452 too many recipients"),
        (Stage::Data, "552 5.5.3 too many recipients"),
        (Stage::Message, TOO_MANY),
        (Stage::Message, "550 5.5.3 too many recipients"),
    ] {
        let script = [says, says, OK[0]];
        let mut world = world(true, vec![peer("one", "192.0.2.1", &script)]);
        let (outcomes, _) = world.deliver("a@b", 8);
        assert_eq!(words(&outcomes), ["delivered"; 8], "{says:?}");
        let story = [
            "open 192.0.2.1",
            "send 8",
            "send 4",
            "send 2",
            "send 2",
            "send 2",
            "send 2",
        ];
        assert_eq!(world.story, story, "{says:?}");
        world.deliver("a@b", 4);
        assert_eq!(
            world.story,
            ["open 192.0.2.1", "send 2", "send 2"],
            "{says:?}"
        );
        // One that says so to each alone.
        world.peers[0].says = vec![says];
        let (outcomes, _) = world.deliver("a@b", 4);
        assert!(
            words(&outcomes).iter().all(|it| it.contains(says.1)),
            "{outcomes:?}"
        );
        assert!(world.story.len() <= 7, "{:?}", world.story);
    }
    let mut world = world(
        true,
        vec![peer("one", "192.0.2.1", &[(Stage::Data, "421 bye"), OK[0]])],
    );
    let (outcomes, _) = world.deliver("a@b", 8);
    assert!(outcomes.iter().all(|it| matches!(it, Outcome::Deferred(_))));
    assert_eq!(words(&world.deliver("a@b", 8).0), ["delivered"; 8]);
    assert_eq!(world.story, ["open 192.0.2.1", "send 4", "send 4"]);
}

#[test]
fn what_else_is_said_at_data_splits_no_list() {
    for says in [
        (Stage::Data, "452 4.3.1 insufficient system storage"),
        (Stage::Data, "451 4.3.0 try later"),
        (Stage::Message, "421 4.3.0 not this one"),
        (Stage::Message, "452 4.3.1 no room"),
    ] {
        let mut world = world(true, vec![peer("one", "192.0.2.1", &[says, OK[0]])]);
        world.deliver("a@b", 8);
        assert_eq!(world.story, ["open 192.0.2.1", "send 8"], "{says:?}");
        world.deliver("a@b", 8);
        assert_eq!(world.story.last().unwrap(), "send 8", "{says:?}");
    }
}

/// Some say "too many recipients" for good: it is about the others of the list, until one is alone.
#[test]
fn recipients_over_the_limit_of_a_peer_are_given_to_it_once_the_first_ones_are_through() {
    for says in [
        "452 4.5.3 too many recipients",
        "550 5.5.3 too many recipients",
    ] {
        let mut memory = Memory::default();
        let now = Instant::now();
        let mut delivery = Delivery::new(3, "a@b".to_owned(), Patience::default());
        let world = world(true, vec![peer("one", "192.0.2.1", OK)]);
        let mut sizes = Vec::new();
        while let Some(action) = delivery.next_action() {
            let event = match action {
                Action::Reuse => Event::Kept(None),
                Action::Find => Event::Way(Ok(world.way())),
                Action::Lookup(host) => Event::Found(world.lookup(&host)),
                Action::Open(_) => Event::Opened(Ok(())),
                Action::Send(batch) => {
                    sizes.push(batch.recipients.len());
                    let mut outcomes = vec![outcome(Stage::Recipient, says); sizes[0]];
                    outcomes[0] = outcome(Stage::Message, "250 2.0.0 Ok");
                    outcomes.truncate(batch.recipients.len());
                    Event::Sent(Sent {
                        outcomes,
                        open: true,
                        accepted: 1,
                    })
                }
                Action::Leave => continue,
            };
            delivery.handle(event, &mut memory, now);
        }
        assert_eq!(sizes, [3, 2, 1], "{says}");
        assert_eq!(words(&delivery.finish().0), ["delivered"; 3]);
    }
}

/// As few as one recipient in a list may be too much for a peer, in each attempt again.
#[test]
fn a_recipient_at_whom_the_host_always_goes_away_holds_up_no_other() {
    for says in ["421 4.3.0 bye", GARBAGE, SILENT] {
        for bad in [vec![0], vec![0, 1], vec![0, 3]] {
            let mut memory = Memory::default();
            let now = Instant::now();
            let mut delivery = Delivery::new(5, "a@b".to_owned(), Patience::default());
            let world = world(true, vec![peer("one", "192.0.2.1", OK)]);
            let mut opened = 0;
            while let Some(action) = delivery.next_action() {
                let event = match action {
                    Action::Reuse => Event::Kept(None),
                    Action::Find => Event::Way(Ok(world.way())),
                    Action::Lookup(host) => Event::Found(world.lookup(&host)),
                    Action::Open(_) => {
                        opened += 1;
                        Event::Opened(Ok(()))
                    }
                    Action::Send(batch) => {
                        let broken = batch.recipients.iter().position(|it| bad.contains(it));
                        let result = match broken {
                            Some(_) => outcome(Stage::Recipient, says),
                            None => outcome(Stage::Message, "250 2.0.0 Ok"),
                        };
                        Event::Sent(Sent {
                            outcomes: vec![result; batch.recipients.len()],
                            open: broken.is_none(),
                            accepted: broken.unwrap_or(batch.recipients.len()),
                        })
                    }
                    Action::Leave => continue,
                };
                delivery.handle(event, &mut memory, now);
            }
            let (outcomes, _) = delivery.finish();
            for (index, outcome) in outcomes.iter().enumerate() {
                let is_bad = bad.contains(&index);
                // With another one in the midst, the next attempt has a shorter list.
                let waits = is_bad || bad.contains(&3);
                assert_eq!(
                    words(&outcomes)[index] == "delivered",
                    !waits,
                    "{says} {bad:?} {outcome:?}"
                );
            }
            assert_eq!(
                opened,
                if bad.len() == 2 && bad[1] == 3 {
                    2
                } else {
                    bad.len() + 1
                }
            );
        }
    }
}

/// Mail of others goes on, over the same host.
#[test]
fn a_relayhost_that_turns_a_sender_away_works_and_one_in_trouble_does_not() {
    for (says, works) in [
        ("421 4.7.0 sender blocked", true),
        ("421 4.7.0 too many connections", true),
        ("421 4.3.2 system overloaded", false),
    ] {
        let answers: &'static [_] = Box::leak(Box::new([(Stage::Mail, says)]));
        let mut world = world(true, vec![peer("one", "192.0.2.1", answers)]);
        world.memory.found(&world.way().hosts);
        world.deliver("a@b", 1);
        let told = world.memory.relayhosts(&Outlook::default(), world.now);
        let (_, is_well, text) = &told[0];
        assert_eq!(*is_well, works, "{text}");
        assert_eq!(text.contains("turned a sender away"), works, "{text}");
        assert_eq!(text.contains("mail waits meanwhile"), !works, "{text}");
    }
}
