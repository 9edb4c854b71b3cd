//! The server's side of one authentication: SCRAM-SHA-256 and PLAIN.
//!
//! Contract: whoever has no login here is answered as if he had one and the password were wrong, in
//! as many steps. A wrong proof is an [`Attempt`] like a right one, so that whoever counts failures
//! sees each, and decides before the client hears anything of it.
//! Names are prepared (`SASLprep`).
//! RFC 4954, RFC 4616 (PLAIN), RFC 5802 §5 and §7 (SCRAM; attributes that we do not know and must
//! are refused).
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::{borrow::Cow, collections::BTreeMap, fmt, num::NonZeroU32};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::hmac;

use super::{Verifier, prepared, scram::MIN_ROUNDS};

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
    /// The attempt is to be decided; then this is said, our own proof.
    Decided {
        user: String,
        ours: String,
    },
    /// It was said; the client acknowledges it with an empty line.
    Told(String),
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
    /// Decide; if it is right, [`Acceptor::last_words`] may come.
    Attempt(Attempt),
    /// The last words are acknowledged: this user is logged in.
    Done(String),
}

impl Logins {
    /// By prepared names. `secret`: random, the same as long as it should not be told whether a
    /// login exists.
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

    /// What his password is held against who may log in under this prepared name.
    pub fn verifier(&self, name: &str) -> Option<&Verifier> {
        self.verifiers.get(name)
    }

    /// Whether somebody may log in under this prepared name.
    pub fn knows(&self, name: &str) -> bool {
        self.verifiers.contains_key(name)
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
                let right = proved && challenged.is_known;
                let user = challenged.user;
                if right {
                    let user = user.clone();
                    self.state = State::Decided { user, ours };
                }
                let proof = Proof::Scram(right);
                Ok(Progress::Attempt(Attempt { user, proof }))
            }
            State::Told(user) if response.is_empty() => Ok(Progress::Done(user)),
            State::Decided { .. } | State::Told(_) | State::Over => Err("the exchange is over"),
        }
    }

    /// What the mechanism still has to say to whom was let in: a challenge, to be answered.
    pub fn last_words(&mut self) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Decided { user, ours } => {
                self.state = State::Told(user);
                Some(ours.into_bytes())
            }
            _ => None,
        }
    }
}

/// A name as it is compared.
fn name(written: &str) -> Result<String, &'static str> {
    let name = prepared(written).filter(|name| !name.is_empty());
    name.map(Cow::into_owned)
        .ok_or("the name is empty, or has characters that no name may have")
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
    if parts.next().is_some() || password.is_empty() {
        return Err(WRONG);
    }
    let user = name(user)?;
    if !acts_as.is_empty() && name(acts_as)? != user {
        return Err("nobody acts for another here");
    }
    let proof = Proof::Password(password.to_owned());
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
    if theirs.is_empty() || !theirs.chars().all(is_nonce) {
        return Err(WRONG);
    }
    let user = name(&user)?;
    let acts_as = match acts_as {
        "" => None,
        named => Some(named.strip_prefix("a=").and_then(unescape).ok_or(WRONG)?),
    };
    if let Some(acts_as) = acts_as
        && name(&acts_as)? != user
    {
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
        let binding = binding.ok_or(WRONG)?;
        if nonce != Some(&self.nonce) {
            return Err("the response belongs to another exchange");
        }
        let proof = BASE64_STANDARD.decode(proof).map_err(|_| WRONG)?;
        let all = format!("{},{without_proof}", self.said);
        // Another header than at first: somebody changed one of the two (RFC 5802 §6).
        let is_bound = binding == self.binding;
        let proved = self.verifier.accepts(&proof, all.as_bytes()) && is_bound;
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
