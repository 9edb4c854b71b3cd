//! The corpus of odd tables (tests/data/lookup), held with our reader and with `postmap -q`: each
//! difference stands in the corpus, with its reason.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

use smarthost::lookup::{LookupTable, TableName};
use tests::peers;

/// A key, and what we find where that is not what Postfix finds.
struct Case {
    key: String,
    ours: Option<String>,
}

struct Corpus {
    kind: String,
    text: String,
    cases: Vec<Case>,
}

fn corpora() -> Vec<Corpus> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/lookup");
    let files = fs::read_dir(directory).unwrap();
    let read = |entry: fs::DirEntry| {
        let all = fs::read_to_string(entry.path()).unwrap();
        let (text, keys) = all.split_once("=== KEYS\n").unwrap();
        let case = |line: &str| match line.split_once(" ==> ") {
            None => Case {
                key: line.to_owned(),
                ours: None,
            },
            Some((key, rest)) => {
                let (ours, reason) = rest.split_once("## ").unwrap();
                assert!(!reason.is_empty(), "{line}");
                Case {
                    key: key.to_owned(),
                    ours: Some(ours.trim().to_owned()),
                }
            }
        };
        Corpus {
            kind: entry
                .path()
                .extension()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned(),
            text: text.to_owned(),
            cases: keys.lines().map(case).collect(),
        }
    };
    files.map(|entry| read(entry.unwrap())).collect()
}

fn ours(table: &LookupTable, key: &str) -> String {
    table
        .get(key)
        .map_or_else(String::new, |found| found.value.into_owned())
}

#[test]
fn every_odd_table_gives_what_postmap_gives_but_where_the_corpus_says_why_not() {
    let Some(postmap) = peers::find("postmap") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let write =
        |path: &Path, text: &str| system::fs::replace(path, text.as_bytes(), 0o644).unwrap();
    write(
        &place("main.cf"),
        "compatibility_level = 3.6\nmyhostname = mx.example.org\n",
    );
    write(&place("master.cf"), "");
    let mut differ = Vec::new();
    let mut asked = 0;
    for corpus in corpora() {
        let table = place(&corpus.kind);
        write(&table, &corpus.text);
        let name = TableName::parse(&format!("{}:{}", corpus.kind, table.display())).unwrap();
        let (read, _) = LookupTable::read(name.kind, table, &corpus.text);
        for case in corpus.cases {
            let output = Command::new(&postmap)
                .args([
                    "-c",
                    directory.path().to_str().unwrap(),
                    "-q",
                    &case.key,
                    &name.to_string(),
                ])
                .output()
                .unwrap();
            let theirs = String::from_utf8_lossy(&output.stdout)
                .trim_end_matches('\n')
                .to_owned();
            let ours = ours(&read, &case.key);
            asked += 1;
            let (kind, key) = (&corpus.kind, &case.key);
            match case.ours {
                None if ours != theirs => differ.push(format!(
                    "{kind} `{key}`: ours `{ours}`, Postfix's `{theirs}`"
                )),
                Some(said) if ours != said => differ.push(format!(
                    "{kind} `{key}`: ours `{ours}`, the corpus says `{said}`"
                )),
                Some(said) if theirs == said => {
                    differ.push(format!("{kind} `{key}`: no difference, both `{said}`"));
                }
                _ => {}
            }
        }
    }
    assert!(asked > 100, "the corpus is missing: {asked} keys");
    assert!(differ.is_empty(), "{differ:#?}");
}
