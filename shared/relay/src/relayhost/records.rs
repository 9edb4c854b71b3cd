//! What DNS says of a relayhost: reading answers, and their order.
//!
//! Contract: records of other names than the one that was asked for, or what it is an alias of,
//! count for nobody. "There is none" is only what a whole answer says: one that was cut is an
//! error, and an alias whose target it does not tell of is to be followed. A service that is
//! "decidedly not available" (target `.`) has no host. Lower priority first, equal ones by weight.
//! RFC 1034 §3.6.2 (aliases), RFC 2181 §9 (answers that are cut), RFC 2308 §2.2 (an SOA says that
//! there is none), RFC 2782, RFC 5321 §5.1.

use domain::{
    base::{Message, Name, ParsedName, Rtype, ToName as _, iana::Rcode, rdata::ParseRecordData},
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

/// The name that is to be asked for instead, where an answer ends with an alias, and neither has
/// what was asked for of its target nor says that there is none.
pub fn unfollowed(message: &Message<[u8]>, kind: Rtype) -> Result<Option<Name<Vec<u8>>>, String> {
    let canonical = canonical(message)?;
    let asked = message.first_question().map(|question| *question.qname());
    let is_alias = asked.is_some_and(|asked| asked != canonical);
    if !is_alias || kind == Rtype::CNAME || message.header().rcode() != Rcode::NOERROR {
        return Ok(None);
    }
    let told = |error: domain::base::wire::ParseError| error.to_string();
    for record in message.answer().map_err(told)? {
        let record = record.map_err(told)?;
        if record.rtype() == kind && record.owner() == canonical {
            return Ok(None);
        }
    }
    for record in message.authority().map_err(told)? {
        if record.map_err(told)?.rtype() == Rtype::SOA {
            return Ok(None);
        }
    }
    Ok(Some(canonical.to_name()))
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

#[cfg(test)]
mod tests {
    use domain::{
        base::{MessageBuilder, Serial, Ttl},
        rdata::{Cname, Soa},
    };

    use super::*;

    type Text = Name<Vec<u8>>;

    fn name(text: &str) -> Text {
        text.parse().unwrap()
    }

    /// An answer to a question for the MX records of `a.example`: an alias, so many records of its
    /// target, and whether an SOA says that there is no more.
    fn answer(alias: bool, exchangers: u16, soa: bool, cut: bool) -> Message<Vec<u8>> {
        let mut question = MessageBuilder::new_vec().question();
        question.push((name("a.example"), Rtype::MX)).unwrap();
        let asked = question.into_message();
        let answer = MessageBuilder::new_vec().start_answer(&asked, Rcode::NOERROR);
        let mut answer = answer.unwrap();
        answer.header_mut().set_tc(cut);
        if alias {
            let alias = Cname::new(name("b.example"));
            answer.push((name("a.example"), 60, alias)).unwrap();
        }
        let owner = if alias { "b.example" } else { "a.example" };
        for number in 0..exchangers {
            let host = name(&format!("mx{number}.example"));
            let data = Mx::new(1000 - number, host);
            answer.push((name(owner), 60, data)).unwrap();
        }
        let mut authority = answer.authority();
        if soa {
            let day = Ttl::from_days(1);
            let data = Soa::new(
                name("ns.example"),
                name("it.example"),
                Serial(1),
                day,
                day,
                day,
                day,
            );
            authority.push((name("example"), 60, data)).unwrap();
        }
        authority.into_message()
    }

    #[test]
    fn what_dns_says_and_no_host_can_be_called_is_no_host() {
        for name in ["mx1.example.org", "mail_1.example", "xn--bcher-kva.example"] {
            assert!(is_host_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "-o.example",
            "a;b.example",
            "$(x).example",
            "a\\059b",
            "a..b",
        ] {
            assert!(!is_host_name(name), "{name}");
        }
    }

    #[test]
    fn there_is_none_is_what_a_whole_answer_says_and_no_record_of_many_is_overlooked() {
        for (message, next, count) in [
            (answer(false, 0, false, false), None, Ok(0)),
            (answer(true, 0, true, false), None, Ok(0)),
            (answer(true, 2, false, false), None, Ok(2)),
            (
                answer(true, 0, false, false),
                Some(name("b.example")),
                Ok(0),
            ),
            (answer(false, 900, false, false), None, Ok(900)),
        ] {
            let message = message.for_slice();
            assert_eq!(unfollowed(message, Rtype::MX), Ok(next));
            assert_eq!(read(message, false).map(|found| found.len()), count);
        }
        for (alias, exchangers) in [(false, 0), (false, 2), (true, 0), (true, 2)] {
            let cut = answer(alias, exchangers, false, true);
            assert!(unfollowed(cut.for_slice(), Rtype::MX).is_err());
            assert!(read(cut.for_slice(), false).is_err());
        }
        // The alias itself was asked for.
        assert_eq!(
            unfollowed(answer(true, 0, false, false).for_slice(), Rtype::CNAME),
            Ok(None)
        );
    }
}
