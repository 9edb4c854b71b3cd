//! MX records of a domain, from the name servers of /etc/resolv.conf.
//!
//! Contract: "there is none" and "nobody could say" are told apart; only the first may lead to a bounce.
//! Failures: every error, timeout, SERVFAIL or broken answer is [`Answer::Failed`].
//! RFC 1035 §3.3.9 (MX), RFC 7505 (null MX).

use domain::{
    base::{Message, Name, Rtype, iana::Rcode},
    rdata::Mx as MxData,
    resolv::StubResolver,
};

/// Records of one answer that are looked at.
const MAX_RECORDS: usize = 100;

/// One mail exchanger.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Mx {
    /// Lower is tried first.
    pub(crate) preference: u16,
    /// Host name without final dot.
    pub(crate) host: String,
}

/// What the name servers said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Found(Vec<Mx>),
    /// The domain exists and has no MX: its own addresses count (RFC 5321 §5.1).
    NoMx,
    /// The domain does not exist.
    NoDomain,
    /// `MX 0 .`: the domain takes no mail.
    NullMx,
    /// Nobody could say, and why.
    Failed(String),
}

/// Asks the system's name servers.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    stub: StubResolver,
}

impl Resolver {
    /// The MX records of `domain`, in no order.
    pub(crate) async fn mx(&self, domain: &str) -> Answer {
        let Ok(name) = domain.parse::<Name<Vec<u8>>>() else {
            return Answer::Failed(format!("{domain} is no name that DNS knows"));
        };
        let message = match self.stub.query((name, Rtype::MX)).await {
            Ok(answer) => answer.into_message(),
            Err(error) => return Answer::Failed(error.to_string()),
        };
        match message.header().rcode() {
            Rcode::NOERROR => records(message.for_slice()).map_or_else(Answer::Failed, classify),
            Rcode::NXDOMAIN => Answer::NoDomain,
            other => Answer::Failed(format!("name server answered {other}")),
        }
    }
}

fn records(message: &Message<[u8]>) -> Result<Vec<Mx>, String> {
    let section = message.answer().map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for record in section.limit_to_in::<MxData<_>>().take(MAX_RECORDS) {
        let record = record.map_err(|error| error.to_string())?;
        found.push(Mx {
            preference: record.data().preference(),
            host: record.data().exchange().to_string(),
        });
    }
    Ok(found)
}

fn classify(found: Vec<Mx>) -> Answer {
    let is_root = |mx: &Mx| mx.host.is_empty() || mx.host == ".";
    match found.as_slice() {
        [] => Answer::NoMx,
        [only] if is_root(only) => Answer::NullMx,
        _ => Answer::Found(found.into_iter().filter(|mx| !is_root(mx)).collect()),
    }
}
