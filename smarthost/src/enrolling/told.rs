//! What administrators are told of machines that are enrolled.

use std::path::Path;

use relay::enroll::Name;

use crate::{
    enroll::{Book, book::Doubled},
    notices::counted,
};

/// There is no copy of what the file held.
pub(super) fn unknown(file: &Path, why: &str) -> String {
    let file = file.display();
    format!(
        "{file}: {why}: it is not known which machines are enrolled, and clients that show a key \
         must wait; mend the file, or put a copy in its place: it is read by itself"
    )
}

/// The file cannot be read, and something else is in force.
pub(super) fn stands_in(file: &Path, why: &str) -> String {
    let file = file.display();
    format!(
        "{file}: {why}: what was known before stays in force, but no machine can be enrolled, get \
         a new key or be revoked until the file is mended or removed; if you remove it, it is \
         written again as it was"
    )
}

/// It could not be written, or nobody knows whether it was.
pub(super) fn unsure(why: &str) -> String {
    format!(
        "{why}: a machine that this was to let in is not let in, and one that it shut out stays \
         out; it is written as soon as that works, but a restart before then may undo it"
    )
}

/// The file was not there any more.
pub(super) fn gone(file: &Path, book: &Book) -> String {
    let (file, names) = (file.display(), book.names().count());
    let names = counted(u64::try_from(names).unwrap_or(u64::MAX), "name");
    format!(
        "{file} was gone: it is written again as it was, with {names}; remove names that you no \
         longer want with smarthost enroll forget"
    )
}

/// Two have one name.
pub(super) fn namesake(name: &Name, who: &str) -> String {
    format!(
        "{name} is the name of a machine that is enrolled, or is to be, and also {who}: the mail \
         of both is counted together; rename one of them"
    )
}

/// One key has two names.
pub(super) fn pinned(name: &Name, known: &str) -> String {
    format!(
        "the key of the enrolled machine {name} is in client_pins, too: it is known as {known}, \
         and cannot be revoked; remove it there"
    )
}

/// A key that is believed no more is believed.
pub(super) fn pinned_though_ended(name: &Name, known: &str) -> String {
    format!(
        "a revoked or replaced key of {name} is in client_pins, as that of {known}: it is refused \
         there, too; remove it, or lift that with smarthost enroll forget {name}"
    )
}

/// In one line, for a status.
pub(super) fn alarm(it: Doubled<'_>) -> String {
    let (name, twice) = (it.name, it.twice);
    let times = counted(twice.count, "time");
    let last = twice.last.rfc3339();
    format!(
        "the line of {name} is in two hands: another key came with it {times}, last from {} at {last}: smarthost enroll list",
        twice.from
    )
}

/// In full.
pub(super) fn story(it: Doubled<'_>) -> String {
    let (name, twice) = (it.name, it.twice);
    let times = counted(twice.count, "time");
    format!(
        "The line of {name} is in two hands: it has let in one key, then came with another.\n\n\
         Came in, from {} at {}:\n{}\n\n\
         Refused {times}, last from {} at {}:\n{}\n\n\
         On {name}, `sendmail-shim enroll` prints the key of that machine. If it is not\n\
         the one that came in, somebody else sends mail as {name}:\n\n    \
         smarthost enroll revoke {name}\n    smarthost enroll {name}\n\n\
         and use the new line there with `sendmail-shim enroll --new-key`.\n",
        it.from,
        it.since.rfc5322(),
        it.key,
        twice.from,
        twice.last.rfc5322(),
        twice.key,
    )
}
