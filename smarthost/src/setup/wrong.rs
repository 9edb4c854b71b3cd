//! What is wrong with the files, all of it: for a reload that fails, for `check`, and for who is
//! told of it.
//!
//! Contract: makes nothing but its directories, and changes nothing.

use std::{path::Path, sync::Arc};

use mail::maps::Problem;
use settings::{ConfigError, last_good};
use smtp::sasl::Logins;

use super::{Held, Setup, Tables, examine_identity, has_password, known::Known, places};
use crate::config::Config;

impl Setup {
    /// All that is wrong with what a configuration names; makes nothing. `before`: what is in force
    /// and goes on meanwhile.
    pub(crate) fn wrong(config: &Config, before: Option<&Self>) -> Option<ConfigError> {
        let error = |text| ConfigError { text };
        let broken = Self::broken(config).into_iter().map(|(_, why)| error(why));
        let mut wrong: Vec<ConfigError> = broken.collect();
        let before = before.filter(|before| !before.stands_in);
        match (Tables::read(config), before) {
            (Ok((tables, _)), Some(before)) => {
                let lost = Known::of(&tables).lost(&before.tables.known());
                wrong.extend(lost.into_iter().map(error));
            }
            (Ok(_), None) => {}
            (Err(unread), _) => wrong.push(unread),
        }
        if before.is_some() {
            wrong.extend(has_password(config).err());
        }
        let read = [
            places::examine(config),
            Self::examine_present(config),
            config.read_keys().map(drop),
            config.read_dkim().map(drop),
            config.read_srs().map(drop),
            examine_identity(config),
            Self::of_world(config).map(drop),
            Self::of_relay(config).map(drop),
        ];
        wrong.extend(read.into_iter().filter_map(Result::err));
        ConfigError::together(wrong)
    }

    /// Why tables that are in force are not those of their files, if so: settled, and not what is
    /// just being written.
    pub(crate) fn refused(&self) -> Vec<Problem> {
        self.tables.known().refused.clone()
    }

    /// Whether it is known who may log in.
    pub(crate) fn knows_logins(&self) -> bool {
        let names_some = |logins: &Arc<Logins>| !logins.is_empty();
        self.logins.as_ref().is_none_or(names_some) || self.tables.known().logins
    }

    /// Why the files cannot be loaded as they are now, if so; `anew`: by a start, which goes on
    /// without the relayhost's password, or with its copy.
    pub(crate) fn wrong_now(&self, path: &Path, held: Held<'_>, anew: bool) -> Option<ConfigError> {
        let state = &self.config.state;
        let layers = Config::files(path);
        let layers = layers.and_then(|layers| last_good::present(state, path, layers));
        match layers.and_then(|layers| Config::of_files(&layers)) {
            Ok(config) => {
                let examined = Self::wrong(&config, None);
                let placed = match examined {
                    None => places::take(&config, held, self.chosen_state(path), true),
                    Some(_) => Ok(()),
                };
                let password = if anew { Ok(()) } else { has_password(&config) };
                let others = [password, placed];
                let others = others.into_iter().filter_map(Result::err);
                ConfigError::together(examined.into_iter().chain(others))
            }
            Err(error) => Some(error),
        }
    }
}
