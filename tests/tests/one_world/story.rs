//! What happened, for people: told only where a life has gone wrong; and a fingerprint of every
//! life, so that two can be compared.

use std::fmt::Display;

use crate::network::Micros;

#[derive(Default)]
pub(crate) struct Story {
    pub(crate) told: bool,
    pub(crate) lines: Vec<String>,
    /// Of all that happened so far.
    pub(crate) fingerprint: u64,
}

impl Story {
    pub(crate) fn tell(&mut self, at: Micros, who: &dyn Display, what: impl FnOnce() -> String) {
        if self.told {
            let (secs, micros) = (at / 1_000_000, at % 1_000_000);
            let (days, hours, rest) = (secs / 86_400, secs / 3600 % 24, secs % 3600);
            let time = format!(
                "{days}d {hours:02}:{:02}:{:02}.{micros:06}",
                rest / 60,
                rest % 60
            );
            let what = what();
            let cut = what.chars().take(300).collect::<String>();
            self.lines
                .push(format!("{time}  {who:10} {}", cut.escape_debug()));
        }
    }

    /// FNV-1a, a number at a time.
    pub(crate) fn mark(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.fingerprint = (self.fingerprint ^ number).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
