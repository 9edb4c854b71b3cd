//! How the next hops do that a status names: relayhosts, and others that take no mail.

use std::{
    fmt,
    sync::PoisonError,
    time::{Duration, Instant},
};

use control::status::Service;
use mail::clock;
use relay::delivery::Outlook;

use super::control::Control;
use crate::{config::Config, destination::Destination, notices::Down};

/// So much later than due a next hop is tried again at the latest.
const LATE: Duration = Duration::from_mins(30);
/// So long a failure is told of a next hop for which no mail waits.
const UNTRIED: Duration = Duration::from_mins(15);

impl Control {
    /// How relayhosts do, and which other next hops of ours take no mail.
    pub(super) fn next_hops(&self, config: &Config) -> Vec<Service> {
        let retried = self.retried(config);
        let down = self
            .server
            .dispatch
            .news()
            .lock()
            .down(retried, clock::now());
        let first = config.relayhost.first();
        let relayhost = first.map(|it| Destination::relayhost(it.nexthop.clone()).to_string());
        let (of_relayhost, others): (Vec<_>, Vec<_>) = down
            .into_iter()
            .partition(|it| Some(&it.what) == relayhost.as_ref());
        let others = others.into_iter();
        let others = others.map(|it| {
            let text = it.to_string();
            Service::new("next hop", it.what, false, text)
        });
        self.relayhosts(config, of_relayhost.first())
            .into_iter()
            .chain(others)
            .collect()
    }

    /// What the queue knows of all mail for the relayhosts.
    fn outlook(&self, config: &Config) -> Outlook {
        let (dispatch, now) = (&self.server.dispatch, clock::now());
        let first = config.relayhost.first();
        let to = first.map(|it| Destination::relayhost(it.nexthop.clone()));
        let paused = to.and_then(|to| dispatch.lock().suspended(&to, now));
        Outlook {
            paused: paused.map(|until| until.since(now)),
            retried: Some(self.retried(config)),
        }
    }

    /// A next hop that failed is tried again within so long, by whatever waits; where nothing does,
    /// nobody tries it, and it may work again.
    fn retried(&self, config: &Config) -> Duration {
        if self.server.dispatch.spool().is_empty() {
            UNTRIED
        } else {
            config.retry.schedule.maximal + LATE
        }
    }

    /// `down`: what was known before the start, where none was asked since.
    fn relayhosts(&self, config: &Config, down: Option<&Down>) -> Vec<Service> {
        let of = |name: &dyn fmt::Display, works, text: String| {
            Service::new("relayhost", name, works, text)
        };
        let outlook = self.outlook(config);
        let known = self.next_hops.lock();
        let known = known
            .unwrap_or_else(PoisonError::into_inner)
            .relayhosts(&outlook, Instant::now());
        let unused = || "not used since the start".to_owned();
        let text = down.map_or_else(unused, Down::to_string);
        match (config.relayhost.as_slice(), known.as_slice()) {
            ([], _) => Vec::new(),
            (all, []) => all
                .iter()
                .map(|it| of(it, down.is_none(), text.clone()))
                .collect(),
            (_, known) => {
                // It answers, and says "later" to all mail.
                let defers = down.filter(|_| known.iter().all(|(_, works, _)| *works));
                let told = known.iter().map(|(name, works, text)| match defers {
                    Some(down) => of(name, false, down.to_string()),
                    None => of(name, *works, text.clone()),
                });
                told.collect()
            }
        }
    }
}
