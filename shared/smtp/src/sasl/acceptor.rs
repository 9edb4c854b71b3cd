//! The server's side of one authentication: SCRAM-SHA-256 and PLAIN.
//!
//! Contract: whoever has no login here is answered as if he had one and the password were wrong, in as many steps. A wrong proof is
//! an [`Attempt`] like a right one, so that whoever counts failures sees each.
//! RFC 4954, RFC 4616 (PLAIN), RFC 5802 §5 and §7 (SCRAM; attributes that we do not know and must are refused).
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::{collections::BTreeMap, fmt, num::NonZeroU32};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::hmac;

use super::{Verifier, scram::MIN_ROUNDS};

/// As EHLO offers them.
pub const MECHANISMS: [&str; 2] = ["SCRAM-SHA-256", "PLAIN"];
/// Bytes of the salt of a login that does not exist.
const SALT: usize = 16;

/// Who may log in.
pub struct Logins {
    verifiers: BTreeMap<String, Verifier>,
    /// What the salts of logins that do not exist are made of: the same name gets the same one.
    secret: hmac::Key,
}

/// What a client showed at the end.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    pub user: String,
    pub proof: Proof,
}

/// Why he should be who he says.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// To be held against the verifier ([`Logins::admits`]).
    Password(String),
    /// SCRAM's, which is right or wrong.
    Scram(bool),
}

/// One authentication under way.
#[derive(Debug)]
pub struct Acceptor {
    state: State,
}

#[derive(Debug)]
enum State {
    /// The client speaks first.
    Plain,
    Scram,
    Challenged(Challenged),
    /// Our proof was sent; the client acknowledges it with an empty line.
    Proved(String),
    Over,
}

#[derive(Debug)]
struct Challenged {
    user: String,
    verifier: Verifier,
    is_known: bool,
    /// gs2-header in base64, as the client must repeat it.
    binding: String,
    nonce: String,
    /// client-first-message-bare and server-first-message.
    said: String,
}

/// What is next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Say this, and go on with the answer.
    Challenge(Vec<u8>),
    /// It is over: decide.
    Attempt(Attempt),
}

impl Logins {
    /// `secret`: random, the same as long as it should not be told whether a login exists.
    pub fn new(verifiers: BTreeMap<String, Verifier>, secret: &[u8]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self { verifiers, secret }
    }

    /// Whether this attempt is right. Takes some milliseconds for a password, known or not.
    pub fn admits(&self, attempt: &Attempt) -> bool {
        let (verifier, is_known) = self.find(&attempt.user);
        let proved = match &attempt.proof {
            Proof::Password(password) => verifier.proves(password),
            Proof::Scram(proved) => *proved,
        };
        proved && is_known
    }

    pub fn len(&self) -> usize {
        self.verifiers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.verifiers.is_empty()
    }

    fn find(&self, user: &str) -> (Verifier, bool) {
        if let Some(verifier) = self.verifiers.get(user) {
            return (verifier.clone(), true);
        }
        let rounds = self.verifiers.values().next().map(|known| known.rounds);
        let salt = hmac::sign(&self.secret, user.as_bytes());
        let nobody = Verifier {
            rounds: rounds
                .or(NonZeroU32::new(MIN_ROUNDS))
                .unwrap_or(NonZeroU32::MIN),
            salt: salt.as_ref().iter().copied().take(SALT).collect(),
            stored_key: Default::default(),
            server_key: Default::default(),
        };
        (nobody, false)
    }
}

impl Acceptor {
    /// For a mechanism that a client named, in any case.
    pub fn new(mechanism: &str) -> Option<Self> {
        let state = if mechanism.eq_ignore_ascii_case("SCRAM-SHA-256") {
            State::Scram
        } else if mechanism.eq_ignore_ascii_case("PLAIN") {
            State::Plain
        } else {
            return None;
        };
        Some(Self { state })
    }

    /// What the client said, out of base64. `nonce`: printable, without comma, new each time.
    pub fn respond(
        &mut self,
        response: &[u8],
        logins: &Logins,
        nonce: &str,
    ) -> Result<Progress, &'static str> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => plain(response).map(Progress::Attempt),
            State::Scram => {
                let (challenged, challenge) = challenge(text(response)?, logins, nonce)?;
                self.state = State::Challenged(challenged);
                Ok(Progress::Challenge(challenge.into_bytes()))
            }
            State::Challenged(challenged) => {
                let (proved, ours) = challenged.hold(text(response)?)?;
                if proved && challenged.is_known {
                    self.state = State::Proved(challenged.user);
                    Ok(Progress::Challenge(ours.into_bytes()))
                } else {
                    Ok(Progress::Attempt(Attempt::scram(challenged.user, false)))
                }
            }
            State::Proved(user) if response.is_empty() => {
                Ok(Progress::Attempt(Attempt::scram(user, true)))
            }
            State::Proved(_) | State::Over => Err("the exchange is over"),
        }
    }
}

impl Attempt {
    fn scram(user: String, proved: bool) -> Self {
        let proof = Proof::Scram(proved);
        Self { user, proof }
    }
}

fn text(response: &[u8]) -> Result<&str, &'static str> {
    str::from_utf8(response).map_err(|_| "the response is no text")
}

/// `[authzid] NUL authcid NUL passwd` (RFC 4616 §2); nobody acts for another.
fn plain(response: &[u8]) -> Result<Attempt, &'static str> {
    const WRONG: &str = "the response is not that of PLAIN";
    let mut parts = text(response)?.split('\0');
    let mut part = || parts.next().ok_or(WRONG);
    let (acts_as, user, password) = (part()?, part()?, part()?);
    if parts.next().is_some() || user.is_empty() || password.is_empty() {
        return Err(WRONG);
    }
    if !acts_as.is_empty() && acts_as != user {
        return Err("nobody acts for another here");
    }
    let proof = Proof::Password(password.to_owned());
    let user = user.to_owned();
    Ok(Attempt { user, proof })
}

/// The answer to client-first-message.
fn challenge(
    first: &str,
    logins: &Logins,
    nonce: &str,
) -> Result<(Challenged, String), &'static str> {
    const WRONG: &str = "the response is not that of SCRAM";
    let (binding, rest) = first.split_once(',').ok_or(WRONG)?;
    let (acts_as, bare) = rest.split_once(',').ok_or(WRONG)?;
    if !matches!(binding, "n" | "y") {
        return Err("channel binding is not offered");
    }
    let mut fields = bare.split(',');
    let mut field = |name: &str| fields.next().and_then(|field| field.strip_prefix(name));
    let user = field("n=").and_then(unescape).ok_or(WRONG)?;
    let theirs = field("r=").ok_or(WRONG)?;
    let is_nonce = |c: char| c.is_ascii_graphic() && c != ',';
    if user.is_empty() || theirs.is_empty() || !theirs.chars().all(is_nonce) {
        return Err(WRONG);
    }
    let acts_as = match acts_as {
        "" => None,
        named => Some(named.strip_prefix("a=").and_then(unescape).ok_or(WRONG)?),
    };
    if acts_as.is_some_and(|name| name != user) {
        return Err("nobody acts for another here");
    }
    let (verifier, is_known) = logins.find(&user);
    let nonce = format!("{theirs}{nonce}");
    let salt = BASE64_STANDARD.encode(&verifier.salt);
    let answer = format!("r={nonce},s={salt},i={}", verifier.rounds);
    let header_length = first.len().saturating_sub(bare.len());
    let header = first.get(..header_length).unwrap_or_default();
    let challenged = Challenged {
        said: format!("{bare},{answer}"),
        binding: BASE64_STANDARD.encode(header),
        user,
        verifier,
        is_known,
        nonce,
    };
    Ok((challenged, answer))
}

impl Challenged {
    /// Whether client-final-message proves the password, and our own proof.
    fn hold(&self, last: &str) -> Result<(bool, String), &'static str> {
        const WRONG: &str = "the response is not that of SCRAM";
        let (without_proof, proof) = last.rsplit_once(",p=").ok_or(WRONG)?;
        let mut fields = without_proof.split(',');
        let binding = fields.next().and_then(|field| field.strip_prefix("c="));
        let nonce = fields.next().and_then(|field| field.strip_prefix("r="));
        if binding != Some(&self.binding) || nonce != Some(&self.nonce) {
            return Err("the response belongs to another exchange");
        }
        let proof = BASE64_STANDARD.decode(proof).map_err(|_| WRONG)?;
        let all = format!("{},{without_proof}", self.said);
        let proved = self.verifier.accepts(&proof, all.as_bytes());
        let ours = format!("v={}", self.verifier.signature(all.as_bytes()));
        Ok((proved, ours))
    }
}

/// `=2C` and `=3D` stand for comma and equal sign; no other `=` may be there (RFC 5802 §5.1).
fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut found = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        found.push(match code {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        found.push_str(rest);
    }
    Some(found)
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.verifiers.keys()).finish()
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attempt").field(&self.user).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sasl::{Credentials, Exchange};

    const ROUNDS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

    fn logins() -> Logins {
        let verifier = Verifier::new("pencil", b"0123456789abcdef", ROUNDS);
        let logins = [
            ("user".to_owned(), verifier.clone()),
            ("a=b,c".to_owned(), verifier),
        ];
        Logins::new(logins.into(), b"secret")
    }

    /// Our client against our server; whether it was let in, and whether the client believes it.
    fn converse(mechanism: &str, user: &str, password: &str) -> (Result<bool, &'static str>, bool) {
        let (logins, credentials) = (
            logins(),
            Credentials {
                user: user.into(),
                secret: crate::sasl::Secret::Password(password.into()),
            },
        );
        let mut client = Exchange::choose(&[mechanism.to_owned()], credentials, "abc").unwrap();
        let mut server = Acceptor::new(&mechanism.to_lowercase()).unwrap();
        let mut said = client.initial().unwrap();
        loop {
            match server.respond(&said, &logins, "xyz") {
                Ok(Progress::Challenge(challenge)) => match client.answer(&challenge) {
                    Ok(answer) => said = answer,
                    Err(why) => return (Err(why), false),
                },
                Ok(Progress::Attempt(attempt)) => {
                    return (Ok(logins.admits(&attempt)), client.may_succeed());
                }
                Err(why) => return (Err(why), client.may_succeed()),
            }
        }
    }

    #[test]
    fn our_client_logs_in_with_the_right_password_only() {
        for mechanism in MECHANISMS {
            assert_eq!(converse(mechanism, "user", "pencil"), (Ok(true), true));
            assert_eq!(converse(mechanism, "a=b,c", "pencil"), (Ok(true), true));
            for (user, password) in [
                ("user", "pencil "),
                ("User", "pencil"),
                ("nobody", "pencil"),
            ] {
                assert_eq!(converse(mechanism, user, password).0, Ok(false), "{user}");
            }
        }
        assert!(Acceptor::new("LOGIN").is_none());
    }

    /// The example of RFC 7677 §3, in the form that `PostgreSQL` writes.
    #[test]
    fn a_verifier_is_read_and_written_as_postgresql_does() {
        let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        let verifier: Verifier = text.parse().unwrap();
        assert_eq!(verifier.to_string(), text);
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert_eq!(verifier, Verifier::new("pencil", &salt, ROUNDS));
        let logins = Logins::new([("user".to_owned(), verifier)].into(), b"");
        let mut server = Acceptor::new("SCRAM-SHA-256").unwrap();
        let step = server.respond(
            b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            &logins,
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        );
        let first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(step, Ok(Progress::Challenge(first.into())));
        let last = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let proof = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        let step = server.respond(last, &logins, "");
        assert_eq!(step, Ok(Progress::Challenge(proof.into())));
        let Ok(Progress::Attempt(attempt)) = server.respond(b"", &logins, "") else {
            panic!("no end");
        };
        assert!(logins.admits(&attempt));
    }

    #[test]
    fn who_acts_for_another_binds_a_channel_or_mixes_exchanges_is_refused() {
        let refused = |mechanism: &str, response: &str| {
            let mut server = Acceptor::new(mechanism).unwrap();
            server.respond(response.as_bytes(), &logins(), "x").is_err()
        };
        for response in [
            "root\0user\0pencil",
            "\0user",
            "\0user\0",
            "\0\0pencil",
            "\0user\0a\0b",
            "",
        ] {
            assert!(refused("PLAIN", response), "{response:?}");
        }
        assert!(!refused("PLAIN", "user\0user\0pencil"));
        for response in [
            "p=tls-unique,,n=user,r=a",
            "n,a=root,n=user,r=a",
            "n,,m=x,n=user,r=a",
            "n,,n=us=er,r=a",
            "n,,n=,r=a",
            "n,,n=user,r=",
            "n,,n=user",
            "",
        ] {
            assert!(refused("SCRAM-SHA-256", response), "{response:?}");
        }
        for last in [
            "c=biws,r=other,p=AAAA",
            "c=eSws,r=ax,p=AAAA",
            "c=biws,r=ax",
            "c=biws,r=ax,p=!",
        ] {
            let mut server = Acceptor::new("SCRAM-SHA-256").unwrap();
            server.respond(b"n,,n=user,r=a", &logins(), "x").unwrap();
            assert!(
                server.respond(last.as_bytes(), &logins(), "").is_err(),
                "{last}"
            );
            assert!(
                server.respond(last.as_bytes(), &logins(), "").is_err(),
                "over"
            );
        }
    }

    #[test]
    fn a_login_that_does_not_exist_looks_like_one_that_does() {
        let first = |user: &str| {
            let mut server = Acceptor::new("SCRAM-SHA-256").unwrap();
            let said = format!("n,,n={user},r=a");
            match server.respond(said.as_bytes(), &logins(), "x") {
                Ok(Progress::Challenge(challenge)) => String::from_utf8(challenge).unwrap(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(first("nobody"), first("nobody"), "the salt stays");
        assert_ne!(first("nobody"), first("somebody"));
        assert_eq!(first("nobody").len(), first("user").len());
    }

    #[test]
    fn a_broken_verifier_is_an_error() {
        let right = logins().verifiers["user"].to_string();
        for wrong in [
            right.replace("4096", "4095"),
            right.replace("4096", "1000001"),
            right.replace("SHA-256", "SHA-1"),
            right.replace("$4096", ""),
            format!("{right}$"),
            right[..right.len() - 4].to_owned(),
            "pencil".into(),
            String::new(),
        ] {
            assert!(wrong.parse::<Verifier>().is_err(), "{wrong}");
        }
        assert_eq!(format!("{:?}", logins()), r#"{"a=b,c", "user"}"#);
    }

    proptest! {
        #[test]
        fn any_response_is_answered_or_refused(
            plain in proptest::bool::ANY,
            responses in proptest::collection::vec("[a-z,=npycrs\0]{0,20}", 1..4),
        ) {
            let mut server = Acceptor::new(MECHANISMS[usize::from(plain)]).unwrap();
            let logins = logins();
            for response in responses {
                if let Ok(Progress::Attempt(attempt)) = server.respond(response.as_bytes(), &logins, "x") {
                    prop_assert!(attempt.proof != Proof::Scram(true));
                }
            }
        }
    }
}
