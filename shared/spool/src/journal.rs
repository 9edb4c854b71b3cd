//! What the spool tells the administrator.

use std::fmt::Display;

pub(super) use system::log::Level;

/// Writes one line to the log; tests that break a simulated disk thousands of times stay silent.
pub(super) fn line(level: Level, text: &dyn Display) {
    if !cfg!(test) && mail::clock::simulated().is_none() {
        system::log::line(level, text);
    }
}
