//! Body files at the start: those without a message, and messages without theirs.
//!
//! Contract: a body is removed only when the log says that its message is settled, or when nothing
//! is missing in the log and the body is not marked as promised: then its commit never was. Any
//! other goes to quarantine, or stays while a part of the log waits to be mended. A message whose
//! body lies in quarantine gets it back. One whose body is gone, or is not what was written, stays
//! queued as a damaged one: a body's name is on disk before its record, and is removed after the
//! record of the last settlement. Only where a part of the log is damaged may that have been there;
//! then the message's record goes to quarantine. A message whose record is damaged keeps what it
//! has.

use std::{collections::HashMap, fs::Metadata, io, path::Path};

use system::nameless;

use super::{
    QueueId,
    disk::{self, Disk},
    index::Location,
    journal::{self, Level},
    layout::Layout,
    recovered::{Recovered, names},
    salvage::{self, Damage},
};

/// Looks at each file in `bodies/`, and for the body of each message that has one.
pub(super) fn check(disk: &dyn Disk, layout: &Layout, recovered: &mut Recovered, damage: Damage) {
    let bodies = match names(&layout.bodies) {
        Ok(bodies) => bodies,
        Err(error) => {
            // Each message finds out for itself when it is to be delivered.
            let path = layout.bodies.display();
            journal::line(
                Level::Error,
                &format_args!("spool: cannot list {path}: {error}"),
            );
            return;
        }
    };
    let mut expected = recovered.index.blobs();
    let waits = damage.waits || recovered.recovery.unopened > 0;
    let mut waiting = 0u64;
    for name in bodies {
        let path = layout.bodies.join(&name);
        let id = QueueId::parse(&name);
        let metadata = path.symlink_metadata();
        if nameless::is_left(&name) {
            // A crash ended what was being received.
            told(&path, disk.remove(&path));
        } else if let Some(id) = id.filter(|id| expected.remove(id).is_some()) {
            measure(disk, &path, id, metadata, recovered);
        } else if id.is_some_and(|id| recovered.settled.contains(&id)) {
            told(&path, disk.remove(&path));
        } else if id.is_some_and(|id| recovered.spoiled.contains(&id)) {
            // Its record may have said that it has one.
        } else if waits {
            waiting = waiting.saturating_add(1);
        } else {
            let promised = metadata.is_ok_and(|metadata| disk::is_promised(&metadata));
            orphan(disk, layout, &path, promised, damage, recovered);
        }
    }
    if waiting > 0 {
        let text = format_args!("spool: {waiting} bodies wait for records that cannot be read");
        journal::line(Level::Warning, &text);
    }
    find_missing(
        disk,
        layout,
        expected,
        Damage { waits, ..damage },
        recovered,
    );
    for directory in [&layout.quarantine, &layout.bodies] {
        // What moved and did not last moves again at the next start.
        let _ = disk.sync_directory(directory);
    }
}

/// The body of a message in the queue.
fn measure(
    disk: &dyn Disk,
    path: &Path,
    id: QueueId,
    metadata: io::Result<Metadata>,
    recovered: &mut Recovered,
) {
    let expected = recovered.bodies.get(&id).copied().unwrap_or_default();
    let found = match metadata {
        Ok(found) => found,
        // It may pass; the message finds out for itself.
        Err(error) => return told(path, Err(error)),
    };
    if !found.is_file() {
        return spoiled(path, id, "is no regular file", recovered);
    }
    if found.len() != expected {
        let wrong = format!("has {} bytes, and should have {expected}", found.len());
        return spoiled(path, id, &wrong, recovered);
    }
    if !disk::is_promised(&found) {
        // A mark helps the next start; nothing depends on it.
        let _ = disk.promise(path);
    }
}

/// It stays queued, and is not delivered.
fn spoiled(path: &Path, id: QueueId, wrong: &str, recovered: &mut Recovered) {
    let path = path.display();
    let text = format_args!("spool: {id}: its body {path} {wrong}; it is not delivered");
    journal::line(Level::Error, &text);
    let recovery = &mut recovered.recovery;
    recovery.spoiled = recovery.spoiled.saturating_add(1);
    recovered.spoiled.insert(id);
}

/// A body without a record.
fn orphan(
    disk: &dyn Disk,
    layout: &Layout,
    path: &Path,
    promised: bool,
    damage: Damage,
    recovered: &mut Recovered,
) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ours = QueueId::parse(&name).is_some();
    if ours && !promised && !damage.damaged && !damage.torn {
        // Linked by a commit that never was.
        return told(path, disk.remove(path));
    }
    let mut free = layout
        .quarantined_body(&name)
        .filter(|target| target.symlink_metadata().is_err());
    let Some(target) = free.next() else { return };
    let recovery = &mut recovered.recovery;
    match disk.rename(path, &target) {
        Ok(()) => {
            let (path, target) = (path.display(), target.display());
            let text = format_args!("spool: {path} has no record, moved to {target}");
            journal::line(Level::Error, &text);
            let torn_alone = damage.torn && !damage.damaged && !promised;
            let count = if torn_alone {
                &mut recovery.doubtful
            } else {
                &mut recovery.quarantined
            };
            *count = count.saturating_add(1);
        }
        Err(error) => {
            recovery.unsaved = recovery.unsaved.saturating_add(1);
            told(path, Err(error));
        }
    }
}

fn told(path: &Path, done: io::Result<()>) {
    if let Err(error) = done {
        let path = path.display();
        journal::line(
            Level::Error,
            &format_args!("spool: cannot see to {path}: {error}"),
        );
    }
}

/// Messages whose body is not there.
fn find_missing(
    disk: &dyn Disk,
    layout: &Layout,
    mut expected: HashMap<QueueId, Location>,
    damage: Damage,
    recovered: &mut Recovered,
) {
    expected.retain(|id, _| !recovered.spoiled.contains(id));
    for (id, at) in expected {
        let path = layout.body(id);
        let aside = layout.quarantine.join(id.file_name());
        let found = aside.symlink_metadata().ok().filter(Metadata::is_file);
        let length = found.map(|found| found.len());
        let back = length.is_some() && length == recovered.bodies.get(&id).copied();
        if back && disk.rename(&aside, &path).is_ok() {
            let text = format_args!("spool: {id}: its body is back from {}", aside.display());
            journal::line(Level::Notice, &text);
            continue;
        }
        if !damage.damaged && !damage.waits {
            spoiled(&path, id, "is gone", recovered);
            continue;
        }
        let text = format_args!("spool: {id}: its body {} is gone", path.display());
        journal::line(Level::Error, &text);
        recovered.index.forget(id);
        if damage.waits {
            // Its segment stays, and another may say that it was delivered.
            continue;
        }
        let Some(segment) = recovered.index.segments.get(&at.segment) else {
            continue;
        };
        match salvage::copy_record(disk, layout, &segment.path, at) {
            Ok(copied) => {
                let new = u64::from(copied.is_some());
                recovered.recovery.quarantined = recovered.recovery.quarantined.saturating_add(new);
            }
            Err(error) => {
                told(&layout.quarantine, Err(error));
                recovered.recovery.unsaved = recovered.recovery.unsaved.saturating_add(1);
                recovered.index.stay(at.segment);
            }
        }
    }
}
