//! The end of the way of lines: standard error, which may take nothing, or a part.
//!
//! Contract: what does not block is waited for. A line that was not taken whole is counted, and the
//! count stands before the next one that is; what is there of it has a line of its own.

use std::os::fd::AsFd;

use crate::patient;

/// What lines are written to.
#[derive(Debug)]
pub(super) struct Out {
    /// Lines that were not taken, and are not told of yet.
    missing: u64,
    /// The last one broke off.
    torn: bool,
}

impl Out {
    pub(super) const fn new() -> Self {
        Self {
            missing: 0,
            torn: false,
        }
    }

    /// So many are missing that were never seen here.
    pub(super) fn misses(&mut self, count: u64) {
        self.missing = self.missing.saturating_add(count);
    }

    pub(super) const fn missing(&self) -> u64 {
        self.missing
    }

    /// Whether nothing is missing of which `tell` has not told with success.
    pub(super) fn tells(&mut self, tell: impl FnOnce(&mut Self, u64) -> bool) -> bool {
        if self.missing > 0 && tell(self, self.missing) {
            self.missing = 0;
        }
        self.missing == 0
    }

    /// Writes a line; whether it was taken whole.
    pub(super) fn takes(&mut self, to: impl AsFd, line: &str) -> bool {
        let begin = if self.torn { "\n" } else { "" };
        let text = format!("{begin}{line}\n");
        let mut left = text.as_bytes();
        let taken = patient::write_from(to, &mut left).is_ok();
        let written = text.as_bytes().strip_suffix(left).unwrap_or_default();
        if let Some(last) = written.last() {
            self.torn = *last != b'\n';
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::Read as _,
        os::unix::net::UnixStream,
        thread,
    };

    use super::*;

    #[test]
    fn a_log_that_takes_lines_again_says_how_many_are_missing_and_begins_a_line() {
        let mut out = Out::new();
        let full = File::options().write(true).open("/dev/full").unwrap();
        for line in ["a", "b"] {
            assert!(!out.takes(&full, line));
            out.misses(1);
        }
        // A third breaks off in the middle: its reader goes away.
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let reader = thread::spawn(move || far.read_exact(&mut [0; 4096]));
        assert!(!out.takes(&near, &"c".repeat(16 << 20)));
        reader.join().unwrap().unwrap();
        out.misses(1);

        assert!(!out.tells(|out, _| out.takes(&full, "x")), "full still");
        let log = tempfile::NamedTempFile::new().unwrap();
        let tell = |out: &mut Out, missing| out.takes(&log, &format!("{missing} are missing"));
        assert!(out.tells(tell));
        assert!(out.takes(&log, "d"));
        assert!(out.tells(tell), "told once");
        let log = fs::read_to_string(log.path()).unwrap();
        assert_eq!(log, "\n3 are missing\nd\n");
    }
}
