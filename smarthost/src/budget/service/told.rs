//! How the store does, in words.

use control::status::Service;
use mail::outcome::escape;
use system::log::{Level, line};

use super::{Budget, locked};
use crate::{
    budget::{protocol::Millis, store::Heard},
    config::OnOutage,
};

/// Another process of the same name was there a moment ago, milliseconds.
const MOMENT: u64 = 5000;
/// Longest text of another node's limits, characters.
const SHOWN: usize = 200;

/// Who a node's process is, how many milliseconds ago it was there, and its limits.
fn said(text: &str, now: Millis) -> (&str, Millis, &str) {
    let mut words = text.splitn(3, ' ');
    let process = words.next().unwrap_or_default();
    let at = words.next().and_then(|at| at.parse().ok()).unwrap_or(0);
    let limits = words.next().unwrap_or_default();
    (process, now.saturating_sub(at), limits)
}

impl Budget {
    /// How it does, for `status`.
    pub(crate) fn status(&self) -> Option<Service> {
        let settings = self.settings.as_ref()?;
        let (up, count, nodes) = {
            let site = self.site();
            (site.is_up(), site.len(), site.terms().nodes)
        };
        let link = locked(&self.link);
        let bound = match settings.on_outage {
            OnOutage::Share => format!(
                "at worst {}/{nodes} of a limit while it fails",
                nodes.saturating_mul(2).saturating_sub(1)
            ),
            OnOutage::Defer => "never over a limit".to_owned(),
            OnOutage::Open => format!("at worst {nodes} times a limit while it fails"),
        };
        let missing = nodes.saturating_sub(u32::try_from(link.told.len()).unwrap_or(u32::MAX));
        let more = link.told.len() > usize::try_from(nodes).unwrap_or(usize::MAX);
        let (works, text) = if more {
            let told = link.told.join(", ");
            (
                false,
                format!(
                    "{told} share it, and budget.nodes is {nodes}: correct it, or FLUSHALL the store if one is gone for good"
                ),
            )
        } else if let Some(why) = &link.why {
            (false, why.clone())
        } else if !up {
            (false, "is being told".to_owned())
        } else if missing > 0 {
            let told = link.told.join(", ");
            (
                false,
                format!(
                    "waits for {missing} of {nodes} smarthosts to tell what they know; there: {told}"
                ),
            )
        } else if let Some((node, limits)) = link.differing.first() {
            let own = locked(&self.limits).shared_words();
            (
                false,
                format!(
                    "{node} has other limits, {limits}, than this one, {own}: each lets through what it has itself; make them the same"
                ),
            )
        } else {
            (true, format!("{count} budgets, {nodes} smarthosts"))
        };
        Some(Service::new(
            "budget",
            settings.store.to_string(),
            works,
            format!("{text}; {bound}"),
        ))
    }

    /// Why it cannot be asked.
    pub(super) fn trouble(&self) -> String {
        match (&self.settings, &locked(&self.link).why) {
            (None, _) => "no budget is shared: see the setting budget".to_owned(),
            (_, Some(why)) => format!("the store of the budget {why}"),
            (_, None) => "the store of the budget is not connected yet".to_owned(),
        }
    }

    /// Sees whether all nodes that are there have the same limits, and tells of each that has not,
    /// once.
    pub(super) fn compare(&self, heard: &Heard, own: &str) {
        let (now, node) = (heard.hello.now, self.node());
        let others = heard.nodes.iter().filter_map(|(name, text)| {
            let (_, ago, limits) = said(text, now);
            let differs = *name != node && ago <= MOMENT && !limits.is_empty() && limits != own;
            differs.then(|| (name.clone(), limits.chars().take(SHOWN).collect()))
        });
        let differing: Vec<(String, String)> = others.collect();
        let mut link = locked(&self.link);
        for (name, limits) in differing.iter().filter(|it| !link.differing.contains(it)) {
            let (name, limits) = (
                escape(name.as_bytes(), 100),
                escape(limits.as_bytes(), SHOWN),
            );
            line(
                Level::Warning,
                &format_args!(
                    "smarthost {name} shares the budget and has other limits: {limits}; here: {own}"
                ),
            );
        }
        link.differing = differing;
    }

    /// Whether another process says again and again that it is this node: both would write the same
    /// counts. One that was there before this one started says it no more.
    pub(super) fn is_doubled(&self, heard: &Heard) -> bool {
        let (process, ago, _) = said(&heard.other, heard.hello.now);
        let mut link = locked(&self.link);
        if process.is_empty() || process == self.process || ago > MOMENT {
            link.doubled = 0;
        } else {
            link.doubled = link.doubled.saturating_add(1);
        }
        link.doubled > 1
    }
}
