//! TLS towards the relayhost, with the key that this machine shows: read anew when its file was
//! replaced, so that another key is used from the next connection on.
//!
//! Contract: a file that cannot be used costs a warning, and what was read before stays.

use std::sync::{Mutex, PoisonError};

use relay::tls::ClientTls;

use super::maillog;
use crate::config::{places::State, settings::Settings};

/// The one that is used now.
pub(super) struct Showing {
    now: Mutex<(Option<ClientTls>, State)>,
}

impl Showing {
    /// With what was made of the settings.
    pub(super) fn new(tls: Option<ClientTls>, settings: &Settings) -> Self {
        Self {
            now: Mutex::new((tls, known(settings))),
        }
    }

    pub(super) fn tls(&self, settings: &Settings) -> Option<ClientTls> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let (tls, seen) = &mut *now;
        let files = known(settings);
        if tls.is_some() && files != *seen {
            match settings.client_tls() {
                Ok(new) => *tls = new.map(|new| new.or_same(tls.as_ref())),
                Err(error) => {
                    maillog::warning(&format!("{error}; the key that was read before stays"));
                }
            }
            *seen = files;
        }
        tls.clone()
    }
}

fn known(settings: &Settings) -> State {
    let files = settings.identity.iter();
    State::of(files.flat_map(|(certificate, key)| [certificate, key]))
}
