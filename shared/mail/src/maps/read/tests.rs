use proptest::prelude::*;

use super::*;

fn aliases(text: &str) -> (Table, Vec<String>) {
    shown(Table::aliases(PathBuf::from("/etc/aliases"), text))
}

fn revaliases(text: &str) -> (Table, Vec<String>) {
    shown(Table::revaliases(PathBuf::from("/etc/revaliases"), text))
}

fn shown((table, problems): (Table, Vec<Problem>)) -> (Table, Vec<String>) {
    (table, problems.iter().map(ToString::to_string).collect())
}

fn values(table: &Table, name: &str) -> Vec<String> {
    let entry = table.get(name);
    let targets = entry.iter().flat_map(|entry| &entry.targets);
    targets.map(ToString::to_string).collect()
}

#[test]
fn an_aliases_file_is_read_with_quotes_continuations_and_comments() {
    let (table, problems) = aliases(
        "# comment\n\nPostmaster:    root\nroot:\tadmin@example.org,\n\n  # inside\n\tother@example.org\n\
         \"odd name\": x\nlist: \"|/usr/lib/mailman post, list\", :include:/etc/l, /var/mail/x\n\
         quoted: \"joe smith\"@example.org, Joe <a@b>, \\root\r\nlast: z",
    );
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(values(&table, "POSTMASTER"), ["root"]);
    assert_eq!(
        values(&table, "root"),
        ["admin@example.org", "other@example.org"]
    );
    assert_eq!(values(&table, "odd name"), ["x"]);
    assert_eq!(
        values(&table, "list"),
        [
            "|/usr/lib/mailman post, list",
            ":include:/etc/l",
            "/var/mail/x"
        ]
    );
    assert_eq!(
        values(&table, "quoted"),
        ["\"joe smith\"@example.org", "a@b", "\\root"]
    );
    assert_eq!(values(&table, "last"), ["z"]);
    assert_eq!(table.get("root").unwrap().to_string(), "/etc/aliases:4");
}

#[test]
fn each_wrong_line_is_named_and_the_rest_is_kept() {
    let (table, problems) =
        aliases("  lost\nnocolon\n: x\nempty:\nroot: a\nROOT: b\nx: y # why\ngood: z");
    let starts = [
        "/etc/aliases:1: a line that starts with a blank",
        "/etc/aliases:2: there is no colon",
        "/etc/aliases:3: there is no name",
        "/etc/aliases:4: `empty` has no value",
        "/etc/aliases:6: `root` is given again in line 5",
        "/etc/aliases:7: text after `#` is ignored",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
    assert_eq!(values(&table, "root"), ["a"]);
    assert_eq!(
        (values(&table, "x"), values(&table, "good")),
        (vec!["y".to_owned()], vec!["z".to_owned()])
    );
}

/// Row A2.
#[test]
fn revaliases_are_read_in_ssmtps_grammar_and_as_aliases_even_in_one_file() {
    let (table, problems) = revaliases(
        "# ssmtp\nroot:admins@example.org  # the admins\nwww-data:web@example.org\nwww-data:www@example.org\n\
         lit:u@[IPv6:2001:db8::1]\nhub:h@example.org:mail.example.org:587\n\
         postmaster: admins\nnobody:\tadmins,\n  second\nadmins:real@example.org\n",
    );
    assert_eq!(values(&table, "root"), ["admins@example.org"]);
    assert_eq!(
        values(&table, "www-data"),
        ["www@example.org"],
        "the last match wins"
    );
    assert_eq!(values(&table, "lit"), ["u@[IPv6:2001:db8::1]"]);
    assert_eq!(values(&table, "hub"), ["h@example.org"]);
    assert_eq!(values(&table, "postmaster"), ["admins"]);
    assert_eq!(values(&table, "nobody"), ["admins", "second"]);
    assert_eq!(values(&table, "admins"), ["real@example.org"]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].contains(":3: `www-data` is given again in line 4"),
        "{problems:?}"
    );
    assert!(
        problems[1].contains(":6: the mailhub `mail.example.org:587` is ignored"),
        "{problems:?}"
    );
}

/// One that includes a file is kept as it was read, the others as they are written.
#[test]
fn the_first_of_two_entries_stays_whichever_of_them_includes_a_file_and_so_over_two_files() {
    for (text, expected, line) in [
        ("all: a@x\nALL: :include:/l\n", "a@x", 2),
        ("all: :include:/l\nAll: a@x\n", ":include:/l", 2),
        ("all: a@x\nb: c\nall: b@x\n", "a@x", 3),
    ] {
        let (table, problems) = aliases(text);
        assert_eq!(values(&table, "all"), [expected], "{text}");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with(&format!("/etc/aliases:{line}: `all` is given again")),
            "{problems:?}"
        );
        for later in ["all: other@x\n", "all: :include:/other\n"] {
            let mut both = table.clone();
            both.extend(aliases(&format!("{later}more: z@x\n")).0);
            assert_eq!(values(&both, "all"), [expected], "{text}{later}");
            assert_eq!(values(&both, "more"), ["z@x"]);
            let named = both.all().filter(|(name, _)| name == "all");
            assert_eq!(named.count(), 1);
        }
    }
}

/// 100,000 entries cost at most twice their text.
#[test]
fn a_large_table_is_hardly_larger_than_its_text() {
    let lines = (0..100_000).map(|n| format!("user{n}: person.{n}@example.org\n"));
    let text: String = lines.collect();
    let (table, problems) = aliases(&text);
    assert_eq!(problems, Vec::<String>::new());
    let size: usize = table.written.iter().map(|it| it.values.size()).sum();
    assert!(
        table.entries.is_empty() && size < text.len() * 3 / 2,
        "{size} of {}",
        text.len()
    );
    // Whoever puts tables together copies none of it.
    let mut together = Table::default();
    together.extend(table.clone());
    assert!(Arc::ptr_eq(
        &together.written[0].values,
        &table.written[0].values
    ));
    assert_eq!(values(&together, "User99999"), ["person.99999@example.org"]);
}

proptest! {
    #[test]
    fn any_text_is_read_and_no_entry_is_empty(text in "([a-c:, \\t\"\\\\#@\\[\\]<(|]{0,12}\r?\n){0,6}|.*") {
        for (table, _) in [Table::aliases(PathBuf::new(), &text), Table::revaliases(PathBuf::new(), &text)] {
            for (name, entry) in table.all() {
                prop_assert!(!entry.targets.is_empty());
                prop_assert!(name.ends_with('*') || table.get(&name).as_ref() == Some(&entry));
            for asked in [&*name, "a", "b*", "Ab"] {
                prop_assert_eq!(table.has(asked), table.get(asked).is_some());
            }
            }
        }
    }
}
