//! What is read beside everything else: tables, and files that a reload takes.
//!
//! Contract: on threads that may wait, for a file may be long, or lie on a disk that does not
//! answer; sessions, deliveries and signals wait for none of it. One look and one reload at a time;
//! a reload that is asked for meanwhile comes after it, once.

use std::sync::Arc;

use settings::last_good::Fault;
use tokio::task::{JoinError, JoinSet};

use super::reload::{Reload, Reloaded, Seen};

/// What has been done.
pub(super) enum Done {
    Looked(Seen),
    Reloaded(Result<Reloaded, Fault>),
}

/// What is under way.
pub(super) struct Reading {
    reload: Arc<Reload>,
    tasks: JoinSet<Done>,
    looking: bool,
    reloading: bool,
    again: bool,
}

impl Reading {
    pub(super) fn new(reload: &Arc<Reload>) -> Self {
        Self {
            reload: Arc::clone(reload),
            tasks: JoinSet::new(),
            looking: false,
            reloading: false,
            again: false,
        }
    }

    /// Looks at the files, unless somebody does.
    pub(super) fn look(&mut self) {
        if !std::mem::replace(&mut self.looking, true) {
            let reload = Arc::clone(&self.reload);
            self.tasks
                .spawn_blocking(move || Done::Looked(reload.look()));
        }
    }

    /// Reloads, now or when the reload under way has ended.
    pub(super) fn reload(&mut self) {
        if std::mem::replace(&mut self.reloading, true) {
            self.again = true;
            return;
        }
        let reload = Arc::clone(&self.reload);
        self.tasks
            .spawn_blocking(move || Done::Reloaded(reload.run()));
    }

    pub(super) fn is_reloading(&self) -> bool {
        self.reloading
    }

    /// The next that ends; waits where nothing is under way.
    pub(super) async fn done(&mut self) -> Result<Done, JoinError> {
        let Some(done) = self.tasks.join_next().await else {
            return std::future::pending().await;
        };
        match done {
            Ok(Done::Looked(_)) => self.looking = false,
            Ok(Done::Reloaded(_)) => {
                self.reloading = false;
                if std::mem::take(&mut self.again) {
                    self.reload();
                }
            }
            Err(_) => {}
        }
        done
    }
}
