//! TLS towards the relayhost, with the key that this machine shows: read anew when its file was
//! replaced, so that another key is used from the next connection on.
//!
//! Contract: a file that cannot be used costs a warning, and what was read before stays.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    sync::{Mutex, PoisonError},
};

use relay::tls::ClientTls;

use super::maillog;
use crate::config::settings::Settings;

/// What files are known by.
type Known = Vec<Option<(u64, i64, i64, u64)>>;

/// The one that is used now.
pub(super) struct Showing {
    now: Mutex<(Option<ClientTls>, Known)>,
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

fn known(settings: &Settings) -> Known {
    let files = settings.identity.iter();
    let files = files.flat_map(|(certificate, key)| [certificate, key]);
    let known = files.map(|path| {
        let of = fs::metadata(path).ok()?;
        Some((of.ino(), of.mtime(), of.mtime_nsec(), of.len()))
    });
    known.collect()
}
