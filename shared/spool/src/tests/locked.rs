//! One process has a spool, whatever name another one knows it by, and with or without its lock.
#![expect(clippy::disallowed_methods, reason = "an administrator moves files so")]

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use super::*;

/// What an administrator does with the lock of a program that runs.
const CHANGES: [fn(&Path); 3] = [
    |lock| fs::remove_file(lock).unwrap(),
    |lock| {
        let copy = lock.with_extension("copy");
        fs::copy(lock, &copy).unwrap();
        fs::rename(copy, lock).unwrap();
    },
    |lock| fs::rename(lock, lock.with_extension("old")).unwrap(),
];

#[test]
fn a_spool_whose_lock_was_removed_or_replaced_takes_mail_and_no_other_process_opens_it() {
    for change in CHANGES {
        let directory = tempfile::tempdir().unwrap();
        let (spool, _) = open(directory.path());
        let before = accept(&spool, 1, 500).unwrap();
        change(&directory.path().join("lock"));
        assert!(spool.has_room(0).is_ok() && spool.alarms().is_empty());
        refused(directory.path(), "segments");
        let own = fs::read_to_string("/proc/self/comm").unwrap();
        let holder = crate::holder(directory.path(), own.trim_end());
        assert_eq!(holder, Some(std::process::id()));
        let after = accept(&spool, 1, 500).unwrap();
        spool.close();
        let (spool, _) = open(directory.path());
        for id in [before, after] {
            check_content(&spool, id);
        }
    }
}

/// Nobody can open it, and what is told names what the other process has.
fn refused(directory: &Path, held: &str) {
    let error = Spool::open(directory, QUIET).err().unwrap().to_string();
    let held = directory.join(held).display().to_string();
    assert!(error.contains("in use by another process"), "{error}");
    assert!(error.contains(&format!("`fuser {held}")), "{error}");
}

fn inside(directory: &Path, name: &str) -> PathBuf {
    directory.join(name)
}

#[test]
fn mail_that_another_process_has_is_nobody_elses_through_a_link_to_its_folders() {
    for name in ["segments", "bodies"] {
        let place = tempfile::tempdir().unwrap();
        let (first, second) = (place.path().join("first"), place.path().join("second"));
        let (spool, _) = open(&first);
        let id = accept(&spool, 1, mail::limits::INLINE_BODY + 1).unwrap();
        fs::create_dir(&second).unwrap();
        symlink(inside(&first, name), inside(&second, name)).unwrap();
        refused(&second, name);
        check_content(&spool, id);
        spool.close();
        open(&second);
    }
}

#[test]
fn a_copy_of_hard_links_is_opened_by_nobody_as_long_as_the_spool_is_open() {
    // Without the lock, which names the process at once; and without the reserve.
    for (removed, held) in [
        (&["lock"][..], "segments/spare"),
        (&["lock", "segments/spare"], "segments/0"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let (first, second) = (place.path().join("first"), place.path().join("second"));
        let (spool, _) = open(&first);
        let id = accept(&spool, 1, 500).unwrap();
        let links = std::process::Command::new("cp")
            .arg("-al")
            .args([&first, &second])
            .status();
        assert!(links.unwrap().success());
        for name in removed {
            fs::remove_file(inside(&second, name)).unwrap();
        }
        refused(&second, held);
        let later = accept(&spool, 1, 500).unwrap();
        for id in [id, later] {
            check_content(&spool, id);
        }
        spool.close();
        let (spool, _) = open(&second);
        check_content(&spool, id);
    }
}

/// Whoever can open a folder can lock it.
#[test]
fn folders_that_others_may_open_are_closed_to_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let folders = ["segments", "bodies"].map(|name| inside(directory.path(), name));
    for folder in &folders {
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    open(directory.path());
    for folder in folders {
        assert_eq!(
            folder.metadata().unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
}
