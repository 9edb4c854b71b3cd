//! How the store does, in words.

use control::status::Service;
use mail::outcome::escape;
use settings::form::Word as _;
use system::log::{Level, line};

use super::{Budget, Link, locked};
use crate::{
    budget::{
        peers::{FORGOTTEN, is_its_own, said},
        store::{Heard, Store},
        wire::Unusable,
    },
    config::OnOutage,
};

/// Another process of the same name was there a moment ago, milliseconds.
const MOMENT: u64 = 5000;
/// Longest text of another node's limits, characters.
const SHOWN: usize = 200;

/// What passes at worst, where so many share a limit and each takes it for a part of `nodes`.
fn bound(on_outage: OnOutage, nodes: u32, seen: u32) -> String {
    match on_outage {
        // All that the site had, and a part for each of the others.
        OnOutage::Share => format!(
            "at worst {}/{nodes} of a limit while it fails",
            nodes.saturating_add(seen).saturating_sub(1)
        ),
        OnOutage::Defer => "never over a limit".to_owned(),
        OnOutage::Open => format!("at worst {seen} times a limit while it fails"),
    }
}

/// What a process does while the store does not answer; earlier versions do not say it.
fn mode(process: &str) -> Option<OnOutage> {
    let (_, mode) = process.split_once('+')?;
    let mut known = OnOutage::WORDS.iter();
    known.find(|(word, _)| *word == mode).map(|(_, mode)| *mode)
}

fn surplus_text((names, nodes): &(Vec<String>, u32)) -> String {
    format!(
        "{} share it, and budget.nodes is {nodes}: correct that, or stop the one that is none of \
         them, and ten seconds later say smarthost limits forget-node NAME",
        names.join(", ")
    )
}

impl Budget {
    /// How it does, for `status`.
    pub(crate) fn status(&self) -> Option<Service> {
        let settings = self.settings.as_ref()?;
        let (up, count, nodes) = {
            let site = self.site();
            (site.is_up(), site.len(), site.terms().nodes)
        };
        let surplus = self.surplus();
        let seen = surplus.as_ref().map_or(0, |(names, _)| names.len());
        let seen = u32::try_from(seen).unwrap_or(u32::MAX);
        let link = locked(&self.link);
        let worst = link.worst.max(Some(settings.on_outage));
        let bound = bound(worst.unwrap_or_default(), nodes, seen.max(nodes));
        let missing = nodes.saturating_sub(u32::try_from(link.told.len()).unwrap_or(u32::MAX));
        let mut wrong: Vec<String> = link.why.iter().cloned().collect();
        if let Some(surplus) = &surplus {
            // Names may be many, and a long text is cut: what matters most comes first.
            wrong.push(bound.clone());
            wrong.push(surplus_text(surplus));
        } else if wrong.is_empty() && !up {
            wrong.push("is being told".to_owned());
        } else if wrong.is_empty() && missing > 0 {
            let told = link.told.join(", ");
            wrong.push(format!(
                "waits for {missing} of {nodes} smarthosts to say what they have counted; there: \
                 {told}; if one is gone for good: smarthost limits forget-node NAME"
            ));
        } else if wrong.is_empty() {
            wrong.extend(self.differences(&link));
        }
        let works = wrong.is_empty();
        if works {
            wrong.push(format!("{count} budgets, {nodes} smarthosts"));
        }
        if surplus.is_none() {
            wrong.push(bound);
        }
        let defers = settings.on_outage == OnOutage::Defer && !(up && missing == 0);
        let service = Service::new(
            "budget",
            settings.store.to_string(),
            works,
            wrong.join("; "),
        );
        Some(service.stopping(!works && defers))
    }

    /// In what another node that is there differs from this one.
    fn differences(&self, link: &Link) -> Vec<String> {
        let limits = link.differing.first().map(|(node, limits)| {
            let own = locked(&self.limits).shared_words();
            format!(
                "{node} has other limits ({limits}) than this one ({own}): each applies its own; \
                 make them the same"
            )
        });
        let mode = link.others.first().map(|(node, mode)| {
            let (own, mode) = (self.on_outage().as_str(), mode.as_str());
            format!(
                "{node} has another budget.on_outage ({mode}) than this one ({own}): while the \
                 store fails each does its own; make them the same"
            )
        });
        limits.into_iter().chain(mode).collect()
    }

    fn on_outage(&self) -> OnOutage {
        self.site().terms().on_outage
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
            let (process, at, limits) = said(text);
            let there = process != FORGOTTEN && now.saturating_sub(at) <= MOMENT;
            let differs = *name != node && there && !limits.is_empty() && limits != own;
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

    /// Sees whether all do the same while the store does not answer, and tells of each that does
    /// not, once. What those do that share the budget, and are silent now, is known from before.
    pub(super) fn compare_modes(&self, heard: &Heard) {
        let (now, node, own) = (heard.hello.now, self.node(), self.on_outage());
        let (mut others, mut worst) = (Vec::new(), own);
        for (name, text) in heard.nodes.iter().filter(|(name, _)| **name != node) {
            let (process, at, _) = said(text);
            let Some(mode) = mode(process) else { continue };
            let there = now.saturating_sub(at) <= MOMENT;
            if there || heard.told.contains(name) {
                worst = worst.max(mode);
            }
            if there && mode != own {
                others.push((name.clone(), mode));
            }
        }
        let mut link = locked(&self.link);
        for (name, mode) in others.iter().filter(|it| !link.others.contains(it)) {
            let (name, mode, own) = (escape(name.as_bytes(), 100), mode.as_str(), own.as_str());
            line(
                Level::Warning,
                &format_args!(
                    "smarthost {name} shares the budget and has budget.on_outage = \"{mode}\"; \
                     here: \"{own}\""
                ),
            );
        }
        link.others = others;
        link.worst = Some(worst);
    }

    /// Whether the store shows what it had forgotten, or a part of it: it has this node as it was
    /// earlier, in the same epoch.
    pub(super) fn is_set_back(&self, heard: &Heard) -> bool {
        let (process, at, _) = said(&heard.other);
        let now = (heard.hello.epoch.clone(), heard.hello.now);
        let Some((epoch, before)) = locked(&self.link).heard.replace(now) else {
            return false;
        };
        let others = is_its_own(process) && process != self.process;
        epoch == heard.hello.epoch && !others && process != FORGOTTEN && at < before
    }

    /// Who else is there, and who is gone; the store is told what it does not know of that.
    pub(super) async fn hear_nodes(&self, store: &Store, heard: &Heard) -> Result<(), Unusable> {
        let lacking = {
            let mut site = self.site();
            let me = site.terms().node.clone();
            site.peers().meet(&heard.nodes, &me, heard.hello.now)
        };
        if lacking.is_empty() {
            return Ok(());
        }
        store.know(&lacking).await
    }

    /// Who has told all that they know, and who of them is gone for good.
    pub(super) fn note_told(&self, heard: Heard) {
        let gone = heard.told.iter().filter(|node| {
            let text = heard.nodes.get(*node);
            text.is_some_and(|text| said(text).0 == FORGOTTEN)
        });
        let gone = gone.cloned().collect();
        let mut link = locked(&self.link);
        link.told = heard.told;
        link.gone = gone;
    }

    /// Smarthosts that share it, if they are more than there are to be, and how many these are.
    fn surplus(&self) -> Option<(Vec<String>, u32)> {
        let nodes = self.site().terms().nodes;
        let link = locked(&self.link);
        let names = link.told.iter().filter(|node| !link.gone.contains(node));
        let names: Vec<_> = names.cloned().collect();
        (names.len() > usize::try_from(nodes).unwrap_or(usize::MAX)).then_some((names, nodes))
    }

    /// That there are more than the configuration says, once.
    pub(super) fn tell_surplus(&self) {
        let surplus = self.surplus();
        let mut link = locked(&self.link);
        let before = std::mem::replace(&mut link.surplus_told, surplus.is_some());
        if let Some(surplus) = surplus.filter(|_| !before) {
            let text = surplus_text(&surplus);
            line(Level::Warning, &format_args!("the budget: {text}"));
        }
    }

    /// Whether another process says again and again that it is this node: both would write the same
    /// counts. One that was there before this one started says it no more.
    pub(super) fn is_doubled(&self, heard: &Heard) -> bool {
        let (process, at, _) = said(&heard.other);
        let ago = heard.hello.now.saturating_sub(at);
        let mut link = locked(&self.link);
        if process.is_empty() || process == self.process || ago > MOMENT {
            link.doubled = 0;
        } else {
            link.doubled = link.doubled.saturating_add(1);
        }
        link.doubled > 1
    }
}
