//! The corpus of restrictions: chains with their DNS and tables, and what RCPT is answered. Its
//! forms stand in tests/data/restrictions/README.md.

use std::{collections::BTreeMap, fs, net::IpAddr, path::Path};

use crate::resolver::Record;

/// A file of the corpus.
#[derive(Debug, Default)]
pub struct Chain {
    pub name: String,
    /// Rules, and what Postfix is given instead.
    pub rules: Vec<(String, String)>,
    /// Lines by table.
    pub tables: BTreeMap<String, String>,
    /// Records by name.
    pub zone: BTreeMap<String, Vec<Record>>,
    pub cases: Vec<Case>,
}

/// One of its cases.
#[derive(Clone, Debug)]
pub struct Case {
    pub line: usize,
    pub client: IpAddr,
    pub helo: String,
    pub sender: String,
    pub recipient: String,
    pub reply: String,
    /// Where it is another one.
    pub postfix: Option<String>,
}

impl Chain {
    /// All files of a folder.
    pub fn read_all(folder: &Path) -> Vec<Self> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "cases")
            })
            .collect();
        files.sort();
        let read = |path: &std::path::PathBuf| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            Self::read(name, &fs::read_to_string(path).unwrap())
        };
        files.iter().map(read).collect()
    }

    fn read(name: &str, text: &str) -> Self {
        let mut chain = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        for (index, line) in text.lines().enumerate() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let place = || format!("{name}.cases:{}", index + 1);
            match word {
                "" | "#" => {}
                "chain" => chain.rules.push((rest.to_owned(), rest.to_owned())),
                "postfix-chain" => rest.clone_into(&mut chain.rules.last_mut().unwrap().1),
                "table" => {
                    let (table, line) = rest.split_once(' ').unwrap();
                    let lines = chain.tables.entry(table.to_owned()).or_default();
                    lines.push_str(line);
                    lines.push('\n');
                }
                "dns" => {
                    let (name, record) = rest.split_once(' ').unwrap();
                    let records = chain.zone.entry(name.to_owned()).or_default();
                    records.push(self::record(record).unwrap_or_else(|| panic!("{}", place())));
                }
                "case" => chain.cases.push(case(index + 1, rest)),
                "postfix" => {
                    let reply = rest.strip_prefix("= ").unwrap();
                    chain.cases.last_mut().unwrap().postfix = Some(reply.to_owned());
                }
                other => panic!("{}: what is `{other}`?", place()),
            }
        }
        chain
    }
}

fn record(text: &str) -> Option<Record> {
    let (kind, value) = text.split_once(' ').unwrap_or((text, ""));
    Some(match kind {
        "A" => Record::A(value.parse().ok()?),
        "AAAA" => Record::Aaaa(value.parse().ok()?),
        // As long as the tests run.
        "MX" => Record::Mx(value.to_owned().leak()),
        "PTR" => Record::Ptr(value.to_owned()),
        "TXT" => Record::Txt(value.to_owned()),
        "SERVFAIL" => Record::Servfail,
        "SILENCE" => Record::Silence,
        _ => return None,
    })
}

fn case(line: usize, text: &str) -> Case {
    let (said, reply) = text.split_once(" = ").unwrap();
    let words: Vec<_> = said.split_whitespace().collect();
    let [client, helo, sender, recipient] = words[..] else {
        panic!("line {line}: client, HELO name, sender, recipient");
    };
    Case {
        line,
        client: client.parse().unwrap(),
        helo: helo.to_owned(),
        sender: sender.trim_start_matches("<>").to_owned(),
        recipient: recipient.to_owned(),
        reply: reply.to_owned(),
        postfix: None,
    }
}

/// Whether a reply is the one that was expected: all of it, or up to a `*`; a code alone is enough
/// for itself.
pub fn matches(expected: &str, reply: &str) -> bool {
    match expected.strip_suffix('*') {
        Some(beginning) => reply.starts_with(beginning),
        None if expected.len() == 3 => reply.starts_with(expected),
        None => reply == expected,
    }
}
