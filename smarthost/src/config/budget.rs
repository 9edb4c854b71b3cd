//! The store in which several smarthosts meet for one budget.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use relay::trust::Pin;
use serde::Deserialize;
use settings::{
    OneOrMany,
    form::{Form, Number},
};

use super::store::StoreUrl;

/// Longest name of one.
const MAX_NAME: usize = 64;

/// `budget = { store = "redis://127.0.0.1:6379/0", node = "mx1", nodes = 2, on_outage = "share" }`
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    pub store: StoreUrl,
    #[serde(default, deserialize_with = "settings::optional_secret_file")]
    pub password_file: Option<PathBuf>,
    /// Keys of the store, of which it shows one; none: a web authority knows it.
    #[serde(default)]
    pub pins: OneOrMany<Pin>,
    /// `None`: the host name.
    pub node: Option<NodeName>,
    pub nodes: Nodes,
    #[serde(default)]
    pub on_outage: OnOutage,
}

/// What a message does while the store does not answer.
/// The more passes at worst, the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum OnOutage {
    /// It waits.
    Defer,
    /// It counts against this node's part of the limit, limit / nodes.
    Share,
    /// It counts against this node's own limit alone.
    Open,
}

settings::words!(OnOutage:
    "share" = Self::Share,
    "defer" = Self::Defer,
    "open" = Self::Open,
);

impl OnOutage {
    /// Where nothing is written.
    const USUAL: Self = Self::Share;
}
impl Default for OnOutage {
    fn default() -> Self {
        Self::USUAL
    }
}

/// A name without blanks and colons.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct NodeName(String);

/// How many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "Number")]
pub struct Nodes(pub u32);

pub(super) const ON_OUTAGE: Form<OnOutage> = Form::new("budget.on_outage", OnOutage::USUAL);
/// How many there may be.
pub(super) const NODES: Form<Number> = Form::open("budget.nodes").within(
    Number(2),
    Number(64),
    "a budget can be shared by that many smarthosts; write how many share it in all",
);

impl Budget {
    /// A relative path starts from this directory.
    pub(super) fn place(&mut self, directory: &Path) {
        if let Some(file) = &mut self.password_file {
            *file = directory.join(&*file);
        }
    }
}

impl TryFrom<String> for NodeName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(plain) {
            return Err(format!(
                "`{}` is not a name for a smarthost; use letters, digits, dots, - and _, at most \
                 {MAX_NAME}",
                text.escape_debug()
            ));
        }
        Ok(Self(text))
    }
}
impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<Number> for Nodes {
    type Error = String;

    fn try_from(number: Number) -> Result<Self, String> {
        let Number(nodes) = NODES.fit(number)?;
        Ok(Self(u32::try_from(nodes).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_a_plain_name_and_is_one_of_several() {
        assert!(NodeName::try_from("mx1:2".to_owned()).is_err());
        assert!(Nodes::try_from(Number(1)).is_err() && Nodes::try_from(Number(2)).is_ok());
    }
}
