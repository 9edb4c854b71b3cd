//! What an answer over a kept connection is worth.

use super::*;

/// What the client's machine could not prove to be in step has no reply.
#[test]
fn a_kept_connection_decides_nothing_that_is_not_proved_to_be_in_step() {
    use Stage::{Data, Mail, Message, Recipient};
    for (words_over_kept, again) in [
        (
            (Mail, "out of step: 554 5.4.2 idle too long, closing"),
            true,
        ),
        ((Mail, "421 4.4.2 timeout"), true),
        ((Recipient, "421 4.3.2 going down"), true),
        ((Mail, "lost connection"), true),
        ((Data, SILENT), true),
        // What a fresh connection does first.
        ((Mail, "530 5.7.0 Authentication Required"), true),
        ((Mail, "503 5.5.1 Send EHLO first"), true),
        // It may have been mended since.
        ((Recipient, "554 5.7.1 Relay access denied"), true),
        // It may be the connection's alone.
        ((Mail, "554 5.4.2 idle"), true),
        ((Recipient, "554 5.5.0 out of step"), true),
        ((Data, "554 5.7.1 rejected"), true),
        (
            (Mail, "452 4.5.3 too many messages in this connection"),
            true,
        ),
        ((Mail, "550 5.7.0 too many messages in this session"), true),
        (
            (Recipient, "452 4.3.2 limit of messages per connection"),
            true,
        ),
        ((Recipient, "450 4.7.1 too many messages this hour"), false),
        ((Recipient, "550 5.1.1 no such user"), false),
        ((Recipient, "550 no such user"), false),
        ((Mail, "550 5.7.1 daily sending limit exceeded"), false),
        ((Mail, "450 4.7.1 too much"), false),
        ((Recipient, "450 4.2.0 greylisted"), false),
        ((Data, "451 4.3.5 busy"), false),
        ((Message, "451 4.7.1 slow down"), false),
        ((Message, "421 4.3.0 not this one"), false),
        ((Message, "554 5.7.1 spam"), false),
        ((Message, "250 2.0.0 Ok"), false),
    ] {
        let mut world = world(true, vec![peer("one", "192.0.2.1", OK)]);
        world.kept = vec![words_over_kept];
        let (outcomes, _) = world.deliver("a@b", 2);
        if again {
            assert_eq!(words(&outcomes), ["delivered"; 2], "{words_over_kept:?}");
            assert_eq!(world.story, ["send 2", "open 192.0.2.1", "send 2"]);
        } else {
            assert_eq!(world.story, ["send 2"], "{words_over_kept:?}");
            let told = words(&outcomes);
            assert!(
                told[0] == "delivered" || told[0].contains(words_over_kept.1),
                "{told:?}"
            );
        }
    }
}

/// The second relayhost is not worse off because the first one's connection was kept.
#[test]
fn an_answer_over_a_kept_connection_leads_where_the_same_answer_over_a_fresh_one_does() {
    use Stage::{Mail, Message, Recipient};
    for (says, next) in [
        ((Recipient, "450 4.2.0 greylisted"), "192.0.2.2"),
        ((Message, "451 4.3.0 queue write error"), "192.0.2.2"),
        ((Mail, "452 4.3.1 full"), "192.0.2.2"),
        // Nobody of ours named the host: our address in IPv4 may be welcome there.
        (
            (Message, "550 5.7.1 no PTR record for your IPv6"),
            "192.0.2.1",
        ),
    ] {
        let peers = vec![
            peer("one", "2001:db8::1", OK),
            peer("one", "192.0.2.1", OK),
            peer("two", "192.0.2.2", OK),
        ];
        let mut world = world(next == "192.0.2.2", peers);
        world.kept = vec![says];
        assert_eq!(words(&world.deliver("a@b", 1).0), ["delivered"], "{says:?}");
        let story = [
            "send 1".to_owned(),
            format!("open {next}"),
            "send 1".to_owned(),
        ];
        assert_eq!(world.story, story, "{says:?}");
    }
    let mut only_ipv6 = world(
        true,
        vec![peer("one", "2001:db8::1", OK), peer("two", "192.0.2.2", OK)],
    );
    only_ipv6.named = false;
    only_ipv6.kept = vec![(Message, "550 5.7.1 not from your IPv6")];
    let (outcomes, _) = only_ipv6.deliver("a@b", 1);
    assert!(matches!(outcomes[0], Outcome::Failed(_)), "{outcomes:?}");
    assert_eq!(only_ipv6.story, ["send 1"]);
}

/// A "never" that a fresh connection says, too, is one; over IPv4 another one may be said.
#[test]
fn what_a_fresh_connection_says_again_stands() {
    let text = "554 5.7.1 not you, ipv6";
    for fresh in ["2001:db8::1", "192.0.2.1"] {
        let peers = vec![
            peer("one", fresh, &[(Stage::Recipient, text)]),
            peer("two", "192.0.2.2", OK),
        ];
        let mut world = world(true, peers);
        world.kept = vec![(Stage::Recipient, text)];
        let (outcomes, _) = world.deliver("a@b", 1);
        assert!(matches!(outcomes[0], Outcome::Failed(_)), "{outcomes:?}");
        let open = format!("open {fresh}");
        assert_eq!(world.story, ["send 1", open.as_str(), "send 1"]);
    }
}

/// Two hundred recipients are two transactions, and this peer takes one in a connection.
#[test]
fn a_peer_that_takes_so_many_messages_in_a_connection_is_given_the_rest_over_another_one() {
    let full = (Stage::Mail, "452 4.5.3 too many messages in this session");
    let mut world = world(
        true,
        vec![peer("one", "192.0.2.1", &[OK[0], full, OK[0], full, full])],
    );
    let (outcomes, _) = world.deliver("a@b", 250);
    let taken = words(&outcomes);
    assert_eq!(taken.iter().filter(|it| *it == "delivered").count(), 200);
    let (open, send) = ("open 192.0.2.1", "send 100");
    let story = [open, send, send, open, send, "send 50", open, "send 50"];
    assert_eq!(world.story, story);
}

/// Why one host is spoken to in clear text is not said of the next one, when a kept connection to
/// the first came between.
#[test]
fn the_reason_for_clear_text_is_said_of_the_host_that_gave_it() {
    let world = world(
        true,
        vec![peer("one", "192.0.2.1", OK), peer("two", "192.0.2.2", OK)],
    );
    let (mut memory, now) = (Memory::default(), world.now);
    let mut delivery = Delivery::new(1, "a@b".to_owned(), Patience::AMONG_RELAYHOSTS);
    let no_tls = Failure::new(
        Blame::Peer,
        Stage::Tls,
        EnhancedStatus::new(4, 7, 5),
        "no TLS",
    );
    let deferred = Sent {
        outcomes: vec![outcome(Stage::Recipient, "450 4.2.0 later")],
        open: true,
        accepted: 0,
    };
    let (mut opened, mut sent) = (Vec::new(), 0);
    while let Some(action) = delivery.next_action() {
        let event = match action {
            Action::Reuse => Event::Kept(None),
            Action::Find => Event::Way(Ok(world.way())),
            Action::Lookup(host) => Event::Found(world.lookup(&host)),
            Action::Open(dial) => {
                opened.push((dial.host.name.clone(), dial.security));
                match (dial.host.name.as_str(), dial.security) {
                    ("one", Security::None) => Event::Kept(Some(dial.into())),
                    ("one", _) => Event::Opened(Err(no_tls.clone())),
                    _ => Event::Opened(Ok(())),
                }
            }
            Action::Send(_) => {
                sent += 1;
                Event::Sent(match sent {
                    1 => Sent {
                        outcomes: deferred.outcomes.clone(),
                        ..deferred
                    },
                    _ => Sent {
                        outcomes: vec![outcome(Stage::Message, "250 2.0.0 Ok")],
                        open: true,
                        accepted: 1,
                    },
                })
            }
            Action::Leave => continue,
        };
        delivery.handle(event, &mut memory, now);
    }
    let one = ("one".to_owned(), Security::Opportunistic);
    let clear = ("one".to_owned(), Security::None);
    let two = ("two".to_owned(), Security::Opportunistic);
    assert_eq!(opened, [one, clear, two]);
    let standing = memory.standing(&world.way().hosts[1], now);
    assert!(
        standing.opened.is_some() && standing.clear.is_none(),
        "{standing:?}"
    );
}

/// Mail has gone over it before; others wait for it, and its peer is silent at one message.
#[test]
fn a_kept_connection_that_is_cut_for_others_is_no_outage_of_the_host() {
    let mut world = world(true, vec![peer("one", "192.0.2.1", OK)]);
    let mut delivery = Delivery::new(1, "a@b".to_owned(), Patience::AMONG_RELAYHOSTS);
    assert!(matches!(delivery.next_action(), Some(Action::Reuse)));
    let kept = Event::Kept(Some(world.first().into()));
    delivery.handle(kept, &mut world.memory, world.now);
    assert!(matches!(delivery.next_action(), Some(Action::Send(_))));
    let sent = Sent {
        outcomes: vec![cut().outcome()],
        ..Sent::default()
    };
    delivery.handle(Event::Sent(sent), &mut world.memory, world.now);
    delivery.cut();
    assert_eq!(delivery.next_action(), None);
    let (outcomes, unusable) = delivery.finish();
    assert!(words(&outcomes)[0].contains("for other mail waited"));
    assert_eq!(unusable, None, "it waits alone");
}
