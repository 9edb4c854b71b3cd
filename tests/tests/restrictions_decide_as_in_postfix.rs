//! The corpus of restrictions (tests/data/restrictions), held with a smarthost and with a real
//! Postfix that has the same chains. Rows A6, C4, C5.

use std::{net::Ipv4Addr, path::Path};

use tests::{
    peers,
    postfix::Postfix,
    resolver::Resolver,
    restrictions::{Case, Chain, matches},
    session::Session,
    smarthost::Smarthost,
};

/// Who may relay, and for whom mail is taken; `r` and `root` are known.
const CONFIG: &str = "greet_wait = \"0s\"\nnetworks = [\"127.0.0.1/32\"]\nrelayhost = \"[127.0.0.1]:1\"\nmaildir = \"none\"\n\
    domains = { local = [\"example.org\"], relay = [\"example.net\", \".example.net\"] }\naliases = [\"$DIR/aliases\"]\n";

/// The same in Postfix. Its codes for "sure that it does not exist" are 450, because its authors
/// mistrust DNS; sites set 550.
const MAIN: &str = "mynetworks = 127.0.0.1/32\nmydestination = example.org\nrelay_domains = example.net\n\
    local_recipient_maps = inline:{r=ok, root=ok}\nsmtpd_client_restrictions =\nsmtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n\
    smtpd_relay_before_recipient_restrictions = yes\nunknown_address_reject_code = 550\nunknown_client_reject_code = 550\n\
    recipient_delimiter = +\nsmtpd_error_sleep_time = 0\nsmtpd_hard_error_limit = 1000\nsmtpd_client_connection_count_limit = 0\n";

fn corpus() -> Vec<Chain> {
    let chains = Chain::read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/restrictions"));
    let cases: usize = chains.iter().map(|chain| chain.cases.len()).sum();
    assert!(cases >= 170, "the corpus is missing: {cases} cases");
    chains
}

fn zone(chain: &Chain) -> impl Fn(&str) -> Option<Vec<tests::resolver::Record>> + Send + 'static {
    let zone = chain.zone.clone();
    move |name| zone.get(name).cloned()
}

/// What RCPT is answered, or MAIL, if that is refused already.
fn answer(server: std::net::SocketAddr, case: &Case) -> String {
    let mut session = Session::connect_from(case.client, server);
    session.reply();
    let mut last = String::new();
    for command in [
        format!("EHLO {}", case.helo),
        format!("MAIL FROM:<{}>", case.sender),
        format!("RCPT TO:<{}>", case.recipient),
    ] {
        let reply = session.say(&command);
        last = format!("{} {}", reply.code, reply.text());
        if reply.code >= 400 {
            break;
        }
    }
    last
}

#[test]
fn every_case_is_answered_as_the_corpus_says() {
    let mut faults = Vec::new();
    for chain in corpus() {
        let resolver = Resolver::anywhere(zone(&chain));
        let rules: Vec<_> = chain
            .rules
            .iter()
            .map(|(rule, _)| rule.replace('$', ""))
            .collect();
        let mut smarthost = Smarthost::prepare(&format!(
            "{CONFIG}resolver = \"{}\"\nrestrictions = {rules:?}\n",
            resolver.address()
        ));
        smarthost.file("aliases", "r: x@far.example\nroot: x@far.example\n");
        for (name, lines) in &chain.tables {
            smarthost.file(name, lines);
        }
        smarthost.run();
        for case in &chain.cases {
            let said = answer(smarthost.address(), case);
            if !matches(&case.reply, &said) {
                faults.push(format!(
                    "{}:{}: {} but {said}",
                    chain.name, case.line, case.reply
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whoever comes from Postfix finds what he knows, and each difference is written down.
#[test]
fn a_real_postfix_with_the_same_chain_answers_the_same_or_the_difference_is_explained() {
    if !peers::root() || peers::find("postfix").is_none() {
        return;
    }
    let mut faults = Vec::new();
    for (number, chain) in (160u8..).zip(corpus()) {
        let address = Ipv4Addr::new(127, 0, 0, number);
        let _resolver = Resolver::with(address, zone(&chain));
        let place = |rule: &str| {
            let kind = if rule.contains(":$") { "" } else { "texthash:" };
            rule.replace('$', &format!("{kind}$DIR/"))
        };
        let rules: Vec<_> = chain.rules.iter().map(|(_, rule)| place(rule)).collect();
        let main = format!(
            "{MAIN}smtpd_recipient_restrictions = {}\n",
            rules.join(", ")
        );
        let postfix = Postfix::start_with(&main, &chain.tables, Some(address)).unwrap();
        let server = (Ipv4Addr::LOCALHOST, postfix.port()).into();
        for case in &chain.cases {
            let said = answer(server, case);
            let expected = case.postfix.as_ref().unwrap_or(&case.reply);
            if !matches(expected, &said) {
                faults.push(format!(
                    "{}:{}: {expected} but {said}",
                    chain.name, case.line
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
