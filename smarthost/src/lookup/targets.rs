//! The right side of virtual(5): addresses, of which the first may be `@domain` alone, which keeps
//! the local part.
//!
//! Contract: total. Failures: a text that quotes what is no address.

use mail::{
    address::{Address, Mailbox, list, quote_local},
    maps::Problem,
};

use super::LookupTable;

/// The addresses that a value names for a local part (as meant). Names without a domain are left to
/// who knows our own.
pub fn targets(value: &str, local: &str) -> Result<Vec<Mailbox>, String> {
    let kept = value.starts_with('@').then(|| quote_local(local) + value);
    if value.is_empty() {
        return Err("there is no address".to_owned());
    }
    let list = list::parse(kept.as_deref().unwrap_or(value).as_bytes());
    if let Some(problem) = list.problems.first() {
        let text = problem.text.escape_debug();
        return Err(if problem.text.starts_with('@') {
            format!(
                "`{text}` keeps the local part only as the first address of an entry; write full \
                 addresses after it"
            )
        } else {
            format!("`{text}`: {}", problem.error)
        });
    }
    let ascii = |mailbox| match mailbox {
        Mailbox::Address(address) => Mailbox::Address(Address::with_ascii_domain(address)),
        name @ Mailbox::Local(_) => name,
    };
    Ok(list
        .entries
        .into_iter()
        .map(|entry| ascii(entry.target))
        .collect())
}

/// The values of a table that name no addresses.
pub fn examine(table: &LookupTable) -> Vec<Problem> {
    let wrong = |(key, value, line): (&str, &str, u32)| {
        // What a pattern's value names depends on what it matched.
        let depends = key.is_empty() && value.contains('$');
        // It is told already that there is none.
        let why = (!depends && !value.is_empty())
            .then(|| targets(value, "user"))?
            .err()?;
        Some(Problem {
            path: table.place(line).path.to_path_buf(),
            line,
            text: why,
            fault: true,
        })
    };
    table.entries().filter_map(wrong).collect()
}
