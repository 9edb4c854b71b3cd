//! Whom to believe, made into a rustls configuration, and what a session under it is worth.

use std::{fmt, path::Path, sync::Arc};

use rustls::{
    ClientConfig, ClientConnection, CommonState, Error,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::{
    certificate,
    chain::{Roots, Shown},
    error::TlsError,
    foreign::Curious,
    sessions::Sessions,
    trust::{Dane, Trust},
    verifier::{Belief, Verifier},
};

/// A client configuration for one trust (sessions are resumed only within it).
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub config: Arc<ClientConfig>,
    /// The same for a peer that refused it: it is told what kind of key it has.
    curious: Arc<ClientConfig>,
    /// Anybody is believed: where the handshake fails, clear text loses nothing. Never with pins.
    pub clear_text_is_as_good: bool,
    /// The name that the peer is asked for, instead of the host's.
    pub asks_for: Option<ServerName<'static>>,
    /// Where anybody is believed: whether these authorities know the peer is told all the same.
    pub known_to: Option<Roots>,
    trust: Arc<Trust>,
    /// What is shown to a peer who asks.
    shown: Arc<[CertificateDer<'static>]>,
    sessions: Arc<Sessions>,
}

/// What is known of a peer, in Postfix's words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is who it should be, and who says so.
    Verified(String),
    /// An authority knows it, or the domain's host was not found by DNSSEC, and who says so.
    Trusted(String),
    Untrusted,
}

/// `Verified`, `Trusted` or `Untrusted`.
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verified(_) => "Verified",
            Self::Trusted(_) => "Trusted",
            Self::Untrusted => "Untrusted",
        })
    }
}

impl Standing {
    /// Who says so.
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::Verified(by) | Self::Trusted(by) => Some(by),
            Self::Untrusted => None,
        }
    }
}

impl ClientTls {
    /// Refuses an empty list of pins, with which no peer could ever be believed.
    pub fn new(trust: &Trust) -> Result<Self, TlsError> {
        Self::with_identity(trust, None)
    }

    /// The same towards a host whose certificate must show another name than its own.
    #[must_use]
    pub fn showing(&self, certified: Option<&str>) -> Self {
        let name = certified.and_then(|name| ServerName::try_from(name.to_owned()).ok());
        Self {
            asks_for: name.or_else(|| self.asks_for.clone()),
            ..self.clone()
        }
    }

    /// With a certificate and key (files in PEM) that are shown to a peer who asks for one; both
    /// are read here.
    pub fn with_identity(
        trust: &Trust,
        identity: Option<(&Path, &Path)>,
    ) -> Result<Self, TlsError> {
        let failed = |error: &dyn fmt::Display| TlsError(format!("TLS cannot be set up: {error}"));
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?;
        let believing = |belief| -> Arc<dyn ServerCertVerifier> {
            let algorithms = algorithms();
            Arc::new(Verifier { belief, algorithms })
        };
        let verifier = match trust {
            Trust::Pins(pins) if pins.is_empty() => {
                return Err(TlsError(
                    "the list of pins is empty: nobody could be believed".to_owned(),
                ));
            }
            Trust::Pins(pins) => believing(Belief::Pins(pins.clone())),
            Trust::Named(named) => believing(Belief::Named(named.clone())),
            Trust::Dane(dane) => believing(Belief::Dane(dane.clone())),
            Trust::Opportunistic => believing(Belief::Anybody),
            Trust::WebRoots => {
                let roots = Roots::web().store();
                let web = WebPkiServerVerifier::builder_with_provider(roots, provider);
                web.build().map_err(|error| failed(&error))?
            }
        };
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier));
        let mut shown = Vec::new();
        let mut config = match identity {
            Some((certificate, key)) => {
                let (chain, secret) = certificate::pair(certificate, key)?;
                shown.clone_from(&chain);
                let built = builder.with_client_auth_cert(chain, secret);
                built.map_err(|error| certificate::unfit(certificate, key, error))?
            }
            None => builder.with_no_client_auth(),
        };
        let sessions = Arc::<Sessions>::default();
        config.resumption = Resumption::store(Arc::clone(&sessions) as _);
        let mut curious = config.clone();
        let told = Arc::new(Curious(verifier));
        curious.dangerous().set_certificate_verifier(told);
        Ok(Self {
            config: Arc::new(config),
            curious: Arc::new(curious),
            clear_text_is_as_good: *trust == Trust::Opportunistic,
            asks_for: None,
            known_to: None,
            trust: Arc::new(trust.clone()),
            shown: shown.into(),
            sessions,
        })
    }

    /// The one from before, with its sessions, if that believes and shows the same.
    #[must_use]
    pub fn or_same(self, before: Option<&Self>) -> Self {
        let is_same = |before: &&Self| {
            before.trust == self.trust
                && before.shown == self.shown
                && before.asks_for == self.asks_for
                && Roots::are_equal(before.known_to.as_ref(), self.known_to.as_ref())
        };
        before.filter(is_same).cloned().unwrap_or(self)
    }

    /// A session with a host, and whether one from before is offered to be resumed.
    pub(crate) fn begin(
        &self,
        name: &ServerName<'static>,
    ) -> Result<(ClientConnection, bool), Error> {
        let offers = self.sessions.holds(name);
        let config = if self.sessions.has_refused(name) {
            &self.curious
        } else {
            &self.config
        };
        let session = ClientConnection::new(Arc::clone(config), name.clone())?;
        Ok((session, offers))
    }

    /// The host has refused a handshake, for nothing that was offered served it: in those of the
    /// next day it may tell what kind of key it has. Whether that is new.
    pub(crate) fn refuses(&self, name: &ServerName<'static>) -> bool {
        self.sessions.refuses(name)
    }

    /// The host has broken a handshake in which it was offered a session.
    pub(crate) fn broke(&self, name: &ServerName<'static>) {
        self.sessions.broke(name);
    }

    /// The TLSA records that it goes by.
    pub fn dane(&self) -> Option<&Dane> {
        match &*self.trust {
            Trust::Dane(dane) => Some(dane),
            _ => None,
        }
    }

    /// What a session that has come about is worth.
    pub fn standing(&self, session: &CommonState) -> Standing {
        let by = |by: &str| Standing::Verified(by.to_owned());
        match &*self.trust {
            Trust::Pins(_) => by("pinned key"),
            Trust::WebRoots => by("authority"),
            Trust::Named(named) => by(named.by),
            Trust::Dane(dane) => {
                let fits = |shown: Shown<'_>| shown.fits(&dane.records, &dane.names);
                // A session that is resumed was verified when it was new.
                let record = shown(session, fits).and_then(Result::ok);
                let record = record.map_or_else(String::new, |record| format!(" {record}"));
                let told = format!("DANE, TLSA{record} of {}", dane.base);
                if dane.host_is_secure {
                    Standing::Verified(told)
                } else {
                    Standing::Trusted(told)
                }
            }
            Trust::Opportunistic => match &self.known_to {
                Some(roots) if shown(session, |it| it.is_signed(roots).is_ok()) == Some(true) => {
                    Standing::Trusted("authority".to_owned())
                }
                _ => Standing::Untrusted,
            },
        }
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    ring::default_provider().signature_verification_algorithms
}

/// What a peer has shown in a handshake.
fn shown<T>(session: &CommonState, judge: impl FnOnce(Shown<'_>) -> T) -> Option<T> {
    let (certificate, others) = session.peer_certificates()?.split_first()?;
    let algorithms = &algorithms();
    Some(judge(Shown {
        certificate,
        others,
        now: UnixTime::now(),
        algorithms,
    }))
}
