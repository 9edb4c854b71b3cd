//! A relayhost that refuses this server while another one takes its mail: nothing waits that would
//! tell of it, so that it is told as an outage is, once, and its end.

use std::time::Duration;

use super::Transports;
use crate::{
    maillog,
    notices::{Event, OutageReport},
};

impl Transports {
    /// Tells what deliveries have learned of relayhosts since it was told last.
    pub(super) fn tell_of_refusals(&self) {
        let Some(dispatch) = &self.dispatch else {
            return;
        };
        let (untold, mended) = {
            let mut memory = self.memory();
            (memory.take_untold(), memory.take_mended())
        };
        for failure in untold {
            let reason = failure.log_text();
            if failure.of_sender {
                // Another relayhost takes it, and this one takes other mail.
                maillog::refuses_sender(&reason);
                continue;
            }
            maillog::refuses_us(&reason);
            let host = &self.current.get().config.hostname;
            let what = named(failure.relay.as_deref().unwrap_or_default());
            dispatch.news().tell(Event::Began(OutageReport {
                patience: Duration::ZERO,
                headline: format!("{host}: {what} refuses mail of this server"),
                text: format!(
                    "{what} refuses mail of this server, whatever is in it:\n\n{reason}\n\n\
                     No mail is lost: it goes by another relayhost, or waits. \
                     Another mail tells you when this is over.\n\
                     To look further: smarthost status\n"
                ),
                lasts: true,
                reason: None,
                what,
            }));
        }
        for relay in mended {
            let what = named(&relay);
            dispatch.news().tell(Event::Ended { what });
        }
    }
}

fn named(relay: &str) -> String {
    format!("relayhost {relay}")
}
