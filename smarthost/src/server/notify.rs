//! Mail of our own to the administrators, when a client comes near its limit or reaches it.

use std::sync::Arc;

use mail::{
    address::Sender,
    clock,
    envelope::{Envelope, Recipient},
};
use system::log::{Level, line};

use crate::{dispatch::Dispatch, limits::Notice, setup::Setup};

/// Queues a notice; without administrators in the configuration it is a line in the log.
pub(super) async fn administrators(dispatch: Arc<Dispatch>, setup: Arc<Setup>, notice: Notice) {
    let admins = &setup.config.admins;
    line(Level::Notice, &format_args!("notice: {}", notice.subject));
    if admins.is_empty() {
        return;
    }
    let message = mail::notice::notice(
        &setup.config.hostname,
        clock::now(),
        admins,
        &notice.subject,
        &notice.text,
    );
    let envelope = Envelope {
        sender: Sender::Null,
        recipients: admins.iter().cloned().map(Recipient::from).collect(),
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
