//! Asks next hops for recipients, and tells administrators when one does not answer.
//!
//! Contract: one question for an address at a time, whoever asks for it, and one more where a
//! client of ours would wait for a stranger's turn. So many are asked at once, in turns of
//! clients, and a quarter of them is kept for clients of ours, so that strangers keep none of these
//! waiting. A stranger whose turn does not come in [`WAIT`] comes again, and so does everybody for
//! whose question the next hop has no connection.
//! See also: `policy::verify`, which remembers and decides.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use control::status::Service;
use mail::{address::Address, clock, outcome::Outcome};
use tokio::{
    sync::{Mutex as Alone, mpsc, oneshot},
    time,
};

use super::{
    learned::{Learned, News},
    turns::{Turn, Turns},
};
use crate::{
    config::Config,
    destination::{Destination, Kind},
    dispatch::Probe,
    network::Network,
    policy::{
        self,
        rule::Rule,
        verify::{Recipients, Step, Verified},
    },
    setup::Setup,
};

/// Questions that are asked or wait for a place at their next hop, and those of strangers among
/// them. How many have a connection, the queue says: silent hosts keep none from others for long.
const PLACES: usize = 100;
const STRANGERS: usize = 75;
/// How long a stranger waits; as Postfix has it (`address_verify_poll_count` times
/// `address_verify_poll_delay`).
pub(super) const WAIT: Duration = Duration::from_secs(9);

/// What is shared by those who ask.
#[derive(Debug)]
pub(super) struct Verification {
    recipients: Arc<Mutex<Recipients>>,
    probes: mpsc::Sender<Probe>,
    /// Addresses that are being asked for.
    asking: Mutex<HashMap<String, Arc<Alone<()>>>>,
    places: Arc<Turns<Network>>,
    strangers: Arc<Turns<Network>>,
}

impl Verification {
    pub(super) fn new(recipients: Arc<Mutex<Recipients>>, probes: mpsc::Sender<Probe>) -> Self {
        Self {
            recipients,
            probes,
            asking: Mutex::default(),
            places: Turns::new(PLACES),
            strangers: Turns::new(STRANGERS),
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
    fn turn(&self, key: &str) -> Arc<Alone<()>> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        asking.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(asking.entry(key.to_owned()).or_default())
    }

    /// A place for a question of a client.
    async fn place(&self, (client, own): (IpAddr, bool)) -> Option<Place> {
        let network = Network::of(client, 32, if own { 128 } else { 64 });
        let of_strangers = if own {
            None
        } else {
            Some(self.strangers.take(network).await?)
        };
        Some((of_strangers, self.places.take(network).await?))
    }

    /// What the next hop says; `None`: it has no place for questions now.
    pub(super) async fn probe(
        &self,
        setup: &Setup,
        to: &Arc<Destination>,
        recipient: &Address,
        own: bool,
    ) -> Option<Outcome> {
        let (done, answer) = oneshot::channel();
        let probe = Probe {
            destination: Arc::clone(to),
            sender: setup.config.verify.from.clone(),
            recipient: recipient.clone(),
            own,
            done,
        };
        self.probes.send(probe).await.ok()?;
        answer.await.ok().flatten()
    }
}

/// As long as it is there, a question may be asked.
type Place = (Option<Turn<Network>>, Turn<Network>);

/// What a client hears whose turn does not come, or whose answer; why is not known here.
pub(super) const BUSY: &str = "its next hop cannot be asked at the moment; try again later";

impl Verification {
    /// Whether the next hop knows a recipient, or the one of ours that it stands for.
    pub(super) async fn verify(
        &self,
        setup: &Setup,
        client: (IpAddr, bool),
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
            .ask(client.0, about, &settings, clock::now());
        if let Step::Known(remembered) = first {
            return known(remembered);
        }
        let recall = || {
            let mut recipients = self.recipients();
            recipients.recall(about, &settings, clock::now())
        };
        // A client of ours does not wait for the turn of a stranger.
        let turn = self.turn(&format!("{} {key}", client.1));
        let ready = async {
            let mine = turn.lock().await;
            // Somebody may have asked meanwhile.
            if recall().is_some() {
                return Some((mine, None));
            }
            Some((mine, Some(self.place(client).await?)))
        };
        let ready = if client.1 {
            ready.await
        } else {
            time::timeout(WAIT, ready).await.ok().flatten()
        };
        if let Some(remembered) = recall() {
            if remembered == Verified::Yes {
                self.recipients().gives_back(client.0);
            }
            return known(remembered);
        }
        let Some((_mine, Some(_place))) = ready else {
            return known(Verified::Unsure(BUSY.to_owned()));
        };
        let Some(outcome) = self.probe(setup, &to, &recipient, client.1).await else {
            // No outage, and no answer.
            return known(recall().unwrap_or_else(|| Verified::Unsure(BUSY.to_owned())));
        };
        let (verified, news) = {
            let mut recipients = self.recipients();
            let answered = recipients.answered(about, &outcome, &settings, clock::now());
            if answered.0 == Verified::Yes {
                recipients.gives_back(client.0);
            }
            answered
        };
        let asked = (verified == Verified::Yes).then_some((to, recipient));
        let learned = known(verified).changing();
        Learned { asked, ..learned }.telling(news.map(News::Recipients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn however_many_strangers_ask_clients_of_ours_find_a_place_and_strangers_come_again() {
        let (probes, _asked) = mpsc::channel(1);
        let verification = Verification::new(Arc::default(), probes);
        let stranger = |number: usize| {
            let last = u8::try_from(number).unwrap();
            (IpAddr::from([192, 0, 2, last]), false)
        };
        let (soon, mut taken) = (Duration::from_millis(50), Vec::new());
        for number in 0..STRANGERS {
            taken.push(verification.place(stranger(number)).await.unwrap());
        }
        let late = verification.place(stranger(200));
        assert!(time::timeout(soon, late).await.is_err());
        let own = (IpAddr::from([10, 0, 0, 1]), true);
        for _ in STRANGERS..PLACES {
            taken.push(verification.place(own).await.unwrap());
        }
        taken.remove(0);
        assert!(verification.place(stranger(200)).await.is_some());
        taken.clear();
        assert_eq!(verification.places.free(), PLACES);
        assert_eq!(verification.strangers.free(), STRANGERS);
    }
}
