//! One authentication, whatever the mechanism.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::fmt;

use super::scram::Scram;

/// User and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
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
    /// All is said.
    Spent,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

impl Exchange {
    /// The best mechanism of those offered (in upper case); `None` if we know none of them. `nonce`: printable, without comma, new each time.
    pub fn choose(offered: &[String], credentials: Credentials, nonce: &str) -> Option<Self> {
        let offers = |name: &str| offered.iter().any(|offered| offered == name);
        let state = if offers("SCRAM-SHA-256") {
            State::Scram(Box::new(Scram::new(&credentials.user, nonce)))
        } else if offers("PLAIN") {
            State::Plain
        } else if offers("LOGIN") {
            State::LoginUser
        } else {
            return None;
        };
        Some(Self { state, credentials })
    }

    /// As AUTH names it.
    pub fn mechanism(&self) -> &'static str {
        match self.state {
            State::Scram(_) => "SCRAM-SHA-256",
            State::Plain => "PLAIN",
            _ => "LOGIN",
        }
    }

    /// What is said with AUTH; `None` if the server speaks first.
    pub fn initial(&mut self) -> Option<Vec<u8>> {
        match &self.state {
            State::Scram(scram) => Some(scram.first()),
            State::Plain => {
                let Credentials { user, password } = &self.credentials;
                let response = format!("\0{user}\0{password}").into_bytes();
                self.state = State::Spent;
                Some(response)
            }
            _ => None,
        }
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
                Ok(self.credentials.password.clone().into_bytes())
            }
            State::Scram(scram) => scram.answer(challenge, &self.credentials.password),
            State::Plain | State::Spent => Err("the server asks for more than the mechanism has"),
        }
    }

    /// Whether the server's success may be believed; for SCRAM only when it has proved that it knows the password.
    pub fn may_succeed(&self) -> bool {
        match &self.state {
            State::Scram(scram) => scram.is_proved(),
            State::Spent => true,
            _ => false,
        }
    }
}
