//! Recipe D: a campus, from a server over two relays to mailboxes.

use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS},
    sink::{Script, Sink},
    smarthost::Smarthost,
};
use toml::{Table, Value};

use crate::site::{arrived, front, hears, of_relay, of_sink, pin, recipe, table_of_the_guide};

/// Rows D5, D10.
#[test]
fn a_server_of_the_campus_reaches_the_list_through_both_relays_and_people_their_mailboxes() {
    let lmtp = || {
        Sink::with(Script {
            lmtp: true,
            ..Script::default()
        })
    };
    let (mailboxes, lists, outside) = (lmtp(), lmtp(), Sink::start());
    let nobody = "550 5.1.1 <nobody@campus.example> User doesn't exist".to_owned();
    mailboxes.play(Script {
        lmtp: true,
        recipients: vec![("nobody@campus.example".to_owned(), nobody)],
        ..Script::default()
    });
    let to_lists = Value::from(format!("lmtp:{}", lists.nexthop()));
    let routes = Table::from_iter([("lists.campus.example".to_owned(), to_lists)]);
    let central = Smarthost::start(&recipe(
        "smarthost-campus-main",
        &[
            ("lmtp", Value::from(mailboxes.nexthop())),
            ("routes", Value::from(routes)),
            ("relayhost", of_sink(&outside)),
            front(),
        ],
    ));
    let trust = Table::from_iter([("pins".to_owned(), Value::from(vec![pin(&central)]))]);
    let relay = Smarthost::start(&recipe(
        "smarthost-campus-relay",
        &[
            ("relayhost", of_relay(&central)),
            ("relay_tls", Value::from(trust)),
        ],
    ));
    let mut server = Agent::prepare(&recipe(
        "sendmail-shim-campus",
        &[("relayhost", of_relay(&relay)), ("pins", pin(&relay))],
    ));
    let aliases = table_of_the_guide("root: machines@lists.campus.example");
    server.file("machine.aliases", &aliases);
    server.run();
    server.send(&CRON_ARGUMENTS, CRON);
    let mail = arrived(&lists, 1);
    assert_eq!(mail.recipients, ["machines@lists.campus.example"]);
    assert!(mail.text().contains("backup: nothing to do"));
    for (to, sink) in [
        ("alice@campus.example", &mailboxes),
        ("somebody@elsewhere.example", &outside),
    ] {
        let tested = server.admin(&["test", to]);
        assert!(tested.status.success(), "{to}: {tested:?}");
        assert_eq!(arrived(sink, 1).recipients, [to]);
    }
    // Whom Dovecot does not know no stranger's mail is taken for, and so none comes back.
    for (to, expected) in [
        ("alice@campus.example", "250"),
        ("nobody@campus.example", "550 5.1.1"),
        ("somebody@elsewhere.example", "554 5.7.1"),
    ] {
        let told = hears(&central, "friend@elsewhere.example", to);
        assert!(told.starts_with(expected), "{told}");
    }
    assert_eq!((mailboxes.journal().len(), outside.journal().len()), (1, 1));
}
