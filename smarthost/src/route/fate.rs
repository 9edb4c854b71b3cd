//! Whether mail for a recipient can be taken: once for an address, however many say it and however
//! many stand behind it.
//!
//! Contract: remembered as long as the tables stay ([`super::fates`]).

use mail::address::Address;

use super::{Router, failures::unusable, fates::Fate};

impl Router {
    /// What would become of mail for a recipient.
    pub fn fate(&self, recipient: &Address) -> Fate {
        // As it was written: patterns may tell small letters from capitals.
        let key = recipient.as_str();
        if let Some(known) = self.fates.of(key) {
            return known;
        }
        let fate = self.find_fate(recipient);
        // A rewritten sender's ends with its time.
        if self.sender_behind(recipient).is_none() {
            self.fates.keep(key.to_owned(), &fate);
        }
        fate
    }

    fn find_fate(&self, recipient: &Address) -> Fate {
        let all = match self.expand(&recipient.clone().into()) {
            Ok(all) => all,
            Err(failure) => return Fate::Broken(failure),
        };
        if let Some(failure) = self.refusal(&all) {
            return Fate::Refused(failure);
        }
        let Some(first) = self.leads_nowhere(recipient, &all) else {
            return Fate::Taken;
        };
        if self.is_only_renamed(recipient) {
            return Fate::Refused(self.as_nobody(first));
        }
        let why = format!("nobody has the address {first}");
        Fate::Broken(unusable(recipient, &why))
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use mail::maps::Table;

    use super::*;
    use crate::{config::Config, route::fates::MOST};

    fn router(aliases: &str) -> Router {
        let config = "domains = { local = [\"example.org\"] }";
        let config = Config::parse(Path::new("/c"), config, "mx.example.org").unwrap();
        let (aliases, _) = Table::aliases("aliases".into(), aliases);
        Router::new(&config, Arc::new(aliases), Arc::default())
    }

    #[test]
    fn a_long_list_is_expanded_once_for_all_messages_to_it_and_anew_where_the_table_changes() {
        let to = Address::parse("team@example.org").unwrap();
        let list = |count: usize| {
            let members = (0..count).map(|it| format!("m{it}@far.example"));
            members.collect::<Vec<_>>().join(", ")
        };
        let all = router(&format!("team: {}\n", list(200)));
        let first = all.members(&to).unwrap();
        let again = all.clone().members(&to).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let other = router(&format!("team: {}\n", list(201)));
        assert_eq!(other.members(&to).unwrap().len(), 201);
    }

    #[test]
    fn an_alias_is_expanded_once_for_all_who_write_to_it_and_anew_where_the_table_changes() {
        let to = Address::parse("team@example.org").unwrap();
        let broken = router("team: a@partner.example, team2\nteam2: team\n");
        assert!(matches!(broken.fate(&to), Fate::Broken(_)));
        let same = broken.clone();
        assert_eq!(same.fates.of(to.as_str()), Some(broken.fate(&to)));
        let mended = router("team: a@partner.example\n");
        assert_eq!(mended.fate(&to), Fate::Taken);
        for number in 0..2 * MOST {
            let other = Address::parse(&format!("team+{number}@example.org")).unwrap();
            assert_eq!(mended.fate(&other), Fate::Taken);
        }
        assert!(mended.fates.len() <= MOST);
    }
}
