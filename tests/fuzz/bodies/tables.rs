//! What an administrator writes: aliases, revaliases, lookup tables in Postfix's syntax,
//! configuration files.
use std::path::Path;

use mail::{
    address::LocalPart,
    limits,
    maps::{Problem, Table, expand_with_files},
};
use smarthost::{
    config::Config,
    lookup::{Kind, LookupTable, TableName, targets},
    tls_policy::{Demand, PolicyTable},
};

/// Holds the promises for one input.
pub(crate) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let path = Path::new("/etc/file");
    let told = |problems: Vec<Problem>| {
        for problem in problems {
            assert!(problem.to_string().starts_with("/etc/file:"), "{problem}");
        }
    };
    let words = || text.split([':', ',', ' ', '\t', '\n']).map(str::trim);
    let tables = [
        Table::aliases(path.into(), text),
        Table::client_aliases(path.into(), text),
        Table::revaliases(path.into(), text),
    ];
    for (table, problems) in tables {
        told(problems);
        for name in words().filter_map(|word| LocalPart::new(word).ok()) {
            if let Ok(results) = expand_with_files(&table, &name) {
                assert!(!results.is_empty() && results.len() <= limits::EXPANDED);
            }
        }
    }
    told(Table::list(path.into(), text).1);
    for kind in [
        Kind::Text,
        Kind::Database,
        Kind::Cidr,
        Kind::Regexp,
        Kind::Pcre,
    ] {
        let (table, problems) = LookupTable::read(kind, path.into(), text);
        told(problems);
        told(targets::examine(&table));
        for word in words() {
            let found = table.exact(word).or_else(|| table.pattern(word));
            if let Some(found) = found {
                let _ = targets::targets(&found.value, word);
                assert!(found.place.line >= 1);
            }
        }
        told(PolicyTable::new(table).1);
    }
    let _ = (TableName::parse(text), Demand::parse(text));
    if let Err(error) = Config::parse(path, text, "mail.example.org") {
        assert!(error.to_string().contains("/etc/file"), "{error}");
    }
}
