//! The keys under which access(5) looks things up, in order: the whole one first, then its parts.
//!
//! Contract: of a domain its parents are asked too, down to the last label
//! (`parent_domain_matches_subdomains` holds `smtpd_access_maps`), so that a key with a leading dot
//! never matches.

use std::net::IpAddr;

use mail::address::{Address, Domain, Sender, quote_local};

/// One key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    pub text: String,
    /// Not a part of what is looked up: patterns see it too.
    pub whole: bool,
}

/// Of a client: its name, if it has one, with parents; then its address, with the networks that
/// dots or colons end.
pub fn client(name: Option<&str>, address: IpAddr) -> Vec<Key> {
    let mut keys = name.map_or_else(Vec::new, host);
    keys.extend(self::address(address));
    keys
}

/// Of an address: itself, then the networks that dots or colons end.
pub fn address(address: IpAddr) -> Vec<Key> {
    let address = address.to_canonical();
    let sign = if address.is_ipv4() { '.' } else { ':' };
    let whole = address.to_string();
    let mut parts = Vec::new();
    let mut rest = whole.as_str();
    while let Some((network, _)) = rest.rsplit_once(sign) {
        // No `::` stands at the end of a network.
        rest = network.trim_end_matches(sign);
        if !rest.is_empty() {
            parts.push(rest.to_owned());
        }
    }
    keys(whole, parts)
}

/// Of a host name, as HELO says it or as DNS does: itself, then its parents.
pub fn host(name: &str) -> Vec<Key> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let domain = Domain::name(name).map_or_else(|_| name.to_lowercase(), |name| name.to_string());
    let parents = parents(&domain);
    keys(domain, parents)
}

/// Of a sender; the null sender is `<>`.
pub fn sender(sender: &Sender, delimiter: Option<char>) -> Vec<Key> {
    match sender {
        Sender::Null => keys("<>".to_owned(), Vec::new()),
        Sender::Address(address) => mailbox(address, delimiter),
    }
}

/// Of a sender's or recipient's address: `user+ext@domain`, `user@domain`, the domain, its parents,
/// `user+ext@`, `user@`.
pub fn mailbox(address: &Address, delimiter: Option<char>) -> Vec<Key> {
    let domain = address.domain().to_string();
    let local = address.local_name();
    let user = |name: &str| format!("{}@", quote_local(name));
    let bare = split_extension(&local, delimiter).map(|(name, _)| user(name));
    let mut parts: Vec<String> = bare.iter().map(|bare| format!("{bare}{domain}")).collect();
    let parents = parents(&domain);
    parts.push(domain.clone());
    parts.extend(parents);
    parts.push(user(&local));
    parts.extend(bare);
    keys(format!("{}{domain}", user(&local)), parts)
}

/// Name and extension of a local part as meant: at the first delimiter that has something before
/// it. Names that must stay whole do: `owner-x` and `x-request` where the delimiter is `-` (Postfix
/// `split_addr`).
pub fn split_extension(local: &str, delimiter: Option<char>) -> Option<(&str, &str)> {
    let delimiter = delimiter?;
    let role = local.to_ascii_lowercase();
    let whole = ["postmaster", "mailer-daemon", "double-bounce"].contains(&role.as_str())
        || delimiter == '-' && (role.starts_with("owner-") || role.ends_with("-request"));
    let (name, extension) = local.split_once(delimiter).filter(|_| !whole)?;
    (!name.is_empty()).then_some((name, extension))
}

fn parents(domain: &str) -> Vec<String> {
    let dots = domain.match_indices('.');
    let rest = dots.filter_map(|(dot, _)| domain.get(dot + 1..));
    rest.filter(|rest| !rest.is_empty())
        .map(str::to_owned)
        .collect()
}

fn keys(whole: String, parts: Vec<String>) -> Vec<Key> {
    let key = |whole| move |text| Key { text, whole };
    let whole = std::iter::once(whole).map(key(true));
    whole.chain(parts.into_iter().map(key(false))).collect()
}
