//! All that is wrong with the files that a configuration names, at once.
//!
//! Contract: makes nothing and changes nothing. Failures: texts with file, line and remedy.

use std::path::Path;

use settings::ConfigError;

use super::{Setup, examine_identity, has_password};
use crate::config::Config;

impl Setup {
    /// Why the daemon would not take it; nothing, where it would.
    pub(crate) fn faults(config: &Config) -> Vec<String> {
        let mut faults = Vec::new();
        faults.extend(told(Self::examine_default(config)));
        faults.extend(told(config.read_access()));
        faults.extend(told(config.read_transport()));
        faults.extend(told(config.read_tls_policy()));
        faults.extend(told(config.read_tables()));
        faults.extend(told(config.read_aliases()));
        faults.extend(told(config.read_users()));
        faults.extend(Self::broken(config).into_iter().map(|(_, why)| why));
        faults.extend(told(config.read_keys()));
        faults.extend(told(config.read_dkim()));
        faults.extend(told(config.read_srs()));
        faults.extend(told(examine_identity(config)));
        faults.extend(told(Self::of_world(config)));
        faults.extend(told(Self::of_relay(config)));
        faults
    }

    /// Whether the files could be loaded as they are now.
    pub(crate) fn is_right(path: &Path) -> bool {
        Config::load(path)
            .is_ok_and(|config| Self::faults(&config).is_empty() && has_password(&config).is_ok())
    }

    /// What kept it from being loaded, and all else that would have.
    pub(super) fn all_faults(config: &Config, first: anyhow::Error) -> anyhow::Error {
        let texts = Self::faults(config).into_iter();
        let all: Vec<_> = texts.map(|text| ConfigError { text }).collect();
        match all.len() {
            0 | 1 => first,
            _ => ConfigError::together(&all).into(),
        }
    }
}

fn told<T, E: Into<anyhow::Error>>(read: Result<T, E>) -> Option<String> {
    let error: anyhow::Error = read.err()?.into();
    Some(format!("{error:#}"))
}
