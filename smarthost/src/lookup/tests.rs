//! What stands in these tables was asked of `postmap -q` too (3.7.11); where we differ, the test
//! says so.

use mail::address::{Address, Sender};

use super::{Kind, LookupTable, TableName, access};

fn read(kind: &str, text: &str) -> (LookupTable, Vec<String>) {
    let name = TableName::parse(&format!("{kind}table")).unwrap();
    let (table, problems) = LookupTable::read(name.kind, name.path, text);
    (table, problems.iter().map(ToString::to_string).collect())
}

fn good(kind: &str, text: &str) -> LookupTable {
    let (table, problems) = read(kind, text);
    assert_eq!(problems, Vec::<String>::new());
    table
}

fn value(table: &LookupTable, key: &str) -> String {
    table
        .get(key)
        .map_or_else(String::new, |found| found.value.into_owned())
}

#[test]
fn keys_and_values_are_read_as_postmap_reads_them() {
    let (table, problems) = read(
        "hash:",
        "a one\nA two\nb\n\"john doe\"@x keeper\n\"unbal x\nc  v1,\n   v2\n# comment\n   v3\n\n   v4\n   # indented\n\tv5\n\
         d:  x\ne\\ f g\n\"plain\"@x k2\n\u{c9}@x low\nkey  trailing   \n/re/ z\n",
    );
    for (key, expected) in [
        ("A", "one"),
        ("b", ""),
        ("\"john doe\"@x", "keeper"),
        ("\"john\\ doe\"@x", "keeper"),
        ("john doe@x", ""),
        ("c", "v1,   v2   v3   v4\tv5"),
        ("d:", "x"),
        ("d", ""),
        ("e\\ f", "g"),
        ("\u{e9}@X", "low"),
        ("key", "trailing"),
        ("/re/", "z"),
        // Postfix keeps the quotes in the key, and finds it by them alone.
        ("plain@x", "k2"),
        ("\"plain\"@x", "k2"),
    ] {
        assert_eq!(value(&table, key), expected, "{key}");
    }
    let starts = [
        "table:3: there is no value",
        "table:5: a quote is not closed",
        "table:14: the key is `d:`",
        "table:2: `a` is set again; line 1 counts",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
    assert_eq!(table.get("c").unwrap().place.to_string(), "table:6");
    let (table, problems) = read("", "   lead x\nz y\n");
    assert_eq!(value(&table, "z"), "y");
    assert!(
        problems[0].starts_with("table:1: a line that starts with a blank"),
        "{problems:?}"
    );
}

#[test]
fn a_domain_in_a_key_is_found_in_every_spelling() {
    let table = good(
        "texthash:",
        "Info@Ex\u{e4}mple.example a\nb\u{fc}cher.example b\n.stra\u{df}e.example c\n@xn--kln-sna.example d\n",
    );
    for (key, expected) in [
        ("info@xn--exmple-cua.example", "a"),
        ("XN--bcher-kva.example", "b"),
        (".xn--strae-oqa.example", "c"),
        ("@K\u{d6}LN.example", "d"),
    ] {
        assert_eq!(value(&table, key), expected, "{key}");
    }
}

#[test]
fn networks_are_tried_in_order_with_conditions_and_negation() {
    let (table, problems) = read(
        "cidr:",
        "192.0.2.0/24 net\n192.0.2.5 host\n[2001:db8::]/32 v6\n[2001:db9::/32] v6b\n10.0.0.1/8 bad\n\
         if 172.16.0.0/12\n172.16.5.0/24  five\nif !172.17.0.0/16\n172.16.0.0/12 not\n  seventeen\nendif\nENDIF\nendif\n\
         !10.0.0.0/8 not ten\n0.0.0.0/0 all\n",
    );
    for (key, expected) in [
        ("192.0.2.9", "net"),
        ("192.0.2.5", "net"),
        ("2001:db8::1", "v6"),
        ("2001:db9::1", "v6b"),
        ("172.16.5.1", "five"),
        ("172.17.1.1", "not ten"),
        ("172.18.1.1", "not  seventeen"),
        ("10.1.1.1", "all"),
        ("host.example", ""),
        ("192.0.2", ""),
        // Postfix does not take a mapped address for IPv4.
        ("::ffff:192.0.2.1", "net"),
    ] {
        assert_eq!(value(&table, key), expected, "{key}");
    }
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].contains(":5: ") && problems[0].contains("write 10.0.0.0/8"),
        "{problems:?}"
    );
    assert!(
        problems[1].starts_with("table:13: `endif` without `if`"),
        "{problems:?}"
    );
}

#[test]
fn regular_expressions_are_tried_in_order_with_flags_conditions_and_replacements() {
    let (table, problems) = read(
        "regexp:",
        "/^one$/ first\n/^one$/ second\n/^User\\+(.*)@ex\\.example$/ $1-${1}-$(1)-$$\n/^CASE$/i only upper\n\
         if /@if\\.example$/\n/^a@/ inside a\n!/^b@/ notb\nendif\n/[[]/ bracket\n/^sl\\/ash$/ slash\n|^pipe$| piped\n\
         /cont/\n   continued value\n/^multi word$/ mw\n/last/  trail  \n/^(x)?y$/ <$1>\n/[]&&a]zz$/ set\n\
         /bad(/ v\n/(a)/ $2\n!/zz/ $1 bad\n/no value/\n/open\n/x/q v\n/x$/ $a\n/(a)\\1/ v\nif /(/\n/^bob@/ never\nendif\n\
         !/@/ noat\n",
    );
    for (key, expected) in [
        ("one", "first"),
        ("user+Ext@EX.example", "Ext-Ext-Ext-$"),
        ("case", "noat"),
        ("CASE", "only upper"),
        ("a@if.example", "inside a"),
        ("b@if.example", ""),
        ("c@if.example", "notb"),
        ("u[@x", "bracket"),
        ("sl/ash", "slash"),
        ("PIPE", "piped"),
        ("cont", "continued value"),
        ("multi word", "mw"),
        ("last", "trail"),
        ("y", "<>"),
        ("&zz", "set"),
        ("]zz", "set"),
        ("bzz", "noat"),
        ("bob@z", ""),
    ] {
        assert_eq!(value(&table, key), expected, "{key}");
    }
    let expected = [
        (18, "cannot be read"),
        (19, "no part that $2"),
        (20, "negated"),
        (21, "no value"),
        (22, "not closed by `/`"),
        (23, "`q` is not a flag"),
        (24, "`$a` is not a number"),
        (25, "backreferences are not supported"),
        (26, "cannot be read"),
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, (line, text)) in problems.iter().zip(expected) {
        assert!(
            problem.starts_with(&format!("table:{line}: ")) && problem.contains(text),
            "{problem}"
        );
    }
}

#[test]
fn perl_expressions_have_their_own_flags_and_braces_that_mean_themselves() {
    let table = good(
        "pcre:",
        "/^a b$/x joined\n/x{y/ brace\n/^n\\d{2,}$/ digits\n/tail/A anchored\n/^(\\w+)(?:\\.\\w+)*@v\\.example$/ ${1}x\n\
         /^(.+)b/U <$1>\n/^[\\w.+-]+@z$/ class\n",
    );
    for (key, expected) in [
        ("ab", "joined"),
        ("x{y", "brace"),
        ("n12", "digits"),
        ("n1", ""),
        ("a tail", ""),
        ("TAIL end", "anchored"),
        ("Joe.Doe@v.example", "Joex"),
        ("axbxb", "<ax>"),
        ("q.r+s-t@z", "class"),
    ] {
        assert_eq!(value(&table, key), expected, "{key}");
    }
    let (_, problems) = read(
        "pcre:",
        "/a(?=b)/ v\n/(?<n>a)\\k<n>/ v\n/\\w{1000}{1000}/ v\n",
    );
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[2].contains("too large"), "{problems:?}");
}

#[test]
fn a_text_without_a_prefix_may_hold_patterns_which_are_asked_after_the_keys() {
    let text = "/@yahoo\\./ yahoo:\nx@yahoo.example direct:\n/c=us/s=foo/@gw.example x400:\n";
    let table = good("", text);
    assert_eq!(value(&table, "X@yahoo.example"), "direct:");
    assert_eq!(value(&table, "y@Yahoo.example"), "yahoo:");
    assert_eq!(value(&table, "/C=US/S=foo/@gw.example"), "x400:");
    assert_eq!(value(&good("hash:", text), "/@yahoo\\./"), "yahoo:");
}

#[test]
fn a_table_is_named_by_kind_and_path() {
    for (text, kind) in [
        ("clients", Kind::Text),
        ("/etc/x:y", Kind::Text),
        ("hash:/etc/postfix/access", Kind::Database),
        ("lmdb:a", Kind::Database),
        ("cidr:networks", Kind::Cidr),
        ("regexp:a", Kind::Regexp),
        ("pcre:/a:b", Kind::Pcre),
    ] {
        let name = TableName::parse(text).unwrap();
        assert_eq!((name.kind, name.to_string()), (kind, text.to_owned()));
    }
    for (text, remedy) in [
        ("mysql:/etc/x", "no kind of table `mysql`"),
        ("", "names no file"),
        ("hash:", "names no file"),
    ] {
        let error = TableName::parse(text).unwrap_err();
        assert!(error.contains(remedy), "{text}: {error}");
    }
}

fn keys(all: Vec<access::Key>) -> Vec<String> {
    assert!(
        all.iter()
            .enumerate()
            .all(|(at, key)| key.whole == (at == 0))
    );
    all.into_iter().map(|key| key.text).collect()
}

#[test]
fn a_client_a_host_and_an_address_are_looked_up_in_the_order_of_access_5() {
    let address = |text: &str| keys(access::address(text.parse().unwrap()));
    assert_eq!(
        address("192.0.2.7"),
        ["192.0.2.7", "192.0.2", "192.0", "192"]
    );
    assert_eq!(address("::ffff:192.0.2.7")[0], "192.0.2.7");
    assert_eq!(
        address("2001:db8::25:1"),
        ["2001:db8::25:1", "2001:db8::25", "2001:db8", "2001"]
    );
    assert_eq!(
        keys(access::host("A.b.Example.")),
        ["a.b.example", "b.example", "example"]
    );
    assert_eq!(keys(access::host("[192.0.2.7]"))[0], "[192.0.2.7]");
    let mailbox = |text: &str| keys(access::mailbox(&Address::parse(text).unwrap(), Some('+')));
    assert_eq!(
        mailbox("Joe+x+y@Sub.Example"),
        [
            "Joe+x+y@sub.example",
            "Joe@sub.example",
            "sub.example",
            "example",
            "Joe+x+y@",
            "Joe@"
        ]
    );
    assert_eq!(mailbox("\"a b\"@x")[0], "\"a b\"@x");
    assert_eq!(keys(access::sender(&Sender::Null, Some('+'))), ["<>"]);
    let client = access::client(Some("mx.example"), "192.0.2.7".parse().unwrap());
    let whole: Vec<_> = client
        .iter()
        .filter(|key| key.whole)
        .map(|key| key.text.as_str())
        .collect();
    assert_eq!(whole, ["mx.example", "192.0.2.7"]);
}

#[test]
fn an_extension_begins_at_the_first_delimiter_and_roles_have_none() {
    for (local, delimiter, expected) in [
        ("foo+shop", '+', Some(("foo", "shop"))),
        ("foo++x", '+', Some(("foo", "+x"))),
        ("foo+", '+', Some(("foo", ""))),
        ("+foo", '+', None),
        ("foo", '+', None),
        ("a-b-c", '-', Some(("a", "b-c"))),
        ("owner-list", '-', None),
        ("list-Request", '-', None),
        ("Mailer-Daemon", '-', None),
    ] {
        assert_eq!(
            access::split_extension(local, Some(delimiter)),
            expected,
            "{local}"
        );
    }
    assert_eq!(access::split_extension("foo+x", None), None);
}

/// Row C5.
#[test]
fn a_domain_is_no_suffix_and_comes_before_the_user() {
    let table = good(
        "hash:",
        "bar.example REJECT\n.baz.example REJECT\nnews@ OK\n",
    );
    let found = |sender: &str| {
        let sender = Sender::Address(Address::parse(sender).unwrap());
        let found = table.first(&access::sender(&sender, Some('+')))?;
        Some(found.value.into_owned())
    };
    for (sender, expected) in [
        ("a@foobar.example", None),
        ("a@bar.example", Some("REJECT")),
        ("a@deep.sub.bar.example", Some("REJECT")),
        ("a@x.baz.example", None),
        ("news@bar.example", Some("REJECT")),
        ("news@other.example", Some("OK")),
    ] {
        assert_eq!(found(sender).as_deref(), expected, "{sender}");
    }
}

#[test]
fn the_null_sender_has_a_key_of_its_own_and_no_other_finds_it() {
    let found = |text: &str| {
        let table = good("hash:", text);
        let found = table.first(&access::sender(&Sender::Null, Some('+')));
        found.map(|found| found.value.into_owned())
    };
    let others = "MAILER-DAEMON@ REJECT\nexample.org REJECT\n";
    assert_eq!(
        found(&format!("<> REJECT no bounces\n{others}")).as_deref(),
        Some("REJECT no bounces")
    );
    assert_eq!(found(others), None);
}
