//! What becomes of mail that can neither be delivered nor returned: ours is kept, strangers' ends.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;

use tests::{
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::until,
};

const STRANGER: &str = "127.0.0.66";
const FRIEND: &str = "127.0.0.1";
const OTHER_FRIEND: &str = "127.0.0.2";

/// Takes nobody's mail.
fn refusing() -> Sink {
    Sink::with(Script {
        answers: vec![("RCPT".to_owned(), "550 5.1.1 nobody".to_owned())],
        ..Script::default()
    })
}

fn from(client: &str, smarthost: &Smarthost) -> Session {
    let client: IpAddr = client.parse().unwrap();
    Session::connect_from(client, smarthost.address()).ehlo()
}

/// Forged senders cannot fill the disk with bounces; those of our own mail are never dropped.
#[test]
fn a_strangers_bounce_that_nobody_takes_ends_and_is_told_and_one_of_our_own_mail_is_kept() {
    let gone = refusing();
    let mut smarthost = Smarthost::start(&format!(
        "networks = [\"{FRIEND}/32\"]\ndomains = {{ relay = [\"here.example\"] }}\n\
         [routes]\n\"here.example\" = \"{0}\"\n\"gone.example\" = \"{0}\"\n",
        gone.nexthop()
    ));
    let message = b"Subject: forged\r\n\r\nx\r\n";
    let mut stranger = from(STRANGER, &smarthost);
    for sender in ["victim@gone.example", "victim@gone.example", ""] {
        stranger.delivers(sender, &["a@here.example"], message);
    }
    let ended = |smarthost: &mut Smarthost| {
        let log = smarthost.daemon().log();
        log.matches("not kept, a stranger's mail whose failure can be told to nobody")
            .count()
    };
    until("all three end", || {
        (ended(&mut smarthost) == 3).then_some(())
    });
    smarthost.wait_for_mailq("nothing of them", |queue| queue.contains("is empty"));

    let mut friend = from(FRIEND, &smarthost);
    friend.delivers("vm7@gone.example", &["a@here.example"], message);
    friend.delivers("", &["a@here.example"], message);
    let held = |queue: &str| {
        let of = |to: &str| queue.matches(to).count();
        queue.matches('!').count() == 2 && of("vm7@gone.example") == 1 && of("a@here.example") == 1
    };
    smarthost.wait_for_mailq("a bounce and a bounce of the client's own", held);
    assert!(smarthost.daemon().stop().success());
    smarthost.run();
    smarthost.wait_for_mailq("both still", held);
    let checked = smarthost.admin(&["check"]);
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    let of_held = "WARN  held          bounces or notices that nobody takes: 2, the first of ";
    assert!(told.contains(of_held), "{told}");
}

/// However much of it there is, it stops only whoever causes it, and nothing is dropped.
#[test]
fn a_client_whose_dead_mail_takes_its_share_waits_until_an_administrator_has_looked() {
    let gone = refusing();
    let mut smarthost = Smarthost::start(&format!(
        "networks = [\"{FRIEND}/32\", \"{OTHER_FRIEND}/32\"]\nmessage_size = \"10 MB\"\n\
         [routes]\n\"gone.example\" = \"{}\"\n",
        gone.nexthop()
    ));
    let line = [&[b'x'; 900][..], b"\r\n"].concat();
    let large = [&b"Subject: bounce\r\n\r\n"[..], &line.repeat(9_500)].concat();
    let mut friend = from(FRIEND, &smarthost);
    friend.delivers("", &["a@gone.example"], &large);
    friend.delivers("", &["a@gone.example"], &large);
    let held = |queue: &str| queue.matches('!').count() == 2;
    smarthost.wait_for_mailq("both on hold", held);

    let mail = |smarthost: &Smarthost, client| {
        let small = b"Subject: small\r\n\r\nx\r\n";
        let reply = from(client, smarthost).mail("a@b.example", &["a@gone.example"], small);
        reply.unwrap()
    };
    // It counts from the moment in which it was read once more, which takes a while.
    let refused = || Some(mail(&smarthost, FRIEND)).filter(|reply| reply.code == 452);
    let refusal = until("the client waits", refused);
    assert!(
        refusal.text().contains("smarthost queue list --held"),
        "{refusal:?}"
    );
    assert!(smarthost.daemon().stop().success());
    smarthost.run();
    assert_eq!(
        mail(&smarthost, FRIEND).code,
        452,
        "a restart forgets nothing"
    );
    assert_eq!(mail(&smarthost, OTHER_FRIEND).code, 250);
    let deleted = smarthost.admin(&["queue", "delete", "ALL"]);
    assert!(deleted.status.success(), "{deleted:?}");
    assert_eq!(mail(&smarthost, FRIEND).code, 250);
}
