//! The file that a guided set-up writes: an administrator's settings in it are not replaced without
//! asking, and never lost.

use std::{
    io,
    path::{Path, PathBuf},
};

use settings::{ConfigError, provision};

/// A file, and what stands in it now.
#[derive(Debug)]
pub struct Target<'a> {
    path: &'a Path,
    before: Option<String>,
    /// Somebody wrote it.
    own: bool,
}

impl<'a> Target<'a> {
    /// `shipped`: lines that the package writes, which are nobody's.
    pub fn open(path: &'a Path, shipped: &str) -> Result<Self, ConfigError> {
        let before = match system::read::text(path, provision::MOST) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(provision::unreadable(path, &error)),
        };
        let own = before
            .as_deref()
            .is_some_and(|text| has_settings(text, shipped));
        Ok(Self { path, before, own })
    }

    /// Why it is not to be replaced without asking.
    pub fn is_own(&self) -> Option<String> {
        let text = || format!("{} has settings of your own", self.path.display());
        self.own.then(text)
    }

    /// Keeps a copy of what stands there.
    pub fn keep(&self) -> Result<(), String> {
        let Some(text) = self.before.as_ref().filter(|_| self.own) else {
            return Ok(());
        };
        let mut copy = PathBuf::from(format!("{}.before-init", self.path.display()));
        for number in 1u32.. {
            if !copy.exists() {
                break;
            }
            copy = PathBuf::from(format!("{}.before-init.{number}", self.path.display()));
        }
        // It may name what not everybody is to know.
        system::fs::replace(&copy, text.as_bytes(), 0o600)
            .map_err(|error| format!("{}: {error}", copy.display()))
    }

    /// Writes the new text to where links lead; owner, group and mode stay.
    pub fn write(&self, text: &str) -> Result<(), String> {
        self.keep()?;
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        system::fs::create_directory(directory, 0o755)
            .and_then(|()| system::fs::replace_in_place(self.path, text.as_bytes(), 0o644))
            .map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

/// Whether anything stands there that the package did not write.
fn has_settings(text: &str, shipped: &str) -> bool {
    let active = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let shipped = |line: &str| shipped.lines().any(|it| it.trim() == line.trim());
    text.lines().filter(active).any(|line| !shipped(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_package_did_not_write_is_an_administrators() {
        let shipped = "# all of it\n\nlimits = 1\n";
        for nobodys in [
            shipped,
            "",
            "# x\n\n  # y\n",
            "# all of it\r\nlimits = 1\r\n",
        ] {
            assert!(!has_settings(nobodys, shipped), "{nobodys}");
        }
        for own in ["hostname = \"x\"", "limits = {}", "[limits]", "broken"] {
            assert!(
                has_settings(&format!("{shipped}\n{own}\n"), shipped),
                "{own}"
            );
        }
    }
}
