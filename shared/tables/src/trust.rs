//! Who else than root and the daemon decides what a file holds, and who may read it.
//!
//! Contract: every directory and link on the way counts, links one by one; what cannot be looked at
//! is not trusted.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata},
    io,
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Component, Path, PathBuf},
};

use rustix::io::Errno;
use system::within;

/// Links that are followed at most, as the kernel does.
const LINKS: usize = 40;

/// Who else than root and the daemon could write a file, or put another in its place.
pub fn written_by_others(path: &Path) -> Option<String> {
    looked_at(path, |path| {
        walk(path).map_or_else(Some, |(places, file)| {
            places.chain(file).find_map(|place| of_others(&place))
        })
    })
}

/// Who else could put another file in the place of one.
pub(crate) fn replaced_by_others(path: &Path) -> Option<String> {
    looked_at(path, |path| {
        walk(path).map_or_else(Some, |(mut places, _)| {
            places.find_map(|place| of_others(&place))
        })
    })
}

fn looked_at(path: &Path, look: fn(&Path) -> Option<String>) -> Option<String> {
    let found = within::ask(path, move |path| Ok(look(path)));
    found.unwrap_or_else(|error| Some(format!("{}: {error}", path.display())))
}

/// Whether everybody could read an open file.
pub(crate) fn is_public(file: &File, metadata: &Metadata) -> bool {
    let open_to_all = |place: &Path| fs::metadata(place).is_ok_and(|m| m.mode() & 0o011 == 0o011);
    let real = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    metadata.mode() & 0o044 == 0o044
        && real.is_ok_and(|real| real.is_absolute() && real.ancestors().skip(1).all(open_to_all))
}

fn of_others(place: &Path) -> Option<String> {
    let own = rustix::process::geteuid().as_raw();
    let shown = place.display();
    let metadata = match fs::symlink_metadata(place) {
        Ok(metadata) => metadata,
        Err(error) => return Some(format!("{shown}: {error}")),
    };
    if metadata.uid() != 0 && metadata.uid() != own {
        return Some(format!(
            "{shown} belongs to another user than root and the daemon's"
        ));
    }
    let (mode, group) = (metadata.mode(), metadata.gid());
    // Nobody can put another file in the place of ours where only owners may remove.
    let safe = metadata.is_symlink() || (metadata.is_dir() && mode & 0o1000 != 0);
    let others = !safe
        && (mode & 0o002 != 0 || (mode & 0o020 != 0 && group != 0) || has_other_writers(place));
    others.then(|| format!("others than root and the daemon can write {shown}"))
}

/// Whether an access control list lets anybody write whom the mode does not name. With a list, the
/// mode's bits of the group are its mask; one that cannot be read is not believed to be harmless.
fn has_other_writers(place: &Path) -> bool {
    let mut list = [0; 4096];
    match rustix::fs::lgetxattr(place, ACL, &mut list[..]) {
        Ok(length) => list.get(..length).is_none_or(names_a_writer),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => false,
        Err(_) => true,
    }
}

/// The attribute that holds the list: a version, then entries of tag, permissions and number, in
/// little endian (Linux, `posix_acl_xattr.h`).
const ACL: &str = "system.posix_acl_access";
/// The tags of named users, named groups and of what both may at most.
const USER: u16 = 0x02;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const WRITE: u16 = 0x02;

/// Whether a named user other than root and the daemon's, or a named group other than root's, may
/// write. Total: what is no list names one.
fn names_a_writer(list: &[u8]) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let Some((version, entries)) = list.split_at_checked(4) else {
        return true;
    };
    let (entries, rest) = entries.as_chunks::<8>();
    if version != [2, 0, 0, 0] || !rest.is_empty() {
        return true;
    }
    let read = |&[a, b, c, d, e, f, g, h]: &[u8; 8]| {
        let number = u32::from_le_bytes([e, f, g, h]);
        (
            u16::from_le_bytes([a, b]),
            u16::from_le_bytes([c, d]),
            number,
        )
    };
    let masked = |entry: &[u8; 8]| matches!(read(entry), (MASK, may, _) if may & WRITE == 0);
    if entries.iter().any(masked) {
        return false;
    }
    entries
        .iter()
        .map(read)
        .any(|(tag, may, number)| match tag {
            _ if may & WRITE == 0 => false,
            USER => number != 0 && number != own,
            GROUP => number != 0,
            _ => false,
        })
}

type Places = (std::vec::IntoIter<PathBuf>, Option<PathBuf>);

/// The directories and links through which a file is found, and the file.
fn walk(path: &Path) -> Result<Places, String> {
    let shown = |error: io::Error| format!("{}: {error}", path.display());
    let path = std::path::absolute(path).map_err(shown)?;
    let mut places = vec![PathBuf::from("/")];
    let mut at = PathBuf::from("/");
    let mut rest = names(&path);
    let mut links = 0..LINKS;
    while let Some(name) = rest.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        if let Ok(target) = fs::read_link(&next) {
            if links.next().is_none() {
                return Err(format!("{}: too many links", path.display()));
            }
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            rest.extend(names(&target));
        } else {
            at.clone_from(&next);
        }
        places.push(next);
    }
    let file = places.pop();
    Ok((places.into_iter(), file))
}

/// The names of a path, the last first.
fn names(path: &Path) -> Vec<OsString> {
    let named = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    let parts = path.components().filter(named);
    parts
        .map(|part| part.as_os_str().to_owned())
        .rev()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut list = vec![2, 0, 0, 0];
        for (tag, may, number) in entries {
            list.extend(tag.to_le_bytes());
            list.extend(may.to_le_bytes());
            list.extend(number.to_le_bytes());
        }
        list
    }

    const NOBODY: u32 = u32::MAX;

    #[test]
    fn an_access_control_list_that_lets_others_write_is_as_bad_as_a_mode_that_does() {
        let own = rustix::process::geteuid().as_raw();
        let with = |tag, may, number, mask| {
            names_a_writer(&list(&[
                (0x01, 6, NOBODY),
                (tag, may, number),
                (0x04, 4, NOBODY),
                (MASK, mask, NOBODY),
                (0x20, 4, NOBODY),
            ]))
        };
        assert!(with(USER, 6, 65_534, 6));
        assert!(with(USER, 2, 65_534, 7));
        assert!(with(GROUP, 6, 65_534, 6));
        assert!(!with(USER, 4, 65_534, 6), "who may only read");
        assert!(!with(USER, 6, 65_534, 4), "the mask takes it away");
        assert!(!with(USER, 6, 0, 6) && !with(USER, 6, own, 6));
        assert!(!with(GROUP, 6, 0, 6));
        for odd in [&[][..], &[2, 0, 0], &[3, 0, 0, 0], &[2, 0, 0, 0, 1]] {
            assert!(names_a_writer(odd), "{odd:?}");
        }
    }

    #[test]
    fn an_alias_file_that_a_named_user_may_write_by_its_access_control_list_is_not_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("aliases");
        system::fs::replace(&file, b"x: |/bin/true\n", 0o644).unwrap();
        let before = of_others(&file);
        assert_eq!(before, None);
        let list = list(&[
            (0x01, 6, NOBODY),
            (USER, 6, 65_534),
            (0x04, 4, NOBODY),
            (MASK, 6, NOBODY),
            (0x20, 4, NOBODY),
        ]);
        let set = rustix::fs::setxattr(&file, ACL, &list, rustix::fs::XattrFlags::empty());
        if set == Err(Errno::OPNOTSUPP) {
            // A file system without such lists has nothing to look at.
            return;
        }
        set.unwrap();
        let why = of_others(&file).unwrap();
        assert!(
            why.contains("others than root and the daemon can write"),
            "{why}"
        );
    }
}
