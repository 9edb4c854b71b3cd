//! Whether block lists work, as `check` sees it, whether the daemon runs or not.
//!
//! Contract: asks each list for its two entries for tests (RFC 5782 §5), all lists at the same
//! time, and waits for none longer than [`reach::PATIENCE`]. What a list says is judged as the
//! daemon judges it.

use std::{collections::BTreeMap, sync::Arc};

use control::findings::{Findings, Level};
use mail::{clock, masked};
use tokio::{task::JoinSet, time};

use super::reach;
use crate::{
    config::Config,
    dns::mx::Resolver,
    policy::{
        self, Found,
        dnsbl::List,
        health::{Health, NO_TEST_ENTRY, News},
    },
};

const SUBJECT: &str = "block list";

pub(super) fn check(config: &Config, findings: &mut Findings) {
    // What cannot be asked at all was told.
    let is_told = findings
        .0
        .iter()
        .any(|it| it.subject == "resolver" && it.level == Level::Critical);
    let Ok(keys) = config.read_keys() else {
        return;
    };
    if is_told {
        return;
    }
    let scores = (&config.dnsbl.scores, config.greylist.listed_only);
    let lists = policy::lists_in_use(config.restrictions.iter(), scores, &keys);
    if lists.is_empty() {
        return;
    }
    let resolver = Arc::new(Resolver::new(config.resolver));
    let names = lists.iter().map(|(_, names)| names.clone());
    let Ok(mut answers) = reach::on_runtime(ask(&resolver, names)) else {
        return;
    };
    for (at, (list, _)) in lists.iter().enumerate() {
        tell(list, answers.remove(&at), findings);
    }
}

/// What was found under both names of each; nothing, if nobody answered in time.
async fn ask(
    resolver: &Arc<Resolver>,
    names: impl Iterator<Item = (String, String)>,
) -> BTreeMap<usize, (Found, Found)> {
    let mut asked = JoinSet::new();
    for (at, (must, must_not)) in names.enumerate() {
        let resolver = Arc::clone(resolver);
        asked.spawn(async move {
            let both = async { tokio::join!(resolver.listed(&must), resolver.listed(&must_not)) };
            let both = time::timeout(reach::PATIENCE, both).await;
            both.ok().map(|found| (at, found))
        });
    }
    let mut answers = BTreeMap::new();
    while let Some(done) = asked.join_next().await {
        answers.extend(done.ok().flatten());
    }
    answers
}

fn tell(list: &List, answer: Option<(Found, Found)>, findings: &mut Findings) {
    let name = list.name();
    let silent = || Found::Trouble("no answer in time".to_owned());
    let (must, must_not) = answer.unwrap_or_else(|| (silent(), silent()));
    let mut health = Health::default();
    match health.tested(list, (&must, &must_not), clock::now()) {
        Some(News::Off { why, .. }) => {
            let remedy = "it refuses nobody like this: see the setting resolver, and whether the list needs a key";
            findings.warn(SUBJECT, format!("{name}: {why}"), remedy);
        }
        Some(News::NoTestEntry { .. }) => {
            let remedy = "correct its name, or take it out";
            findings.warn(SUBJECT, format!("{name} {NO_TEST_ENTRY}"), remedy);
        }
        _ => match [must, must_not].into_iter().find_map(trouble) {
            Some(why) => {
                let text = format!("{name}: {}", masked::free_text(&why));
                findings.warn(SUBJECT, text, "until it answers, its rules decide nothing");
            }
            None => findings.ok(SUBJECT, format!("{name} answers")),
        },
    }
}

fn trouble(found: Found) -> Option<String> {
    match found {
        Found::Trouble(why) => Some(why),
        Found::Codes(..) | Found::Nothing => None,
    }
}
