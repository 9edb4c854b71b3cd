//! Passwords in files, and what each was when it was last good: a program goes on with that where
//! the file is gone, empty or open to others.
//!
//! Contract: a copy lies in a directory of the program's own, for its user alone, as its private
//! keys do. What a file that can be used says counts always, and is copied as soon as it was left
//! alone for two seconds. It is good for one user at the same hosts alone ([`place`]): where the
//! settings name others it is forgotten ([`forget_others`]).

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use mail::{clock::Timestamp, maps::Problem};
use system::{
    log::{Level, line},
    read, secret,
};

use crate::{
    copies::{self, Kept as Copied},
    watch::SETTLED,
};

/// Longest file, bytes.
const MAX: u64 = 16 * 1024;

/// Below this directory, where the copy of a password lies that is for this user at these hosts.
pub fn place(directory: &Path, user: &str, hosts: &[impl Display]) -> PathBuf {
    let mut hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    hosts.sort_unstable();
    let login = format!("{user}\0{}", hosts.join("\0"));
    directory.join(copies::digits(login.as_bytes()))
}

/// Forgets what is for other users or other hosts than this place.
pub fn forget_others(directory: &Path, place: Option<&Path>) {
    for found in fs::read_dir(directory).into_iter().flatten().flatten() {
        let found = found.path();
        if place != Some(&found) {
            // What stays is used by nobody.
            let _ = fs::remove_dir_all(&found).or_else(|_| fs::remove_file(&found));
        }
    }
}

/// The password in a file, or else in its copy; the error is that of the file.
pub fn password(file: &Path, directory: &Path) -> Result<String, String> {
    secret::password(file).or_else(|why| match copies::kept(directory, file, MAX) {
        Copied::Copy(copy, _) => secret::password(&copy),
        Copied::Damaged | Copied::Nothing => Err(why),
    })
}

/// Whether there is a copy to go on with.
pub fn is_kept(file: &Path, directory: &Path) -> bool {
    matches!(copies::kept(directory, file, MAX), Copied::Copy(..))
}

/// A file of a password, looked at again and again.
#[derive(Clone, Debug)]
pub struct Kept {
    file: PathBuf,
    directory: PathBuf,
    /// What it is as it is now, and since when.
    seen: Option<(Result<String, String>, Timestamp)>,
    /// What the copy holds.
    copied: Option<String>,
    /// Why there is none.
    not_copied: Option<String>,
    wrong: Option<String>,
}

/// What has come of a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Looked {
    /// As before.
    Same,
    /// There is something else to say of it.
    Told,
    /// It can be used again, and nothing could stand in for it.
    Mended,
}

impl Kept {
    /// With nothing known yet.
    pub fn new(file: &Path, directory: &Path) -> Self {
        Self {
            file: file.to_owned(),
            directory: directory.to_owned(),
            seen: None,
            copied: None,
            not_copied: None,
            wrong: None,
        }
    }

    /// Whether this is the one.
    pub fn is_of(&self, file: &Path, directory: &Path) -> bool {
        self.file == file && self.directory == directory
    }

    /// Looks at the file; what is just being written changes nothing.
    pub fn look(&mut self, now: Timestamp) -> Looked {
        let found = secret::password(&self.file);
        let (_, since) = match &self.seen {
            Some((before, since)) if *before == found => (before, *since),
            _ => {
                let began = self.seen.is_none();
                self.seen = Some((found.clone(), now));
                if !began {
                    return Looked::Same;
                }
                // What is there at the start was there before.
                return self.settle(found);
            }
        };
        if now < since {
            // The clock was set back.
            self.seen = Some((found, now));
            return Looked::Same;
        }
        if now.since(since) < SETTLED {
            return Looked::Same;
        }
        self.settle(found)
    }

    fn settle(&mut self, found: Result<String, String>) -> Looked {
        match found {
            Ok(password) => {
                let lacked = self.wrong.take().is_some();
                let stood_in = lacked && is_kept(&self.file, &self.directory);
                if self.copied.as_ref() != Some(&password) && self.copy() {
                    self.copied = Some(password);
                }
                match (lacked, stood_in) {
                    (false, _) => Looked::Same,
                    (true, true) => Looked::Told,
                    (true, false) => Looked::Mended,
                }
            }
            Err(why) if self.wrong.as_ref() == Some(&why) => Looked::Same,
            Err(why) => {
                self.wrong = Some(why);
                Looked::Told
            }
        }
    }

    /// `false`: it could not be; the next look tries again, and the same reason is told once.
    fn copy(&mut self) -> bool {
        let held = read::bytes(&self.file, MAX);
        let written = held.and_then(|held| copies::write(&self.directory, &self.file, &held));
        match written {
            Ok(copy) => {
                copies::forget_all_but(&self.directory, &self.file, Some(&copy));
                self.not_copied = None;
                true
            }
            Err(error) => {
                let (file, directory) = (self.file.display(), self.directory.display());
                let text = format!("no copy of {file} is kept in {directory}: {error}");
                if self.not_copied.as_ref() != Some(&text) {
                    line(Level::Warning, &text);
                }
                self.not_copied = Some(text);
                false
            }
        }
    }

    /// Why it cannot be used, and what is done meanwhile.
    pub fn wrong(&self) -> Option<Problem> {
        self.wrong.as_deref().map(|why| Problem {
            path: self.file.clone(),
            line: 0,
            text: meanwhile(why, is_kept(&self.file, &self.directory), &self.file),
            fault: true,
        })
    }
}

/// What is said of a file that cannot be used; the path stands before it.
fn meanwhile(why: &str, kept: bool, file: &Path) -> String {
    let begin = format!("{}: ", file.display());
    let why = why.strip_prefix(&begin).unwrap_or(why);
    format!("{why}; {}", consequence(kept))
}

/// What a program does without a password.
pub fn consequence(kept: bool) -> &'static str {
    if kept {
        "the password that was last good is used until it is mended"
    } else {
        "mail that needs it waits until it is mended"
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

    use mail::clock;

    use super::*;

    #[test]
    fn a_copy_that_found_no_room_is_made_at_a_later_look() {
        let directory = tempfile::tempdir().unwrap();
        let (file, copies) = (directory.path().join("p"), directory.path().join("copies"));
        system::fs::replace(&file, b"first\n", 0o600).unwrap();
        system::fs::replace(&copies, b"in the way", 0o600).unwrap();
        let (mut kept, now) = (Kept::new(&file, &copies), clock::now());
        assert_eq!(kept.look(now), Looked::Same);
        assert!(!is_kept(&file, &copies));
        fs::remove_file(&copies).unwrap();
        kept.look(now.after(Duration::from_mins(1)));
        assert!(is_kept(&file, &copies));
    }

    #[test]
    fn a_password_that_was_good_is_told_to_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let (file, copies) = (directory.path().join("p"), directory.path().join("copies"));
        let place = |user: &str, hosts: &[&str]| place(&copies, user, hosts);
        let ours = place("u", &["mx1", "mx2"]);
        system::fs::replace(&file, b"first\n", 0o600).unwrap();
        Kept::new(&file, &ours).look(clock::now());
        fs::remove_file(&file).unwrap();
        assert_eq!(place("u", &["mx2", "mx1"]), ours, "in whatever order");
        assert_eq!(password(&file, &ours).as_deref(), Ok("first"));
        for other in [
            place("v", &["mx1", "mx2"]),
            place("u", &["mx1"]),
            place("u", &["mx1", "mx3"]),
            place("u", &["mx1", "mx2", "mx3"]),
        ] {
            assert!(password(&file, &other).is_err());
        }
        forget_others(&copies, Some(&ours));
        assert!(password(&file, &ours).is_ok());
        forget_others(&copies, Some(&place("v", &["mx1"])));
        assert!(password(&file, &ours).is_err());
    }

    #[test]
    fn a_password_file_that_is_gone_empty_or_open_has_a_copy_that_stands_in_and_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let (file, copies) = (directory.path().join("p"), directory.path().join("copies"));
        let write = |text: &str, mode| {
            system::fs::replace(&file, text.as_bytes(), mode).unwrap();
        };
        let mut kept = Kept::new(&file, &copies);
        let mut now = clock::now();
        assert_eq!(kept.look(now), Looked::Told, "it was never there");
        let told = kept.wrong().unwrap().to_string();
        assert!(told.ends_with("waits until it is mended"), "{told}");
        assert!(password(&file, &copies).is_err());
        write("first\n", 0o600);
        let mut later = |kept: &mut Kept| {
            assert_eq!(kept.look(now), Looked::Same, "it is just being written");
            now = now.after(Duration::from_mins(1));
            kept.look(now)
        };
        assert_eq!(later(&mut kept), Looked::Mended);
        for (text, mode) in [("", 0o600), ("first\n", 0o644)] {
            write(text, mode);
            assert_eq!(later(&mut kept), Looked::Told);
            let told = kept.wrong().unwrap().to_string();
            assert!(
                told.ends_with("last good is used until it is mended"),
                "{told}"
            );
            assert!(!told.contains("first"), "{told}");
            assert_eq!(password(&file, &copies).as_deref(), Ok("first"));
            write("first\n", 0o600);
            assert_eq!(later(&mut kept), Looked::Told);
            assert_eq!(kept.wrong(), None);
        }
        write("second\n", 0o600);
        assert_eq!(later(&mut kept), Looked::Same);
        fs::remove_file(&file).unwrap();
        assert_eq!(password(&file, &copies).as_deref(), Ok("second"));
        let mut names = fs::read_dir(&copies).unwrap();
        let copy = names.next().unwrap().unwrap();
        assert!(
            names.next().is_none(),
            "of the first there is none any more"
        );
        assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let mut anew = Kept::new(&file, &copies);
        assert_eq!(anew.look(now), Looked::Told, "after a restart");
    }
}
