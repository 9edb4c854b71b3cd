//! Services that the policy asks, and that fail: tried again, and told to administrators.

use std::{sync::Arc, time::Duration};

use mail::clock;
use system::log::{Level, line};
use tokio::time;

use super::Server;
use crate::{
    notices::{Event, OutageReport},
    policy::{
        dnsbl::List,
        health::{NO_TEST_ENTRY, News},
        verify,
    },
    setup::Setup,
};

/// How often it is looked which list is to be tested.
const LOOK: Duration = Duration::from_mins(1);

/// Tests block lists, as long as the daemon runs.
pub(crate) async fn test_lists(server: Arc<Server>) {
    let mut ending = server.ending.clone();
    loop {
        let setup = server.current.get();
        for (list, names) in setup.policy.lists() {
            if server.world.lists().is_due(&list, clock::now()) {
                test(&server, &setup, &list, &names).await;
            }
        }
        drop(setup);
        tokio::select! {
            () = time::sleep(LOOK) => {}
            _ = ending.wait_for(|ending| *ending) => return,
        }
    }
}

async fn test(server: &Arc<Server>, setup: &Arc<Setup>, list: &List, names: &(String, String)) {
    let resolver = &setup.resolver;
    let (must, must_not) = tokio::join!(resolver.listed(&names.0), resolver.listed(&names.1));
    let news = server
        .world
        .lists()
        .tested(list, (&must, &must_not), clock::now());
    of_list(server, setup, news);
}

pub(super) fn of_list(server: &Arc<Server>, setup: &Arc<Setup>, news: Option<News>) {
    match news {
        None => {}
        Some(News::Off { list, why }) => {
            let host = &setup.config.hostname;
            let headline = format!("{host}: the block list {list} is switched off");
            let text = format!(
                "The block list {list} is no longer asked: {why}.\n\
                 No mail was refused because of this.\n\
                 The list is tested again every ten minutes, and used as soon as it works.\n\
                 Lists refuse questions from a public or busy name server: see the setting `resolver`,\n\
                 and whether the list needs a key.\n"
            );
            line(
                Level::Error,
                &format_args!("block list {list} is switched off: {why}"),
            );
            server.dispatch.news().tell(Event::Began(OutageReport {
                what: format!("the block list {list}"),
                patience: Duration::ZERO,
                headline,
                text,
                lasts: false,
                reason: None,
            }));
        }
        Some(News::On { list }) => {
            line(
                Level::Notice,
                &format_args!("block list {list} works, and is used again"),
            );
            let what = format!("the block list {list}");
            server.dispatch.news().tell(Event::Ended { what });
        }
        Some(News::NoTestEntry { list }) => {
            line(
                Level::Warning,
                &format_args!("block list {list} {NO_TEST_ENTRY}"),
            );
        }
    }
}

/// What an outage of verification is called.
fn what_of(place: &str) -> String {
    format!("verification at {place}")
}

pub(super) fn of_verification(
    server: &Arc<Server>,
    setup: &Arc<Setup>,
    news: Option<verify::News>,
) {
    let host = &setup.config.hostname;
    match news {
        None => {}
        Some(verify::News::Outage {
            place,
            why,
            refuses,
        }) => {
            let what = if refuses {
                "refuses this machine"
            } else {
                "does not answer"
            };
            line(
                Level::Error,
                &format_args!("verification: {place} {what}: {why}"),
            );
            let headline = format!("{host}: recipients cannot be verified at {place}");
            let meanwhile = if refuses {
                "Mail for known recipients is accepted; for others clients get a temporary error, \
                 until it answers this machine again."
            } else {
                "The setting verify.outage decides what happens meanwhile. By default, mail for \
                 known recipients is accepted; for others clients get a temporary error, and \
                 after a day small mail is accepted for everybody."
            };
            let text = format!(
                "{place} {what}:\n\n{why}\n\n{meanwhile}\nThis ends by itself with its next answer. See also: smarthost status\n"
            );
            server.dispatch.news().tell(Event::Began(OutageReport {
                what: what_of(&place),
                patience: Duration::ZERO,
                headline,
                text,
                lasts: false,
                reason: None,
            }));
        }
        Some(verify::News::Over { place }) => {
            line(
                Level::Notice,
                &format_args!("verification: {place} answers again"),
            );
            let what = what_of(&place);
            server.dispatch.news().tell(Event::Ended { what });
        }
        Some(verify::News::CatchAll { place, domain }) => {
            let text = "accepts every recipient: reject_unverified_recipient refuses nobody there";
            line(
                Level::Warning,
                &format_args!("verification: {place} {text} ({domain})"),
            );
        }
    }
}
