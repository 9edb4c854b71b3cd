//! The header's side of the policy: only the address inside a field is replaced.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{
    address::{
        Address, AddressError, Mailbox,
        list::{self, Entry},
    },
    message::{
        Field, Header,
        rewrite::{
            rules::{A_LABELS, Caller, Change, RewriteError, Rules},
            sender::{self, Mapped},
        },
    },
};

/// What a field's addresses are.
#[derive(Clone, Copy)]
enum Role {
    Author,
    Sender,
    Recipient,
}

const FIELDS: &[(&str, Role)] = &[
    ("From", Role::Author),
    ("Resent-From", Role::Author),
    ("Sender", Role::Sender),
    ("Reply-To", Role::Sender),
    ("Resent-Sender", Role::Sender),
    ("To", Role::Recipient),
    ("Cc", Role::Recipient),
    ("Resent-To", Role::Recipient),
    ("Resent-Cc", Role::Recipient),
];

/// Rewrites the address fields of the header.
pub(super) fn rewrite(
    header: &mut Header,
    caller: &Caller,
    rules: &Rules,
    changes: &mut Vec<Change>,
) -> Result<(), RewriteError> {
    let own = sender::of_account(&caller.user, rules).map_err(|error| {
        RewriteError::Sender(format!("`{}`: {error}", caller.user.escape_debug()))
    })?;
    let from = sender::default_from(caller, rules)?;
    header.edit(|field| {
        let (_, role) = FIELDS.iter().find(|(name, _)| field.is(name))?;
        let list = list::parse(field.body());
        let broken = list.entries.is_empty() || !list.problems.is_empty();
        if broken
            && matches!(role, Role::Author)
            && !rules.from_override
            && !field.value().is_empty()
        {
            changes.push(change(
                field,
                String::from_utf8_lossy(&field.value()).into(),
                &from,
                "from_override",
            ));
            return Some(Field::new(field.name(), &from));
        }
        replace(
            field,
            &list.entries,
            |target| of_role(*role, target, &own, rules),
            changes,
        )
    });
    Ok(())
}

fn change(field: &Field, before: String, after: &str, because: &str) -> Change {
    Change {
        what: field.name().to_owned(),
        before,
        after: after.to_owned(),
        because: because.to_owned(),
    }
}

/// What an address becomes; `None`: it stays. One that cannot be made into an address stays too.
fn of_role(role: Role, target: &Mailbox, own: &Mapped, rules: &Rules) -> Option<Mapped> {
    match role {
        Role::Sender => sender::of_target(target, rules).ok().flatten(),
        Role::Recipient => qualified(target, rules).ok().flatten(),
        Role::Author if rules.from_override => sender::of_target(target, rules).ok().flatten(),
        Role::Author => {
            let named =
                revaliased(target, rules).and_then(|name| sender::of_account(&name, rules).ok());
            Some(named.unwrap_or_else(|| Mapped {
                address: own.address.clone(),
                because: format!("from_override; {}", own.because),
            }))
        }
    }
}

/// The account that an address means, if revaliases name it.
fn revaliased(target: &Mailbox, rules: &Rules) -> Option<String> {
    let name = match target {
        Mailbox::Local(name) => name.as_str().to_owned(),
        Mailbox::Address(address) if rules.is_ours(address.domain()) => address.local_name(),
        Mailbox::Address(_) => return None,
    };
    rules.revaliases.get(&name).is_some().then_some(name)
}

fn qualified(target: &Mailbox, rules: &Rules) -> Result<Option<Mapped>, AddressError> {
    let name = match target {
        Mailbox::Local(name) => name.as_str().to_owned(),
        Mailbox::Address(address) if rules.is_localhost(address.domain()) => address.local_name(),
        Mailbox::Address(_) => return Ok(None),
    };
    Ok(Some(Mapped {
        address: Address::new(&name, &rules.domain)?,
        because: "domain".into(),
    }))
}

/// An address that stays, but for its domain in UTF-8.
fn ascii(target: &Mailbox) -> Option<Mapped> {
    match target {
        Mailbox::Address(address) if !address.written_domain().is_ascii() => Some(Mapped {
            address: address.clone().with_ascii_domain(),
            because: A_LABELS.into(),
        }),
        _ => None,
    }
}

/// The field with other addresses in it; `None` if all stay.
fn replace(
    field: &Field,
    entries: &[Entry],
    map: impl Fn(&Mailbox) -> Option<Mapped>,
    changes: &mut Vec<Change>,
) -> Option<Field> {
    let body = field.body();
    let mut out = Vec::with_capacity(body.len());
    let mut kept = 0usize;
    for entry in entries {
        let Some(mapped) = map(&entry.target).or_else(|| ascii(&entry.target)) else {
            continue;
        };
        let same = |address: &Address| {
            address.key() == mapped.address.key() && address.written_domain().is_ascii()
        };
        if entry.target.address().is_some_and(same) {
            continue;
        }
        // The old form with the name in a comment becomes the one that every mail program shows.
        let comment = entry
            .comment
            .as_deref()
            .map(list::phrase)
            .filter(|name| !name.is_empty());
        let (range, text) = match comment {
            Some(name) if entry.name.is_none() => {
                (&entry.mailbox, format!("{name} <{}>", mapped.address))
            }
            _ => (&entry.spec, mapped.address.to_string()),
        };
        out.extend_from_slice(body.get(kept..range.start).unwrap_or_default());
        out.extend_from_slice(text.as_bytes());
        kept = range.end;
        let before = match &entry.target {
            Mailbox::Address(address) => address.to_string(),
            Mailbox::Local(name) => name.as_str().to_owned(),
        };
        changes.push(change(
            field,
            before,
            mapped.address.as_str(),
            &mapped.because,
        ));
    }
    if kept == 0 {
        return None;
    }
    out.extend_from_slice(body.get(kept..).unwrap_or_default());
    Some(field.with_body(&out))
}
