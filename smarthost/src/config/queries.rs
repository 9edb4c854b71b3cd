//! Settings of restrictions that ask the world: from what is written to what is used.

use mail::address::Sender;
use settings::faults::Wrong;

use crate::{
    config::{
        Dnsbl, Greylist, Verify, file,
        forms::{GREYLIST_DELAY, GREYLIST_ONLY, NEGATIVE, OUTAGE, POSITIVE, THRESHOLD, TROUBLE},
    },
    policy::{Scores, verify},
};

pub(super) fn greylist(written: &file::Greylist) -> Result<Greylist, Wrong> {
    Ok(Greylist {
        delay: GREYLIST_DELAY.read(written.delay)?.0,
        listed_only: GREYLIST_ONLY.read(written.only)? == file::Only::Listed,
    })
}

pub(super) fn verify(written: file::Verify) -> Result<Verify, Wrong> {
    Ok(Verify {
        from: written.from.map_or(Sender::Null, |from| from.0),
        settings: verify::Settings {
            outage: OUTAGE.read(written.outage)?,
            positive: POSITIVE.read(written.positive)?.0,
            negative: NEGATIVE.read(written.negative)?.0,
            trouble: TROUBLE.read(written.trouble)?.0,
        },
    })
}

pub(super) fn dnsbl(written: file::Dnsbl) -> Result<Dnsbl, Wrong> {
    let lists = written.lists.0.into_iter();
    Ok(Dnsbl {
        scores: Scores {
            threshold: i32::try_from(THRESHOLD.read(written.threshold)?.0).unwrap_or(i32::MAX),
            lists: lists.map(|list| list.0.into()).collect(),
        },
        keys: written.keys,
    })
}
