//! Mail of our own to the administrators: of limits, and of a configuration that is wrong.

use std::sync::Arc;

use mail::{
    address::{Address, Sender},
    clock,
    envelope::{Envelope, Recipient},
};
use settings::last_good::Fault;
use system::log::{Level, line};

use crate::{dispatch::Dispatch, limits::Notice, setup::Setup};

/// Queues a notice of a limit; without anybody to tell it is a line in the log.
pub(super) async fn of_limit(dispatch: Arc<Dispatch>, setup: Arc<Setup>, notice: Notice) {
    line(Level::Notice, &format_args!("notice: {}", notice.subject));
    let to = &setup.config.limits_notify;
    tell(&dispatch, &setup, to, &notice.subject, &notice.text).await;
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
    tell(&dispatch, &setup, &setup.config.admins, &subject, &text).await;
}

async fn tell(dispatch: &Dispatch, setup: &Setup, to: &[Address], subject: &str, text: &str) {
    if to.is_empty() {
        return;
    }
    let host = &setup.config.hostname;
    let message = mail::notice::notice(host, clock::now(), to, subject, text);
    let envelope = Envelope {
        sender: Sender::Null,
        recipients: to.iter().cloned().map(Recipient::from).collect(),
        origin: "smarthost".to_owned(),
        ..Envelope::default()
    };
    if let Err(error) = dispatch.inject(&message, envelope, &setup.router).await {
        line(
            Level::Error,
            &format_args!("cannot queue a notice to the administrators: {error}"),
        );
    }
}
