//! The key by which smarthosts know this machine: certificate and private key in one file of the
//! spool, where the agent's user can read it and nobody else.
//!
//! | file | what |
//! |---|---|
//! | `identity.pem` | the key that is used |
//! | `identity.next.pem` | one that a smarthost may know already, and that is not used yet |
//!
//! Contract: what is written belongs to whom the spool belongs, mode 0600, and is on disk before
//! its key is told to anybody. The next key stays the same until it is used.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use mail::address::Domain;
use relay::tls::{pins_of_file, self_signed};
use sendmail::config::enrolled::{FILE, KEY};

/// Longest file, bytes.
const MOST: u64 = 64 * 1024;

/// Where they are.
pub(super) struct Keys {
    spool: PathBuf,
}

impl Keys {
    pub(super) fn of(spool: &Path) -> Self {
        Self {
            spool: spool.to_owned(),
        }
    }

    pub(super) fn used(&self) -> PathBuf {
        self.spool.join(KEY)
    }

    fn not_used_yet(&self) -> PathBuf {
        self.spool.join("identity.next.pem")
    }

    /// Removes what commands have left behind that were killed while they wrote a file. A private
    /// key may be in it.
    pub(super) fn clear_unfinished(&self) {
        for path in [self.used(), self.not_used_yet(), self.spool.join(FILE)] {
            // What stays is of no use to anybody, and is tried again.
            let _ = system::fs::clear_unfinished(&path);
        }
    }

    pub(super) fn is_used(&self) -> bool {
        self.used().exists()
    }

    /// The key for lines, and whether it is used already. `new`: one that was made for them, as
    /// this says.
    pub(super) fn to_show(
        &self,
        new: Option<String>,
        host: &Domain,
    ) -> Result<(PathBuf, bool), String> {
        let used = self.used();
        let is_for = |made: &String| begins(&used, made);
        // What was cut short after it was used is no wish for yet another one.
        if self.is_used() && new.as_ref().is_none_or(is_for) {
            return Ok((used, true));
        }
        let next = self.next(&new.unwrap_or_default(), host)?;
        Ok((next, false))
    }

    /// The next key, made if there is none, with a remark in front. One that was made for something
    /// else is not that of a remark: it may be known already, and be believed no more.
    pub(super) fn next(&self, remark: &str, host: &Domain) -> Result<PathBuf, String> {
        let path = self.not_used_yet();
        if path.exists() && (remark.is_empty() || begins(&path, remark)) {
            // Whoever knows it knows it by this.
            pins_of_file(&path)
                .map_err(|error| format!("{}; remove it, and another one is made", error.0))?;
            return Ok(path);
        }
        let (certificate, key) = self_signed(host.as_ref()).map_err(|error| error.0)?;
        write(&self.spool, &path, &[remark, &certificate, &key].concat())?;
        Ok(path)
    }

    /// The next key is of no use: another one is made the next time.
    pub(super) fn drop_next(&self) {
        // What stays is refused again.
        let _ = fs::remove_file(self.not_used_yet());
    }

    /// From now on the next key is the one that is used.
    pub(super) fn use_next(&self) -> Result<(), String> {
        let path = self.used();
        system::fs::put(&self.not_used_yet(), &path)
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Whether a file begins with that remark.
fn begins(path: &Path, remark: &str) -> bool {
    system::read::text(path, MOST).is_ok_and(|text| text.starts_with(remark))
}

/// Writes a file of the spool for whom the spool belongs to.
pub(super) fn write(spool: &Path, path: &Path, text: &str) -> Result<(), String> {
    let owner = fs::metadata(spool).map_err(|error| {
        format!(
            "{}: {error}: start the agent once, which makes its spool: systemctl start \
             sendmail-shim",
            spool.display()
        )
    })?;
    let owner = Some((owner.uid(), owner.gid()));
    system::fs::replace_for(owner, path, text.as_bytes(), 0o600)
        .map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_stays_the_same_until_it_is_used_and_nobody_else_can_read_it() {
        let spool = tempfile::tempdir().unwrap();
        let keys = Keys::of(spool.path());
        let host = Domain::name("vm7.example.org").unwrap();
        let show = |new: Option<&str>| keys.to_show(new.map(str::to_owned), &host).unwrap();
        let (first, is_used) = show(None);
        assert!(!is_used && !keys.is_used());
        let mode = fs::metadata(&first).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let pin = |file: &Path| pins_of_file(file).unwrap().pin();
        let first = pin(&first);
        assert_eq!(pin(&show(None).0), first);
        keys.use_next().unwrap();
        assert_eq!(show(None), (keys.used(), true));
        assert_eq!(pin(&keys.used()), first);
        let (other, is_used) = show(Some("# made for x\n"));
        let other = pin(&other);
        assert!(!is_used && other != first);
        keys.use_next().unwrap();
        assert_eq!(show(Some("# made for x\n")), (keys.used(), true));
        assert_eq!(pin(&keys.used()), other);
        assert!(!show(Some("# made for y\n")).1);
        let nowhere = Keys::of(&spool.path().join("none"));
        assert!(
            nowhere
                .next("", &host)
                .unwrap_err()
                .contains("start the agent")
        );
    }
}
