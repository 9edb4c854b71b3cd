use std::{path::Path, sync::Arc};

use mail::{address::Address, envelope::Recipient, maps::Table};

use super::Router;
use crate::config::Config;

const ALIASES: &str = "\
mailer-daemon: postmaster\n\
postmaster: root\n\
root: admins\n\
admins: Treasurer@Elsewhere.example, board\n\
board: a@elsewhere.example, chair@example.org\n\
chair: c@elsewhere.example\n\
keep: keep, copy@elsewhere.example\n\
loop1: loop2@example.org\n\
loop2: loop1@example.org\n\
list: \"|/usr/bin/mailman post\"\n\
";

fn router(config: &str) -> Router {
    let config =
        Config::parse(Path::new("c"), config, "mail.example.org").unwrap_or_else(|e| panic!("{e}"));
    let (aliases, problems) = Table::aliases("aliases".into(), ALIASES);
    assert_eq!(problems, []);
    Router::new(&config, Arc::new(aliases), Arc::default())
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn expand(router: &Router, text: &str) -> Vec<String> {
    let mut all: Vec<String> = match router.expand(&address(text).into()) {
        Ok(recipients) => recipients
            .iter()
            .map(|recipient| recipient.address.to_string())
            .collect(),
        Err(failure) => vec![failure.log_text()],
    };
    all.sort();
    all
}

fn destination(router: &Router, text: &str) -> String {
    match router.destination(&address(text)) {
        Ok(destination) => destination.to_string(),
        Err(failure) => format!("{} {}", failure.status, failure.text),
    }
}

/// Rows A2, B18, D2.
#[test]
fn system_accounts_end_at_the_administrators_address_over_a_chain_of_aliases() {
    let router = router("domains = { local = [\"example.org\"] }");
    let board = [
        "Treasurer@Elsewhere.example",
        "a@elsewhere.example",
        "c@elsewhere.example",
    ];
    for name in [
        "mailer-daemon",
        "MAILER-DAEMON",
        "postmaster",
        "root",
        "root+cron",
        "admins",
    ] {
        assert_eq!(
            expand(&router, &format!("{name}@example.org")),
            board,
            "{name}"
        );
        assert_eq!(
            expand(&router, &format!("{name}@localhost")),
            board,
            "{name}"
        );
    }
    let recipients = router
        .expand(&Recipient::from(address("root@mail.example.org")))
        .unwrap();
    assert!(
        recipients
            .iter()
            .all(|recipient| recipient.original == Some(address("root@mail.example.org")))
    );
}

#[test]
fn an_alias_is_only_for_our_own_domains_and_others_stay_as_they_are() {
    let router = router("");
    assert_eq!(
        expand(&router, "root@elsewhere.example"),
        ["root@elsewhere.example"]
    );
    assert_eq!(
        expand(&router, "nobody.here@mail.example.org"),
        ["nobody.here@mail.example.org"]
    );
    let recipients = router
        .expand(&address("x@mail.example.org").into())
        .unwrap();
    assert_eq!(recipients, [Recipient::from(address("x@mail.example.org"))]);
}

#[test]
fn an_alias_that_names_itself_keeps_a_copy_and_a_loop_defers() {
    let router = router("domains = { local = [\"example.org\"] }");
    assert_eq!(
        expand(&router, "keep@mail.example.org"),
        ["copy@elsewhere.example", "keep@mail.example.org"]
    );
    for name in ["loop1", "loop2"] {
        let error = expand(&router, &format!("{name}@example.org"));
        assert!(error[0].contains("comes back to itself"), "{error:?}");
    }
}

#[test]
fn what_an_alias_cannot_deliver_to_defers_the_mail_and_never_ends_in_a_mailbox() {
    let router = router("");
    let failure = router
        .expand(&address("list@mail.example.org").into())
        .unwrap_err();
    assert!(
        failure.status.class() == 4 && failure.text.contains("programs"),
        "{failure:?}"
    );
    assert!(
        destination(&router, "list@mail.example.org")
            .starts_with("4.3.5 alias list@mail.example.org")
    );
}

/// Rows B2, B3.
#[test]
fn without_mailboxes_only_aliases_receive_with_any_extension() {
    let router = router("maildir = \"none\"\nadmins = \"admins@elsewhere.example\"");
    for known in ["root", "Root+x", "root+", "postmaster", "list"] {
        assert!(
            router.is_known(&address(&format!("{known}@mail.example.org"))),
            "{known}"
        );
    }
    for unknown in ["user", "user+root", "r"] {
        assert!(
            !router.is_known(&address(&format!("{unknown}@mail.example.org"))),
            "{unknown}"
        );
    }
    assert!(
        destination(&router, "user@localhost").starts_with("5.1.1 user@localhost: User unknown")
    );
}

/// RFC 5321 §4.5.1.
#[test]
fn mail_for_postmaster_and_root_always_has_a_place() {
    let without = |config: &str| {
        let config = Config::parse(Path::new("c"), config, "mail.example.org").unwrap();
        Router::new(&config, Arc::default(), Arc::default())
    };
    let nobody = without("maildir = \"none\"\ndomains = { local = [\"example.org\"] }");
    assert_eq!(nobody.unnamed(), ["postmaster", "root"]);
    for to in [
        "postmaster@example.org",
        "Root+cron@localhost",
        "POSTMASTER@mail.example.org",
    ] {
        let address = address(to);
        assert!(
            nobody.is_known(&address) && nobody.is_nobodys(&address),
            "{to}"
        );
        assert!(
            destination(&nobody, to).starts_with("4.3.5 nobody is named for"),
            "{to}"
        );
    }
    assert!(!nobody.is_known(&address("roots@example.org")));
    // A Maildir of ours has a place for it, and still nobody reads it.
    let ours = without("domains = { local = [\"example.org\"] }");
    assert_eq!((ours.unnamed().len(), ours.without_person().len()), (0, 2));
    let read = without("admins = \"a@elsewhere.example\"");
    assert_eq!(read.without_person(), ["root"], "whose Maildir it may be");
    let named = without("maildir = \"none\"\nadmins = \"a@elsewhere.example\"");
    for to in ["postmaster@localhost", "root@localhost"] {
        assert_eq!(expand(&named, to), ["a@elsewhere.example"], "{to}");
        // Queued before anybody was named.
        assert_eq!(destination(&named, to), "aliases");
    }
    let mailbox = without("admins = \"a@elsewhere.example\"");
    assert_eq!(
        destination(&mailbox, "root@localhost"),
        "maildir:/var/lib/smarthost/Maildir"
    );
    assert_eq!((mailbox.unnamed().len(), named.unnamed().len()), (0, 0));
}

#[test]
fn an_alias_that_refuses_is_final_and_may_name_its_status() {
    let config = Config::parse(Path::new("c"), "", "mail.example.org").unwrap();
    let text = "old: :fail: moved, write to new@example.org\ncoded: :fail: 5.7.1 not for you\nbare: :fail:\n";
    let (aliases, problems) = Table::aliases("aliases".into(), text);
    assert_eq!(problems, []);
    let router = Router::new(&config, Arc::new(aliases), Arc::default());
    for (to, expected) in [
        ("old@localhost", "5.2.1 moved, write to new@example.org"),
        ("coded@localhost", "5.7.1 not for you"),
        ("bare@localhost", "5.2.1 no mail is taken for this address"),
    ] {
        assert_eq!(destination(&router, to), expected);
    }
}

#[test]
fn postmaster_reaches_the_administrators_without_an_alias() {
    let config = Config::parse(
        Path::new("c"),
        "admin = \"a@elsewhere.example\"",
        "mail.example.org",
    )
    .unwrap();
    let router = Router::new(&config, Arc::default(), Arc::default());
    assert_eq!(
        expand(&router, "Postmaster@localhost"),
        ["a@elsewhere.example"]
    );
}

#[test]
fn routes_and_aliases_know_a_domain_in_every_spelling() {
    let router = router(
        "domains = { local = [\"b\u{fc}cher.example\"] }\n\
         routes = { \"stra\u{df}e.example\" = \"[10.0.0.5]\", \".xn--mnchen-3ya.example\" = \"lmtp:unix:/x\" }",
    );
    for (to, expected) in [
        ("u@xn--strae-oqa.example", "smtp:[10.0.0.5]"),
        ("u@STRA\u{df}E.example", "smtp:[10.0.0.5]"),
        ("u@a.mu\u{308}nchen.example", "lmtp:unix:/x"),
        ("u@k\u{f6}ln.example", "smtp:xn--kln-sna.example"),
        (
            "u@bu\u{308}cher.example",
            "maildir:/var/lib/smarthost/Maildir",
        ),
    ] {
        assert_eq!(destination(&router, to), expected, "{to}");
    }
    let board = expand(&router, "board@b\u{fc}cher.example");
    assert_eq!(expand(&router, "board@xn--bcher-kva.example"), board);
    assert!(board.contains(&"a@elsewhere.example".to_owned()));
}

/// Rows C1, D1, D5.
#[test]
fn mail_goes_by_the_routes_table_then_to_local_delivery_then_to_the_relayhost_then_by_mx() {
    let by_mx =
        router("routes = { \"a.example\" = \"[10.0.0.5]:25\", \".b.example\" = \"lmtp:unix:/x\" }");
    for (to, expected) in [
        ("u@A.example", "smtp:[10.0.0.5]:25"),
        ("u@sub.a.example", "smtp:sub.a.example"),
        ("u@x.y.b.example", "lmtp:unix:/x"),
        ("u@b.example", "smtp:b.example"),
        ("u@mail.example.org", "maildir:/var/lib/smarthost/Maildir"),
        ("u@Elsewhere.Example", "smtp:elsewhere.example"),
        ("u@[192.0.2.7]", "smtp:[192.0.2.7]"),
        ("u@[IPv6:2001:db8::7]", "smtp:[2001:db8::7]"),
    ] {
        assert_eq!(destination(&by_mx, to), expected, "{to}");
    }
    let relayed = router("relayhost = \"[192.168.2.253]\"\nlmtp = \"unix:/run/dovecot/lmtp\"");
    assert_eq!(
        destination(&relayed, "u@elsewhere.example"),
        "smtp:[192.168.2.253]"
    );
    assert_eq!(
        destination(&relayed, "u@localhost"),
        "lmtp:unix:/run/dovecot/lmtp"
    );
    let to = relayed
        .destination(&address("u@elsewhere.example"))
        .unwrap();
    assert!(to.is_relayhost(), "its TLS settings apply");
}

const SCHLEUDER: &str = "[transports]
slow = { connections = 2, recipients = 20, delay = \"2s\", processes = 5 }
yahoo = { initial_connections = 1, connections = 4, recipients = 2, delay = \"1s\", processes = 5 }
schleuder = { type = \"pipe\", command = [\"/usr/bin/schleuder\", \"work\", \"${recipient}\"] }
hub = { nexthop = \"[10.0.0.9]:2525\" }
dovecot = { type = \"lmtp\", nexthop = \"unix:/run/lmtp\" }
";

/// Rows B12, B14. Case by case, what a route may say and whom it is about, in the order in which it
/// is asked.
#[test]
fn a_route_is_found_by_address_domain_parent_pattern_or_star_and_says_transport_and_next_hop() {
    let router = router(&format!(
        "maildir = \"none\"\ndomains = {{ local = [\"example.org\"] }}
routes = {{ \"orange.example\" = \"slow\", \"/@yahoo\\\\./\" = \"yahoo\", \"lists.example.net\" = \"lmtp:[127.0.0.1]:8024\", \"keys@example.org\" = \"schleuder\",
 \"boss@orange.example\" = \"[10.0.0.5]:26\", \".below.example\" = \"slow:[10.0.0.6]\", \"/^x.*@pattern/\" = \"hub:\", \"hub.example\" = \"hub\",
 \"mx.example\" = \"other.example\", \"dove.example\" = \"dovecot\", \"usual.example\" = \":\", \"no.example\" = \"error:5.1.1 moved away\",
 \"later.example\" = \"retry:we are moving\", \"own.example\" = \"smtp:\", \"relay.example\" = \"relay:[10.0.0.7]\", \"*\" = \"relay:[smarthost.example]\" }}
{SCHLEUDER}"
    ));
    for (to, expected) in [
        ("u@Orange.example", "slow:orange.example"),
        ("boss@orange.example", "smtp:[10.0.0.5]:26"),
        ("BOSS+x@Orange.example", "smtp:[10.0.0.5]:26"),
        ("u@YAHOO.co.uk", "yahoo:yahoo.co.uk"),
        ("yahoo@elsewhere.example", "smtp:[smarthost.example]"),
        ("u@a.b.below.example", "slow:[10.0.0.6]"),
        ("u@below.example", "smtp:[smarthost.example]"),
        ("X1@pattern.example", "hub:[10.0.0.9]:2525"),
        ("u@hub.example", "hub:[10.0.0.9]:2525"),
        ("u@mx.example", "smtp:other.example"),
        ("u@dove.example", "dovecot:unix:/run/lmtp"),
        ("u@lists.example.net", "lmtp:[127.0.0.1]:8024"),
        ("u@usual.example", "smtp:usual.example"),
        ("u@own.example", "smtp:own.example"),
        ("u@relay.example", "smtp:[10.0.0.7]"),
        ("u@no.example", "5.1.1 moved away"),
        ("u@later.example", "4.3.0 we are moving"),
        ("keys@example.org", "schleuder:example.org"),
        ("Keys+x@example.org", "schleuder:example.org"),
    ] {
        assert_eq!(destination(&router, to), expected, "{to}");
    }
    // Neither the star nor a pattern takes mail for our own domains.
    assert_eq!(destination(&router, "board@example.org"), "aliases");
    assert!(destination(&router, "nobody@example.org").starts_with("5.1.1"));
    assert!(router.is_known(&address("keys@example.org")));
    assert!(!router.is_known(&address("other@example.org")));
    assert_eq!(expand(&router, "keys@example.org"), ["keys@example.org"]);
}

#[test]
fn a_transport_file_is_asked_after_the_routes_and_wrong_lines_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let text = "# as Postfix has it\n* relay:[smarthost.example]\nexample.net :\n/@yahoo\\./  slow:\nkeys@example.org slow:[10.0.0.1]\nslow.example slow:";
    let file = directory.path().join("transport");
    system::fs::replace(&file, text.as_bytes(), 0o644).unwrap();
    let load = |config: &str| {
        let path = directory.path().join("config.toml");
        let config = Config::parse(&path, config, "mail.example.org").unwrap();
        let (tables, problems) = config.read_transport().unwrap();
        let router = Router::new(
            &config,
            Arc::default(),
            tables.tables().map(|(_, table)| table).collect(),
        );
        (router, problems)
    };
    let (router, problems) = load(&format!(
        "transport = \"hash:transport\"\ndomains.local = \"example.org\"\nroutes = {{ \"slow.example\" = \"[10.0.0.2]\" }}\n{SCHLEUDER}"
    ));
    assert_eq!(problems, [], "hash: has no patterns, and the line is a key");
    assert_eq!(
        destination(&router, "u@yahoo.fr"),
        "smtp:[smarthost.example]"
    );
    let (router, problems) = load(&format!(
        "transport = [\"transport\"]\ndomains.local = \"example.org\"\nroutes = {{ \"slow.example\" = \"[10.0.0.2]\" }}\n{SCHLEUDER}"
    ));
    assert_eq!(problems, []);
    for (to, expected) in [
        ("r@example.net", "smtp:example.net"),
        ("r@other.example", "smtp:[smarthost.example]"),
        ("u@slow.example", "smtp:[10.0.0.2]"),
        ("u@Yahoo.fr", "slow:yahoo.fr"),
        ("keys@example.org", "slow:[10.0.0.1]"),
        ("root@example.org", "maildir:/var/lib/smarthost/Maildir"),
    ] {
        assert_eq!(destination(&router, to), expected, "{to}");
    }
    let wrong = "example.org slow:\na.example nowhere:[b.example]\nb.example fast:host name\n";
    system::fs::replace(&file, wrong.as_bytes(), 0o644).unwrap();
    let (_, problems) = load(&format!(
        "transport = \"transport\"\ndomains.local = \"example.org\"\n{SCHLEUDER}"
    ));
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told.iter().any(|it| it.contains("is a local domain")),
        "{told:?}"
    );
}

/// Providers that are known to take little at once have a transport of their own, unless all mail
/// goes to a relayhost.
#[test]
fn well_known_providers_have_transports_that_are_shipped() {
    let plain = router("");
    for (to, expected) in [
        ("u@orange.fr", "orange:orange.fr"),
        ("u@wanadoo.fr", "orange:wanadoo.fr"),
        ("u@neuf.fr", "sfr:neuf.fr"),
        ("u@free.fr", "free:free.fr"),
        ("u@laposte.net", "laposte:laposte.net"),
        ("u@Yahoo.co.uk", "yahoo:yahoo.co.uk"),
        ("u@hotmail.com", "outlook:hotmail.com"),
        (
            "u@yahoo.hackers.example.com",
            "smtp:yahoo.hackers.example.com",
        ),
        ("u@notyahoo.com", "smtp:notyahoo.com"),
        ("u@orange.example", "smtp:orange.example"),
    ] {
        assert_eq!(destination(&plain, to), expected, "{to}");
    }
    assert_eq!(
        destination(&router("provider_presets = false"), "u@free.fr"),
        "smtp:free.fr"
    );
    let relayed = router("relayhost = \"[10.0.0.1]\"");
    assert_eq!(destination(&relayed, "u@free.fr"), "smtp:[10.0.0.1]");
    assert_eq!(
        destination(
            &router("routes = { \"free.fr\" = \"[10.0.0.2]\" }"),
            "u@free.fr"
        ),
        "smtp:[10.0.0.2]"
    );
}

/// Row A5.
#[test]
fn mail_for_relayed_domains_and_mail_without_a_sender_have_lifetimes_of_their_own() {
    let days = |days: u64| Some(std::time::Duration::from_hours(24 * days));
    let router = router(
        "domains.relay = [\"a.example\"]\nretry = { relay_lifetime = \"30d\", bounce_lifetime = \"2d\" }",
    );
    assert_eq!(router.lifetime(&address("u@a.example"), false), days(30));
    assert_eq!(router.lifetime(&address("u@b.example"), false), None);
    assert_eq!(router.lifetime(&address("u@a.example"), true), days(2));
    let plain = self::router("retry = { lifetime = \"30d\" }");
    assert_eq!(plain.lifetime(&address("u@b.example"), true), days(30));
}

/// Rows B11, B13: a program each stands behind the alias's own address, mailboxes beside it; what
/// an included list or a table of somebody else's names is not run.
#[test]
fn an_aliass_programs_are_run_by_the_transport_of_its_file_or_where_nobody_else_can_write_it() {
    let config = Config::parse(
        Path::new("c"),
        "domains = { local = [\"example.org\"] }",
        "mail.example.org",
    )
    .unwrap();
    let text = "donate: answer\nanswer: \"|/usr/local/bin/answer --from 'A <a@x.example>'\", copy@elsewhere.example\n\
                two: |/bin/one, \"|/bin/two x\", two\n";
    let (aliases, _) = Table::aliases("aliases".into(), text);
    let router = |runner| {
        let router = Router::new(&config, Arc::new(aliases.clone()), Arc::default());
        router.running([("aliases".into(), runner)].into())
    };
    let ours = router(Ok(None));
    assert_eq!(
        expand(&ours, "donate+x@example.org"),
        ["copy@elsewhere.example", "donate+x@example.org"]
    );
    assert_eq!(
        destination(&ours, "donate@example.org"),
        "|/usr/local/bin/answer --from 'A <a@x.example>'"
    );
    let mailman = router(Ok(Some("mailman".into())));
    assert_eq!(
        destination(&mailman, "answer@example.org"),
        "mailman:|/usr/local/bin/answer --from 'A <a@x.example>'"
    );
    assert_eq!(expand(&ours, "two@example.org"), ["two@example.org"; 3]);
    let nth = |nth| {
        let destination = ours.nth_destination(&address("two@example.org"), || nth);
        destination.map_or_else(|failure| failure.status.to_string(), |it| it.to_string())
    };
    let expected = [
        "|/bin/one",
        "|/bin/two x",
        "maildir:/var/lib/smarthost/Maildir",
        "4.3.5",
    ];
    assert_eq!([0, 1, 2, 3].map(nth), expected);
    let theirs = router(Err("others can write it".to_owned()));
    assert!(destination(&theirs, "two@example.org").starts_with("4.3.5 alias two@example.org"));
    assert!(
        theirs.is_known(&address("donate@example.org")),
        "its mail waits"
    );
}
