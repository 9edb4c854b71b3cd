//! MAIL and RCPT: path and `KEY=value` parameters.
//!
//! Contract: each parameter at most once; what no one offered is refused, never ignored, because
//! the sender relies on it.
//! RFC 5321 §4.1.1.2, §4.1.1.3, §4.1.1.11; 1870, 6152, 6531, 3461.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use crate::command::{CommandError, path, verb::BLANKS, write::MAX_NAME, xtext};
use mail::{
    address::{Address, Mailbox},
    envelope::{Mail, Notify, Rcpt, Ret},
};

/// What decides how paths are read.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Our name, for a bare `<postmaster>`.
    pub hostname: &'a str,
    /// Unqualified names, `XCALLER` and `XQUEUED` are allowed (our agent's socket).
    pub local: bool,
    /// MAIL takes `AUTH`, which says nothing to us (RFC 4954 §5).
    pub auth: bool,
    /// MAIL takes `XMOVE`.
    pub xmove: bool,
    /// RCPT: the transaction was begun with SMTPUTF8.
    pub utf8: bool,
}

/// The arguments of MAIL.
pub fn mail(arguments: &str, rules: Rules<'_>) -> Result<Mail, CommandError> {
    let text =
        after_keyword(arguments, "FROM:").ok_or(CommandError::Usage("MAIL FROM:<address>"))?;
    let (path, parameters) = path::split(text).ok_or(CommandError::SenderSyntax)?;
    let mut mail = Mail::default();
    match path.mailbox {
        Some(name @ Mailbox::Local(_)) if !rules.local => {
            return Err(CommandError::SenderUnqualified(name.to_string()));
        }
        sender => mail.sender = sender,
    }
    let (mut eight_bit, mut utf8, mut auth) = (None, None, None);
    let (mut queued, mut moved) = (None, None);
    for (key, value) in split_parameters(parameters) {
        match key.to_ascii_uppercase().as_str() {
            "SIZE" => set(&mut mail.size, value.and_then(size), "SIZE")?,
            "BODY" => set(&mut eight_bit, value.and_then(body), "BODY")?,
            "SMTPUTF8" => set(&mut utf8, value.is_none().then_some(true), "SMTPUTF8")?,
            "RET" => set(&mut mail.ret, value.and_then(Ret::parse), "RET")?,
            "ENVID" => set(&mut mail.envid, value.and_then(envid), "ENVID")?,
            "AUTH" if rules.auth => set(&mut auth, value.and_then(submitter), "AUTH")?,
            "XCALLER" if rules.local => {
                let name =
                    value.map(|name| full_name(name).ok_or(CommandError::Parameter("XCALLER")));
                set(&mut mail.xcaller, Some(name.transpose()?), "XCALLER")?;
            }
            "XQUEUED" if rules.local => {
                set(&mut queued, value.is_none().then_some(true), "XQUEUED")?;
            }
            "XMOVE" if rules.xmove => set(&mut moved, value.is_none().then_some(true), "XMOVE")?,
            _ => return Err(CommandError::Unsupported(key.to_owned())),
        }
    }
    mail.eight_bit = eight_bit.unwrap_or(false);
    mail.utf8 = utf8.unwrap_or(false);
    mail.queued = queued.unwrap_or(false);
    mail.moved = moved.unwrap_or(false);
    if path.ascii || mail.utf8 {
        Ok(mail)
    } else {
        Err(CommandError::SenderNonAscii)
    }
}

/// Who wrote the message, as a client claims: `<>`, or an address in xtext.
fn submitter(value: &str) -> Option<()> {
    let text = xtext::decode(value)?;
    (value == "<>" || Address::parse(&text).is_ok()).then_some(())
}

/// The arguments of RCPT.
pub fn recipient(arguments: &str, rules: Rules<'_>) -> Result<Rcpt, CommandError> {
    let text = after_keyword(arguments, "TO:").ok_or(CommandError::Usage("RCPT TO:<address>"))?;
    let (path, parameters) = path::split(text).ok_or(CommandError::RecipientSyntax)?;
    let to = match path.mailbox {
        None => return Err(CommandError::RecipientSyntax),
        Some(Mailbox::Local(name)) if !rules.local => {
            let written = name.to_string();
            let postmaster = name.as_str().eq_ignore_ascii_case("postmaster");
            let address = Address::new(name.as_str(), rules.hostname).ok();
            match address.filter(|_| postmaster) {
                Some(address) => address.into(),
                None => return Err(CommandError::RecipientUnqualified(written)),
            }
        }
        Some(mailbox) => mailbox,
    };
    if !path.ascii && !rules.utf8 {
        return Err(CommandError::RecipientNonAscii);
    }
    let mut rcpt = Rcpt::from(to);
    let mut wishes = None;
    for (key, value) in split_parameters(parameters) {
        match key.to_ascii_uppercase().as_str() {
            "NOTIFY" => set(&mut wishes, value.and_then(Notify::parse), "NOTIFY")?,
            "ORCPT" => set(&mut rcpt.orcpt, value.and_then(orcpt), "ORCPT")?,
            _ => return Err(CommandError::Unsupported(key.to_owned())),
        }
    }
    rcpt.notify = wishes.unwrap_or_default();
    Ok(rcpt)
}

/// What stands behind `keyword` (in any case) and blanks.
fn after_keyword<'a>(arguments: &'a str, keyword: &str) -> Option<&'a str> {
    let (head, rest) = arguments.split_at_checked(keyword.len())?;
    head.eq_ignore_ascii_case(keyword)
        .then(|| rest.trim_start_matches(BLANKS))
}

fn split_parameters(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let words = text.split(BLANKS).filter(|word| !word.is_empty());
    words.map(|word| {
        word.split_once('=')
            .map_or((word, None), |(key, value)| (key, Some(value)))
    })
}

fn set<T>(slot: &mut Option<T>, value: Option<T>, name: &'static str) -> Result<(), CommandError> {
    if slot.is_some() || value.is_none() {
        return Err(CommandError::Parameter(name));
    }
    *slot = value;
    Ok(())
}

/// Up to 20 digits (RFC 1870 §3); more than 64 bits can say is the most that they can.
fn size(value: &str) -> Option<u64> {
    let valid = (1..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    valid.then(|| value.parse().unwrap_or(u64::MAX))
}

fn body(value: &str) -> Option<bool> {
    match value.to_ascii_uppercase().as_str() {
        "7BIT" => Some(false),
        "8BITMIME" => Some(true),
        _ => None,
    }
}

/// At most 100 characters, printable ASCII once decoded (RFC 3461 §4.4).
fn envid(value: &str) -> Option<String> {
    let decoded = if value.len() <= 100 {
        xtext::decode(value)
    } else {
        None
    };
    decoded.filter(|id| !id.is_empty() && id.is_ascii())
}

/// A full name.
fn full_name(value: &str) -> Option<String> {
    if value.len() <= MAX_NAME {
        xtext::decode(value)
    } else {
        None
    }
}

/// `type;address`, at most 500 characters (RFC 3461 §4.2).
fn orcpt(value: &str) -> Option<String> {
    let (kind, address) = value.split_once(';')?;
    let atom = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if value.len() > 500 || kind.is_empty() || address.is_empty() || !kind.bytes().all(atom) {
        return None;
    }
    Some(format!("{kind};{}", xtext::decode(address)?))
}
