//! What systemd wants to know of the agent: ready, stopping, and alive.
//!
//! Contract: without systemd nothing happens. "Alive" is said only after the delivery thread has
//! answered, and after the locks that every submission takes could be taken.
//! Failures: an agent that hangs says nothing, and systemd starts it again (`WatchdogSec=`); its
//! mail is in the spool.

use std::{sync::mpsc, time::Duration};

use sd_notify::NotifyState;

use super::{dispatch::Signal, maillog, state::Agent};

/// How long the delivery thread, which never waits for network or disk, may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The agent takes mail.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// The agent ends.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

/// How often systemd wants to hear that the agent is alive, if it wants to.
pub(super) fn interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|most| most / 2)
}

/// Says "alive", if that is so.
pub(super) fn beat(agent: &Agent) {
    if answers(agent, PATIENCE) {
        tell(NotifyState::Watchdog);
    } else {
        maillog::warning("the delivery thread does not answer: systemd will start the agent again");
    }
}

fn answers(agent: &Agent, patience: Duration) -> bool {
    let (answer, answered) = mpsc::channel();
    agent.dispatch.signal(Signal::Alive(answer));
    // What every submission has to pass; whoever holds one of these locks for ever stops this
    // thread too.
    let _ = (agent.presence.idle(), agent.dispatch.spool.is_empty());
    answered.recv_timeout(patience).is_ok()
}

fn tell(state: NotifyState<'_>) {
    // Nobody listens where there is no systemd.
    let _ = sd_notify::notify(&[state]);
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use spool::{Options, Spool};

    use super::*;
    use crate::{
        agent::{deaf::Deaf, delivery::driver::Driver},
        config::settings::Settings,
    };

    #[test]
    fn an_agent_whose_deliveries_have_stopped_is_not_called_alive() {
        let directory = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(directory.path(), Options::default()).unwrap();
        let settings = Settings::parse(Some(&directory.path().join("config.toml")), "").unwrap();
        let (agent, signals) = Agent::new(settings, spool, Deaf::default());
        let agent = Arc::new(agent);
        assert!(
            !answers(&agent, Duration::from_millis(1)),
            "nobody delivers"
        );
        let driver = Driver::new(Arc::clone(&agent), None, signals);
        thread::spawn(|| driver.run());
        assert!(answers(&agent, PATIENCE));
    }
}
