//! A module uses its own layer or lower ones. The layers are the table at the top of each crate's
//! lib.rs, so that what people read is what is enforced.

use super::{
    modules::Modules,
    source::{Source, file, sources},
};

/// What has layers: a crate, or a folder in one, and the file with the table. Other crates are held
/// by the compiler alone.
struct House {
    member: &'static str,
    /// From the root of the crate, with a slash at the end unless it is that.
    folder: &'static str,
    table: &'static str,
}

const HOUSES: [House; 6] = [
    House::crate_of("shared/mail"),
    House::crate_of("shared/relay"),
    House::crate_of("sendmail-shim/sendmail"),
    House::crate_of("sendmail-shim"),
    House {
        member: "sendmail-shim",
        folder: "agent/",
        table: "agent/mod.rs",
    },
    House::crate_of("smarthost"),
];

impl House {
    const fn crate_of(member: &'static str) -> Self {
        Self {
            member,
            folder: "",
            table: "lib.rs",
        }
    }

    fn table(&self) -> String {
        file(&format!("{}/src/{}", self.member, self.table))
    }

    /// The module of a file, from this house on: `session::machine` for `src/session/machine.rs`.
    fn module(&self, path: &str) -> Option<String> {
        let path = path.strip_prefix(self.member)?.strip_prefix("/src/")?;
        let path = path.strip_prefix(self.folder)?.strip_suffix(".rs")?;
        let path = path.strip_suffix("/mod").unwrap_or(path);
        Some(path.replace('/', "::"))
    }
}

/// Modules by layer, lowest first.
struct Layers(Vec<(String, Vec<String>)>);

impl Layers {
    /// Reads rows such as `//! | edges | [`state`] [`dns`] | … |`; rows of one layer stand
    /// together.
    fn of(house: &House) -> Self {
        let text = house.table();
        let rows = text
            .lines()
            .filter(|line| line.starts_with("//! |") && line.contains('`'));
        let mut layers: Vec<(String, Vec<String>)> = Vec::new();
        for row in rows {
            let mut cells = row.split('|').skip(1).map(str::trim);
            let layer = cells.next().unwrap_or_default().to_owned();
            let names = cells.next().unwrap_or_default().split('`').skip(1);
            let names = names.step_by(2).map(str::to_owned);
            match layers.last_mut() {
                Some((last, known)) if *last == layer => known.extend(names),
                _ => layers.push((layer, names.collect())),
            }
        }
        if !text.contains("lowest first") {
            layers.reverse();
        }
        Self(layers)
    }

    /// Of a module, or else of the one it is in.
    fn rank(&self, module: &str) -> Option<usize> {
        let place = |name: &str| {
            self.0
                .iter()
                .position(|(_, names)| names.iter().any(|it| it == name))
        };
        let mut name = module;
        loop {
            if let Some(rank) = place(name) {
                return Some(rank);
            }
            (name, _) = name.rsplit_once("::")?;
        }
    }

    fn is_pure(&self, module: &str) -> bool {
        let layer = self.rank(module).and_then(|rank| self.0.get(rank));
        layer.is_some_and(|(name, _)| name.contains("pure"))
    }
}

#[test]
fn every_module_has_its_layer() {
    for house in HOUSES {
        let layers = Layers::of(&house);
        for line in house.table().lines() {
            let declared = line
                .strip_prefix("pub mod ")
                .or_else(|| line.strip_prefix("mod "))
                .or_else(|| line.strip_prefix("pub(crate) mod "));
            let declared = declared.and_then(|rest| rest.strip_suffix(';'));
            if let Some(name) = declared.filter(|name| *name != "tests") {
                assert!(
                    layers.rank(name).is_some(),
                    "{}: module {name} is in no row of the table of layers",
                    house.table
                );
            }
        }
    }
}

#[test]
fn no_module_uses_a_higher_layer() {
    for house in HOUSES {
        let layers = Layers::of(&house);
        let modules = Modules::of(house.member);
        let rank = |file: &str| layers.rank(&house.module(file)?);
        for (file, used) in modules.arrows() {
            let Some(own) = rank(file) else { continue };
            for other in used {
                assert!(
                    rank(other).is_none_or(|rank| rank <= own),
                    "{file} uses {other}, which is in a higher layer"
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
    // Of the programs the layers that say so; of the crates below, those that decide and do nothing
    // else.
    let houses = HOUSES.map(|house| (Layers::of(&house), house));
    let decides = |(layers, house): &(Layers, House), source: &Source| {
        let module = house.module(&source.path);
        module.is_some_and(|module| layers.is_pure(&module))
    };
    let pure = |source: &Source| {
        let shared = ["mail", "smtp", "queue"]
            .iter()
            .any(|name| source.path.starts_with(&format!("shared/{name}/src/")));
        shared || houses.iter().any(|house| decides(house, source))
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
