//! What requests are answered from.

use std::sync::Arc;

use control::status::Status;

/// What is shown.
pub(crate) trait Daemon: Send + Sync + 'static {
    /// How it stands, or stood a moment ago.
    fn status(&self) -> Arc<Status>;
}

/// All that requests are answered from.
pub(super) struct Site {
    pub(super) daemon: Arc<dyn Daemon>,
}

impl Site {
    pub(super) fn new(daemon: Arc<dyn Daemon>) -> Self {
        Self { daemon }
    }
}
