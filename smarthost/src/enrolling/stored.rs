//! The file of the machines that are enrolled, and the copy of it.
//!
//! Contract: the copy holds what the file holds, or nothing of it is there: one that is older would
//! believe keys that were revoked since.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use system::log::{Level, line};
use tables::{
    copies::{self, DIRECTORY, Kept},
    watch::Look,
    watched::{is_fresh, look},
};

use crate::enroll::Book;

/// Its length at most, bytes.
const MOST: u64 = 64 * 1024 * 1024;
/// The name of the file that says what was told of one that cannot be read.
pub(super) const TOLD: &str = "enrolled.told";

/// Where they are.
pub(crate) fn file(state: &Path) -> PathBuf {
    state.join("enrolled")
}

/// What a file holds.
#[derive(Debug)]
pub(super) enum Held {
    Book(Book),
    Nothing,
    /// There is something that cannot be read.
    Wrong(String),
}

#[derive(Debug)]
pub(super) struct Stored {
    pub(super) file: PathBuf,
    copies: PathBuf,
}

impl Stored {
    pub(super) fn in_state(state: &Path) -> Self {
        Self {
            file: file(state),
            copies: state.join(DIRECTORY),
        }
    }

    /// Where it lies.
    pub(super) fn directory(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    pub(super) fn held(&self) -> Held {
        match system::read::bytes(&self.file, MOST) {
            Ok(text) => Book::read(&text).map_or_else(Held::Wrong, Held::Book),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Held::Nothing,
            Err(error) => Held::Wrong(error.to_string()),
        }
    }

    /// What the copy holds.
    pub(super) fn copied(&self) -> Held {
        match copies::kept(&self.copies, &self.file, MOST) {
            Kept::Nothing => Held::Nothing,
            Kept::Damaged => Held::Wrong("its copy is damaged".to_owned()),
            Kept::Copy(_, text) => Book::read(&text).map_or_else(Held::Wrong, Held::Book),
        }
    }

    /// How the file looks.
    pub(super) fn look(&self) -> Look {
        look(&self.file)
    }

    /// Whether somebody may be writing it.
    pub(super) fn is_fresh(&self) -> bool {
        is_fresh(&self.file, mail::clock::now())
    }

    /// Writes the copy, then the file. Blocks.
    pub(super) fn write(&self, book: &Book) -> Result<(), String> {
        let text = serde_json::to_vec_pretty(book).map_err(|error| error.to_string())?;
        let copy = self.copy(&text);
        if let Err(error) = system::fs::replace(&self.file, &text, 0o600) {
            // It has not happened.
            if let Some(copy) = copy {
                let _ = fs::remove_file(copy);
            }
            return Err(format!("{}: {error}", self.file.display()));
        }
        self.forget_all_but(copy.as_deref());
        Ok(())
    }

    /// Keeps a copy of what the file holds. Blocks.
    pub(super) fn keep(&self, book: &Book) {
        let copy = serde_json::to_vec_pretty(book).ok();
        let copy = copy.and_then(|text| self.copy(&text));
        self.forget_all_but(copy.as_deref());
    }

    fn copy(&self, text: &[u8]) -> Option<PathBuf> {
        let kept = copies::write(&self.copies, &self.file, text);
        let (file, copies) = (self.file.display(), self.copies.display());
        let told = |error: &io::Error| {
            let text = format_args!("no copy of {file} is kept in {copies}: {error}");
            line(Level::Warning, &text);
        };
        kept.inspect_err(told).ok()
    }

    fn forget_all_but(&self, copy: Option<&Path>) {
        copies::forget_all_but(&self.copies, &self.file, copy);
    }
}
