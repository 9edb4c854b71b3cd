//! The edges to the operating system that every program needs.
//!
//! | module | what |
//! |---|---|
//! | [`again`] | a program that starts anew in its own place |
//! | [`copied`] | another system's files below a directory, and no link out of it |
//! | [`descriptors`] | how many files may be open |
//! | [`flush`] | how long a disk takes until what was written is on it |
//! | [`fs`] | atomic, synced files; free space; files that only trusted users can write |
//! | [`nameless`] | files that get their name when they are whole |
//! | [`open`] | files opened without waiting for who is at their other end |
//! | [`patient`] | descriptors that do not block, read and written all the same |
//! | [`program`] | one program: started, fed, listened to, ended with all that it has started |
//! | [`read`] | files that an administrator named, bounded in time and length |
//! | [`scout`] | a process that looks at a file first, for a command that is to end whatever is silent |
//! | [`secret`] | passwords in files |
//! | [`log`] | one line an event |
//! | [`socket`] | unix sockets: connecting within a time, listening |
//! | [`sysexits`] | exit statuses |
//! | [`terminal`] | words to standard output and standard error |
//! | [`usable`] | whether a daemon can use its directory and what lies there |
//! | [`within`] | work on files that may not answer, waited for only so long |
//! | [`workers`] | threads for what a disk may never answer |

pub mod again;
pub mod copied;
pub mod descriptors;
pub mod flush;
pub mod fs;
pub mod log;
pub mod nameless;
pub mod open;
pub mod patient;
pub mod program;
pub mod read;
pub mod scout;
pub mod secret;
pub mod socket;
pub mod sysexits;
pub mod terminal;
pub mod usable;
pub mod within;
pub mod workers;
