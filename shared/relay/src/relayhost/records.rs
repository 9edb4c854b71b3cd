//! What DNS says of a relayhost: reading answers, and their order.
//!
//! Contract: records of other names than the one that was asked for, or what it is an alias of,
//! count for nobody; so many are looked at, at most. A service that is "decidedly not available"
//! (target `.`) has no host. Lower priority first, equal ones by weight.
//! RFC 2782, RFC 5321 §5.1.

use domain::{
    base::{Message, ParsedName, Rtype, rdata::ParseRecordData},
    rdata::{Mx, Srv},
};

use super::rank::ranked;

/// Records of one answer that are looked at.
const MOST: usize = 100;

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
        records(message, MOST, |srv: &Srv<ParsedName<&[u8]>>| Record {
            priority: srv.priority(),
            weight: srv.weight(),
            port: Some(srv.port()),
            host: srv.target().to_string(),
        })
    } else {
        records(message, MOST, |mx: &Mx<ParsedName<&[u8]>>| Record {
            priority: mx.preference(),
            weight: 1,
            port: None,
            host: mx.exchange().to_string(),
        })
    }?;
    let is_host =
        |record: &Record| !record.host.is_empty() && record.host != "." && record.port != Some(0);
    Ok(found.into_iter().filter(is_host).collect())
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

/// The records of one kind in an answer, so many at most: those of the name that was asked for, or
/// of what it is an alias of; what else an answer carries nobody has asked for.
pub fn records<'a, D: ParseRecordData<'a, [u8]>, T>(
    message: &'a Message<[u8]>,
    most: usize,
    read: impl Fn(&D) -> T,
) -> Result<Vec<T>, String> {
    let section = message.answer().map_err(|error| error.to_string())?;
    let canonical = message
        .canonical_name()
        .ok_or("its aliases go in circles")?;
    let asked = message.first_question().map(|question| *question.qname());
    let of_it = |owner: &ParsedName<&[u8]>| *owner == canonical || asked.as_ref() == Some(owner);
    let found = section.limit_to_in::<D>();
    let found = found.filter(|found| found.as_ref().map_or(true, |it| of_it(it.owner())));
    let found = found.take(most);
    let found = found.map(|record| record.map(|record| read(record.data())));
    found
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}
