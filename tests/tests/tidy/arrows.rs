//! A module uses its own layer or lower ones. The layers are the table at the top of each crate's lib.rs, so that what people read
//! is what is enforced.

use super::source::{Source, file, sources};

/// The crates that have layers. The other crates are held by the compiler alone.
const CRATES: [&str; 5] = [
    "shared/mail",
    "shared/relay",
    "sendmail-shim/sendmail",
    "sendmail-shim",
    "smarthost",
];

/// Modules by layer, lowest first.
struct Layers(Vec<Vec<String>>);

impl Layers {
    /// Reads rows such as `//! | edges | [`state`] [`dns`] | … |`.
    fn of(member: &str) -> Self {
        let text = file(&format!("{member}/src/lib.rs"));
        let rows = text
            .lines()
            .filter(|line| line.starts_with("//! |") && line.contains('`'));
        let names = |row: &str| {
            let cell = row.split('|').nth(2).unwrap_or_default();
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let mut layers: Vec<_> = rows.map(names).collect();
        if !text.contains("lowest first") {
            layers.reverse();
        }
        Self(layers)
    }

    fn rank(&self, module: &str) -> Option<usize> {
        self.0
            .iter()
            .position(|layer| layer.iter().any(|name| name == module))
    }
}

/// The top-level module that a file belongs to: `address` for `shared/mail/src/address/list.rs`.
fn module<'a>(source: &'a Source, member: &str) -> Option<&'a str> {
    let path = source.path.strip_prefix(member)?.strip_prefix("/src/")?;
    let first = path.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

/// Top-level modules named after `crate::`, groups such as `crate::{a, b::{c, d}}` included.
fn used(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(identifier(rest));
            continue;
        };
        let mut depth = 1;
        let mut expects = true;
        for (index, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => expects = true,
                c if expects && !c.is_whitespace() => {
                    found.push(identifier(&group[index..]));
                    expects = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn every_module_has_its_layer() {
    for member in CRATES {
        let layers = Layers::of(member);
        let text = file(&format!("{member}/src/lib.rs"));
        for line in text.lines() {
            let declared = line
                .strip_prefix("pub mod ")
                .or_else(|| line.strip_prefix("mod "))
                .or_else(|| line.strip_prefix("pub(crate) mod "));
            if let Some(name) = declared.and_then(|rest| rest.strip_suffix(';')) {
                assert!(
                    layers.rank(name).is_some(),
                    "{member}/src/lib.rs: module {name} is in no row of the table of layers"
                );
            }
        }
    }
}

#[test]
fn no_module_uses_a_higher_layer() {
    for member in CRATES {
        let layers = Layers::of(member);
        for source in sources() {
            let Some(own) = module(&source, member).and_then(|name| layers.rank(name)) else {
                continue;
            };
            for name in used(&source.shipped()) {
                let allowed = layers.rank(&name).is_none_or(|rank| rank <= own);
                assert!(
                    allowed,
                    "{} uses crate::{name}, which is a higher layer",
                    source.path
                );
            }
        }
    }
}

#[test]
fn what_decides_does_no_input_or_output() {
    let forbidden = [
        "tokio::",
        "rusqlite::",
        "std::fs",
        "std::thread",
        "TcpStream",
        "UnixStream",
        "Instant::now(",
        "clock::now(",
    ];
    // Of smarthost the lowest layer; of the crates below, those that decide and do nothing else.
    let pure = |source: &Source| match module(source, "smarthost") {
        Some(name) => Layers::of("smarthost").rank(name) == Some(0),
        None => ["mail", "smtp", "queue"]
            .iter()
            .any(|name| source.path.starts_with(&format!("shared/{name}/src/"))),
    };
    // The one place where the wall clock is asked, and the tables that are read from files.
    let edges = [
        "shared/mail/src/clock.rs",
        "shared/mail/src/maps",
        "smarthost/src/config",
    ];
    for source in sources() {
        let edge = edges.iter().any(|edge| source.path.starts_with(edge));
        if !pure(&source) || edge {
            continue;
        }
        for word in forbidden {
            assert!(
                !source.shipped().contains(word),
                "{} is pure, but says {word}",
                source.path
            );
        }
    }
}

#[test]
fn groups_of_imports_are_read_as_the_compiler_reads_them() {
    let code = "use crate::{\n    address::{Address, Sender},\n    smtp::reply::Reply,\n};\nlet x = crate::net::dial();";
    assert_eq!(used(code), ["address", "smtp", "net"]);
}
