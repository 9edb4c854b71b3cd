//! The rules, as configured: `"100/day"`, `"20/10m"`.

use std::time::Duration;

use crate::network::Networks;

/// At most `limit` messages in any `span`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Window {
    pub limit: u32,
    pub span: Duration,
}

/// Who may send how much.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// All apply at once; none: no limit.
    pub per_client: Vec<Window>,
    /// Never counted; never implied by "may relay".
    pub exempt: Networks,
}
