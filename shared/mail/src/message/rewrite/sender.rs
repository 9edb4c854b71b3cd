//! Whose mail it is: from a local name to an address, through revaliases.
//!
//! Contract: revaliases that lead nowhere (a loop, a program) do not stop mail: the name gets the domain, and the change says why.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{
    address::{
        Address, AddressError, Sender,
        list::{self, Target},
    },
    maps::expand,
    message::rewrite::{Caller, Change, RewriteError, Rules, rules::note_sender},
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
    let place = rules.revaliases.place(entry);
    let failure = match expand(&rules.revaliases, name) {
        Ok(values) => match values.iter().find_map(|value| single(value, rules)) {
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

/// The one address that a value of the table writes.
fn single(value: &str, rules: &Rules) -> Option<Address> {
    let mut list = list::parse(value.as_bytes());
    match list.entries.pop()?.target {
        Target::Address(address) => Some(address),
        Target::Local(_) if value.starts_with(['|', '/', ':']) => None,
        Target::Local(name) => Address::new(&name, &rules.domain).ok(),
    }
}

/// What becomes of an address that stands for a sender; `None`: it stays.
pub(super) fn of_target(target: &Target, rules: &Rules) -> Result<Option<Mapped>, AddressError> {
    match target {
        Target::Local(name) => of_account(name, rules).map(Some),
        Target::Address(address) => {
            let name = address.local_name();
            let known = rules.is_ours(address.domain()) && rules.revaliases.get(&name).is_some();
            if known || Rules::is_localhost(address.domain()) {
                of_account(&name, rules).map(Some)
            } else {
                Ok(None)
            }
        }
    }
}

/// The envelope sender.
pub(super) fn envelope(
    typed: Option<&str>,
    caller: &Caller,
    rules: &Rules,
    changes: &mut Vec<Change>,
) -> Result<Sender, RewriteError> {
    let bad = |text: &str, error: AddressError| {
        RewriteError::Sender(format!("`{}`: {error}", text.escape_debug()))
    };
    let text = typed.map_or(caller.user.as_str(), str::trim);
    let target = match typed {
        None => Target::Local(caller.user.clone()),
        Some(_) if text.is_empty() || text == "<>" => return Ok(Sender::Null),
        Some(_) if text.contains(char::is_control) => return Err(bad(text, AddressError::Control)),
        Some(_) => {
            let mut list = list::parse(text.as_bytes());
            if let Some(problem) = list.problems.first() {
                return Err(bad(&problem.text, problem.error));
            }
            match (list.entries.pop(), list.entries.is_empty()) {
                (Some(entry), true) => entry.target,
                (_, _) => {
                    return Err(RewriteError::Sender(format!(
                        "`{}`: one address is needed",
                        text.escape_debug()
                    )));
                }
            }
        }
    };
    let mapped = of_target(&target, rules).map_err(|error| bad(text, error))?;
    let (address, because) = match (target, mapped) {
        (_, Some(mapped)) => (mapped.address, mapped.because),
        (Target::Address(address), None) => (address, "the brackets are not part of it".to_owned()),
        (Target::Local(_), None) => return Err(bad(text, AddressError::NoDomain)),
    };
    let sender = Sender::Address(address.with_ascii_domain());
    note_sender(text, &sender, because, changes);
    Ok(sender)
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
