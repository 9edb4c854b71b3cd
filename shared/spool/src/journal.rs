//! What the spool tells the administrator.

use std::fmt::Display;

pub(super) use system::log::Level;

/// Writes one line to the log; the spool's own tests, which break a disk thousands of times, stay silent.
pub(super) fn line(level: Level, text: &dyn Display) {
    if !cfg!(test) {
        system::log::line(level, text);
    }
}
