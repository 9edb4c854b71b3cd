//! `:include:FILE` in aliases: lists of recipients in files of their own, read again when they change.
//!
//! Contract: a file is followed if it is a regular one, belongs to root or to the user who follows it (the agent's), and not
//! everybody may write to it. In it, addresses and names stand as after the colon of an alias, on any number of lines; `#`
//! begins a comment line; it may include others. A file that includes itself is followed once.
//! Failures: a [`Problem`] each; the value stays `:include:FILE`, at which nobody can be mailed, so that the alias' other
//! recipients, or else the administrator, get the mail.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use mail::maps::{Problem, Table};
use rustix::fs::OFlags;

use super::tables::Stamp;

const INCLUDE: &str = ":include:";
/// Largest file, bytes.
const MAX: u64 = 1024 * 1024;
/// Longest chain of files.
const DEPTH: usize = 10;

/// The files that were followed the last time, and how they looked.
#[derive(Debug, Default)]
pub(super) struct Includes(BTreeMap<PathBuf, Option<Stamp>>);

impl Includes {
    /// Whether one of the files has changed.
    pub(super) fn stale(&self) -> bool {
        self.0.iter().any(|(path, seen)| Stamp::of(path) != *seen)
    }

    /// The table with the files' contents in the place of their names.
    pub(super) fn follow(&mut self, written: &Table) -> (Table, Vec<Problem>) {
        self.0.clear();
        let mut table = written.clone();
        let mut problems = Vec::new();
        for entry in table.entries.values_mut() {
            if !entry.values.iter().any(|value| value.starts_with(INCLUDE)) {
                continue;
            }
            let mut problem = |text| {
                problems.push(Problem {
                    path: written.path.clone(),
                    line: entry.line,
                    text,
                });
            };
            let mut values = Vec::new();
            let mut trail = Vec::new();
            self.replace(&entry.values, &mut values, &mut trail, &mut problem);
            entry.values = values;
        }
        (table, problems)
    }

    fn replace(
        &mut self,
        written: &[String],
        values: &mut Vec<String>,
        trail: &mut Vec<PathBuf>,
        problem: &mut dyn FnMut(String),
    ) {
        for value in written {
            let Some(path) = value
                .strip_prefix(INCLUDE)
                .map(|path| PathBuf::from(path.trim()))
            else {
                values.push(value.clone());
                continue;
            };
            if trail.contains(&path) {
                problem(format!("{} includes itself", path.display()));
                continue;
            }
            self.0.insert(path.clone(), Stamp::of(&path));
            match read(&path, trail.len()) {
                Ok(text) => {
                    trail.push(path);
                    self.replace(&Table::list(&text), values, trail, problem);
                    trail.pop();
                }
                Err(error) => {
                    problem(format!("{} is not followed: {error}", path.display()));
                    values.push(value.clone());
                }
            }
        }
    }
}

fn read(path: &Path, depth: usize) -> io::Result<String> {
    let refused = |why: &str| Err(io::Error::other(why.to_owned()));
    if depth >= DEPTH {
        return refused("too many files include one another");
    }
    if !path.is_absolute() {
        return refused("write its whole path, from / on");
    }
    // A FIFO must not keep us waiting.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    let opened = options.read(true).custom_flags(flags.bits().cast_signed());
    let mut file: File = opened.open(path)?;
    let metadata: fs::Metadata = file.metadata()?;
    let own = rustix::process::geteuid().as_raw();
    match metadata {
        m if !m.is_file() => refused("it is not a regular file"),
        m if m.uid() != 0 && m.uid() != own => {
            refused("it belongs neither to root nor to the agent's user")
        }
        m if m.mode() & 0o002 != 0 => refused("everybody may write to it; chmod o-w"),
        m if m.len() > MAX => refused("it is larger than 1 MiB"),
        _ => {
            let mut bytes = Vec::new();
            file.by_ref().take(MAX).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.path().join(name);
            let text = text.replace("$DIR", &self.0.path().display().to_string());
            system::fs::replace(&path, text.as_bytes(), 0o644).unwrap();
            path
        }

        fn follow(&self, includes: &mut Includes, aliases: &str) -> (Vec<String>, Vec<String>) {
            let text = aliases.replace("$DIR", &self.0.path().display().to_string());
            let (written, none) = Table::aliases("aliases".into(), &text);
            assert_eq!(none, []);
            let (table, problems) = includes.follow(&written);
            let values = table.get("staff").unwrap().values.clone();
            (values, problems.iter().map(ToString::to_string).collect())
        }
    }

    #[test]
    fn a_list_in_a_file_takes_the_place_of_its_name_and_is_read_again_when_it_changes() {
        let place = Place(tempfile::tempdir().unwrap());
        place.write(
            "staff",
            "# everybody\na@x.example, b@x.example\n\n:include:$DIR/more\n",
        );
        place.write("more", "root\n:include:$DIR/staff\n");
        let mut includes = Includes::default();
        let aliases = "staff: first@x.example, :include:$DIR/staff, last@x.example\n";
        let (values, problems) = place.follow(&mut includes, aliases);
        assert_eq!(
            values,
            [
                "first@x.example",
                "a@x.example",
                "b@x.example",
                "root",
                "last@x.example"
            ]
        );
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("aliases:1: ") && problems[0].ends_with("includes itself"));
        assert!(!includes.stale());
        place.write("more", "other@x.example\n");
        assert!(includes.stale());
        assert!(
            place
                .follow(&mut includes, aliases)
                .0
                .contains(&"other@x.example".to_owned())
        );
    }

    #[test]
    fn a_file_that_others_may_write_or_that_is_none_is_not_followed_and_the_rest_of_the_alias_is() {
        let place = Place(tempfile::tempdir().unwrap());
        let open = place.write("open", "evil@x.example\n");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).unwrap();
        let fifo = place.0.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        for (name, why) in [
            ("$DIR/open", "o-w"),
            ("$DIR/fifo", "not a regular file"),
            ("$DIR", "not a regular file"),
            ("$DIR/missing", "No such file"),
            ("relative", "whole path"),
        ] {
            let aliases = format!("staff: a@x.example, :include:{name}\n");
            let (values, problems) = place.follow(&mut Includes::default(), &aliases);
            assert!(problems[0].contains(why), "{name}: {problems:?}");
            assert_eq!(values[0], "a@x.example");
            assert!(values[1].starts_with(INCLUDE), "{name}: {values:?}");
        }
    }
}
