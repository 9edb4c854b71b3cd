//! How the store does, in words.

use control::status::Service;
use system::log::{Level, line};

use super::{Budget, locked};
use crate::{budget::store::Heard, config::OnOutage};

/// Another process of the same name was there a moment ago, milliseconds.
const MOMENT: u64 = 5000;

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
        let (works, text) = if link.doubled > 1 {
            (
                false,
                "another smarthost has the same name: see budget.node".to_owned(),
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

    /// What was heard, and whether another smarthost has our name.
    pub(super) fn note(&self, heard: Heard) {
        let (process, at) = heard.other.split_once(' ').unwrap_or_default();
        let ago = heard.hello.now.saturating_sub(at.parse().unwrap_or(0));
        let mut link = locked(&self.link);
        if process.is_empty() || process == self.process || ago > MOMENT {
            link.doubled = 0;
        } else {
            link.doubled = link.doubled.saturating_add(1);
            if link.doubled == 2 {
                let text = "another smarthost has the same name in the budget: see budget.node";
                line(Level::Error, &text);
            }
        }
        link.told = heard.told;
    }
}
