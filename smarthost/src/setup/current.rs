//! What is in force now.

use std::sync::{Arc, PoisonError, RwLock};

use mail::clock::{self, Timestamp};
use settings::last_good::Fault;

use super::Setup;

/// The setup in force now, and what is wrong with the files, if they are not what is in force.
#[derive(Debug)]
pub(crate) struct Current {
    setup: RwLock<Arc<Setup>>,
    /// When the files were read that are in force.
    configured: RwLock<Timestamp>,
    fault: RwLock<Option<Fault>>,
}

impl Current {
    pub(crate) fn new(setup: Setup, fault: Option<Fault>) -> Self {
        Self {
            setup: RwLock::new(Arc::new(setup)),
            configured: RwLock::new(clock::now()),
            fault: RwLock::new(fault),
        }
    }

    /// What is in force; kept by the caller as long as its work lasts. Reads no file.
    pub(crate) fn get(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at tables and certificate, and takes what has changed. A file may be long, or on a
    /// disk that does not answer: for a thread that may wait.
    pub(crate) fn refresh(&self) {
        let setup = self.get();
        let Some(renewed) = setup.renewed() else {
            return;
        };
        let mut current = self.setup.write().unwrap_or_else(PoisonError::into_inner);
        // A reload that came in between has read the tables itself.
        if Arc::ptr_eq(&current, &setup) {
            *current = Arc::new(renewed);
        }
    }

    /// From now on this, which is what the files say.
    pub(crate) fn set(&self, setup: Setup) {
        *self.setup.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(setup);
        let configured = self.configured.write();
        *configured.unwrap_or_else(PoisonError::into_inner) = clock::now();
        self.set_fault(None);
    }

    pub(crate) fn configured(&self) -> Timestamp {
        *self
            .configured
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        *self.fault.write().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        let fault = self.fault.read().unwrap_or_else(PoisonError::into_inner);
        fault.clone()
    }

    /// There was never a good configuration: mail is taken, not sent, and nothing is refused for
    /// good.
    pub(crate) fn only_queues(&self) -> bool {
        self.fault().is_some_and(|fault| !fault.remembered)
    }
}
