//! When a delivery ends with what it knows by then: its time is over, or this server ends.
//!
//! Contract: whoever waits for a peer waits for this, too. What a peer has answered until then
//! stands; nothing that was answered is forgotten, so nobody gets a message again for it.

use std::{future, time::Duration};

use mail::{
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};
use tokio::{
    sync::watch,
    time::{self, Instant},
};

/// The end of one delivery at the latest; without both it is never reached.
#[derive(Clone, Default, Debug)]
pub(crate) struct Halt {
    /// This server ends.
    ending: Option<watch::Receiver<bool>>,
    /// Its time, and when that is over.
    most: Option<(Duration, Instant)>,
}

impl Halt {
    /// From now on at most so long, and not beyond the end of this server.
    pub(crate) fn new(ending: watch::Receiver<bool>, most: Duration) -> Self {
        let now = Instant::now();
        Self {
            ending: Some(ending),
            most: now.checked_add(most).map(|until| (most, until)),
        }
    }

    /// Returns when it is time to end.
    pub(crate) async fn reached(&self) {
        let ends = async {
            let Some(mut ending) = self.ending.clone() else {
                return future::pending().await;
            };
            if ending.wait_for(|ending| *ending).await.is_err() {
                future::pending::<()>().await;
            }
        };
        let late = async {
            match self.most {
                Some((_, until)) => time::sleep_until(until).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = ends => {}
            () = late => {}
        }
    }

    /// Whether it is time already.
    pub(crate) fn is_reached(&self) -> bool {
        self.is_ending() || self.most.is_some_and(|(_, until)| Instant::now() >= until)
    }

    /// Whether this server ends: what is not known by now is no attempt.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| *ending.borrow())
    }

    /// Why what was not answered by then waits.
    pub(crate) fn failure(&self) -> Failure {
        if self.is_ending() {
            return relay::delivery::stopped();
        }
        let minutes = self.most.map_or(0, |(most, _)| most.as_secs() / 60);
        let text = format!("the delivery took more than {minutes} minutes");
        let status = EnhancedStatus::new(4, 4, 2);
        Failure::new(Blame::Network, Stage::Data, status, &text)
    }
}
