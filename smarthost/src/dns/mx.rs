//! MX records of a domain, from the setting `resolver` or the name servers of /etc/resolv.conf.
//!
//! Contract: "there is none" and "nobody could say" are told apart; only the first may lead to a
//! bounce.
//! Failures: every error, timeout, SERVFAIL or broken answer is [`Answer::Failed`].
//! RFC 1035 §3.3.9 (MX), RFC 7505 (null MX).

use domain::{
    base::{Message, Name, ParsedName, Rtype},
    rdata::Mx as MxData,
};
use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mail::{
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};
use relay::relayhost::records::{Record, read, records};

use super::{failures::Failures, lookups::Lookups, servers::Servers};

/// Whoever waits no longer after so long has no answer; before, he has gone for reasons of his own.
const SLOW: Duration = Duration::from_secs(4);

/// One mail exchanger.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// Host name without final dot.
    pub host: String,
}

/// What the name servers said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
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

/// Asks name servers.
#[derive(Debug)]
pub(crate) struct Resolver {
    pub(super) servers: Servers,
    /// How deliveries fared with it.
    pub(crate) lookups: Lookups,
    failures: Mutex<Failures>,
}

/// A question that is being asked. Whoever stops waiting for its answer after so long has met a
/// failure as well.
struct Asking<'a> {
    resolver: &'a Resolver,
    name: &'a str,
    kind: Rtype,
    since: Instant,
    answered: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        if !self.answered && now.saturating_duration_since(self.since) >= SLOW {
            let mut failures = self.resolver.failures();
            failures.failed(self.name, self.kind, "no answer in time", now);
        }
    }
}

impl Resolver {
    /// Asks this name server, or the system's.
    pub(crate) fn new(server: Option<SocketAddr>) -> Self {
        Self {
            servers: Servers::new(server),
            lookups: Lookups::default(),
            failures: Mutex::default(),
        }
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver {
    /// The MX records of `domain`, in no order.
    pub(crate) async fn mx(&self, domain: &str) -> Answer {
        self.mx_with_proof(domain).await.0
    }

    /// The same, and whether DNSSEC proves it.
    pub(crate) async fn mx_with_proof(&self, domain: &str) -> (Answer, bool) {
        let mut secure = false;
        let answer = match self.query(domain, Rtype::MX).await {
            Ok(Some(message)) => {
                secure = self.servers.proves(message.for_slice());
                let read = |data: &MxData<ParsedName<&[u8]>>| Mx {
                    preference: data.preference(),
                    host: data.exchange().to_string(),
                };
                records(message.for_slice(), read).map_or_else(Answer::Failed, classify)
            }
            Ok(None) => Answer::NoDomain,
            Err(why) => Answer::Failed(why),
        };
        (answer, secure)
    }

    /// The SRV records of a relayhost's service, which the administrator named.
    pub(crate) async fn srv(&self, service: &str) -> Result<Vec<Record>, Failure> {
        let found = match self.query(service, Rtype::SRV).await {
            Ok(Some(message)) => read(message.for_slice(), true),
            Ok(None) => Ok(Vec::new()),
            Err(why) => Err(why),
        };
        self.lookups.count(found.is_ok());
        let why = match found {
            Ok(records) if !records.is_empty() => return Ok(records),
            Ok(_) => "there are none".to_owned(),
            Err(why) => why,
        };
        let status = EnhancedStatus::new(4, 4, 3);
        let text = format!("SRV records of {service}: {why}");
        Err(Failure::new(Blame::Network, Stage::Lookup, status, &text))
    }

    /// The answer to a question; `None`: the name does not exist. Whatever says neither is an
    /// error, and is the answer to the same question for a while.
    pub(super) async fn query(
        &self,
        name: &str,
        kind: Rtype,
    ) -> Result<Option<Message<Vec<u8>>>, String> {
        let Ok(asked) = name.parse::<Name<Vec<u8>>>() else {
            return Err(format!("{name} is no name that DNS knows"));
        };
        let since = Instant::now();
        if let Some(why) = self.failures().of(name, kind, since) {
            return Err(why);
        }
        let mut asking = Asking {
            resolver: self,
            name,
            kind,
            since,
            answered: false,
        };
        let answer = self.servers.ask(asked, kind).await;
        asking.answered = true;
        match &answer {
            Ok(_) => self.failures().answered(name, kind),
            Err(why) => self.failures().failed(name, kind, why, Instant::now()),
        }
        answer
    }
}

fn classify(found: Vec<Mx>) -> Answer {
    let is_root = |mx: &Mx| mx.host.is_empty() || mx.host == ".";
    match found.as_slice() {
        [] => Answer::NoMx,
        [only] if is_root(only) => Answer::NullMx,
        _ => Answer::Found(found.into_iter().filter(|mx| !is_root(mx)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use domain::{
        base::{Message, MessageBuilder, iana::Rcode, name::Name},
        rdata::Cname,
    };
    use tokio::net::UdpSocket;

    use super::*;

    /// A name server that knows four domains.
    async fn name_server() -> Resolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
                let reply = reply(&Message::from_octets(&buffer[..length]).unwrap());
                socket.send_to(&reply, client).await.unwrap();
            }
        });
        Resolver::new(Some(server))
    }

    fn reply(query: &Message<&[u8]>) -> Vec<u8> {
        let question = query.sole_question().unwrap();
        let name = |text: &str| text.parse::<Name<Vec<u8>>>().unwrap();
        let chain: &[(&str, &str)] = match question.qname().to_string().as_str() {
            "alias.example" => &[
                ("alias.example", "more.example"),
                ("more.example", "two.example"),
            ],
            "round.example" => &[
                ("round.example", "again.example"),
                ("again.example", "round.example"),
            ],
            "stray.example" => &[("other.example", "two.example")],
            // What they stand for is told to whoever asks for it.
            "step.example" => &[("step.example", "next.example")],
            "next.example" => &[("next.example", "two.example")],
            "here.example" => &[("here.example", "there.example")],
            "there.example" => &[("there.example", "here.example")],
            "nowhere.example" => &[("nowhere.example", "missing.example")],
            _ => &[],
        };
        let (rcode, exchangers): (Rcode, &[(u16, &str)]) =
            match question.qname().to_string().as_str() {
                "two.example" | "alias.example" | "round.example" | "stray.example" => (
                    Rcode::NOERROR,
                    &[(20, "b.two.example"), (10, "a.two.example")],
                ),
                "null.example" => (Rcode::NOERROR, &[(0, ".")]),
                "none.example" | "lame.example" | "step.example" | "next.example"
                | "here.example" | "there.example" | "nowhere.example" => (Rcode::NOERROR, &[]),
                "broken.example" => (Rcode::SERVFAIL, &[]),
                "bogus.example" if !query.header().cd() => (Rcode::SERVFAIL, &[]),
                "bogus.example" => (Rcode::NOERROR, &[(10, "mx.forged.example")]),
                _ => (Rcode::NXDOMAIN, &[]),
            };
        let mut answer = MessageBuilder::new_vec()
            .start_answer(query, rcode)
            .unwrap();
        // It looks for itself, but for one name.
        let is_lame = question.qname().to_string() == "lame.example";
        answer.header_mut().set_ra(!is_lame);
        for (alias, of) in chain {
            answer
                .push((name(alias), 60, Cname::new(name(of))))
                .unwrap();
        }
        let owner = if chain.is_empty() {
            question.qname().to_string()
        } else {
            "two.example".to_owned()
        };
        for (preference, host) in exchangers {
            let data = MxData::new(*preference, name(host));
            answer.push((name(&owner), 60, data)).unwrap();
        }
        answer.finish()
    }

    #[tokio::test]
    async fn what_a_name_server_says_is_told_apart_and_a_fault_is_never_a_no() {
        let resolver = name_server().await;
        let mx = |preference, host: &str| Mx {
            preference,
            host: host.to_owned(),
        };
        let two = resolver.mx("two.example").await;
        assert_eq!(
            two,
            Answer::Found(vec![mx(20, "b.two.example"), mx(10, "a.two.example")])
        );
        assert_eq!(resolver.mx("alias.example").await, two, "over its aliases");
        assert_eq!(resolver.mx("step.example").await, two, "one by one");
        assert_eq!(resolver.mx("nowhere.example").await, Answer::NoDomain);
        assert_eq!(resolver.mx("null.example").await, Answer::NullMx);
        assert_eq!(resolver.mx("none.example").await, Answer::NoMx);
        assert_eq!(resolver.mx("unknown.example").await, Answer::NoDomain);
        let long = "x".repeat(300);
        for strange in [
            "round.example",
            "here.example",
            "broken.example",
            // Records of another name say nothing of this one, nor does a server that knows none.
            "stray.example",
            "lame.example",
            "a..b",
            &long,
        ] {
            assert!(
                matches!(resolver.mx(strange).await, Answer::Failed(_)),
                "{strange}"
            );
        }
    }

    /// What the name server has found is used for nothing: it may be forged.
    #[tokio::test]
    async fn a_domain_whose_signatures_are_broken_is_told_from_a_name_server_that_fails() {
        let resolver = name_server().await;
        for (name, why) in [
            ("broken.example", "name server answered SERVFAIL"),
            (
                "bogus.example",
                "name server answered SERVFAIL: DNSSEC validation failed",
            ),
        ] {
            assert_eq!(resolver.mx(name).await, Answer::Failed(why.to_owned()));
        }
    }

    /// How many datagrams came to a server that answers none, or each with a failure.
    async fn counted(fails: bool) -> (Resolver, Arc<AtomicUsize>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = socket.local_addr().unwrap();
        let count = Arc::<AtomicUsize>::default();
        let counting = Arc::clone(&count);
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
                counting.fetch_add(1, Ordering::SeqCst);
                if fails {
                    let query = Message::from_octets(&buffer[..length]).unwrap();
                    let reply = MessageBuilder::new_vec()
                        .start_answer(&query, Rcode::SERVFAIL)
                        .unwrap();
                    socket.send_to(&reply.finish(), client).await.unwrap();
                }
            }
        });
        (Resolver::new(Some(server)), count)
    }

    #[tokio::test]
    async fn what_nobody_could_answer_is_not_asked_again_at_once_and_anything_else_is() {
        let (resolver, count) = counted(true).await;
        let failed = |answer| matches!(answer, Answer::Failed(_));
        assert!(failed(resolver.mx("a.example").await));
        let asked = count.load(Ordering::SeqCst);
        let first = resolver.mx("A.example").await;
        assert!(failed(first.clone()), "{first:?}");
        assert_eq!(count.load(Ordering::SeqCst), asked);
        assert!(failed(resolver.mx("b.example").await));
        assert!(count.load(Ordering::SeqCst) > asked);
    }

    #[tokio::test]
    async fn whoever_waited_in_vain_has_waited_for_all_that_ask_the_same_and_who_left_early_has_not()
     {
        let (resolver, count) = counted(false).await;
        let early = tokio::time::timeout(SLOW / 40, resolver.mx("early.example")).await;
        assert!(early.is_err());
        assert!(
            resolver
                .failures()
                .of("early.example", Rtype::MX, Instant::now())
                .is_none()
        );
        let late = SLOW + SLOW / 40;
        let waited = tokio::time::timeout(late, resolver.mx("late.example")).await;
        assert!(waited.is_err(), "{waited:?}");
        let asked = count.load(Ordering::SeqCst);
        assert_eq!(
            resolver.mx("late.example").await,
            Answer::Failed("no answer in time".to_owned())
        );
        assert_eq!(count.load(Ordering::SeqCst), asked);
    }
}
