//! The name servers: the setting `resolver`, or those of /etc/resolv.conf.
//!
//! Contract: every question asks for DNSSEC (AD and DO); UDP, and TCP where an answer is cut. An
//! alias whose target an answer does not tell of is followed. A failure (SERVFAIL) that lies not in
//! the server but in the signatures is told as such. What a server says of DNSSEC counts only where
//! all of them are on loopback: on any other way it could be forged. What speaks to them runs as
//! long as the runtime on which a question was asked first; if that has ended, the next question
//! begins anew.
//! RFC 6840 §5.7, §5.8, §5.9, RFC 6891, RFC 7672 §2.1.

use std::{net::SocketAddr, time::Duration};

use domain::{
    base::{Message, MessageBuilder, Name, Rtype, iana::Rcode},
    net::client::{
        dgram_stream, multi_stream,
        protocol::{TcpConnect, UdpConnect},
        redundant,
        request::{ComposeRequest as _, RequestMessage, SendRequest as _},
    },
};
use relay::{
    net::resolv::ResolvConf,
    relayhost::records::{MOST_ALIASES, Said, TOO_MANY_ALIASES, said},
};
use tokio::{
    sync::Mutex,
    task::{AbortHandle, JoinSet},
    time,
};

/// Longest wait for what a server has found and does not believe: it need not look for it again.
const UNPROVED: Duration = Duration::from_secs(1);

type Request = RequestMessage<Vec<u8>>;

#[derive(Debug)]
pub(super) struct Servers {
    addresses: Vec<SocketAddr>,
    /// Those that are only asked over TCP.
    tcp: Vec<SocketAddr>,
    patience: Duration,
    client: Mutex<Option<Client>>,
}

/// What a server that validates may answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Belief {
    /// What its signatures prove, or what has none by proof.
    Proved,
    /// Whatever there is.
    Anything,
}

/// What asks them, and the tasks that it lives by.
#[derive(Debug)]
struct Client {
    connection: redundant::Connection<Request>,
    tasks: Vec<AbortHandle>,
}

impl Servers {
    pub(super) fn new(server: Option<SocketAddr>) -> Self {
        let conf = ResolvConf::of_system();
        let (addresses, tcp) = match server {
            Some(server) => (vec![server], Vec::new()),
            None if conf.tcp => (Vec::new(), conf.servers),
            None => (conf.servers, Vec::new()),
        };
        Self {
            addresses,
            tcp,
            patience: conf.timeout,
            client: Mutex::default(),
        }
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = &SocketAddr> {
        self.addresses.iter().chain(&self.tcp)
    }

    /// Whether what they say of DNSSEC counts.
    pub(super) fn are_believed(&self) -> bool {
        let mut all = self.addresses();
        all.all(|it| it.ip().to_canonical().is_loopback()) && self.addresses().next().is_some()
    }

    /// Whether an answer is proved by DNSSEC.
    pub(super) fn proves(&self, answer: &Message<[u8]>) -> bool {
        self.are_believed() && answer.header().ad()
    }

    /// The answer at the end of the aliases; its AD says whether they are proved as well. `None`:
    /// the name does not exist.
    pub(super) async fn ask(
        &self,
        mut name: Name<Vec<u8>>,
        kind: Rtype,
    ) -> Result<Option<Message<Vec<u8>>>, String> {
        let mut proved = true;
        for _ in 0..MOST_ALIASES {
            let mut answer = self.ask_once(name.clone(), kind, Belief::Proved).await?;
            proved &= answer.header().ad();
            answer.header_mut().set_ad(proved);
            let said = match said(answer.for_slice(), kind) {
                Err(why)
                    if answer.header().rcode() == Rcode::SERVFAIL
                        && self.is_bogus(name, kind).await =>
                {
                    return Err(format!("{why}: DNSSEC validation failed"));
                }
                said => said?,
            };
            match said {
                Said::Alias(target) => name = target,
                Said::NoName => return Ok(None),
                Said::Records | Said::None => return Ok(Some(answer)),
            }
        }
        Err(TOO_MANY_ALIASES.to_owned())
    }

    /// Whether a question that failed has an answer, which the server only does not believe. It is
    /// said, and used for nothing else.
    async fn is_bogus(&self, name: Name<Vec<u8>>, kind: Rtype) -> bool {
        let asked = self.ask_once(name, kind, Belief::Anything);
        let answer = time::timeout(UNPROVED, asked).await;
        answer.is_ok_and(|answer| answer.is_ok_and(|answer| said(answer.for_slice(), kind).is_ok()))
    }

    async fn ask_once(
        &self,
        name: Name<Vec<u8>>,
        kind: Rtype,
        belief: Belief,
    ) -> Result<Message<Vec<u8>>, String> {
        let mut question = MessageBuilder::new_vec().question();
        question.header_mut().set_rd(true);
        question.header_mut().set_ad(true);
        question.header_mut().set_cd(belief == Belief::Anything);
        question
            .push((name, kind))
            .map_err(|_| "the question is too long".to_owned())?;
        let told = |error: domain::net::client::request::Error| error.to_string();
        let mut request = RequestMessage::new(question.into_message()).map_err(told)?;
        request.set_dnssec_ok(true);
        let connection = self.connection().await.map_err(told)?;
        let mut asking = JoinSet::new();
        // The library panics where what it lives by ends meanwhile: that is no answer.
        asking.spawn(async move { connection.send_request(request).get_response().await });
        let answer = time::timeout(self.patience, asking.join_next()).await;
        let answer = answer.map_err(|_| "no answer in time".to_owned())?;
        let Some(Ok(answer)) = answer else {
            return Err("the question was given up".to_owned());
        };
        let bytes = answer.map_err(told)?.as_slice().to_vec();
        Message::from_octets(bytes).map_err(|error| error.to_string())
    }

    /// What asks the servers, begun anew where a part of it has ended.
    async fn connection(
        &self,
    ) -> Result<redundant::Connection<Request>, domain::net::client::request::Error> {
        let mut client = self.client.lock().await;
        if let Some(client) = client.as_ref()
            && !client.tasks.iter().any(AbortHandle::is_finished)
        {
            return Ok(client.connection.clone());
        }
        let begun = self.connect().await?;
        Ok(client.insert(begun).connection.clone())
    }

    async fn connect(&self) -> Result<Client, domain::net::client::request::Error> {
        let (connection, run) = redundant::Connection::new();
        let mut tasks = vec![tokio::spawn(run.run()).abort_handle()];
        for server in &self.addresses {
            let (one, run) =
                dgram_stream::Connection::new(UdpConnect::new(*server), TcpConnect::new(*server));
            tasks.push(tokio::spawn(run.run()).abort_handle());
            connection.add(Box::new(one)).await?;
        }
        for server in &self.tcp {
            let (one, run) = multi_stream::Connection::new(TcpConnect::new(*server));
            tasks.push(tokio::spawn(run.run()).abort_handle());
            connection.add(Box::new(one)).await?;
        }
        Ok(Client { connection, tasks })
    }
}

#[cfg(test)]
mod tests;
