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

/// Links that are followed at most, as the kernel does.
const LINKS: usize = 40;

/// Who else than root and the daemon could write a file, or put another in its place.
pub fn written_by_others(path: &Path) -> Option<String> {
    walk(path).map_or_else(Some, |(places, file)| {
        places.chain(file).find_map(|place| of_others(&place))
    })
}

/// Who else could put another file in the place of one.
pub(crate) fn replaced_by_others(path: &Path) -> Option<String> {
    walk(path).map_or_else(Some, |(mut places, _)| {
        places.find_map(|place| of_others(&place))
    })
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
    let others = !safe && (mode & 0o002 != 0 || (mode & 0o020 != 0 && group != 0));
    others.then(|| format!("others than root and the daemon can write {shown}"))
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
