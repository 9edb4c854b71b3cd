//! Recipe C: a small company in front of an internal server.

use std::net::Ipv4Addr;

use tests::{
    resolver::Record,
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
};
use toml::{Table, Value};

use crate::site::{
    LISTED, arrived, front, hears, names, of_sink, session_of, shipped, stranger,
    table_of_the_guide, with,
};

/// What lists say of a client and of a sender's domain.
static ON_LISTS: [(&str, Record); 2] = [
    (
        "10.0.18.198.psbl.surriel.com",
        Record::A(Ipv4Addr::new(127, 0, 0, 2)),
    ),
    (
        "spam.example.dbl.spamhaus.org",
        Record::A(Ipv4Addr::new(127, 0, 1, 2)),
    ),
];

/// The relay, with the tables of the guide, before an internal server and with its provider.
fn inbound(internal: &Sink, provider: &Sink) -> Smarthost {
    let routes = ["company.example", "company-legacy.example"];
    let routes = routes.map(|domain| (domain.to_owned(), of_sink(internal)));
    // No password goes over a connection without TLS.
    let mut table = shipped("smarthost-company-inbound");
    table.remove("relay_auth");
    let domains = &[
        "company.example",
        "company-legacy.example",
        "elsewhere.example",
        "noisy.example",
        "partner.example",
        "spam.example",
    ];
    let mut relay = Smarthost::prepare(&with(
        table,
        &[
            ("relayhost", of_sink(provider)),
            ("routes", Value::from(Table::from_iter(routes))),
            ("resolver", names(&ON_LISTS, domains)),
            front(),
        ],
    ));
    relay.file(
        "virtual",
        &table_of_the_guide("former@company.example  former@elsewhere.example"),
    );
    relay.file(
        "senders",
        &table_of_the_guide("noisy.example               REJECT"),
    );
    relay.run();
    relay
}

/// Rows C1, C2, C4, C5. With the tables of the guide.
#[test]
fn a_small_company_gets_the_internets_mail_for_whom_the_internal_server_knows_and_sends_its_own() {
    let reply = |to: &str| (to.to_owned(), "550 5.1.1 no such user".to_owned());
    let internal = Sink::with(Script {
        recipients: ["gone", "company", "it"]
            .iter()
            .map(|it| reply(&format!("{it}@company-legacy.example")))
            .chain([reply("sales@company.example"), reply("it@company.example")])
            .collect(),
        ..Script::default()
    });
    let provider = Sink::start();
    let relay = inbound(&internal, &provider);
    let friend = "friend@elsewhere.example";
    for (from, to, expected) in [
        // The catch-all asks for the name under which the mail would go.
        (friend, "anna@company.example", "250"),
        (
            friend,
            "gone@company.example",
            "550 5.1.1 <gone@company.example>: Recipient address rejected: undeliverable address",
        ),
        (friend, "gone@company-legacy.example", "550 5.1.1"),
        // Of lists and of people elsewhere the internal server knows nothing.
        (friend, "sales@company.example", "250"),
        (friend, "former@company.example", "250"),
        (
            friend,
            "x@elsewhere.example",
            "554 5.7.1 <x@elsewhere.example>: Relay access denied",
        ),
        (
            "a@noisy.example",
            "anna@company.example",
            "554 5.7.1 <a@noisy.example>: Sender address rejected: Access denied",
        ),
        ("a@nowhere.example", "anna@company.example", "550 5.1.8"),
    ] {
        let told = hears(&relay, from, to);
        assert!(told.starts_with(expected), "{from} {to}: {told}");
    }
    assert!(internal.journal().is_empty(), "it was only asked");
    let message = b"Subject: x\r\n\r\nx\r\n";
    stranger(&relay).delivers(
        friend,
        &[
            "anna@company.example",
            "x@company-legacy.example",
            "sales@company.example",
        ],
        message,
    );
    assert_eq!(
        internal.recipients(3),
        ["anna", "otto", "x"].map(|it| format!("{it}@company-legacy.example"))
    );
    let mut own = Session::greeted(relay.address());
    own.delivers("it@company.example", &[friend], message);
    assert_eq!(arrived(&provider, 1).recipients, [friend]);

    // On block lists: the client, or the sender's domain; who is let in is let in.
    let blocked = hears(&relay, "a@spam.example", "anna@company.example");
    let expected = "Sender address [a@spam.example] blocked using dbl.spamhaus.org";
    assert!(blocked.ends_with(expected), "{blocked}");
    let mut of_ill_repute = session_of(LISTED, &relay);
    let refused = of_ill_repute.mail(friend, &["anna@company.example"], message);
    let text = refused.unwrap().text();
    let expected = format!("Client host [{LISTED}] blocked using psbl.surriel.com");
    assert!(text.ends_with(&expected), "{text}");
    let to = ["anna@company.example"];
    of_ill_repute.delivers("newsletter@partner.example", &to, message);
}
