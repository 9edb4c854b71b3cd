//! The machines that are enrolled, in a file of the state directory, as all sessions know them.
//!
//! Contract: what has changed is on disk when that is told, and nothing has changed where it could
//! not be written. A file that cannot be read is never written over: nobody is enrolled then, and
//! whoever shows a key waits.
//! See also: [`crate::enroll`], who is known.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock},
    time::Duration,
};

use mail::clock;
use relay::{
    enroll::Name,
    trust::{PeerKey, Pin},
};

use crate::{
    enroll::{Book, Standing, book::Doubled},
    notices::{Kind, News, counted},
};

/// Its name in `state`.
const FILE: &str = "enrolled";
/// Its length at most, bytes.
const MOST: u64 = 64 * 1024 * 1024;
/// How long a status tells of a line that was used twice.
const LATELY: Duration = Duration::from_hours(24);

/// Whose a key is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    Known(String),
    /// It was this machine's.
    Ended(Name),
    Unknown,
    /// The file cannot be read.
    Unreadable,
}

#[derive(Debug)]
pub(crate) struct Enrolled {
    path: PathBuf,
    /// Or why they are not known.
    book: RwLock<Result<Book, String>>,
    /// Changes, one after the other: who only looks does not wait for the disk.
    turn: Mutex<()>,
}

impl Enrolled {
    /// Those of a state directory.
    pub(crate) fn open(state: &Path) -> Self {
        let path = state.join(FILE);
        let book = match system::read::bytes(&path, MOST) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Book::default()),
            Err(error) => Err(error.to_string()),
        };
        let unreadable = |why| {
            let file = path.display();
            format!(
                "{file}: {why}: which machines are enrolled is not known; mend it, or put a copy in its place, then restart"
            )
        };
        Self {
            book: RwLock::new(book.map_err(unreadable)),
            turn: Mutex::default(),
            path,
        }
    }

    /// What is known; or why nothing is.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Book) -> T) -> Result<T, String> {
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        book.as_ref().map(look).map_err(Clone::clone)
    }

    /// Changes it, on disk too. Blocks.
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut Book) -> T) -> Result<T, String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = self.read(Book::clone)?;
        let told = act(&mut changed);
        if self.read(|book| changed != *book)? {
            let written = serde_json::to_vec_pretty(&changed)
                .map_err(std::io::Error::from)
                .and_then(|text| system::fs::replace(&self.path, &text, 0o600));
            written.map_err(|error| format!("{}: {error}", self.path.display()))?;
            *self.book.write().unwrap_or_else(PoisonError::into_inner) = Ok(changed);
        }
        Ok(told)
    }

    /// Whether clients are to be asked for keys because of it.
    pub(crate) fn is_used(&self) -> bool {
        self.read(Book::is_used).unwrap_or(true)
    }

    /// Whose a key is that a client has shown.
    pub(crate) fn look_up(&self, key: &Pin) -> Found {
        let found = self.read(|book| match book.standing(key, clock::now()) {
            Standing::Known(name) => Found::Known(name.to_string()),
            Standing::Ended(name) => Found::Ended(name.clone()),
            Standing::Unknown => Found::Unknown,
        });
        found.unwrap_or(Found::Unreadable)
    }

    /// As whom a client's key is known.
    pub(crate) fn client_of(&self, key: &PeerKey) -> Option<String> {
        match self.look_up(&key.pin()) {
            Found::Known(name) => Some(name),
            _ => None,
        }
    }

    /// A key of a machine is in use: the one before it ends soon. Blocks.
    pub(crate) fn seen(&self, key: &Pin) -> Result<(), String> {
        if !self.read(|book| book.is_next(key))? {
            return Ok(());
        }
        self.change(|book| book.seen(key, clock::now()))
    }

    /// Keys of a name, as they are written.
    pub(crate) fn keys_of(&self, name: &str) -> Vec<String> {
        let keys = self.read(|book| book.keys_of(name).map(|key| key.to_string()).collect());
        keys.unwrap_or_default()
    }

    /// What a status is to warn of.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let alarms = self.read(|book| book.doubled(LATELY, clock::now()).map(alarm).collect());
        alarms.unwrap_or_else(|why| vec![why])
    }

    /// Lines that were used twice, of which administrators were not told yet.
    pub(crate) fn untold(&self, host: &str) -> Vec<(Name, News)> {
        let untold = self.read(|book| {
            let untold = book.untold().map(|it| {
                let news = News {
                    kind: Kind::Enrolment,
                    headline: format!("{host}: the line of {} was used twice", it.name),
                    text: story(it.clone()),
                    strangers: false,
                };
                (it.name.clone(), news)
            });
            untold.collect()
        });
        untold.unwrap_or_default()
    }

    /// They were told. What cannot be written is told again. Blocks.
    pub(crate) fn told(&self, names: &[Name]) {
        // The next look finds it.
        let _ = self.change(|book| names.iter().for_each(|name| book.told(name)));
    }
}

/// In one line, for a status.
fn alarm(it: Doubled<'_>) -> String {
    let (name, twice) = (it.name, it.twice);
    let times = counted(twice.count, "time");
    let last = twice.last.rfc3339();
    format!(
        "the line of {name} is in two hands: another key came with it {times}, last from {} at {last}: smarthost enroll list",
        twice.from
    )
}

/// In full.
fn story(it: Doubled<'_>) -> String {
    let (name, twice) = (it.name, it.twice);
    let times = counted(twice.count, "time");
    format!(
        "The line of {name} is in two hands: it has let in one key, then came with another.\n\n\
         Came in, from {} at {}:\n{}\n\n\
         Refused {times}, last from {} at {}:\n{}\n\n\
         On {name}, `sendmail-shim enroll` prints the key of that machine. If it is not\n\
         the one that came in, somebody else sends mail as {name}:\n\n    \
         smarthost enroll revoke {name}\n    smarthost enroll {name}\n\n\
         and use the new line there with `sendmail-shim enroll --new-key`.\n",
        it.from,
        it.since.rfc5322(),
        it.key,
        twice.from,
        twice.last.rfc5322(),
        twice.key,
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use relay::enroll::Secret;

    use super::*;
    use crate::enroll::Redeemed;

    #[test]
    fn what_is_told_is_on_disk_and_what_cannot_be_written_has_not_happened() {
        let directory = tempfile::tempdir().unwrap();
        let (vm7, key) = (Name::parse("vm7").unwrap(), Pin::KeySha256([1; 32]));
        let digest = Secret::made().unwrap().digest(&vm7);
        let enrolled = Enrolled::open(directory.path());
        assert!(!enrolled.is_used());
        let day = Duration::from_hours(24);
        let now = clock::now();
        let invited = enrolled.change(|book| book.invite(&vm7, digest, day, now));
        invited.unwrap().unwrap();
        let redeem =
            |enrolled: &Enrolled| enrolled.change(|book| book.redeem(&vm7, digest, &key, "a", now));
        // Nothing can replace a directory that is not empty.
        let file = directory.path().join(FILE);
        let kept = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        fs::create_dir_all(file.join("x")).unwrap();
        assert!(redeem(&enrolled).unwrap_err().contains("enrolled"));
        assert_eq!(enrolled.look_up(&key), Found::Unknown);
        assert_eq!(
            Enrolled::open(directory.path()).look_up(&key),
            Found::Unreadable
        );
        fs::remove_dir_all(&file).unwrap();
        system::fs::replace(&file, &kept, 0o600).unwrap();
        let enrolled = Enrolled::open(directory.path());
        assert_eq!(redeem(&enrolled), Ok(Redeemed::Enrolled));
        for enrolled in [enrolled, Enrolled::open(directory.path())] {
            assert_eq!(enrolled.look_up(&key), Found::Known("vm7".to_owned()));
        }
    }

    #[test]
    fn a_damaged_file_is_kept_and_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        system::fs::replace(&file, b"{\"machines\": {\"vm7\"", 0o600).unwrap();
        let enrolled = Enrolled::open(directory.path());
        let vm7 = Name::parse("vm7").unwrap();
        let digest = Secret::made().unwrap().digest(&vm7);
        let day = Duration::from_hours(24);
        let invited = enrolled.change(|book| book.invite(&vm7, digest, day, clock::now()));
        assert!(invited.unwrap_err().contains("then restart"));
        assert!(enrolled.is_used() && enrolled.alarms().len() == 1);
        assert_eq!(
            enrolled.look_up(&Pin::KeySha256([1; 32])),
            Found::Unreadable
        );
        assert!(
            fs::read_to_string(&file)
                .unwrap()
                .starts_with("{\"machines")
        );
    }
}
