//! The hosts behind a relayhost that DNS names, over blocking sockets.
//!
//! Contract: asked are the name server of the settings, or those of /etc/resolv.conf, one after the
//! other, twice. What was found is used for as long as its records say, an hour at most; where DNS
//! does not answer, for a day: mail waits for no name server while the relayhosts are known. A sure
//! "there is none" ends that.
//! Failures: temporary; the name was written by the administrator.
//! RFC 1035 §4.2, RFC 2782, RFC 8767 (answers that are too old, for want of newer ones).

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use domain::base::{Message, MessageBuilder, Name, Rtype};
use mail::{
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};

use super::resolv::ResolvConf;
use crate::{
    conversation::reason,
    relayhost::{
        By, Relayhost,
        records::{self, Record, Said},
    },
};

/// How long each name server is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// Each name server is asked so often.
const ROUNDS: usize = 2;
/// Largest answer over UDP; a larger one comes over TCP.
const DATAGRAM: usize = 4096;
/// Longest use of an answer.
const FRESH: Duration = Duration::from_hours(1);
/// Longest use where DNS does not answer, and the pause before it is asked again.
const STALE: Duration = Duration::from_hours(24);
const AGAIN: Duration = Duration::from_secs(30);
/// Answers that are kept.
const MOST: usize = 64;

/// What was found, kept for as long as it may be used.
#[derive(Debug, Default)]
pub struct Names {
    server: Option<SocketAddr>,
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    records: Vec<Record>,
    found: Instant,
    /// DNS is not asked before that.
    fresh: Instant,
}

/// What name servers say.
type Answer = Result<Option<(Vec<Record>, Duration)>, String>;

impl Names {
    /// Asks this name server, or the system's.
    pub fn new(server: Option<SocketAddr>) -> Self {
        Self {
            server,
            known: Mutex::default(),
        }
    }

    /// The records of a relayhost that DNS names; `wrapped`: those of TLS from the first byte.
    pub fn records(&self, relayhost: &Relayhost, wrapped: bool) -> Result<Vec<Record>, Failure> {
        let service = relayhost.by == By::Srv;
        let name = if service {
            relayhost.service(wrapped)
        } else {
            relayhost.nexthop.host.clone()
        };
        let now = Instant::now();
        let before = self.lock().get(&name).cloned();
        if let Some(known) = before.as_ref().filter(|known| known.fresh > now) {
            return Ok(known.records.clone());
        }
        let answer = ask(&self.servers(), &name, records::kind(service));
        let told = decide(answer, before, Instant::now());
        let mut all = self.lock();
        match &told {
            Ok(known) if all.len() < MOST || all.contains_key(&name) => {
                all.insert(name.clone(), known.clone());
            }
            Ok(_) => {}
            Err(_) => {
                all.remove(&name);
            }
        }
        let kind = if service { "SRV" } else { "MX" };
        told.map(|known| known.records).map_err(|why| {
            let status = EnhancedStatus::new(4, 4, 3);
            let text = format!("{kind} records of {name}: {why}");
            Failure::new(Blame::Network, Stage::Lookup, status, &text)
        })
    }

    fn servers(&self) -> Vec<SocketAddr> {
        match self.server {
            Some(server) => vec![server],
            None => ResolvConf::of_system().servers,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is used, of what DNS says now and what it said before.
fn decide(answer: Answer, before: Option<Known>, now: Instant) -> Result<Known, String> {
    match answer {
        Ok(Some((records, ttl))) if !records.is_empty() => Ok(Known {
            records,
            found: now,
            fresh: now + ttl.min(FRESH),
        }),
        Ok(Some(_)) => Err("there are none".to_owned()),
        Ok(None) => Err("the name does not exist".to_owned()),
        Err(why) => match before {
            Some(known) if now.saturating_duration_since(known.found) < STALE => Ok(Known {
                fresh: now + AGAIN,
                ..known
            }),
            _ => Err(why),
        },
    }
}

fn ask(servers: &[SocketAddr], name: &str, kind: Rtype) -> Answer {
    let Ok(mut name) = name.parse::<Name<Vec<u8>>>() else {
        return Err("it is no name that DNS knows".to_owned());
    };
    let mut least = Duration::MAX;
    for _ in 0..records::MOST_ALIASES {
        match ask_once(servers, &name, kind)? {
            Told::Records(records, ttl) => return Ok(Some((records, least.min(ttl)))),
            Told::Alias(target, ttl) => (name, least) = (target, least.min(ttl)),
            Told::NoName => return Ok(None),
        }
    }
    Err(records::TOO_MANY_ALIASES.to_owned())
}

/// What one answer says.
enum Told {
    Records(Vec<Record>, Duration),
    /// Another name is to be asked for.
    Alias(Name<Vec<u8>>, Duration),
    NoName,
}

fn ask_once(servers: &[SocketAddr], name: &Name<Vec<u8>>, kind: Rtype) -> Result<Told, String> {
    let mut why = String::from("no name server is known");
    for server in std::iter::repeat_n(servers, ROUNDS).flatten() {
        match exchange(*server, name, kind) {
            Ok(message) => match read(&message, kind) {
                Ok(told) => return Ok(told),
                Err(unsure) => why = format!("name server {server}: {unsure}"),
            },
            Err(error) => why = format!("name server {server}: {}", reason(&error)),
        }
    }
    Err(why)
}

fn read(message: &Message<Vec<u8>>, kind: Rtype) -> Result<Told, String> {
    let answer = message.for_slice();
    Ok(match records::said(answer, kind)? {
        Said::Alias(target) => Told::Alias(target, ttl(message)),
        Said::NoName => Told::NoName,
        Said::Records | Said::None => {
            let found = records::read(answer, kind == Rtype::SRV)?;
            Told::Records(found, ttl(message))
        }
    })
}

/// The shortest time that a record of the answer may be used.
fn ttl(message: &Message<Vec<u8>>) -> Duration {
    let records = message
        .answer()
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let shortest = records.map(|record| record.ttl().as_secs()).min();
    Duration::from_secs(shortest.unwrap_or_default().into())
}

fn exchange(server: SocketAddr, name: &Name<Vec<u8>>, kind: Rtype) -> io::Result<Message<Vec<u8>>> {
    let question = question(name, kind)?;
    let until = Instant::now() + PATIENCE;
    let local: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0))?;
    socket.connect(server)?;
    socket.send(question.as_slice())?;
    let mut buffer = [0; DATAGRAM];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let count = match socket.recv(&mut buffer) {
            // What a socket says when its time is over.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            received => received?,
        };
        match answering(buffer.get(..count).unwrap_or_default(), &question) {
            Some(answer) if answer.header().tc() => return over_tcp(server, &question),
            Some(answer) => return Ok(answer),
            // Not what was asked for: perhaps forged.
            None => {}
        }
    }
}

fn over_tcp(server: SocketAddr, question: &Message<Vec<u8>>) -> io::Result<Message<Vec<u8>>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let length = u16::try_from(question.as_slice().len()).map_err(io::Error::other)?;
    let mut sent = length.to_be_bytes().to_vec();
    sent.extend_from_slice(question.as_slice());
    stream.write_all(&sent)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = Vec::new();
    stream
        .take(u16::from_be_bytes(length).into())
        .read_to_end(&mut bytes)?;
    answering(&bytes, question).ok_or_else(|| io::Error::other("its answer cannot be read"))
}

fn question(name: &Name<Vec<u8>>, kind: Rtype) -> io::Result<Message<Vec<u8>>> {
    let mut question = MessageBuilder::new_vec().question();
    let id = getrandom::u32().map_err(io::Error::other)?;
    question.header_mut().set_id(
        id.to_le_bytes()
            .first_chunk()
            .map_or(0, |id| u16::from_le_bytes(*id)),
    );
    question.header_mut().set_rd(true);
    question.push((name, kind)).map_err(io::Error::other)?;
    Ok(question.into_message())
}

/// A message, if it answers the question.
fn answering(bytes: &[u8], question: &Message<Vec<u8>>) -> Option<Message<Vec<u8>>> {
    let message = Message::from_octets(bytes.to_vec()).ok()?;
    message.is_answer(question).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(host: &str) -> Record {
        Record {
            priority: 1,
            weight: 1,
            port: Some(587),
            host: host.to_owned(),
        }
    }

    #[test]
    fn an_answer_serves_for_as_long_as_it_says_and_without_dns_for_a_day() {
        let now = Instant::now();
        let later = |hours| now + Duration::from_hours(hours);
        let found = |host, ttl| Ok(Some((vec![record(host)], ttl)));
        let long = decide(found("mx1", FRESH * 9), None, now).unwrap();
        assert_eq!(long.fresh, now + FRESH);
        let known = decide(found("mx1", AGAIN), None, now).unwrap();
        assert_eq!(known.fresh, now + AGAIN);

        let silent = || Err("no answer".to_owned());
        let stale = decide(silent(), Some(known.clone()), later(23)).unwrap();
        assert_eq!(stale.records, known.records);
        assert_eq!(
            stale.fresh,
            later(23) + AGAIN,
            "not asked with each message"
        );
        assert!(decide(silent(), Some(stale), later(24)).is_err());
        assert!(decide(silent(), None, now).is_err());

        // A sure answer counts, whatever was known.
        let other = decide(found("mx2", AGAIN), Some(known.clone()), now).unwrap();
        assert_eq!(other.records, [record("mx2")]);
        for gone in [Ok(None), Ok(Some((Vec::new(), AGAIN)))] {
            assert!(decide(gone, Some(known.clone()), now).is_err());
        }
    }
}
