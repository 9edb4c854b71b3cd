//! News for the sender of addresses that could not be read: a caller such as cron does not look at
//! the exit status.
//!
//! Contract: goes to the envelope sender with the null sender, so that nothing answers it; holds
//! the message as far as nobody else has it.

use std::io::Read as _;

use mail::{
    address::{Address, LocalPart, Mailbox},
    clock,
    envelope::{Mail, Origin, Rcpt},
    limits, notice,
};

use super::ready::Ready;
use crate::{
    compose::read::{self, Message},
    identity,
    plan::Submission,
};

/// Most of the message that is quoted, bytes.
const QUOTED: u64 = 50_000;

/// The message that tells of `problems`; `None` if there is nobody to tell. `served`: others get
/// the message.
pub(super) fn news(
    submission: &Submission,
    message: &Message,
    problems: &[String],
    served: bool,
    hostname: &str,
) -> Option<Ready> {
    let to = match submission.mail.origin() {
        Origin::Null => return None,
        Origin::Given(sender) => sender.clone(),
        Origin::Caller => {
            let caller = identity::caller(rustix::process::getuid().as_raw());
            Mailbox::Local(LocalPart::new(&caller.user).ok()?)
        }
    };
    let shown = match &to {
        Mailbox::Address(address) => address.clone(),
        Mailbox::Local(name) => Address::new(name.as_str(), hostname).ok()?,
    };
    let mut quoted = Vec::new();
    let most = if served {
        message.header.to_bytes().len() as u64
    } else {
        QUOTED
    };
    message
        .reader()
        .ok()?
        .take(most)
        .read_to_end(&mut quoted)
        .ok()?;
    let (subject, what, who) = if served {
        let subject = "Mail was not sent to all: an address could not be read";
        (subject, "header", "It was sent to all others.")
    } else {
        let subject = "Undelivered mail: an address could not be read";
        (subject, "beginning", "It was sent to nobody.")
    };
    let text = format!(
        "Not all recipients of your message could be read:\n\n  {}\n\n{who} Its {what}:\n\n{}\n",
        problems.join("\n  "),
        String::from_utf8_lossy(&quoted).replace('\r', ""),
    );
    let text = notice::notice(hostname, clock::now(), &[shown], subject, &text);
    Some(Ready {
        submission: Submission {
            mail: Mail::default(),
            ..Submission::default()
        },
        message: read::message(text.as_slice(), &mut || limits::MESSAGE).ok()?,
        recipients: vec![Rcpt::from(to)],
    })
}
