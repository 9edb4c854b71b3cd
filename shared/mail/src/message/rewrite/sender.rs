//! Whose mail it is: from a local name to an address, through revaliases.
//!
//! Contract: revaliases that lead nowhere (a loop, a program) do not stop mail: the name gets the
//! domain, and the change says why.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{
    address::{Address, AddressError, LocalPart, Mailbox, Sender, list},
    envelope::{Mail, Origin},
    maps::{Target, expand},
    message::rewrite::rules::{A_LABELS, Caller, Change, RewriteError, Rules, note_sender},
};

/// An address, and what made it.
pub(super) struct Mapped {
    pub(super) address: Address,
    pub(super) because: String,
}

/// The address of a local account.
pub(super) fn of_account(name: &str, rules: &Rules) -> Result<Mapped, AddressError> {
    let Some(entry) = rules.revaliases.get(name) else {
        return Ok(Mapped {
            address: Address::new(name, &rules.domain)?,
            because: "domain".into(),
        });
    };
    let place = entry.to_string();
    let failure = match expand(&rules.revaliases, &LocalPart::new(name)?) {
        Ok(targets) => match targets.iter().find_map(|target| single(target, rules)) {
            Some(address) => {
                return Ok(Mapped {
                    address,
                    because: place,
                });
            }
            None => "no address there".to_owned(),
        },
        Err(error) => error.to_string(),
    };
    let address = Address::new(name, &rules.domain)?;
    Ok(Mapped {
        address,
        because: format!("domain ({place}: {failure})"),
    })
}

/// The address that a target of the table is.
fn single(target: &Target, rules: &Rules) -> Option<Address> {
    match target {
        Target::Mailbox(Mailbox::Address(address)) => Some(address.clone()),
        Target::Mailbox(Mailbox::Local(name)) => Address::new(name.as_str(), &rules.domain).ok(),
        _ => None,
    }
}

/// What becomes of an address that stands for a sender; `None`: it stays.
pub(super) fn of_target(target: &Mailbox, rules: &Rules) -> Result<Option<Mapped>, AddressError> {
    match target {
        Mailbox::Local(name) => of_account(name.as_str(), rules).map(Some),
        Mailbox::Address(address) => {
            let name = address.local_name();
            let known = rules.is_ours(address.domain()) && rules.revaliases.get(&name).is_some();
            if known || rules.is_localhost(address.domain()) {
                of_account(&name, rules).map(Some)
            } else {
                Ok(None)
            }
        }
    }
}

/// The envelope sender.
pub(super) fn envelope(
    mail: &Mail,
    caller: &Caller,
    rules: &Rules,
    changes: &mut Vec<Change>,
) -> Result<Sender, RewriteError> {
    let bad = |text: &str, error: AddressError| {
        RewriteError::Sender(format!("`{}`: {error}", text.escape_debug()))
    };
    let (text, mapped) = match mail.origin() {
        Origin::Null => return Ok(Sender::Null),
        Origin::Caller => (
            caller.user.clone(),
            of_account(&caller.user, rules).map(Some),
        ),
        Origin::Given(mailbox) => (mailbox.to_string(), of_target(mailbox, rules)),
    };
    let (address, because) = match (mail.origin(), mapped.map_err(|error| bad(&text, error))?) {
        (_, Some(mapped)) => (mapped.address, mapped.because),
        (Origin::Given(Mailbox::Address(address)), None) => (address.clone(), A_LABELS.to_owned()),
        (_, None) => return Err(bad(&text, AddressError::NoDomain)),
    };
    let sender = Sender::Address(address.with_ascii_domain());
    note_sender(&text, &sender, because, changes);
    Ok(sender)
}

/// The local name that a sender's address stands for: it is at this machine's own name, or was made
/// of the name of the account `user` alone.
pub fn account_of(sender: &Address, user: Option<&str>, rules: &Rules) -> Option<LocalPart> {
    let made = |user: &&str| {
        rules.revaliases.get(user).is_none()
            && Address::new(user, &rules.domain).is_ok_and(|made| made.key() == sender.key())
    };
    if *sender.domain() == rules.hostname {
        return LocalPart::new(&sender.local_name()).ok();
    }
    user.filter(made).and_then(|user| LocalPart::new(user).ok())
}

/// The account that a program names as sender, in place of the one that it runs as (`-f daemon`).
pub fn account_named(mail: &Mail, caller: &Caller, rules: &Rules) -> Option<LocalPart> {
    let name = match mail.origin() {
        Origin::Given(Mailbox::Local(name)) => name.clone(),
        Origin::Given(Mailbox::Address(address)) if rules.is_localhost(address.domain()) => {
            LocalPart::new(&address.local_name()).ok()?
        }
        _ => return None,
    };
    (name.as_str() != caller.user).then_some(name)
}

/// The `From` of a message that has none: `"Full Name" <address of the caller>`.
pub fn default_from(caller: &Caller, rules: &Rules) -> Result<String, RewriteError> {
    let mapped = of_account(&caller.user, rules).map_err(|error| {
        RewriteError::Sender(format!("`{}`: {error}", caller.user.escape_debug()))
    })?;
    let name = list::display_name(&caller.full_name);
    Ok(if name.is_empty() {
        mapped.address.to_string()
    } else {
        format!("{name} <{}>", mapped.address)
    })
}
