//! TLS set-ups towards next hops, one for each trust: sessions are resumed within it only.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use mail::outcome::Failure;
use relay::tls::{ClientTls, Roots, TlsError, Trust};

/// So many are kept; what is forgotten costs a full handshake.
const MOST: usize = 256;

#[derive(Debug)]
pub(crate) struct Trusts {
    roots: Roots,
    anybody: ClientTls,
    made: Mutex<HashMap<Arc<Trust>, ClientTls>>,
}

impl Trusts {
    /// With these authorities, or the web's.
    pub(crate) fn new(authorities: Option<&Path>) -> Result<Self, TlsError> {
        let roots = authorities.map(Roots::of_file).transpose()?;
        let mut anybody = ClientTls::new(&Trust::Opportunistic)?;
        anybody.known_to.clone_from(&roots);
        Ok(Self {
            roots: roots.unwrap_or_else(Roots::web),
            anybody,
            made: Mutex::default(),
        })
    }

    /// Those from before, with their sessions, where the authorities are the same.
    pub(crate) fn or_same(self, before: Option<&Arc<Self>>) -> Arc<Self> {
        let is_same = |before: &&Arc<Self>| {
            Roots::are_equal(Some(&before.roots), Some(&self.roots))
                && Roots::are_equal(
                    before.anybody.known_to.as_ref(),
                    self.anybody.known_to.as_ref(),
                )
        };
        let before = before.filter(is_same).map(Arc::clone);
        before.unwrap_or_else(|| Arc::new(self))
    }

    /// The authorities that are believed.
    pub(crate) fn roots(&self) -> Roots {
        self.roots.clone()
    }

    /// Believes anybody.
    pub(crate) fn anybody(&self) -> &ClientTls {
        &self.anybody
    }

    /// That for a trust.
    pub(crate) fn of(&self, trust: Trust) -> Result<ClientTls, Failure> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = made.get(&trust) {
            return Ok(tls.clone());
        }
        let tls = ClientTls::new(&trust).map_err(|error| Failure::ours(&error.to_string()))?;
        if made.len() >= MOST {
            made.clear();
        }
        made.insert(Arc::new(trust), tls.clone());
        Ok(tls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_before_stay_where_the_same_authorities_are_believed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let authority = |name: &str| {
            let (certificate, _) = relay::tls::self_signed(name).unwrap();
            system::fs::replace(&file, certificate.as_bytes(), 0o600).unwrap();
        };
        let web = Trusts::new(None).unwrap().or_same(None);
        authority("one.example");
        let one = Trusts::new(Some(&file)).unwrap().or_same(Some(&web));
        let read_again = Trusts::new(Some(&file)).unwrap().or_same(Some(&one));
        assert!(Arc::ptr_eq(&one, &read_again) && !Arc::ptr_eq(&one, &web));
        authority("two.example");
        let two = Trusts::new(Some(&file)).unwrap().or_same(Some(&one));
        assert!(!Arc::ptr_eq(&one, &two));
        let still_web = Trusts::new(None).unwrap().or_same(Some(&web));
        assert!(Arc::ptr_eq(&web, &still_web));
    }
}
