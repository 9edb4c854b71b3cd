//! A name server with one answer for every name, or a table of names, to see who asks it and whom
//! one believes.
//!
//! Contract: answers A with its address and anything else with an empty answer (RFC 1035 §4.1);
//! keeps the names it was asked for. With a table: what stands there, and NXDOMAIN for any other
//! name.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};

/// A running name server, on port 53 of a loopback address (root only) or on a port of its own.
#[derive(Debug)]
pub struct Resolver {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Resolver {
    /// Answers `answer` for everything. Ends with the test's process.
    pub fn start(address: Ipv4Addr, answer: Ipv4Addr) -> Self {
        Self::with(address, move |name| {
            let _ = name;
            Some(vec![Record::A(answer)])
        })
    }

    /// Answers as `table` says; `None`: the name does not exist.
    pub fn with(
        address: Ipv4Addr,
        table: impl Fn(&str) -> Option<Vec<Record>> + Send + 'static,
    ) -> Self {
        Self::on((address, 53).into(), table)
    }

    /// Where one that knows `localhost` alone is asked, for tests on machines whose hosts file does
    /// not name it.
    pub fn of_localhost() -> SocketAddr {
        let localhost =
            |name: &str| (name == "localhost").then(|| vec![Record::A(Ipv4Addr::LOCALHOST)]);
        Self::anywhere(localhost).address()
    }

    /// The same on a port that is free.
    pub fn anywhere(table: impl Fn(&str) -> Option<Vec<Record>> + Send + 'static) -> Self {
        Self::on((Ipv4Addr::LOCALHOST, 0).into(), table)
    }

    fn on(
        address: SocketAddr,
        table: impl Fn(&str) -> Option<Vec<Record>> + Send + 'static,
    ) -> Self {
        let socket =
            UdpSocket::bind(address).unwrap_or_else(|e| panic!("name server on {address}: {e}"));
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let names = Arc::clone(&asked);
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                if let Some((name, reply)) = reply(&query[..length], &table) {
                    names.lock().unwrap().push(name);
                    let _ = socket.send_to(&reply, client);
                }
            }
        });
        Self { address, asked }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Names it was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// What a name has.
#[derive(Clone, Debug)]
pub enum Record {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Mx(&'static str),
    /// Priority, weight, port, and host.
    Srv(u16, u16, u16, &'static str),
    Ptr(String),
    Txt(String),
    /// Usage, selector and matching type, then the data.
    Tlsa([u8; 3], Vec<u8>),
    /// DNSSEC proves what the name has.
    Secure,
    /// The server fails for this name.
    Servfail,
    /// The server says nothing.
    Silence,
}

impl Record {
    /// Its type, and its data on the wire.
    fn wire(&self) -> Option<(u8, Vec<u8>)> {
        match self {
            Self::A(address) => Some((1, address.octets().to_vec())),
            Self::Aaaa(address) => Some((28, address.octets().to_vec())),
            Self::Mx(host) => Some((15, [vec![0, 10], name(host)?].concat())),
            Self::Srv(priority, weight, port, host) => {
                let numbers = [priority, weight, port].map(|number| number.to_be_bytes());
                Some((33, [numbers.concat(), name(host)?].concat()))
            }
            Self::Ptr(host) => Some((12, name(host)?)),
            Self::Txt(text) => {
                let strings = text.as_bytes().chunks(255).map(|string| {
                    let length = u8::try_from(string.len()).unwrap_or_default();
                    [&[length], string].concat()
                });
                Some((16, strings.collect::<Vec<_>>().concat()))
            }
            Self::Tlsa(kind, data) => Some((52, [&kind[..], data].concat())),
            Self::Secure | Self::Servfail | Self::Silence => None,
        }
    }
}

/// A name on the wire, not compressed.
fn name(text: &str) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        data.push(u8::try_from(label.len()).ok()?);
        data.extend(label.bytes());
    }
    data.push(0);
    Some(data)
}

/// The name in a query, and the reply to it.
fn reply(query: &[u8], table: &dyn Fn(&str) -> Option<Vec<Record>>) -> Option<(String, Vec<u8>)> {
    let (header, mut rest) = query.split_at_checked(12)?;
    let mut labels = Vec::new();
    loop {
        let (&length, after) = rest.split_first()?;
        if length == 0 {
            rest = after;
            break;
        }
        let (label, after) = after.split_at_checked(length.into())?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        rest = after;
    }
    let (kind_and_class, _) = rest.split_at_checked(4)?;
    let question = &query[12..query.len() - rest.len() + 4];
    let name = labels.join(".");
    let known = table(&name);
    let code = match &known {
        None => 3,
        Some(records) => 2 * u8::from(records.iter().any(|r| matches!(r, Record::Servfail))),
    };
    let records = known.unwrap_or_default();
    if records
        .iter()
        .any(|record| matches!(record, Record::Silence))
    {
        return None;
    }
    let secure = records.iter().any(|it| matches!(it, Record::Secure));
    let proved = 0x20 * u8::from(secure);
    let wire = records.iter().filter_map(Record::wire);
    let answers: Vec<_> = wire
        .filter(|(kind, _)| kind_and_class == [0, *kind, 0, 1])
        .collect();
    // Response, recursion desired and available; one question.
    let count = u8::try_from(answers.len()).ok()?;
    let flags = [0x81, 0x80 | proved | code, 0, 1, 0, count, 0, 0, 0, 0];
    let mut reply = [&header[..2], &flags, question].concat();
    for (kind, data) in answers {
        // The name by pointer, class IN, 60 seconds.
        reply.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0]);
        reply.push(u8::try_from(data.len()).ok()?);
        reply.extend(data);
    }
    Some((name, reply))
}
