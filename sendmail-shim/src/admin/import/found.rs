//! Whose configuration is meant where none is named: of several that are there, the one of the
//! program that was in use last.
//!
//! Contract: the package that is installed; else the one that was removed last, as its list of
//! files in dpkg's directory tells; else nothing is guessed.

use std::{fs, path::Path, time::SystemTime};

use clap::ValueEnum as _;
use system::sysexits::Exit;

use super::program::{Program, under};
use crate::terminal::{CommandError, complain};

const STATUS: &str = "/var/lib/dpkg/status";
const LISTS: &str = "/var/lib/dpkg/info";

/// How far a package is there; the later, the more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Standing {
    Unknown,
    /// Only its configuration is there: removed at this time.
    Removed(SystemTime),
    Installed,
}

/// The program whose configuration is there.
pub(super) fn program(root: &Path) -> Result<Program, CommandError> {
    // One that leads out of the copy is there, and refused when it is read.
    let there = |program: &&Program| under(root, program.source().0).map_or(true, |it| it.exists());
    let mut found: Vec<Program> = Program::value_variants()
        .iter()
        .filter(there)
        .copied()
        .collect();
    let names = found.iter().map(|program| program.name());
    let names = names.collect::<Vec<_>>().join(", ");
    let status = under(root, STATUS).ok().and_then(|it| fs::read(it).ok());
    let status = status.unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let removed = |package: &str| {
        let list = under(root, &format!("{LISTS}/{package}.list")).ok()?;
        fs::metadata(list).and_then(|list| list.modified()).ok()
    };
    let standing = |program: &Program| standing(program.packages(), &status, removed);
    let latest = found.iter().map(standing).max();
    if found.len() > 1 && latest > Some(Standing::Unknown) {
        found.retain(|program| Some(standing(program)) == latest);
    }
    match found.as_slice() {
        [one] => {
            if *one.name() != *names {
                let name = one.name();
                let text = format!(
                    "several are there ({names}): {name} was in use last; --from chooses another"
                );
                complain("import", text);
            }
            Ok(*one)
        }
        [] => Err(CommandError::new(
            Exit::NoInput,
            "no configuration of ssmtp, nullmailer, dma, msmtp, Postfix or Exim was found: name the program with --from, and where it is with --root",
        )),
        _ => Err(CommandError::new(
            Exit::Usage,
            format!("several are there ({names}): choose one with --from"),
        )),
    }
}

/// The best that holds of one of these packages.
fn standing(
    packages: &[&str],
    status: &str,
    removed: impl Fn(&str) -> Option<SystemTime>,
) -> Standing {
    let stanzas = status.split("\n\n").filter_map(|stanza| {
        let field = |name: &str| {
            let mut lines = stanza.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let package = field("Package").filter(|name| packages.contains(name))?;
        match field("Status")?.rsplit(' ').next()? {
            "config-files" => removed(package).map(Standing::Removed),
            "not-installed" => None,
            _ => Some(Standing::Installed),
        }
    });
    stanzas.max().unwrap_or(Standing::Unknown)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn of_several_the_installed_one_counts_then_the_one_that_was_removed_last() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = under(root.path(), path).unwrap();
            system::fs::create_directory(path.parent().unwrap(), 0o755).unwrap();
            system::fs::replace(&path, text.as_bytes(), 0o644).unwrap();
            path
        };
        let found = || program(root.path()).map_err(|error| error.exit);
        assert_eq!(found(), Err(Exit::NoInput));
        for program in [Program::Dma, Program::Nullmailer, Program::Exim] {
            put(program.source().0, "");
        }
        assert_eq!(found(), Err(Exit::Usage), "nothing tells which");
        let stanza = |package: &str, state: &str| {
            format!("Package: {package}\nStatus: deinstall ok {state}\nConffiles:\n /x\n\n")
        };
        let removed = stanza("dma", "config-files") + &stanza("nullmailer", "config-files");
        put(STATUS, &removed);
        for (package, day) in [("dma", 2), ("nullmailer", 1)] {
            let list = put(&format!("{LISTS}/{package}.list"), "");
            let time = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * day);
            fs::File::open(list).unwrap().set_modified(time).unwrap();
        }
        assert_eq!(found(), Ok(Program::Dma));
        put(STATUS, &(removed + &stanza("exim4-base", "installed")));
        assert_eq!(found(), Ok(Program::Exim));
    }
}
