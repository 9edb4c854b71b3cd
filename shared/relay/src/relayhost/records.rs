//! What DNS says of a relayhost: reading answers, and their order.
//!
//! Contract: records of other names than the one that was asked for, or what it is an alias of,
//! count for nobody. "There is none" is only what a whole answer says: one that was cut is an
//! error, and an alias whose target it does not tell of is to be followed. It is said by an SOA, or
//! by the silence of a server that looks for itself or has the zone (glibc's resolver takes an
//! empty answer with neither of these for none, too); one that names others' servers in place of
//! an answer, answers something else, or says nothing at all does not know. A service that is
//! "decidedly not available" (target `.`) has no host. Lower priority first, equal ones by weight.
//! RFC 1034 §3.6.2 (aliases), RFC 2181 §9 (answers that are cut), RFC 2308 §2.1, §2.2 (an SOA says
//! that there is none; some answers have none; servers alone are a referral), RFC 2782,
//! RFC 5321 §5.1.

#[cfg(test)]
mod tests;

use domain::{
    base::{
        Message, Name, ParsedName, Rtype, ToName as _,
        iana::{Class, Opcode, Rcode},
        rdata::ParseRecordData,
    },
    rdata::{Mx, Srv},
};

use super::rank::ranked;

/// Aliases that are followed from one name.
pub const MOST_ALIASES: usize = 8;
/// What is said of more.
pub const TOO_MANY_ALIASES: &str = "its aliases have no end";

/// A host that takes mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Lower is tried first.
    pub priority: u16,
    /// Among those of the same priority.
    pub weight: u16,
    /// `None`: the record tells none.
    pub port: Option<u16>,
    /// Without final dot.
    pub host: String,
}

/// The type of the records that are asked for.
pub fn kind(service: bool) -> Rtype {
    if service { Rtype::SRV } else { Rtype::MX }
}

/// The SRV records, or MX records, of an answer.
pub fn read(message: &Message<[u8]>, service: bool) -> Result<Vec<Record>, String> {
    let found = if service {
        records(message, |srv: &Srv<ParsedName<&[u8]>>| Record {
            priority: srv.priority(),
            weight: srv.weight(),
            port: Some(srv.port()),
            host: srv.target().to_string(),
        })
    } else {
        records(message, |mx: &Mx<ParsedName<&[u8]>>| Record {
            priority: mx.preference(),
            weight: 1,
            port: None,
            host: mx.exchange().to_string(),
        })
    }?;
    let is_host = |record: &Record| is_host_name(&record.host) && record.port != Some(0);
    Ok(found.into_iter().filter(is_host).collect())
}

/// DNS may say anything: what no host can be called stands in no command that an administrator is
/// advised to type (RFC 1123 §2.1; underscores are in use).
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && !label.starts_with('-') && label.bytes().all(plain)
    };
    name.split('.').all(label)
}

/// In the order in which this machine tries them.
pub(super) fn in_order(mut all: Vec<Record>, machine: &str) -> Vec<Record> {
    all.sort_by_key(|record| record.priority);
    let equal = all.chunk_by(|one, other| one.priority == other.priority);
    let equal = equal.flat_map(|equal| {
        let keyed = equal.iter().map(|record| {
            let port = record.port.unwrap_or_default();
            (
                record.clone(),
                format!("{}:{port}", record.host),
                record.weight,
            )
        });
        ranked(keyed.collect(), machine)
    });
    equal.collect()
}

/// What an answer says of the records that were asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// It has some.
    Records,
    /// The name has none.
    None,
    /// The name does not exist.
    NoName,
    /// Nothing yet: this name is to be asked for instead, of which the one that was asked for is an
    /// alias.
    Alias(Name<Vec<u8>>),
}

/// What an answer says; an error: nothing, and why.
pub fn said(message: &Message<[u8]>, kind: Rtype) -> Result<Said, String> {
    let header = message.header();
    let code = header.rcode();
    if code != Rcode::NOERROR && code != Rcode::NXDOMAIN {
        return Err(format!("name server answered {code}"));
    }
    let asked = message.sole_question().ok();
    let asked = asked.filter(|asked| asked.qtype() == kind && header.opcode() == Opcode::QUERY);
    let Some(asked) = asked.map(|asked| *asked.qname()) else {
        return Err("its answer is to another question".to_owned());
    };
    let told = |error: domain::base::wire::ParseError| error.to_string();
    let canonical = canonical(message)?;
    let is_alias = asked != canonical && kind != Rtype::CNAME;
    let mut strange = false;
    for record in message.answer().map_err(told)? {
        let record = record.map_err(told)?;
        let is_of_it = record.owner() == canonical || record.owner() == asked;
        if record.rtype() == kind && record.class() == Class::IN && is_of_it {
            return Ok(Said::Records);
        }
        strange |= !is_alias && record.rtype() != Rtype::RRSIG;
    }
    let (mut refers, mut is_said) = (false, false);
    for record in message.authority().map_err(told)? {
        let record = record.map_err(told)?;
        refers |= record.rtype() == Rtype::NS;
        is_said |= record.rtype() == Rtype::SOA && canonical.ends_with(&record.owner());
    }
    // Who has looked for it himself, or has the zone, may leave the SOA out, as forwarders do.
    let knows = header.ra() || header.aa();
    match code {
        Rcode::NXDOMAIN if is_said || knows => Ok(Said::NoName),
        Rcode::NXDOMAIN => Err("the name server does not know, and refers nowhere".to_owned()),
        _ if strange => Err("it answers what nobody has asked for".to_owned()),
        _ if is_said => Ok(Said::None),
        _ if is_alias => Ok(Said::Alias(canonical.to_name())),
        _ if refers => Err("the name server does not know, and names others".to_owned()),
        _ if knows => Ok(Said::None),
        _ => Err("the name server does not know, and names no other".to_owned()),
    }
}

/// The name at the end of the aliases, of a whole answer.
fn canonical(message: &Message<[u8]>) -> Result<ParsedName<&[u8]>, String> {
    if message.header().tc() {
        return Err("its answer is cut".to_owned());
    }
    let found = message.canonical_name();
    found.ok_or_else(|| "its aliases go in circles".to_owned())
}

/// The records of one kind in an answer: those of the name that was asked for, or of what it is an
/// alias of; what else an answer carries nobody has asked for.
pub fn records<'a, D: ParseRecordData<'a, [u8]>, T>(
    message: &'a Message<[u8]>,
    read: impl Fn(&D) -> T,
) -> Result<Vec<T>, String> {
    let section = message.answer().map_err(|error| error.to_string())?;
    let canonical = canonical(message)?;
    let asked = message.first_question().map(|question| *question.qname());
    let of_it = |owner: &ParsedName<&[u8]>| *owner == canonical || asked.as_ref() == Some(owner);
    let found = section.limit_to_in::<D>();
    let found = found.filter(|found| found.as_ref().map_or(true, |it| of_it(it.owner())));
    let found = found.map(|record| record.map(|record| read(record.data())));
    found
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}
