//! Outages: when each began, and whether it lasted long enough to be told.

use std::{collections::BTreeMap, fmt, time::Duration};

use mail::clock::Timestamp;
use queue::clock::Step;
use serde::{Deserialize, Serialize};

use super::{kind::Kind, news::News};

/// Outages that are known at once.
const MOST: usize = 200;

/// Something that does not work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutageReport {
    /// Which it is.
    pub what: String,
    /// It is told when it has lasted so long.
    pub patience: Duration,
    pub headline: String,
    pub text: String,
    /// Its end is heard of after a restart, too.
    pub lasts: bool,
    /// Why, for [`Down`]; `None`: who asks how it does is told in another way.
    pub reason: Option<String>,
}

/// An outage that goes on, as far as is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Down {
    pub what: String,
    pub since: Timestamp,
    /// When it was met last.
    pub met: Timestamp,
    pub reason: String,
}

/// In a line of status.
impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (since, met) = (self.since.mailq(), self.met.mailq());
        let reason = &self.reason;
        write!(
            f,
            "has taken no mail since {since}, last tried {met}: {reason}"
        )
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Outage {
    since: Timestamp,
    due: Timestamp,
    headline: String,
    text: String,
    told: bool,
    lasts: bool,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    met: Timestamp,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Outages(BTreeMap<String, Outage>);

impl Outages {
    pub(super) fn begin(&mut self, report: OutageReport, now: Timestamp) {
        let full = self.0.len() >= MOST;
        match self.0.get_mut(&report.what) {
            Some(known) => {
                (known.reason, known.met) = (report.reason, now);
                if !known.told {
                    (known.headline, known.text) = (report.headline, report.text);
                }
            }
            None if full => {}
            None => {
                let outage = Outage {
                    since: now,
                    due: now.after(report.patience),
                    headline: report.headline,
                    text: report.text,
                    told: false,
                    lasts: report.lasts,
                    reason: report.reason,
                    met: now,
                };
                self.0.insert(report.what, outage);
            }
        }
    }

    /// Its end, if its beginning was told.
    pub(super) fn end(&mut self, what: &str, host: &str, now: Timestamp) -> Option<News> {
        let outage = self.0.remove(what)?;
        outage.told.then(|| News {
            kind: Kind::Outage,
            headline: format!("{host}: {what} works again"),
            text: format!(
                "{what} has worked again since {}.\nIt had not worked since {}.\n",
                now.rfc5322(),
                outage.since.rfc5322()
            ),
            strangers: false,
        })
    }

    /// Those that were met within so long a time.
    pub(super) fn down(&self, within: Duration, now: Timestamp) -> Vec<Down> {
        let going_on = self.0.iter().filter_map(|(what, outage)| {
            let (mut since, mut met) = (outage.since, outage.met);
            let reason = outage.reason.clone()?;
            (met.age(now) <= within).then(|| Down {
                what: what.clone(),
                since: since.noted(now),
                met,
                reason,
            })
        });
        going_on.collect()
    }

    pub(super) fn knows(&self, what: &str) -> bool {
        self.0.contains_key(what)
    }

    /// The clock was set: what began before lasts no longer for it.
    pub(super) fn stepped(&mut self, step: Step, now: Timestamp) {
        let before = |outage: &&mut Outage| !step.is_over_at(outage.since, now);
        for outage in self.0.values_mut().filter(before) {
            for moment in [&mut outage.since, &mut outage.due, &mut outage.met] {
                *moment = step.shift(*moment);
            }
        }
    }

    /// What a clock that was ahead saw begin has begun now; whether there was any.
    pub(super) fn heed(&mut self, now: Timestamp) -> bool {
        let mut any = false;
        for outage in self.0.values_mut().filter(|outage| outage.since > now) {
            let patience = outage.due.since(outage.since);
            outage.due = outage.since.noted(now).after(patience);
            any = true;
        }
        any
    }

    pub(super) fn due(&self) -> Option<Timestamp> {
        let waiting = self.0.values().filter(|outage| !outage.told);
        waiting.map(|outage| outage.due).min()
    }

    /// Those that have lasted long enough, each with what it is.
    pub(super) fn ripe(&mut self, now: Timestamp) -> Vec<(String, News)> {
        let ripe = self.0.iter_mut();
        ripe.filter(|(_, outage)| !outage.told && outage.due <= now)
            .map(|(what, outage)| {
                outage.told = true;
                let since = outage.since.rfc5322();
                let news = News {
                    kind: Kind::Outage,
                    headline: outage.headline.clone(),
                    text: format!("{}Since: {since}\n", outage.text),
                    strangers: false,
                };
                (what.clone(), news)
            })
            .collect()
    }

    /// Forgets what nobody will hear the end of.
    pub(super) fn restarted(&mut self) {
        self.0.retain(|_, outage| outage.lasts);
    }
}
