//! What requests are answered from.

use std::{io::Result, path::Path, sync::Arc};

use control::status::Status;

use super::access::Access;
use crate::{
    activity::Slot,
    admin::{Answer, Request},
    policy::refusals::Refusal,
    trail::Trail,
};

/// What is shown, and who does what is ordered.
pub trait Daemon: Send + Sync + 'static {
    /// As whom the relay is known.
    fn hostname(&self) -> String;
    /// How it stands, or stood a moment ago.
    fn status(&self) -> Arc<Status>;
    /// The last day, oldest first: the beginning of each piece, in seconds, and what was counted.
    fn day(&self) -> Vec<(u64, Slot)>;
    /// What happened to messages.
    fn trail(&self) -> &Trail;
    /// The newest refusals whose client, sender or recipient has these words.
    fn refusals(&self, words: &str, most: usize) -> Vec<Refusal>;
    /// A question or an order of an administrator, as the control socket takes it.
    fn ask(&self, request: Request, each: &mut dyn FnMut(&Answer) -> Result<()>) -> Result<()>;
}

/// All that requests are answered from.
pub struct Site {
    pub(super) daemon: Arc<dyn Daemon>,
    pub(super) access: Access,
}

impl Site {
    /// `state`: where the token is.
    pub fn new(daemon: Arc<dyn Daemon>, state: &Path) -> Self {
        Self {
            daemon,
            access: Access::new(state),
        }
    }
}
