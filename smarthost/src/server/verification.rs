//! Asks next hops for recipients, and tells administrators when one does not answer.
//!
//! Contract: one question for an address at a time, whoever asks for it; the client waits for the
//! next hop and nothing else.
//! See also: `policy::verify`, which remembers and decides.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use control::status::Service;
use mail::{address::Address, clock, outcome::Outcome};
use tokio::sync::{Mutex as Turn, mpsc, oneshot};

use super::learned::{Learned, News};
use crate::{
    config::Config,
    destination::{Destination, Kind},
    dispatch::Probe,
    policy::{
        self,
        rule::Rule,
        verify::{Recipients, Step, Verified},
    },
    setup::Setup,
};

/// What is shared by those who ask.
#[derive(Debug)]
pub(super) struct Verification {
    recipients: Arc<Mutex<Recipients>>,
    probes: mpsc::Sender<Probe>,
    /// Addresses that are being asked for.
    asking: Mutex<HashMap<String, Arc<Turn<()>>>>,
}

impl Verification {
    pub(super) fn new(recipients: Arc<Mutex<Recipients>>, probes: mpsc::Sender<Probe>) -> Self {
        Self {
            recipients,
            probes,
            asking: Mutex::default(),
        }
    }

    pub(super) fn alarms(&self, setup: &Setup) -> Vec<String> {
        self.recipients()
            .alarms(&setup.config.verify.settings, clock::now())
    }

    /// How it does, where a rule wants it or anybody was asked about.
    pub(super) fn status(&self, config: &Config) -> Option<Service> {
        let is_wanted = config.restrictions.iter().any(Rule::verifies);
        let not_yet = || is_wanted.then(|| (true, "not asked yet".to_owned()));
        let (works, text) = self.recipients().standing().or_else(not_yet)?;
        Some(Service::new("verification", "recipients", works, text))
    }

    pub(super) fn recipients(&self) -> MutexGuard<'_, Recipients> {
        self.recipients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn of an address; whoever has it asks.
    fn turn(&self, key: &str) -> Arc<Turn<()>> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        asking.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(asking.entry(key.to_owned()).or_default())
    }

    pub(super) async fn probe(
        &self,
        setup: &Setup,
        to: &Arc<Destination>,
        recipient: &Address,
    ) -> Option<Outcome> {
        let (done, answer) = oneshot::channel();
        let probe = Probe {
            destination: Arc::clone(to),
            sender: setup.config.verify.from.clone(),
            recipient: recipient.clone(),
            done,
        };
        self.probes.send(probe).await.ok()?;
        answer.await.ok()
    }
}

impl Verification {
    /// Whether the next hop knows a recipient, or the one of ours that it stands for.
    pub(super) async fn verify(
        &self,
        setup: &Setup,
        client: IpAddr,
        recipient: &Address,
    ) -> Learned {
        let known = |known| Learned::once(policy::Answer::Verified(known));
        // What ends here, or stands for several, was looked up here.
        let Some(recipient) = setup.router.stands_for_one(recipient) else {
            return known(Verified::Yes);
        };
        let to = match setup.router.destination(&recipient) {
            Ok(to) if matches!(to.kind, Kind::Smtp { .. } | Kind::Lmtp(_)) => Arc::new(to),
            _ => return known(Verified::Yes),
        };
        let (key, place) = (recipient.key(), to.to_string());
        let settings = setup.config.verify.settings;
        let about = (key.as_str(), place.as_str());
        let first = self
            .recipients()
            .ask(client, about, &settings, clock::now());
        if let Step::Known(remembered) = first {
            return known(remembered);
        }
        let turn = self.turn(&key);
        let _mine = turn.lock().await;
        // Somebody may have asked meanwhile.
        let meanwhile = self.recipients().recall(about, &settings, clock::now());
        if let Some(remembered) = meanwhile {
            return known(remembered);
        }
        let Some(outcome) = self.probe(setup, &to, &recipient).await else {
            return known(Verified::Unsure("the daemon ends".to_owned()));
        };
        let (verified, news) = {
            let mut recipients = self.recipients();
            recipients.answered(about, &outcome, &settings, clock::now())
        };
        let asked = (verified == Verified::Yes).then_some((to, recipient));
        let learned = known(verified).changing();
        Learned { asked, ..learned }.telling(news.map(News::Recipients))
    }
}
