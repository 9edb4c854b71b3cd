//! One thing to tell, and a mail that tells it.

use super::kind::Kind;

/// One thing to tell.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct News {
    pub kind: Kind,
    /// The subject of a mail about nothing else.
    pub headline: String,
    /// What happened, its consequence, and what to do; ends with a line end.
    pub text: String,
    /// Somebody who is no client of ours can cause it.
    pub strangers: bool,
}

/// A mail to the administrators.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    pub kind: Kind,
    pub subject: String,
    pub text: String,
}
