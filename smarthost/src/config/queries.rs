//! Settings of restrictions that ask the world: from what is written to what is used.

use std::time::Duration;

use mail::address::Sender;
use settings::Span;

use crate::{
    config::{Dnsbl, Greylist, Verify, file},
    policy::{
        Scores,
        verify::{self, OutageMode},
    },
};

pub(super) fn greylist(written: &file::Greylist) -> Greylist {
    Greylist {
        delay: written.delay.map_or(Duration::from_mins(5), |span| span.0),
        listed_only: written.only != Some(file::Only::All),
    }
}

pub(super) fn verify(written: file::Verify) -> Verify {
    let or = |span: Option<Span>, default| span.map_or(default, |span| span.0);
    Verify {
        from: written.from.map_or(Sender::Null, |from| from.0),
        settings: verify::Settings {
            outage: written.outage.unwrap_or(OutageMode::AcceptKnown),
            positive: or(written.positive, Duration::from_hours(31 * 24)),
            negative: or(written.negative, Duration::from_hours(3)),
            trouble: or(written.trouble, Duration::from_mins(1)).min(Duration::from_mins(1)),
        },
    }
}

pub(super) fn dnsbl(written: file::Dnsbl) -> Dnsbl {
    let threshold = written.threshold.map_or(1, |threshold| threshold.0);
    Dnsbl {
        scores: Scores {
            threshold: i32::try_from(threshold).unwrap_or(i32::MAX),
            lists: written
                .lists
                .0
                .into_iter()
                .map(|list| list.0.into())
                .collect(),
        },
        keys: written.keys,
    }
}
