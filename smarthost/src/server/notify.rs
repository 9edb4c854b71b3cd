//! Mail of our own to the administrators: of limits, of dead mail, and of a configuration that is wrong.

use std::{sync::Arc, time::Duration};

use mail::{
    address::{Address, Sender},
    clock,
    envelope::{Envelope, Recipient},
};
use settings::last_good::Fault;
use system::log::{self, Level, line};
use tokio::time;

use super::Server;
use crate::{dispatch::Dispatch, setup::Setup};

/// Where most of it comes from, in the queue.
const OURS: &str = "smarthost";
/// The longest wait without looking at the clock.
const LOOK: Duration = Duration::from_mins(1);

/// Tells of limits, as long as the daemon runs, and what the log has counted; what waits at the end is told then.
pub(crate) async fn run(server: Arc<Server>) {
    let mut ending = server.ending.clone();
    loop {
        let now = clock::now();
        let due = server.limits().notice_due(now);
        let wait = due.map_or(LOOK, |due| due.since(now).min(LOOK));
        let ended = tokio::select! {
            _ = time::timeout(wait, server.news.notified()) => false,
            _ = ending.wait_for(|ending| *ending) => true,
        };
        log::tell_repeats();
        of_limits(&server, ended).await;
        if ended {
            return;
        }
    }
}

/// Queues the notice that is due, or at the end whatever waits; without anybody to tell it is a line in the log.
async fn of_limits(server: &Server, ended: bool) {
    let notice = {
        let (now, mut limits) = (clock::now(), server.limits());
        let last = limits.notice_due(now).filter(|_| ended);
        limits.next_notice(last.unwrap_or(now))
    };
    let Some(notice) = notice else { return };
    let setup = server.current.get();
    line(Level::Notice, &format_args!("notice: {}", notice.subject));
    let to = &setup.config.limits_notify;
    let text = (&*notice.subject, &*notice.text);
    tell(&server.dispatch, &setup, to, text, OURS).await;
}

/// Tells the administrators what is wrong with the configuration, and what the daemon does about it.
pub(crate) async fn of_fault(dispatch: Arc<Dispatch>, setup: Arc<Setup>, fault: Fault) {
    let host = &setup.config.hostname;
    let text = format!(
        "The configuration of smarthost on {host} is wrong:\n\n{}\n\n\
         No mail is lost: {}.\n\
         The daemon takes the mended file by itself. See also: smarthost check\n",
        fault.text,
        fault.consequence(),
    );
    let subject = format!("{host}: the configuration of smarthost is wrong");
    let admins = &setup.config.admins;
    tell(&dispatch, &setup, admins, (&subject, &text), OURS).await;
}

/// Tells the administrators; `origin`: what the notice is, in the queue.
pub(crate) async fn of_queue(
    dispatch: &Dispatch,
    setup: &Setup,
    text: (&str, &str),
    origin: &'static str,
) {
    line(Level::Notice, &format_args!("notice: {}", text.0));
    tell(dispatch, setup, &setup.config.admins, text, origin).await;
}

async fn tell(
    dispatch: &Dispatch,
    setup: &Setup,
    to: &[Address],
    (subject, text): (&str, &str),
    origin: &'static str,
) {
    if to.is_empty() {
        return;
    }
    let host = &setup.config.hostname;
    let message = mail::notice::notice(host, clock::now(), to, subject, text);
    let envelope = Envelope {
        sender: Sender::Null,
        recipients: to.iter().cloned().map(Recipient::from).collect(),
        origin: origin.to_owned(),
        ..Envelope::default()
    };
    if let Err(error) = dispatch.inject(&message, envelope, &setup.router).await {
        line(
            Level::Error,
            &format_args!("cannot queue a notice to the administrators: {error}"),
        );
    }
}
