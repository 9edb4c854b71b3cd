//! Virtual aliases and domain classes, as `Router` answers (rows C1, C2).

use std::{path::Path, sync::Arc};

use mail::{
    address::Address,
    envelope::Recipient,
    maps::{Problem, Table},
};

use super::{Fate, Router};
use crate::{
    config::Config,
    lookup::{LookupTable, TableName, Tables, targets},
};

const CONFIG: &str = "\
maildir = \"none\"
domains = { local = [\"example.org\"], relay = [\"example.net\"], virtual = [\"example.com\", \".virt.example\"] }
virtual = [\"virtual\"]
";

fn read(name: &TableName, text: &str) -> (Arc<LookupTable>, Vec<Problem>) {
    let (table, mut problems) = LookupTable::read(name.kind, "virtual".into(), text);
    problems.extend(targets::examine(&table));
    (Arc::new(table), problems)
}

/// With these tables, each of which is good.
fn router(config: &str, tables: &[&str]) -> Router {
    let config =
        Config::parse(Path::new("/c"), config, "mx.example.org").unwrap_or_else(|e| panic!("{e}"));
    let names = config.named_tables().map(|(_, name)| name.clone());
    let read = |(name, text): (TableName, &&str)| {
        let (table, problems) = read(&name, text);
        assert_eq!(problems, []);
        (name, table)
    };
    let tables: Tables = names.zip(tables).map(read).collect();
    let aliases =
        "root: admin@elsewhere.example\nann: ann@elsewhere.example\nteam: boss@example.com\n";
    let (aliases, _) = Table::aliases("aliases".into(), aliases);
    Router::new(&config, Arc::new(aliases), Arc::default()).mapping(&config, &tables)
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn expand(router: &Router, text: &str) -> Vec<String> {
    match router.expand(&Recipient::from(address(text))) {
        Ok(all) => all
            .iter()
            .map(|recipient| recipient.address.to_string())
            .collect(),
        Err(failure) => vec![format!("{} {}", failure.status, failure.text)],
    }
}

fn destination(router: &Router, text: &str) -> String {
    match router.destination(&address(text)) {
        Ok(destination) => destination.to_string(),
        Err(failure) => format!("{} {}", failure.status, failure.text),
    }
}

#[test]
fn an_extension_stays_with_the_user_and_comes_before_the_catch_all() {
    let table = "foo@example.com ann@partner.example\n@example.com bob@partner.example\n\
                 list+in@example.com in@partner.example\nlist@example.com a@partner.example, b+x@partner.example\n";
    let router = router(CONFIG, &[table]);
    for (to, expected) in [
        ("foo@example.com", vec!["ann@partner.example"]),
        ("foo+shop@example.com", vec!["ann+shop@partner.example"]),
        ("Foo++x@example.com", vec!["ann++x@partner.example"]),
        ("fo@example.com", vec!["bob@partner.example"]),
        ("fo+x@example.com", vec!["bob@partner.example"]),
        ("+foo@example.com", vec!["bob@partner.example"]),
        ("list+in@example.com", vec!["in@partner.example"]),
        (
            "list+q@example.com",
            vec!["a+q@partner.example", "b+x+q@partner.example"],
        ),
    ] {
        assert_eq!(expand(&router, to), expected, "{to}");
    }
    let off = CONFIG.to_owned() + "recipient_delimiter = \"\"\n";
    assert_eq!(
        expand(&self::router(&off, &[table]), "foo+shop@example.com"),
        ["bob@partner.example"]
    );
}

/// Row C2.
#[test]
fn a_whole_domain_goes_to_another_keeping_the_local_part_but_for_entries_of_their_own() {
    let router = router(
        CONFIG,
        &[
            "@example.com @legacy.example\nboss@example.com boss@legacy.example, aide@legacy.example\n\
           aide@legacy.example boss@legacy.example, aide@legacy.example\nkeep@legacy.example keep@legacy.example\n\
           sales@example.com @legacy.example, copy@partner.example\n",
        ],
    );
    for (to, expected) in [
        (
            "boss@example.com",
            vec!["boss@legacy.example", "aide@legacy.example"],
        ),
        (
            "aide@example.com",
            vec!["aide@legacy.example", "boss@legacy.example"],
        ),
        ("Zoe.X+a@example.com", vec!["Zoe.X+a@legacy.example"]),
        ("\"a b\"@example.com", vec!["\"a b\"@legacy.example"]),
        (
            "Sales+q@example.com",
            vec!["Sales+q@legacy.example", "copy+q@partner.example"],
        ),
    ] {
        assert_eq!(expand(&router, to), expected, "{to}");
    }
    let recipients = router
        .expand(&Recipient::from(address("Zoe@example.com")))
        .unwrap();
    assert_eq!(recipients[0].original, Some(address("Zoe@example.com")));
}

#[test]
fn three_spellings_of_one_quoted_local_part_are_one_address() {
    let table = "\"john doe\"@example.com keeper@elsewhere.example\n\"plain\"@example.com keeper@partner.example\n\
                 to@example.com \"a b\"@partner.example\n";
    let router = router(CONFIG, &[table]);
    for (to, expected) in [
        ("\"john doe\"@example.com", "keeper@elsewhere.example"),
        ("\"john\\ doe\"@example.com", "keeper@elsewhere.example"),
        ("\"JOHN doe\"@Example.Com", "keeper@elsewhere.example"),
        ("\"plain\"@example.com", "keeper@partner.example"),
        ("plain@example.com", "keeper@partner.example"),
        ("to@example.com", "\"a b\"@partner.example"),
        ("\"a b\"@example.net", "\"a b\"@example.net"),
    ] {
        assert_eq!(expand(&router, to), [expected], "{to}");
    }
}

#[test]
fn a_domain_in_utf8_leaves_as_every_server_understands_it_and_case_is_kept_where_nothing_maps() {
    let router = router(
        CONFIG,
        &["Info@Example.COM jane@ex\u{e4}mple.example\n@ex\u{e4}mple.example @partner.example\n"],
    );
    assert_eq!(
        expand(&router, "INFO@example.com"),
        ["jane@partner.example"]
    );
    assert_eq!(
        expand(&router, "X@xn--exmple-cua.example"),
        ["X@partner.example"]
    );
    assert_eq!(
        expand(&router, "NoReply@example.net"),
        ["NoReply@example.net"]
    );
    let plain = self::router(CONFIG, &["info@example.com jane@ex\u{e4}mple.example\n"]);
    assert_eq!(
        expand(&plain, "INFO@example.com"),
        ["jane@xn--exmple-cua.example"]
    );
}

/// Row B3.
#[test]
fn what_has_no_entry_is_unknown_in_the_table_of_its_class_and_strangers_domains_have_none() {
    let config = CONFIG.to_owned() + "relay_recipients = [\"relay\"]\n";
    let relay = "joe@example.net OK\n";
    let router = router(
        &config,
        &[
            "a@example.com x@partner.example\nmapped@example.net x@partner.example\nbox@virt.example x@partner.example\n\
                                    box@a.virt.example x@partner.example\nself@example.com self@example.com\nnew@example.org x@partner.example\n",
            relay,
        ],
    );
    for (to, expected) in [
        ("a@example.com", None),
        ("b@example.com", Some("virtual alias table")),
        ("self@example.com", Some("virtual alias table")),
        ("box@a.virt.example", None),
        ("other@a.b.virt.example", Some("virtual alias table")),
        // The dot in front means the subdomains alone.
        ("box@virt.example", None),
        ("x@virt.example", None),
        ("Joe@example.net", None),
        ("joe+x@example.net", None),
        ("mapped@example.net", None),
        ("jim@example.net", Some("relay recipient table")),
        ("root+x@example.org", None),
        ("new@example.org", None),
        ("user@example.org", Some("local recipient table")),
        ("anybody@elsewhere.example", None),
        // RFC 5321 §4.5.1.
        ("Postmaster@example.com", None),
        ("postmaster+x@a.virt.example", None),
        ("POSTMASTER@example.net", None),
        ("root@example.com", Some("virtual alias table")),
        ("postmasters@example.net", Some("relay recipient table")),
    ] {
        assert_eq!(router.unlisted(&address(to)), expected, "{to}");
    }
    assert_eq!(
        destination(&router, "b@example.com"),
        "5.1.1 b@example.com: User unknown in virtual alias table"
    );
    assert_eq!(destination(&router, "a@example.com"), "aliases");
    let open = self::router(&CONFIG.replace("virtual = [\"virtual\"]\n", ""), &[]);
    assert_eq!(open.unlisted(&address("jim@example.net")), None);
    assert_eq!(
        open.unlisted(&address("a@example.com")),
        Some("virtual alias table")
    );
    // A table that names the whole domain knows all of it.
    let all = self::router(&config, &["", "@example.net OK\n"]);
    assert_eq!(all.unlisted(&address("jim@example.net")), None);
}

/// Row A8.
#[test]
fn virtual_aliases_and_aliases_are_followed_into_each_other() {
    let router = router(
        CONFIG,
        &[
            "boss@example.com ann+vip@example.org, team@example.org\nann@example.org ann@example.org, copy@partner.example\n\
           user@mx.example.org x@partner.example\nann@mx.example.org y@partner.example\n",
        ],
    );
    let mut all = expand(&router, "boss@example.com");
    assert!(
        all[0].starts_with("4.3.5 ")
            && all[0].contains("boss@example.com -> team@example.org -> boss@example.com"),
        "{all:?}"
    );
    all = expand(&router, "ann@example.org");
    assert_eq!(all, ["copy@partner.example", "ann@elsewhere.example"]);
    all = expand(&router, "ann+x@example.org");
    assert_eq!(all, ["copy+x@partner.example", "ann@elsewhere.example"]);
}

#[test]
fn keys_without_a_domain_are_for_local_domains_alone() {
    let router = router(
        CONFIG,
        &["sam x@partner.example\nsam+in y@partner.example\n"],
    );
    for (to, expected) in [
        ("Sam@example.org", "x@partner.example"),
        ("sam+in@localhost", "y@partner.example"),
        ("sam+q@mx.example.org", "x+q@partner.example"),
        ("sam@example.net", "sam@example.net"),
        ("sam@elsewhere.example", "sam@elsewhere.example"),
    ] {
        assert_eq!(expand(&router, to), [expected], "{to}");
    }
}

#[test]
fn circles_and_chains_without_end_wait_until_the_table_is_mended() {
    let router = router(
        CONFIG,
        &["a@example.com b@example.com, x@partner.example\nb@example.com a@example.com\n\
           me@example.com other@example.com, me@example.com\nother@example.com me@example.com, other@example.com\n\
           d@example.com l@example.com, r@example.com\nl@example.com end@partner.example\nr@example.com end@partner.example\n\
           empty@example.com @\n".replace("empty@example.com @\n", "").as_str()],
    );
    for start in ["a@example.com", "b@example.com"] {
        let all = expand(&router, start);
        assert!(
            all[0].starts_with("4.3.5 ") && all[0].contains("comes back to itself"),
            "{all:?}"
        );
    }
    // Each names itself: both end there, as in Postfix.
    assert_eq!(
        expand(&router, "me@example.com"),
        ["me@example.com", "other@example.com"]
    );
    assert_eq!(expand(&router, "d@example.com"), ["end@partner.example"]);
    let endless = self::router(
        "virtual = [\"pcre:virtual\"]",
        &[
            "/^(.*)@more\\.example$/ a${1}@more.example, b${1}@more.example\n/^Id(.*)@(.*)$/ Id$1@$2\n",
        ],
    );
    let all = expand(&endless, "x@more.example");
    assert!(
        all[0].starts_with("4.3.5 ") && all[0].contains("more than"),
        "{all:?}"
    );
    assert_eq!(expand(&endless, "Id7@x.example"), ["Id7@x.example"]);
}

#[test]
fn patterns_see_the_whole_address_as_it_was_written_and_no_part_of_it() {
    let router = router(
        "virtual = [\"regexp:virtual\"]",
        &[
            "/^(.*)@old\\.example$/ $1@new.example\n/^joe@x\\.example$/ jim@x.example\n/^@x\\.example$/ never@x.example\n",
        ],
    );
    assert_eq!(expand(&router, "Zoe+A@OLD.example"), ["Zoe+A@new.example"]);
    assert_eq!(expand(&router, "joe+a@x.example"), ["joe+a@x.example"]);
}

#[test]
fn a_value_that_names_no_address_is_told_with_its_line() {
    let name = TableName::parse("virtual").unwrap();
    let (_, problems) = read(
        &name,
        "good@x @y.example, a@y, name\nlate@x a@y, @y.example\nbroken@x a@@b\n/(.*)@z/ $1@b.example\n/q/ a@@b\n",
    );
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told.iter()
            .any(|it| it
                .starts_with("virtual:2: `@y.example` keeps the local part only as the first")),
        "{told:?}"
    );
    for line in [3, 5] {
        assert!(
            told.iter()
                .any(|it| it.starts_with(&format!("virtual:{line}: `a@@b`"))),
            "{told:?}"
        );
    }
}

#[test]
fn the_nearest_name_decides_the_class_of_a_domain_and_one_name_stands_in_one_list() {
    let router = router(
        "domains = { local = [\".d.example\"], relay = [\"a.d.example\", \".a.d.example\"], virtual = [\".x.a.d.example\"] }",
        &[],
    );
    for (to, expected) in [
        ("u@b.d.example", "Some(Local)"),
        ("u@d.example", "None"),
        ("u@a.d.example", "Some(Relay)"),
        ("u@q.a.d.example", "Some(Relay)"),
        ("u@x.a.d.example", "Some(Relay)"),
        ("u@y.x.a.d.example", "Some(Virtual)"),
        ("u@mx.example.org", "Some(Local)"),
    ] {
        assert_eq!(
            format!("{:?}", router.class(&address(to))),
            expected,
            "{to}"
        );
    }
    for (lists, expected) in [
        (
            "local = [\".a.example\"], relay = [\".A.example\"]",
            ".a.example is both local and passed on",
        ),
        (
            "local = [\"a.example\"], virtual = [\"a.example\"]",
            "a.example is both local and virtual",
        ),
        (
            "relay = [\"a.example\"], virtual = [\"A.Example\"]",
            "a.example is both passed on and virtual",
        ),
        (
            "virtual = [\"localhost\"]",
            "localhost is both local and virtual",
        ),
    ] {
        let error = Config::parse(
            Path::new("c"),
            &format!("domains = {{ {lists} }}"),
            "mx.example.org",
        )
        .unwrap_err();
        assert!(error.text.contains(expected), "{lists}: {}", error.text);
    }
}

/// RFC 5321 §4.5.1: whoever has to tell something of a domain reaches a person.
#[test]
fn postmaster_of_every_domain_is_ours_where_nothing_names_him() {
    let config =
        CONFIG.to_owned() + "relay_recipients = [\"relay\"]\nadmins = \"a@elsewhere.example\"\n";
    let unnamed = router(&config, &["", "joe@example.net OK\n"]);
    for to in [
        "postmaster@example.com",
        "Postmaster@box.virt.example",
        "postmaster@example.net",
    ] {
        assert_eq!(expand(&unnamed, to), ["a@elsewhere.example"], "{to}");
    }
    assert_eq!(destination(&unnamed, "postmaster@example.com"), "aliases");
    let named = router(
        &config,
        &[
            "postmaster@example.com x@partner.example\n@virt.example y@partner.example\n",
            "postmaster@example.net OK\n",
        ],
    );
    for (to, expected) in [
        ("postmaster@example.com", "x@partner.example"),
        ("postmaster@example.net", "postmaster@example.net"),
    ] {
        assert_eq!(expand(&named, to), [expected], "{to}");
    }
    let everybody = CONFIG.to_owned() + "admins = \"a@elsewhere.example\"\n";
    let everybody = router(&everybody, &[""]);
    let to = "postmaster@example.net";
    assert_eq!(expand(&everybody, to), [to], "the next hop knows its own");
}

/// `@old @new`: which names there are, the other domain knows, and its answer is the same for both.
#[test]
fn a_name_that_a_whole_domain_stands_for_and_nobody_has_is_unknown_but_a_wrong_entry_waits() {
    let table = "@example.com @example.org\n/^(.*)@a\\.virt\\.example$/ $1@example.org\n\
                 @b.virt.example @example.com\n@c.virt.example @example.org, ghost@example.org\n\
                 @d.virt.example ghost@example.org\n/@e\\.virt\\.example$/ ghost@example.org\n\
                 one@example.com ghost@example.org\nmoved@example.com @example.org\n\
                 chain@example.com nosuch@b.virt.example\n@f.virt.example @g.virt.example\n\
                 known@g.virt.example x@partner.example\n";
    let router = router(CONFIG, &[table]);
    let unknown = |table| format!("refused 5.1.1 User unknown in {table}");
    let local = || unknown("local recipient table");
    let waits = |to, nobody| {
        format!("waits 4.3.5 alias {to} cannot be expanded: nobody has the address {nobody}")
    };
    for (to, expected) in [
        ("ann@example.com", "taken".to_owned()),
        ("ann@a.virt.example", "taken".to_owned()),
        ("ann@b.virt.example", "taken".to_owned()),
        ("ann@c.virt.example", "taken".to_owned()),
        ("nosuch@example.com", local()),
        ("nosuch+x@example.com", local()),
        ("nosuch@a.virt.example", local()),
        ("nosuch@b.virt.example", local()),
        ("nosuch@c.virt.example", local()),
        ("nosuch@f.virt.example", unknown("virtual alias table")),
        ("known@f.virt.example", "taken".to_owned()),
        // An entry that names nobody, whoever is asked for.
        (
            "any@d.virt.example",
            waits("any@d.virt.example", "ghost@example.org"),
        ),
        (
            "any@e.virt.example",
            waits("any@e.virt.example", "ghost@example.org"),
        ),
        // An entry of its own.
        (
            "one@example.com",
            waits("one@example.com", "ghost@example.org"),
        ),
        (
            "one+x@example.com",
            waits("one+x@example.com", "ghost+x@example.org"),
        ),
        (
            "moved@example.com",
            waits("moved@example.com", "moved@example.org"),
        ),
        // It was named somewhere on the way.
        (
            "one@b.virt.example",
            waits("one@b.virt.example", "ghost@example.org"),
        ),
        (
            "chain@example.com",
            waits("chain@example.com", "nosuch@example.org"),
        ),
    ] {
        let fate = match router.fate(&address(to)) {
            Fate::Taken => "taken".to_owned(),
            Fate::Refused(why) => format!("refused {} {}", why.status, why.text),
            Fate::Broken(why) => format!("waits {} {}", why.status, why.text),
        };
        assert_eq!(fate, expected, "{to}");
    }
}
