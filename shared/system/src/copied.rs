//! Files of another system that lie below a directory, by the paths that they have there.
//!
//! Contract: this machine's own files are neither read nor written in their place: a link in the
//! copy that leads out of it is refused, wherever on the way it is. `/` is this machine itself.
//! Failures: those of the look, or a text that says where the link leads and what to do.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::within;

/// Where such a file is, or would be.
pub fn below(root: &Path, path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref();
    let place = root.join(path.strip_prefix("/").unwrap_or(path));
    let real = |path: &Path| within::ask(path, Path::canonicalize);
    let copy = match real(root) {
        // Nothing is there that could lead anywhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(place),
        copy => copy?,
    };
    if copy == Path::new("/") {
        return Ok(place);
    }
    for there in place.ancestors() {
        let found = match real(there) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A link to nothing is followed by who writes there.
                let Ok(target) = within::ask(there, Path::read_link) else {
                    continue;
                };
                return Err(leads_out(&target));
            }
            found => found?,
        };
        if !found.starts_with(&copy) {
            return Err(leads_out(&found));
        }
        break;
    }
    Ok(place)
}

/// Whether the files below it are another system's.
pub fn is_other(root: &Path) -> bool {
    let real = within::ask(root, Path::canonicalize);
    real.map_or_else(|_| root != Path::new("/"), |real| real != Path::new("/"))
}

fn leads_out(target: &Path) -> io::Error {
    io::Error::other(format!(
        "is, or lies behind, a link to {}, which is not in the copy: copy the file itself there \
         (this machine's own is not touched)",
        target.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_link_in_a_copy_leads_to_no_file_outside_whether_it_is_read_or_written() {
        let machine = tempfile::tempdir().unwrap();
        let (copy, own) = (machine.path().join("copy"), machine.path().join("own"));
        fs::create_dir_all(copy.join("etc")).unwrap();
        fs::create_dir_all(&own).unwrap();
        crate::fs::replace(&own.join("file"), b"this machine's", 0o644).unwrap();
        crate::fs::replace(&copy.join("etc/file"), b"the copy's", 0o644).unwrap();
        for (target, link) in [
            (own.join("file"), "etc/absolute"),
            ("../../own/file".into(), "etc/relative"),
            (own.clone(), "etc/folder"),
            (own.join("not there yet"), "etc/dangling"),
            ("file".into(), "etc/inside"),
        ] {
            symlink(target, copy.join(link)).unwrap();
        }
        for out in [
            "/etc/absolute",
            "/etc/relative",
            "/etc/folder/file",
            "/etc/folder/not there yet",
            "/etc/dangling",
            "/../own/file",
        ] {
            let error = below(&copy, out).unwrap_err();
            assert!(
                error.to_string().contains("copy the file"),
                "{out}: {error}"
            );
        }
        for inside in [
            "/etc/file",
            "etc/file",
            "/etc/inside",
            "/none/yet",
            "/etc/new",
        ] {
            let place = copy.join(inside.trim_start_matches('/'));
            assert_eq!(below(&copy, inside).unwrap(), place);
        }
        let nowhere = machine.path().join("no copy");
        assert_eq!(below(&nowhere, "/x").unwrap(), nowhere.join("x"));
        let link = copy.join("etc/absolute");
        assert_eq!(below(Path::new("/"), &link).unwrap(), link);
        assert!(is_other(&copy) && is_other(&nowhere));
        assert!(!is_other(Path::new("/")) && !is_other(Path::new("/usr/..")));
    }
}
