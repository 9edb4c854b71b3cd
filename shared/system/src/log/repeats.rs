//! Lines about one peer that come too often: counted, and told in one line. Pure.
//!
//! Contract: the first [`BURST`] lines about a peer within [`SPAN`] are written as they come; what
//! follows in that time is counted, and told when it is over. Bounded: with very many peers at once
//! the counts are told earlier.

use std::{collections::HashMap, time::Duration};

use mail::clock::Timestamp;

/// Lines about a peer that are written as they come.
const BURST: u32 = 20;
/// Within that time.
const SPAN: Duration = Duration::from_mins(1);
/// Peers that are known at once.
const PEERS: usize = 1024;

/// What was said about whom.
#[derive(Debug, Default)]
pub(super) struct Repeats(HashMap<String, Told>);

#[derive(Debug)]
struct Told {
    since: Timestamp,
    lines: u32,
    last: String,
}

impl Repeats {
    /// Whether this line is to be written; if not, it is counted.
    pub(super) fn admits(&mut self, peer: &str, text: &str, now: Timestamp) -> bool {
        let told = self.0.entry(peer.to_owned()).or_insert_with(|| Told {
            since: now,
            lines: 0,
            last: String::new(),
        });
        told.lines = told.lines.saturating_add(1);
        let admitted = told.lines <= BURST;
        if !admitted {
            text.clone_into(&mut told.last);
        }
        admitted
    }

    /// Lines about those whose time is over.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<String> {
        let crowded = self.0.len() > PEERS;
        self.over(|told| crowded || now < told.since || now.since(told.since) >= SPAN)
    }

    /// Lines about all of them: the program ends.
    pub(super) fn rest(&mut self) -> Vec<String> {
        self.over(|_| true)
    }

    fn over(&mut self, over: impl Fn(&Told) -> bool) -> Vec<String> {
        let mut lines: Vec<_> = self
            .0
            .extract_if(|_, told| over(told))
            .filter(|(_, told)| told.lines > BURST)
            .map(|(peer, told)| {
                let more = told.lines.saturating_sub(BURST);
                format!(
                    "{more} more of this kind about {peer}, the last: {}",
                    told.last
                )
            })
            .collect();
        lines.sort();
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_repeats_himself_is_told_in_one_line_and_silences_nobody_else() {
        let mut repeats = Repeats::default();
        let start = Timestamp::from_secs(1_000_000);
        let written = (0..5000).filter(|n| repeats.admits("uid 33", &format!("no {n}"), start));
        assert_eq!(written.count(), 20);
        assert!(repeats.admits("uid 1000", "no", start), "another one");
        assert!(repeats.due(start).is_empty());
        let later = start.after(SPAN);
        assert_eq!(
            repeats.due(later),
            ["4980 more of this kind about uid 33, the last: no 4999"]
        );
        assert!(repeats.0.is_empty() && repeats.admits("uid 33", "no", later));
        let more = (0..30).filter(|_| repeats.admits("uid 33", "no", later));
        assert_eq!(more.count(), 19);
        let rest = ["11 more of this kind about uid 33, the last: no"];
        assert_eq!(repeats.rest(), rest, "the program ends");
        assert!(repeats.admits("uid 33", "no", later));
        assert!(
            repeats.due(Timestamp::from_secs(1)).is_empty(),
            "the clock was set back"
        );
        assert!(repeats.0.is_empty());
    }

    #[test]
    fn very_many_peers_take_no_more_memory() {
        let mut repeats = Repeats::default();
        let now = Timestamp::from_secs(1_000_000);
        let mut told = 0;
        for peer in 0..10_000 {
            for _ in 0..22 {
                repeats.admits(&peer.to_string(), "no", now);
            }
            told += repeats.due(now).len();
            assert!(repeats.0.len() <= PEERS);
        }
        assert!(told > 8000, "{told}");
    }
}
