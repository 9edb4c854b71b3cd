//! What the policy wants to know is asked, and what follows from an answer is done.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mail::{address::Address, clock, outcome::Outcome};
use tokio::{task::JoinSet, time};

use super::{
    Server,
    learned::{self, Believed},
    outages, verification,
};
use crate::{
    destination::Destination,
    policy::{Answer, Listing, Query, verify::Verified},
    setup::Setup,
};

/// A question that nobody answered in less than this is asked again.
const QUICK: Duration = Duration::from_secs(1);

/// Finds out all of these, several at the same time.
pub(super) async fn ask(
    server: &Arc<Server>,
    setup: &Arc<Setup>,
    queries: Vec<Query>,
) -> Vec<(Query, Answer)> {
    if let [only] = &*queries {
        let answer = match at_once(server, only) {
            Some(answer) => answer,
            None => find_out(server, setup, only).await,
        };
        return queries
            .into_iter()
            .map(|query| (query, answer.clone()))
            .collect();
    }
    let mut known = Vec::with_capacity(queries.len());
    let mut asking = JoinSet::new();
    for query in queries {
        if let Some(answer) = at_once(server, &query) {
            known.push((query, answer));
            continue;
        }
        let (server, setup) = (Arc::clone(server), Arc::clone(setup));
        asking.spawn(async move {
            let answer = find_out(&server, &setup, &query).await;
            (query, answer)
        });
    }
    known.extend(asking.join_all().await);
    known
}

/// What is known in this process.
fn at_once(server: &Server, query: &Query) -> Option<Answer> {
    match query {
        Query::Listed(list, _) if server.world.lists().is_off(list) => {
            Some(Answer::Listed(Listing::Unknown))
        }
        _ => server.world.recall(query),
    }
}

/// Asks whoever knows, and does what follows. A stranger does not wait for long for a next hop;
/// what that says later is remembered.
async fn find_out(server: &Arc<Server>, setup: &Arc<Setup>, query: &Query) -> Answer {
    let Query::RecipientKnown((_, false), _) = query else {
        return learn(server, setup, query).await;
    };
    let (server, setup, query) = (Arc::clone(server), Arc::clone(setup), query.clone());
    let asking = tokio::spawn(async move { learn(&server, &setup, &query).await });
    match time::timeout(verification::WAIT, asking).await {
        Ok(Ok(answer)) => answer,
        _ => Answer::Verified(Verified::Unsure(verification::BUSY.to_owned())),
    }
}

async fn learn(server: &Arc<Server>, setup: &Arc<Setup>, query: &Query) -> Answer {
    let since = Instant::now();
    let learned = server.world.find_out(setup, query).await;
    if learned.changed {
        server.state.changed();
    }
    match learned.news {
        None => {}
        Some(learned::News::List(news)) => outages::of_list(server, setup, Some(news)),
        Some(learned::News::Recipients(news)) => {
            outages::of_verification(server, setup, Some(news));
        }
    }
    if let Some((to, recipient)) = &learned.asked {
        look_for_catch_all(server, setup, to, recipient);
    }
    let believed = match learned.believed {
        Believed::Yes => true,
        Believed::IfSlow => since.elapsed() > QUICK,
        Believed::No => false,
    };
    if believed {
        server.world.remember(query.clone(), learned.answer.clone());
    }
    learned.answer
}

/// Asks, once an hour and beside everything else, for a name that nobody has.
fn look_for_catch_all(
    server: &Arc<Server>,
    setup: &Arc<Setup>,
    to: &Arc<Destination>,
    recipient: &Address,
) {
    let domain = recipient.domain().to_string();
    let due = {
        let mut recipients = server.world.verification.recipients();
        recipients.looks_for_catch_all(&domain, clock::now())
    };
    let strange = format!("{:x}-nobody-{:x}@{domain}", random(), random());
    let (true, Ok(strange)) = (due, Address::parse(&strange)) else {
        return;
    };
    let (server, setup, to) = (Arc::clone(server), Arc::clone(setup), Arc::clone(to));
    tokio::spawn(async move {
        let verification = &server.world.verification;
        let said = verification.probe(&setup, &to, &strange, false).await;
        let taken = matches!(said, Some(Outcome::Delivered(_)));
        let news = verification
            .recipients()
            .strange_name(&to.to_string(), &domain, taken);
        outages::of_verification(&server, &setup, news);
    });
}

fn random() -> u32 {
    // Without random numbers the name is merely always the same.
    getrandom::u32().unwrap_or_default()
}
