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
    let targets = table.get(name).map(|entry| entry.targets.as_slice());
    targets
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect()
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
        "/etc/aliases:6: `ROOT` is given again in line 5",
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

proptest! {
    #[test]
    fn any_text_is_read_and_no_entry_is_empty(text in "([a-c:, \\t\"\\\\#@\\[\\]<(|]{0,12}\r?\n){0,6}|.*") {
        for (table, _) in [Table::aliases(PathBuf::new(), &text), Table::revaliases(PathBuf::new(), &text)] {
            for entry in table.entries.values() {
                prop_assert!(!entry.targets.is_empty());
            }
        }
    }
}
