//! What administrators order, and what they are told.

use std::time::Duration;

use mail::clock::{self, Timestamp};
use system::log::{Level, line};
use tokio::{runtime::Handle, time};

use super::{Budget, fresh, locked};
use crate::{
    budget::{
        moment::moment,
        orders::{Due, What},
        protocol::{Everywhere, Id},
        store::{Heard, Store},
        wire::Unusable,
    },
    limits::ClientId,
};

/// A reset is told for so long at least.
const DAY: Duration = Duration::from_hours(24);
/// For all that is asked once for an administrator.
const PATIENCE: Duration = Duration::from_secs(1);

impl Budget {
    /// An administrator's order here, for all; to be kept on the disk before it is answered.
    pub(crate) fn order(&self, client: &ClientId, what: What, now: Timestamp) {
        if self.settings.is_none() {
            return;
        }
        let lasts = match what {
            What::Raise { lasts, .. } => lasts,
            // As long as what is forgiven could count.
            What::Reset => {
                let limits = locked(&self.limits).limits_of(client, now).into_iter();
                let spans = limits.map(|(_, limit)| limit.window.span);
                spans.max().unwrap_or_default().max(DAY)
            }
        };
        let lasts = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        self.site().order(client, what, lasts, moment());
    }

    /// A node that is gone for good is not waited for.
    pub(crate) async fn forget_node(&self, node: &str) -> Result<(), String> {
        let store = locked(&self.link).store.clone();
        let store = store.ok_or_else(|| self.trouble())?;
        if let Some(why) = self.site().refuses_to_forget(node, moment()) {
            return Err(why);
        }
        let were = {
            let mut site = self.site();
            let nodes = site.terms().nodes;
            site.peers().with(node, nodes)
        };
        let forgotten = time::timeout(PATIENCE, store.forget(node, were)).await;
        let forgotten = forgotten.unwrap_or_else(|_| Err(Unusable("does not answer".to_owned())));
        match forgotten {
            Ok(true) => {
                let mut site = self.site();
                let now = site.now(moment());
                site.peers().forget(node, now, were);
                Ok(())
            }
            Ok(false) => Err(format!("`{node}` is there")),
            Err(why) => Err(format!("the store of the budget {why}")),
        }
    }

    /// What all nodes have counted, as the store knows it now; nothing where it cannot be asked.
    pub(crate) async fn everywhere(&self) -> Everywhere {
        let store = locked(&self.link).store.clone();
        let Some(store) = store else {
            return Everywhere::new();
        };
        let since = |client: &ClientId| self.site().generation(client, moment());
        let asked = time::timeout(PATIENCE, store.everywhere(&since)).await;
        asked.map_or_else(|_| Everywhere::new(), Result::unwrap_or_default)
    }

    /// While the others cannot be asked: what counts against this node's part of a limit, and that
    /// part.
    pub(crate) fn alone(&self, id: &Id, limit: u32) -> Option<(u32, u32)> {
        self.settings.as_ref()?;
        self.site().alone(id, limit, moment())
    }

    /// Whether the others cannot be asked.
    pub(crate) fn is_alone(&self) -> bool {
        let told = locked(&self.link).told.len();
        let site = self.site();
        let nodes = usize::try_from(site.terms().nodes).unwrap_or(usize::MAX);
        self.settings.is_some() && !(site.is_up() && told >= nodes)
    }

    /// [`Budget::forget_node`], on a thread that may wait.
    pub(crate) fn forget_node_now(&self, node: &str) -> Result<(), String> {
        match Handle::try_current() {
            Ok(runtime) => runtime.block_on(self.forget_node(node)),
            Err(_) => Err(self.trouble()),
        }
    }

    /// [`Budget::everywhere`], on a thread that may wait.
    pub(crate) fn everywhere_now(&self) -> Everywhere {
        match Handle::try_current() {
            Ok(runtime) if self.settings.is_some() => runtime.block_on(self.everywhere()),
            _ => Everywhere::new(),
        }
    }

    /// Does what administrators have ordered elsewhere, and tells what they have ordered here.
    pub(super) async fn obey(&self, store: &Store, heard: &Heard) -> Result<(), Unusable> {
        if self.site().has_met(&heard.orders) {
            return Ok(());
        }
        let rows = store.orders().await?;
        let met = self.site().meet(&rows, moment());
        for (client, due) in &met.due {
            self.execute(client, due, clock::now());
        }
        store.order(&met.tell, &fresh()).await?;
        self.site().has_told_orders(&heard.orders);
        Ok(())
    }

    fn execute(&self, client: &ClientId, due: &Due, now: Timestamp) {
        let mut limits = locked(&self.limits);
        let mut done = Ok(());
        if due.reset {
            done = limits.reset(client).map(drop);
        }
        if let Some((limit, lasts)) = due.raise {
            let until = now.after(lasts);
            done = done.and(limits.raise(client, limit, until, now).map(drop));
        }
        drop(limits);
        if let Err(why) = done {
            line(
                Level::Warning,
                &format_args!("an order of another smarthost about {client} is not obeyed: {why}"),
            );
        }
    }
}
