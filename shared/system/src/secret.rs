//! Passwords in files that nobody else may read, or in systemd's credentials.
//!
//! Contract: a file is believed only if it belongs to root or to the user who reads it, and nobody
//! else may read or write it. The password is its first line. systemd keeps credentials in a
//! directory for the one service, so they are taken as they are.
//! Failures: a text that names the file and the remedy; never the password.

use std::{
    fs::File,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::within;

/// Longest password file, bytes.
const MAX: u64 = 16 * 1024;

/// The password in a file.
pub fn password(file: &Path) -> Result<String, String> {
    bounded(file, |file| first_line(open(file)?, file))
}

/// Everything that a file of secrets holds.
pub fn text(file: &Path) -> Result<String, String> {
    bounded(file, |file| read(open(file)?, file))
}

/// Nobody waits for long for a disk that does not answer.
fn bounded(
    file: &Path,
    read: impl FnOnce(&Path) -> Result<String, String> + Send + 'static,
) -> Result<String, String> {
    let done = within::ask(file, |file| Ok(read(file)));
    done.unwrap_or_else(|error| Err(format!("{}: {error}", file.display())))
}

fn open(file: &Path) -> Result<File, String> {
    let shown = file.display();
    let open = regular(file)?;
    let metadata = open
        .metadata()
        .map_err(|error| format!("{shown}: {error}"))?;
    let own = rustix::process::geteuid().as_raw();
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o777;
        return Err(format!(
            "{shown}: others may read it (mode {mode:04o}), so it is not used: chmod 600 {shown}"
        ));
    }
    if metadata.uid() != 0 && metadata.uid() != own {
        let owner = metadata.uid();
        return Err(format!(
            "{shown}: it belongs to user {owner}, so it is not used: chown root {shown}"
        ));
    }
    Ok(open)
}

/// What is to be said of a key that everybody on the machine may read, and done about it, if it is
/// so.
pub fn exposed(file: &Path) -> Option<(String, String)> {
    let mode = crate::read::metadata(file).ok()?.mode() & 0o777;
    let shown = file.display();
    (mode & 0o007 != 0).then(|| {
        let what =
            format!("{shown}: everybody on this machine may read this key (mode {mode:04o})");
        let remedy =
            format!("chmod 600 {shown}, and make another one if somebody else may have it");
        (what, remedy)
    })
}

/// The password in a credential that systemd gave this service (`LoadCredential=NAME:FILE`).
pub fn credential(name: &str) -> Result<String, String> {
    let directory = credentials_directory().ok_or_else(|| {
        format!(
            "no password: name a file, or give the service a credential: LoadCredential={name}:FILE"
        )
    })?;
    let file = directory.join(name);
    bounded(&file, |file| first_line(regular(file)?, file))
}

fn regular(file: &Path) -> Result<File, String> {
    crate::open::regular(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// A new secret: 130 random bits, in 26 signs that nobody confuses.
pub fn made_up() -> Result<String, String> {
    const SIGNS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 26];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    let sign = |byte: u8| SIGNS.get(usize::from(byte % 32)).copied().map(char::from);
    Ok(bytes.into_iter().filter_map(sign).collect())
}

/// Where systemd keeps the service's credentials, if it has any.
#[expect(
    clippy::disallowed_methods,
    reason = "where systemd says that credentials are"
)]
pub fn credentials_directory() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

fn read(open: File, file: &Path) -> Result<String, String> {
    let bytes = crate::read::all(&open, MAX);
    let bytes = bytes.map_err(|error| format!("{}: {error}", file.display()))?;
    if bytes.contains(&0) {
        return Err(format!(
            "{}: it holds bytes that are zero, as a power cut leaves them: write it anew",
            file.display()
        ));
    }
    String::from_utf8(bytes).map_err(|_| format!("{}: it is not UTF-8", file.display()))
}

fn first_line(open: File, file: &Path) -> Result<String, String> {
    let text = read(open, file)?;
    // The mark that some editors begin a file with is no part of it.
    let text = text.trim_start_matches('\u{feff}');
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(line.to_owned()),
        None => Err(format!("{}: there is no password in it", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_others_may_read_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        for mode in [0o640, 0o604, 0o660] {
            crate::fs::replace(&file, b"secret word\n", mode).unwrap();
            let error = password(&file).unwrap_err();
            assert!(
                error.contains("chmod 600") && !error.contains("secret"),
                "{error}"
            );
        }
        crate::fs::replace(&file, b"secret word\nnot this\n", 0o600).unwrap();
        assert_eq!(password(&file).as_deref(), Ok("secret word"));
        crate::fs::replace(&file, b"\xef\xbb\xbfsecret word\r\n", 0o600).unwrap();
        assert_eq!(password(&file).as_deref(), Ok("secret word"));
        for zeros in [&b"sec\0ret\n"[..], &[0; 40]] {
            crate::fs::replace(&file, zeros, 0o600).unwrap();
            assert!(password(&file).unwrap_err().contains("write it anew"));
        }
        crate::fs::replace(&file, b"\n", 0o600).unwrap();
        assert!(password(&file).unwrap_err().contains("no password in it"));
        assert!(password(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn a_password_is_looked_for_in_no_pipe_no_device_and_no_long_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let made = std::process::Command::new("mkfifo")
            .arg(path("fifo"))
            .status();
        assert!(made.unwrap().success());
        let length = usize::try_from(MAX).unwrap() + 1;
        crate::fs::replace(&path("long"), &vec![b'x'; length], 0o600).unwrap();
        for (name, wanted) in [
            ("fifo", "it is a FIFO, and must be a regular file"),
            ("/dev/zero", "it is a device, and must be a regular file"),
            (".", "directory"),
            ("long", "it is longer than 16384 bytes"),
        ] {
            let file = path(name);
            for error in [password(&file).unwrap_err(), text(&file).unwrap_err()] {
                let named = error.starts_with(&file.display().to_string());
                assert!(named && error.contains(wanted), "{error}");
            }
        }
    }
}
