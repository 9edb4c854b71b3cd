//! What a daemon notes in its spool: where it keeps what it knows, and where it answers.
//! A file that names other places then neither hides the running daemon from its commands, nor lets
//! the next start begin without key, machines and counters.
//!
//! ```text
//! state /var/lib/smarthost
//! control /var/lib/smarthost/control.sock
//! ```
//!
//! Failures: a note that cannot be read is none.

use std::{
    io, iter,
    path::{Path, PathBuf},
};

use system::within;

use super::Config;

/// Its name in the spool.
const NAME: &str = "places";
/// Longest note, bytes: two paths.
const MOST: u64 = 16 * 1024;

/// What is noted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Noted {
    pub state: PathBuf,
    pub control: PathBuf,
}

impl Noted {
    /// What the daemon that has this spool, or had it last, has noted.
    pub fn read(spool: &Path) -> Option<Self> {
        let text = system::read::text(&spool.join(NAME), MOST).ok()?;
        let place = |key: &str| {
            let mut lines = text.lines();
            let path = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
            Some(PathBuf::from(path)).filter(|path| path.is_absolute())
        };
        Some(Self {
            state: place("state")?,
            control: place("control")?,
        })
    }

    /// Notes it, for the next look.
    pub fn write(&self, spool: &Path) -> io::Result<()> {
        let [state, control] = [&self.state, &self.control].map(|path| {
            let path = std::path::absolute(path)?;
            let text = path.to_str().filter(|text| !text.contains('\n'));
            text.map(str::to_owned)
                .ok_or_else(|| io::Error::other("its path is no line of text"))
        });
        let text = format!("state {}\ncontrol {}\n", state?, control?);
        let path = spool.join(NAME);
        if system::read::text(&path, MOST).is_ok_and(|known| known == text) {
            return Ok(());
        }
        system::fs::replace(&path, text.as_bytes(), 0o600)
    }
}

impl Config {
    /// Where the daemon that has the spool, or had an earlier one, has kept what it knows until
    /// now, if that is elsewhere. What only stood in for an unknown place is none.
    pub fn state_before(&self) -> Option<PathBuf> {
        // The spool may have another name, too.
        let file = self.layers.first().map(|(path, _)| path);
        let stood_in = file.filter(|path| *path != Path::new(Self::PATH));
        let stood_in = stood_in.map(|path| Self::refuge_of_state(path));
        let lists = file.map(|path| self.notes_of_spools(path));
        let earlier = lists.map(|lists| spool::earlier(&lists, &self.spool));
        let earlier = earlier.into_iter().flatten();
        let mut spools = iter::once(self.spool.clone()).chain(earlier);
        let before = spools.find_map(|spool| Noted::read(&spool))?.state;
        let is_chosen = stood_in.is_none_or(|it| !is_same(&it, &before));
        (is_chosen && !is_same(&before, &self.state)).then_some(before)
    }
}

/// Whether two names lead to one place.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| {
        let real = within::ask(path, Path::canonicalize);
        real.unwrap_or_else(|_| path.to_owned())
    };
    real(one) == real(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_a_damaged_one_is_none() {
        let spool = tempfile::tempdir().unwrap();
        assert_eq!(Noted::read(spool.path()), None);
        let noted = Noted {
            state: PathBuf::from("/var/lib/a b"),
            control: PathBuf::from("/run/x.sock"),
        };
        noted.write(spool.path()).unwrap();
        assert_eq!(Noted::read(spool.path()), Some(noted.clone()));
        let lines = Noted {
            state: PathBuf::from("/a\nb"),
            ..noted
        };
        assert!(lines.write(spool.path()).is_err());
        for text in ["", "state /a", "state a\ncontrol /b\n", "state\ncontrol\n"] {
            system::fs::replace(&spool.path().join(NAME), text.as_bytes(), 0o600).unwrap();
            assert_eq!(Noted::read(spool.path()), None, "{text}");
        }
    }
}
