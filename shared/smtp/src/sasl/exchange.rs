//! One authentication, whatever the mechanism.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::fmt;

use super::scram::Scram;

/// User, and what proves that it is he.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub secret: Secret,
}

/// What is told or proved.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Password(String),
    /// An access token of OAuth 2.0 (RFC 6750).
    Token(String),
}

impl Credentials {
    pub(super) fn secret(&self) -> &str {
        let (Secret::Password(secret) | Secret::Token(secret)) = &self.secret;
        secret
    }

    /// Mechanisms that can be used with it, for people.
    pub const fn wanted(&self) -> &'static str {
        match self.secret {
            Secret::Password(_) => "SCRAM-SHA-256, PLAIN or LOGIN",
            Secret::Token(_) => "XOAUTH2 or OAUTHBEARER",
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// One authentication under way.
pub struct Exchange {
    state: State,
    credentials: Credentials,
}

enum State {
    Plain,
    /// LOGIN asks for the user, then for the password.
    LoginUser,
    LoginPassword,
    Scram(Box<Scram>),
    /// A token, still to be told.
    XOAuth2,
    OAuthBearer,
    /// The token is told; the server may object with a challenge, and waits for this before it
    /// refuses.
    Told(&'static [u8]),
    /// The server has objected, and hears nothing more.
    Objected(String),
    /// All is said.
    Spent,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

impl Exchange {
    /// The best mechanism of those offered (in upper case); `None` if we know none of them.
    /// `nonce`: printable, without comma, new each time.
    pub fn choose(offered: &[String], credentials: Credentials, nonce: &str) -> Option<Self> {
        let offers = |name: &str| offered.iter().any(|offered| offered == name);
        let state = match &credentials.secret {
            Secret::Password(_) if offers("SCRAM-SHA-256") => {
                State::Scram(Box::new(Scram::new(&credentials.user, nonce)))
            }
            Secret::Password(_) if offers("PLAIN") => State::Plain,
            Secret::Password(_) if offers("LOGIN") => State::LoginUser,
            // Where both are offered, the older one is what its vendors try.
            Secret::Token(_) if offers("XOAUTH2") => State::XOAuth2,
            Secret::Token(_) if offers("OAUTHBEARER") => State::OAuthBearer,
            Secret::Password(_) | Secret::Token(_) => return None,
        };
        Some(Self { state, credentials })
    }

    /// As AUTH names it.
    pub fn mechanism(&self) -> &'static str {
        match self.state {
            State::Scram(_) => "SCRAM-SHA-256",
            State::Plain => "PLAIN",
            State::XOAuth2 => "XOAUTH2",
            State::OAuthBearer => "OAUTHBEARER",
            _ => "LOGIN",
        }
    }

    /// What is said with AUTH; `None` if the server speaks first.
    pub fn initial(&mut self) -> Option<Vec<u8>> {
        let user = &self.credentials.user;
        let secret = self.credentials.secret();
        let (response, next) = match &self.state {
            State::Scram(scram) => return Some(scram.first()),
            State::Plain => (format!("\0{user}\0{secret}"), State::Spent),
            State::XOAuth2 => (
                format!("user={user}\x01auth=Bearer {secret}\x01\x01"),
                State::Told(b""),
            ),
            State::OAuthBearer => {
                // RFC 5801 §4: a name's own commas and equals signs.
                let user = user.replace('=', "=3D").replace(',', "=2C");
                (
                    format!("n,a={user},\x01auth=Bearer {secret}\x01\x01"),
                    State::Told(b"\x01"),
                )
            }
            _ => return None,
        };
        self.state = next;
        Some(response.into_bytes())
    }

    /// The answer to a challenge; an error says why the exchange must be cancelled.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>, &'static str> {
        match &mut self.state {
            State::LoginUser => {
                self.state = State::LoginPassword;
                Ok(self.credentials.user.clone().into_bytes())
            }
            State::LoginPassword => {
                self.state = State::Spent;
                Ok(self.credentials.secret().as_bytes().to_vec())
            }
            State::Scram(scram) => scram.answer(challenge, self.credentials.secret()),
            State::Told(answer) => {
                let answer = answer.to_vec();
                // Whatever the server says, no log has the token.
                let said = String::from_utf8_lossy(challenge).into_owned();
                let said = said.replace(self.credentials.secret(), "…");
                self.state = State::Objected(said);
                Ok(answer)
            }
            State::Plain
            | State::XOAuth2
            | State::OAuthBearer
            | State::Objected(_)
            | State::Spent => Err("the server asks for more than the mechanism has"),
        }
    }

    /// Whether the server's success may be believed; for SCRAM only when it has proved that it
    /// knows the password.
    pub fn may_succeed(&self) -> bool {
        match &self.state {
            State::Scram(scram) => scram.is_proved(),
            State::Spent | State::Told(_) => true,
            _ => false,
        }
    }

    /// Why the server does not take the token, as it says before it refuses it (RFC 7628 §3.2.2).
    pub fn objection(&self) -> Option<&str> {
        match &self.state {
            State::Objected(said) => Some(said),
            _ => None,
        }
    }
}
