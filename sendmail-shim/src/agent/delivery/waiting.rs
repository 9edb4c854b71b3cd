//! Other mail that may wait for the connection of a delivery whose relayhost is silent: the queue
//! is told, and says when it does.

use queue::Silence;
use relay::net::Others;

use crate::agent::dispatch::{Dispatch, Event};

/// While the delivery is under way.
pub(super) struct Waiting<'a> {
    dispatch: &'a Dispatch,
    ticket: u64,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(dispatch: &'a Dispatch, ticket: u64) -> Self {
        dispatch.cuts().insert(ticket, false);
        Self { dispatch, ticket }
    }
}

impl Others for Waiting<'_> {
    fn silent(&self, in_doubt: bool, named: bool) {
        let ticket = self.ticket;
        // Whatever was said before was of another silence.
        self.dispatch.cuts().insert(ticket, false);
        let silence = Silence { in_doubt, named };
        self.dispatch.tell(Event::Silent { ticket, silence });
    }

    fn speaks(&self) {
        let ticket = self.ticket;
        self.dispatch.tell(Event::Speaks { ticket });
    }

    fn wait(&self) -> bool {
        self.dispatch.cuts().get(&self.ticket) == Some(&true)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.dispatch.cuts().remove(&self.ticket);
    }
}
