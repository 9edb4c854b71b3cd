use std::{path::Path, sync::Arc};

use mail::{address::Address, envelope::Recipient, maps::Table};

use super::Router;
use crate::config::Config;
use crate::destination::Destination;

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
    Router::new(&config, Arc::new(aliases))
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
        Router::new(&config, Arc::default())
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
    let router = Router::new(&config, Arc::new(aliases));
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
    let router = Router::new(&config, Arc::default());
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
    assert!(
        matches!(
            to,
            Destination::Smtp {
                relayhost: true,
                ..
            }
        ),
        "its TLS settings apply"
    );
}
