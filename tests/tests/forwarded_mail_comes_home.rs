//! Forwarded mail leaves with a sender of our own (SRS), and what comes back to it finds the sender
//! as he was.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use tests::{
    session::{Session, heard},
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::until,
};

const MESSAGE: &[u8] = b"From: Jane <jane@ham.example>\r\nSubject: x\r\n\r\nx\r\n";
const STRANGER: &str = "127.0.0.66";

/// Everything that is not ours goes to one sink, `example.net` to another.
fn relay(world: &Sink, inside: &Sink, more: &str) -> Smarthost {
    relay_of("example.org", world, inside, more)
}

/// The same with that domain for rewritten senders.
fn relay_of(domain: &str, world: &Sink, inside: &Sink, more: &str) -> Smarthost {
    let relay = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1\"]\nrelayhost = \"{}\"\nmaildir = \"mail\"\nsrs = {{ domain = \"{domain}\"{more} }}\n\
         domains = {{ local = [\"example.org\"], relay = [\"example.net\"], virtual = [\"example.com\"] }}\n\
         virtual = [\"virtual\"]\nroutes = {{ \"example.net\" = \"{}\" }}\ngreet_wait = \"0s\"\n",
        world.nexthop(),
        inside.nexthop()
    ));
    relay.file(
        "virtual",
        "fwd@example.com user@peer.example\nfwd2@example.com other@peer.example\n",
    );
    relay
}

fn send(relay: &Smarthost, from: &str, to: &[&str]) {
    let mut session = Session::connect_from(STRANGER.parse().unwrap(), relay.address()).ehlo();
    session.delivers(from, to, MESSAGE);
}

fn senders(sink: &Sink, count: usize) -> Vec<String> {
    let received = sink.journal().wait_for(count);
    received.iter().map(|it| it.sender.clone()).collect()
}

fn taken(relay: &Smarthost, to: &str) -> String {
    heard(relay.address(), STRANGER, "peer.example", "", to)
}

/// Row C2.
#[test]
fn only_what_is_forwarded_leaves_with_a_sender_of_ours_and_the_header_stays() {
    let (world, inside) = (Sink::start(), Sink::start());
    let mut relay = relay(&world, &inside, "");
    relay.run();
    send(
        &relay,
        "a@ham.example",
        &["r@example.net", "fwd@example.com", "local@example.org"],
    );
    let outside = senders(&world, 1);
    assert!(
        outside[0].starts_with("SRS0=") && outside[0].ends_with("=ham.example=a@example.org"),
        "{outside:?}"
    );
    assert_eq!(senders(&inside, 1), ["a@ham.example"]);
    let mail = until("the mailbox has it", || relay.maildir("mail").pop());
    assert!(mail.contains("Return-Path: <a@ham.example>"), "{mail}");
    let received = world.journal().wait_for(1);
    let text = String::from_utf8_lossy(&received[0].content).into_owned();
    assert!(
        text.contains("From: Jane <jane@ham.example>\r\n") && !text.contains("SRS0"),
        "{text}"
    );
    // Ours stay, and the null sender.
    for (count, from) in ["x@example.org", "x@sub.example.org", "y@example.net", ""]
        .iter()
        .enumerate()
    {
        send(&relay, from, &["fwd@example.com"]);
        assert_eq!(senders(&world, count + 2).last().unwrap(), from);
    }
    // A sender that another forwarder has rewritten.
    send(
        &relay,
        "SRS0=opaque+string@first.example",
        &["fwd@example.com"],
    );
    let again = senders(&world, 6).pop().unwrap();
    assert!(
        again.starts_with("SRS1=") && again.ends_with("=first.example==opaque+string@example.org"),
        "{again}"
    );
}

/// Postfix's own next hop, or one like it, has one transaction for both.
#[test]
fn who_gets_it_beside_those_to_whom_it_is_forwarded_sees_the_sender_as_he_is() {
    let world = Sink::with(Script {
        recipients: vec![(
            "gone@example.net".to_owned(),
            "550 5.1.1 no such user".to_owned(),
        )],
        ..Script::default()
    });
    let mut relay = Smarthost::prepare(&format!(
        "relayhost = \"{}\"\nsrs = {{ domain = \"example.org\" }}\ngreet_wait = \"0s\"\n\
         domains = {{ relay = [\"example.net\"], virtual = [\"example.com\"] }}\nvirtual = [\"virtual\"]\n",
        world.nexthop()
    ));
    relay.file(
        "virtual",
        "fwd@example.com user@peer.example\nfwd2@example.com other@peer.example\n",
    );
    relay.run();
    let to = [
        "r@example.net",
        "fwd@example.com",
        "gone@example.net",
        "s@example.net",
        "fwd2@example.com",
    ];
    send(&relay, "a@ham.example", &to);
    let received = world.journal().wait_for(3);
    let mut seen: Vec<(bool, Vec<String>)> = received
        .iter()
        .filter(|it| !it.sender.is_empty())
        .map(|it| (it.sender.starts_with("SRS0="), it.recipients.clone()))
        .collect();
    seen.sort();
    let names = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        seen,
        [
            (false, names(&["r@example.net", "s@example.net"])),
            (true, names(&["user@peer.example", "other@peer.example"])),
        ]
    );
    // Each recipient has his own outcome, whichever part he was in.
    let bounce = received.iter().find(|it| it.sender.is_empty()).unwrap();
    let text = String::from_utf8_lossy(&bounce.content);
    assert!(text.contains("gone@example.net"), "{text}");
    assert!(!text.contains("s@example.net"), "{text}");
    assert_eq!(bounce.recipients, ["a@ham.example"]);
    relay.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    assert_eq!(world.connections(), 1);
}

#[test]
fn a_sender_too_long_for_a_rewritten_form_gets_his_bounces_also_after_a_crash() {
    let world = Sink::start();
    let mut relay = relay(&world, &world, "");
    relay.run();
    let senders_of = [
        "bounce-123456789012345678901234567890-user@long-sub.example.edu".to_owned(),
        format!("{}@long-sub.example.net.example", "b".repeat(50)),
    ];
    let mut rewritten = Vec::new();
    for (count, from) in senders_of.iter().enumerate() {
        send(&relay, from, &["fwd@example.com"]);
        let sender = senders(&world, count + 1).pop().unwrap();
        let (local, domain) = sender.split_once('@').unwrap();
        assert!(local.starts_with("SRS0=") && local.len() <= 64, "{sender}");
        assert_eq!(domain, "example.org");
        rewritten.push(sender);
    }
    relay.kill();
    relay.run();
    for (count, (sender, from)) in rewritten.iter().zip(&senders_of).enumerate() {
        send(&relay, "", &[&sender.to_lowercase()]);
        // A crash may repeat what was delivered just before it.
        let bounces = until("the bounce has come home", || {
            let received = world.journal().wait_for(1).into_iter();
            let bounces: Vec<_> = received.filter(|it| it.sender.is_empty()).collect();
            (bounces.len() > count).then_some(bounces)
        });
        assert_eq!(bounces[count].recipients, std::slice::from_ref(from));
    }
    // A token that nobody has made leads nowhere.
    let (start, end) = rewritten[0].split_at(rewritten[0].find("==").unwrap() + 2);
    let other = format!(
        "{start}{}{}",
        if end.starts_with('A') { "B" } else { "A" },
        &end[1..]
    );
    let said = taken(&relay, &other);
    assert!(said.starts_with("550 5.7.1"), "{said}");
    let told = |to: &str| {
        let told = relay.admin(&["explain", "--client", STRANGER, "--from", "<>", "--to", to]);
        String::from_utf8_lossy(&told.stdout).into_owned()
    };
    assert!(
        !told(&rewritten[0]).contains("5.7.1"),
        "{}",
        told(&rewritten[0])
    );
    // What was signed and is not remembered may be another server's matter: not now.
    relay.kill();
    for file in ["state.sqlite", "state.sqlite-wal", "state.sqlite-shm"] {
        let _ = fs::remove_file(relay.directory().join("state").join(file));
    }
    relay.run();
    let said = taken(&relay, &rewritten[0]);
    assert!(said.starts_with("450 4.7.1"), "{said}");
}

#[test]
fn a_bounce_comes_home_whatever_case_it_has_and_nothing_forged_is_relayed() {
    let (world, inside) = (Sink::start(), Sink::start());
    let mut relay = relay(&world, &inside, "");
    relay.run();
    send(&relay, "Jane@ham.example", &["fwd@example.com"]);
    let sender = senders(&world, 1).pop().unwrap();
    for (count, to) in [sender.clone(), sender.to_lowercase(), sender.to_uppercase()]
        .iter()
        .enumerate()
    {
        send(&relay, "", &[to]);
        let received = world.journal().wait_for(count + 2);
        let last = received.last().unwrap();
        assert_eq!(last.sender, "");
        assert!(
            last.recipients[0].eq_ignore_ascii_case("jane@ham.example"),
            "{last:?}"
        );
    }
    let at = sender.find('=').unwrap() + 1;
    let mut forged = sender.clone();
    forged.replace_range(
        at..=at,
        if sender[at..].starts_with(['x', 'X']) {
            "y"
        } else {
            "x"
        },
    );
    let old = "SRS0=vmyz=2W=otherdomain.com=test@example.org";
    for to in [
        forged.as_str(),
        old,
        "SRS0=@example.org",
        "SRS0==@example.org",
        "SRS0====@example.org",
        "SRS1=abcd=ham.example==x@example.org",
        "SRS0=abcd=2W=victim.example=user@example.org",
    ] {
        let said = taken(&relay, to);
        assert!(said.starts_with("550 5.7.1"), "{to}: {said}");
        let told = relay.admin(&["explain", "--client", STRANGER, "--from", "<>", "--to", to]);
        assert!(
            String::from_utf8_lossy(&told.stdout).contains("550 5.7.1"),
            "{told:?}"
        );
    }
    assert!(
        taken(&relay, "SRS0=abcd=2W=victim.example=user@example.net").starts_with("250"),
        "another domain's matter"
    );
    assert!(
        taken(&relay, "SRS0=abcd=2W=a.example=u@example.com").starts_with("550 5.1.1"),
        "no entry"
    );
    assert_eq!(
        world.journal().wait_for(4).len(),
        4,
        "nothing else was sent"
    );
}

/// A bounce to whatever we have signed is taken, and the domain that takes bounces has a
/// postmaster, as all that take mail.
#[test]
fn a_domain_for_rewritten_senders_alone_takes_every_bounce_and_mail_to_its_postmaster() {
    let (world, inside) = (Sink::start(), Sink::start());
    let mut relay = relay_of("back.example", &world, &inside, "");
    relay.run();
    let odd = ["a%b@ham.example", "a!b@ham.example", "\"a@b\"@ham.example"];
    for (count, from) in odd.iter().enumerate() {
        send(&relay, from, &["fwd@example.com"]);
        let sender = senders(&world, 2 * count + 1).pop().unwrap();
        assert!(sender.contains("@back.example"), "{sender}");
        send(&relay, "", &[&sender]);
        let received = world.journal().wait_for(2 * count + 2);
        assert_eq!(received.last().unwrap().recipients, [*from]);
    }
    for forged in [
        "SRS0=abcd=2W=victim.example=user@back.example",
        "SRS0=abcd=2W=victim.example=a%b@back.example",
    ] {
        let said = taken(&relay, forged);
        assert!(said.starts_with("550 5.7.1"), "{forged}: {said}");
    }
    assert!(taken(&relay, "Postmaster@back.example").starts_with("250"));
    for nobody in ["user@back.example", "postmaster%x@back.example"] {
        let said = taken(&relay, nobody);
        assert!(said.starts_with("554 5.7.1"), "{nobody}: {said}");
    }
}

#[test]
fn secrets_rotate_and_those_of_postsrsd_go_on() {
    let (world, inside) = (Sink::start(), Sink::start());
    let mut relay = relay(&world, &inside, ", secrets = \"secrets\"");
    let write = |relay: &Smarthost, text: &str| {
        let path = relay.directory().join("secrets");
        system::fs::replace(&path, text.as_bytes(), 0o600).unwrap();
    };
    write(&relay, "tops3cr3t\n");
    relay.run();
    send(&relay, "Jane@ham.example", &["fwd@example.com"]);
    let first = senders(&world, 1).pop().unwrap();
    write(&relay, "# the new one\nnewer-secret\ntops3cr3t\n");
    assert!(relay.admin(&["reload"]).status.success());
    send(&relay, "Jane@ham.example", &["fwd@example.com"]);
    let second = senders(&world, 2).pop().unwrap();
    assert_ne!(first, second, "the first secret signs");
    for sender in [&first, &second] {
        assert!(taken(&relay, sender).starts_with("250"), "{sender}");
    }
    write(&relay, "newer-secret\n");
    assert!(relay.admin(&["reload"]).status.success());
    assert!(taken(&relay, &first).starts_with("550 5.7.1"));
    assert!(taken(&relay, &second).starts_with("250"));
    // What cannot be used changes nothing, and is told.
    for text in [
        "",
        "\n\n",
        "# none\n",
        "short\n",
        "newer-secret\n\0\0\0\0\0\0\0\0\n",
    ] {
        write(&relay, text);
        assert!(!relay.admin(&["reload"]).status.success());
        assert!(taken(&relay, &second).starts_with("250"));
    }
    fs::remove_file(relay.directory().join("secrets")).unwrap();
    let check = relay.admin(&["check"]);
    let told = String::from_utf8_lossy(&check.stdout);
    assert!(
        !check.status.success() && told.contains("secrets"),
        "{check:?}"
    );
}

#[test]
fn the_secret_that_is_made_at_the_first_start_stays() {
    let (world, inside) = (Sink::start(), Sink::start());
    let mut relay = relay(&world, &inside, "");
    relay.run();
    send(&relay, "Jane@ham.example", &["fwd@example.com"]);
    let sender = senders(&world, 1).pop().unwrap();
    relay.kill();
    relay.run();
    assert!(taken(&relay, &sender).starts_with("250"));
}

/// Bounces of our own next hop go to the sender himself, and one that the next hop makes comes over
/// us.
#[test]
fn a_next_hop_that_refuses_is_told_to_the_sender_as_he_is() {
    let world = Sink::with(Script {
        recipients: vec![(
            "user@peer.example".to_owned(),
            "550 5.1.1 no such user".to_owned(),
        )],
        ..Script::default()
    });
    let inside = Sink::start();
    let mut relay = relay(&world, &inside, "");
    relay.run();
    send(&relay, "jane@ham.example", &["fwd@example.com"]);
    let received = world.journal().wait_for(1);
    assert_eq!(
        (
            received[0].sender.as_str(),
            received[0].recipients[0].as_str()
        ),
        ("", "jane@ham.example")
    );
}
