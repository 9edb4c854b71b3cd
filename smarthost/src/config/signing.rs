//! Settings of what is added to mail on its way out.

use std::path::PathBuf;

use mail::address::{Domain, domain};
use serde::Deserialize;

/// A key that signs mail of a domain, and where it is published.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct DkimKey {
    pub domain: OwnDomain,
    pub selector: Selector,
    /// PEM.
    pub key: PathBuf,
}

/// Whose senders forwarded mail has.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct SrsDomain {
    pub domain: OwnDomain,
    /// A secret a line; the first signs.
    #[serde(default, deserialize_with = "settings::optional_secret_file")]
    pub secrets: Option<PathBuf>,
}

/// A domain as signatures name it.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(try_from = "String")]
pub struct OwnDomain(pub Domain);
impl TryFrom<String> for OwnDomain {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let domain = Domain::setting(&text)?;
        if !domain.is_ascii() {
            let shown = text.escape_debug();
            return Err(format!("`{shown}` is not a valid name in DNS"));
        }
        if !domain.as_str().contains('.') {
            let shown = text.escape_debug();
            return Err(format!(
                "`{shown}` is not a domain that others can look up; write it in full, such as \
                 \"example.org\""
            ));
        }
        Ok(Self(domain))
    }
}

/// The name of a key, in front of `._domainkey`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(try_from = "String")]
pub struct Selector(pub String);
impl TryFrom<String> for Selector {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        // RFC 6376 §3.1: labels as those of hosts, in DNS not told apart by case.
        if text.is_ascii() && text.len() <= 63 && domain::is_name(&text) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(format!(
            "`{}` is not a selector; write letters and digits, such as \"s1\"",
            text.escape_debug()
        ))
    }
}
