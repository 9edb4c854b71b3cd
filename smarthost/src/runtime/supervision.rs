//! What systemd wants to know: ready, reloading, stopping, and alive.
//!
//! Contract: without systemd nothing happens. The watchdog is fed from the runtime, so a runtime
//! that hangs is noticed.

use sd_notify::NotifyState;
use tokio::{sync::watch, time};

/// The daemon takes mail.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload begins; [`ready`] ends it.
pub(super) fn reloading() {
    if let Ok(at) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, at]);
    }
}

/// The daemon ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says "alive" twice in each interval that systemd asks for, until the daemon ends.
pub(super) async fn watchdog(mut ending: watch::Receiver<bool>) {
    let Some(interval) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut beat = time::interval(interval / 2);
    loop {
        tokio::select! {
            _ = beat.tick() => tell(&[NotifyState::Watchdog]),
            _ = ending.wait_for(|ending| *ending) => return,
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    // Nobody listens where there is no systemd.
    let _ = sd_notify::notify(state);
}
