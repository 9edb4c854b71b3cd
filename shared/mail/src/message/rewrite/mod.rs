//! Rewriting: one policy for envelope and header (rows A1, A2, B9, B18, D2).
//!
//! | what | becomes |
//! |---|---|
//! | envelope sender | a local name, or one of our own addresses that revaliases name: what revaliases say, else `name@domain` |
//! | `From`, `Resent-From` | the same; without `from_override`, anything else becomes the caller's own address |
//! | `Sender`, `Reply-To`, `Resent-Sender` | as the envelope sender |
//! | recipients | local names: what aliases say, else `admin`, else `name@domain` |
//! | `To`, `Cc`, `Resent-To`, `Resent-Cc` | local names: `name@domain` |
//!
//! Contract: pure; only the address inside a field changes, all else of it stays byte for byte;
//! `root (Cron Daemon)` becomes `"Cron Daemon" <root@…>`. Every change is told, with the line or
//! the setting that caused it.
//! Failures: [`RewriteError`], the caller's or the administrator's; never a guess about a
//! recipient.

mod fields;
mod recipient;
mod rules;
mod sender;
#[cfg(test)]
mod tests;

pub use recipient::{local_name, looked_up, resolve};
pub use rules::{Caller, Change, LEFT_OUT, REFUSED, RewriteError, Rules};
pub use sender::{account_named, account_of, default_from};

use crate::{
    address::Address,
    envelope::{Content, Envelope, Mail, Rcpt},
    message::Header,
};

/// Makes the envelope's addresses and rewrites `From`, `Sender`, `Reply-To`, `To`, `Cc`,
/// `Resent-*`. Pure.
///
/// The envelope has sender, recipients with their wishes, RET and ENVID, and `content.utf8` if an
/// address is not ASCII; the rest is the caller's to fill in.
pub fn rewrite(
    mail: &Mail,
    recipients: &[Rcpt],
    header: &mut Header,
    caller: &Caller,
    rules: &Rules,
) -> Result<(Envelope, Vec<Change>), RewriteError> {
    let mut changes = Vec::new();
    let sender = sender::envelope(mail, caller, rules, &mut changes)?;
    let recipients = recipient::envelope(recipients, rules, &mut changes)?;
    fields::rewrite(header, caller, rules, &mut changes)?;
    let ascii = sender.address().is_none_or(Address::is_ascii)
        && recipients
            .iter()
            .all(|recipient| recipient.address.is_ascii());
    let content = Content {
        eight_bit: false,
        utf8: !ascii,
    };
    Ok((
        Envelope {
            sender,
            recipients,
            content,
            ret: mail.ret,
            envid: mail.envid.clone(),
            ..Envelope::default()
        },
        changes,
    ))
}
