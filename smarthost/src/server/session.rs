//! The tokio driver of [`smtp::session`]: moves bytes, keeps deadlines, makes handshakes; decides
//! nothing.
//!
//! Contract: what the machine sends between two waits goes out together; the read buffer is small
//! until a message comes. However many commands came at once, after each reply the others have
//! their turn.
//! The first and the last line of each session are in the log.
//! Failures: each becomes an event of the machine; the message that was being received is dropped.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use mail::limits;
use relay::{tls, trust::PeerKey};
use smtp::{
    command::Verb,
    session::{Action, Event, Session, Settings},
};
use spool::QueueId;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task, time,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Server,
    counting::Begun,
    filter::Filter,
    moved,
    places::{Place, Visitor},
    proxied::Ends,
    refused::{About, is_of_message},
    rights::Rights,
    transaction::Transaction,
};
use crate::{
    config::{ListenTls, Offer},
    limits::ClientId,
    link::Stream,
    maillog,
    milter::setting::is_rule,
    policy::ClientName,
    setup::Setup,
};

/// Read buffer while commands are exchanged, bytes.
const COMMANDS: usize = 4 * 1024;
/// Read buffer while a message comes, bytes: a TLS record.
const MESSAGE: usize = 16 * 1024;
/// Longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_mins(1);
/// Errors and idle commands after which a session ends (Postfix `smtpd_hard_error_limit`,
/// `smtpd_junk_command_limit`).
const MAX_ERRORS: u32 = 20;
const MAX_JUNK: u32 = 100;
/// Before the answer to each error beyond half of them (Postfix `smtpd_error_sleep_time`).
const ERROR_DELAY: Duration = Duration::from_secs(1);

/// Longest wait for a stranger while strangers hold most of their places (Postfix's `stress`).
const STRESSED: Duration = Duration::from_secs(10);
/// Longest wait for a client to take its last reply.
const GOODBYE: Duration = Duration::from_secs(10);

/// A session and what belongs to it.
pub(super) struct Connection {
    pub(super) machine: Session,
    stream: Option<Stream>,
    pub(super) client: IpAddr,
    /// Who connected, whoever else it speaks for since.
    pub(super) connected: IpAddr,
    pub(super) port: u16,
    /// Where it came to.
    pub(super) local: Option<SocketAddr>,
    /// In `networks` when it came, or known by its key or login since.
    pub(super) own: bool,
    /// What is offered there.
    offer: Offer,
    /// The key that it has shown.
    pub(super) key: Option<PeerKey>,
    /// As whom that is known.
    pub(super) pinned: Option<String>,
    /// What it has its rights from.
    pub(super) rights: Rights,
    /// How it has logged in.
    pub(super) method: &'static str,
    /// Over a proxy that does not say who it is.
    pub(super) unnamed: bool,
    /// Whose socket it is, as the kernel says; `None`: a proxy's.
    pub(super) peer: Option<IpAddr>,
    /// Given back with the last reply, so that the client may come again at once.
    pub(super) place: Option<Place>,
    /// `unknown[192.0.2.1]`, as the log and Received name the client.
    pub(super) name: String,
    /// What DNS calls it, where filters want to know.
    pub(super) client_name: ClientName,
    /// In the order in which they are asked.
    pub(super) filters: Vec<Filter>,
    /// What it is called, if a front end says so.
    pub(super) called: Option<ClientName>,
    pub(super) setup: Arc<Setup>,
    pub(super) server: Arc<Server>,
    pub(super) transaction: Option<Transaction>,
    /// The message that the limits let begin.
    pub(super) begun: Option<Begun>,
    /// Envelope of the last message, for a refusal of it.
    pub(super) about: Option<About>,
    /// What the command that was just refused is about, for the log.
    pub(super) subject: Option<maillog::Subject>,
    /// The rule that refused it.
    pub(super) rule: Option<String>,
    /// Who has no more left of a limit, if that refused it.
    pub(super) over: Option<ClientId>,
    /// The message that it refused.
    pub(super) refused_id: Option<QueueId>,
    /// A login failed, which has a line of its own.
    pub(super) login_told: bool,
    /// `TLSv1.3 with cipher …`
    pub(super) tls: Option<String>,
    outgoing: Vec<u8>,
    buffer: Vec<u8>,
    /// The machine knows that the daemon ends.
    told: bool,
    pub(super) messages: u32,
    pub(super) refused: u32,
}

/// One client's session, from greeting to goodbye.
pub(super) async fn serve(
    stream: TcpStream,
    ends: Ends,
    visitor: Visitor,
    place: Place,
    offer: Offer,
    setup: Arc<Setup>,
    server: Arc<Server>,
) {
    let mut connection = Connection::new(stream, &ends, &visitor, place, offer, setup, server);
    maillog::connect(&connection.name);
    if offer.tls != ListenTls::Wrapped || connection.handshake().await {
        connection.machine.handle(Event::Connected, Instant::now());
        connection.run().await;
    }
    maillog::disconnect(&connection.name, connection.messages, connection.refused);
}

/// What a session is offered.
pub(crate) fn settings(setup: &Setup, offer: Offer, own: bool) -> Settings {
    Settings {
        hostname: setup.config.hostname.to_string(),
        banner: setup.config.banner.clone(),
        starttls: offer.tls == ListenTls::StartTls && setup.identity.is_some(),
        encrypted: offer.tls == ListenTls::Wrapped,
        max_size: setup.config.message_size,
        logins: setup.logins.clone().filter(|_| offer.submission),
        greet_wait: if own {
            Duration::ZERO
        } else {
            setup.config.greet_wait
        },
        max_errors: MAX_ERRORS,
        error_delay: ERROR_DELAY,
        forbid_unauth_pipelining: setup.config.forbid_unauth_pipelining || !own,
        max_junk: MAX_JUNK,
        ..Settings::default()
    }
}

impl Connection {
    fn new(
        stream: TcpStream,
        ends: &Ends,
        visitor: &Visitor,
        place: Place,
        offer: Offer,
        setup: Arc<Setup>,
        server: Arc<Server>,
    ) -> Self {
        // Without it replies wait for the client's acknowledgements; nothing else depends on it.
        let _ = stream.set_nodelay(true);
        let mut settings = settings(&setup, offer, visitor.own);
        settings.xwriter = true;
        settings.xenroll = offer.asks_for_keys();
        let peer = (!ends.proxied).then_some(visitor.address);
        let proxy = stream.peer_addr().ok().filter(|_| ends.proxied);
        let rights = Rights {
            proxy: proxy.map(|it| it.ip()),
            ..Rights::default()
        };
        settings.xmove = moved::may_give(&setup.config, peer);
        settings.xclient = !ends.unnamed && setup.config.xclient.contains(visitor.address);
        if ends.proxied {
            // Its first words may have come with the header.
            settings.greet_wait = Duration::ZERO;
        }
        Self {
            machine: Session::new(settings, Instant::now()),
            stream: Some(Stream::Tcp(stream)),
            client: visitor.address,
            connected: visitor.address,
            port: ends.client.port(),
            local: ends.server,
            own: visitor.own,
            offer,
            key: None,
            pinned: None,
            rights,
            method: "",
            unnamed: ends.unnamed,
            peer,
            place: Some(place),
            name: format!("unknown[{}]", visitor.address),
            client_name: ClientName::Unknown,
            filters: server.world.filters(&setup),
            called: None,
            setup,
            server,
            transaction: None,
            begun: None,
            about: None,
            subject: None,
            rule: None,
            over: None,
            refused_id: None,
            login_told: false,
            tls: None,
            outgoing: Vec::new(),
            buffer: vec![0; COMMANDS],
            told: false,
            messages: 0,
            refused: 0,
        }
    }

    /// Whether clients of ours are to come there.
    pub(super) fn submission(&self) -> bool {
        self.offer.submission
    }

    async fn run(&mut self) {
        let mut ending = self.server.ending.clone();
        let mut stress = self.server.places.stressed();
        while self.stream.is_some() {
            match self.machine.next_action() {
                Some(Action::Send(bytes)) => {
                    self.outgoing.extend_from_slice(&bytes);
                    task::yield_now().await;
                }
                Some(Action::StartTls) => {
                    if self.flush().await && self.handshake().await {
                        self.machine.handle(Event::TlsStarted, Instant::now());
                    }
                }
                Some(Action::Ask(question)) => {
                    let verdict = self.decide(question).await;
                    self.machine.handle(Event::Verdict(verdict), Instant::now());
                }
                Some(Action::Body(piece)) => {
                    if let Some(transaction) = &mut self.transaction {
                        transaction.write(&piece);
                    }
                }
                Some(Action::Abort) => {
                    // The end of a message may be refused after it.
                    let verb = self.machine.last_verb();
                    self.about = self.about.take().filter(|_| is_of_message(verb));
                    self.end_transaction();
                    self.message_over().await;
                }
                Some(Action::Refused {
                    stage,
                    reply,
                    pause,
                    follows,
                }) => {
                    if !follows {
                        self.log_refusal(stage, &reply);
                    }
                    time::sleep(pause).await;
                }
                Some(Action::Close) => {
                    if self.machine.had_too_many_errors() {
                        let verb = self.machine.last_verb();
                        maillog::broken("too many errors", verb, &self.name);
                    }
                    self.place = None;
                    let _ = time::timeout(GOODBYE, self.flush()).await;
                    if let Some(mut stream) = self.stream.take() {
                        let _ = time::timeout(GOODBYE, stream.shutdown()).await;
                    }
                }
                None => {
                    if self.flush().await {
                        self.receive(&mut ending, &mut stress).await;
                    }
                }
            }
        }
        self.end_transaction();
        self.quit_filters().await;
    }

    /// Every refusal that says something passes here: one line, and it is counted.
    fn log_refusal(&mut self, stage: &str, reply: &str) {
        if stage == Verb::Proxy.name() {
            self.doubt();
        }
        self.refused = self.refused.saturating_add(1);
        if std::mem::take(&mut self.login_told) {
            return;
        }
        let about = self.about.as_ref().filter(|_| is_of_message(stage));
        let subject = self.subject.take().or_else(|| about.map(About::subject));
        let sender = self.transaction.as_ref().map(Transaction::sender);
        let subject = subject.unwrap_or(maillog::Subject {
            sender,
            recipient: None,
        });
        let (id, by_filter) = (
            self.refused_id.take(),
            self.rule.as_deref().is_some_and(is_rule),
        );
        self.remember(stage, reply, &subject);
        maillog::reject(&maillog::Rejected {
            id,
            action: if by_filter { "milter-reject" } else { "reject" },
            stage,
            client: &self.name,
            // As Postfix does once there is a message.
            reply: id.and_then(|_| reply.get(4..)).unwrap_or(reply),
            subject,
            protocol: self.machine.protocol(),
            helo: self.machine.helo(),
        });
    }

    /// It seems to be a proxy that is not in `proxy`: what follows is not its own, and networks
    /// that cover it mean nothing.
    fn doubt(&mut self) {
        if !std::mem::replace(&mut self.unnamed, true) {
            self.own = self.known_as().is_some();
            let why = "a PROXY header from an address that is not in `proxy`";
            maillog::proxy(&self.name, why);
        }
    }

    pub(super) fn end_transaction(&mut self) {
        self.begun = None;
        self.transaction = None;
        if self.buffer.len() > COMMANDS {
            self.buffer = vec![0; COMMANDS];
        }
    }

    /// How long this client is waited for: a stranger not so long while strangers hold most of
    /// their places.
    fn patience(&self, quiet: Duration) -> Duration {
        if !self.own && *self.server.places.stressed().borrow() {
            quiet.min(STRESSED)
        } else {
            quiet
        }
    }

    /// Writes what is held; false if the session is over.
    async fn flush(&mut self) -> bool {
        if self.outgoing.is_empty() {
            return self.stream.is_some();
        }
        let patience = self.patience(limits::COMMAND_TIMEOUT);
        let Some(stream) = self.stream.as_mut() else {
            return false;
        };
        let written = time::timeout(patience, async {
            stream.write_all(&self.outgoing).await?;
            stream.flush().await
        })
        .await;
        self.outgoing.clear();
        if matches!(written, Ok(Ok(()))) {
            return true;
        }
        maillog::broken("lost connection", self.machine.last_verb(), &self.name);
        self.stream = None;
        false
    }

    async fn receive(
        &mut self,
        ending: &mut watch::Receiver<bool>,
        stress: &mut watch::Receiver<bool>,
    ) {
        let Some(stream) = self.stream.as_mut() else {
            return;
        };
        if self
            .transaction
            .as_ref()
            .is_some_and(Transaction::receiving)
            && self.buffer.len() < MESSAGE
        {
            self.buffer.resize(MESSAGE, 0);
        }
        let read = loop {
            self.machine.hurry(!self.own && *stress.borrow_and_update());
            let deadline = self.machine.deadline().unwrap_or_else(Instant::now);
            tokio::select! {
                read = time::timeout_at(deadline.into(), stream.read(&mut self.buffer)) => break read,
                _ = ending.wait_for(|ending| *ending), if !self.told => {
                    self.told = true;
                    self.machine.handle(Event::Shutdown, Instant::now());
                    return;
                }
                // Those that were there before wait no longer, either.
                Ok(()) = stress.changed(), if !self.own => {}
            }
        };
        let now = Instant::now();
        match read {
            Ok(Ok(length)) if length > 0 => {
                let bytes = self.buffer.get(..length).unwrap_or_default();
                self.machine.handle(Event::Received(bytes), now);
            }
            Ok(_) => {
                if self.machine.last_verb() != "QUIT" {
                    maillog::broken("lost connection", self.machine.last_verb(), &self.name);
                }
                self.machine.handle(Event::Closed, now);
            }
            Err(_) => {
                self.machine.handle(Event::TimedOut, now);
                if self.machine.deadline().is_none() {
                    maillog::broken("timeout", self.machine.last_verb(), &self.name);
                }
            }
        }
    }

    /// TLS as server; false if the session is over.
    async fn handshake(&mut self) -> bool {
        let patience = self.patience(HANDSHAKE);
        let identity = self.setup.identity.as_ref();
        let asks = self.asks_for_keys();
        let config = identity.and_then(|identity| identity.at(self.offer, asks));
        let (Some(stream), Some(config)) = (self.stream.take(), config) else {
            return false;
        };
        let Ok(tcp) = stream.into_tcp() else {
            return false;
        };
        let acceptor = TlsAcceptor::from(Arc::clone(config));
        match time::timeout(patience, acceptor.accept(tcp)).await {
            Ok(Ok(stream)) => {
                let stream = Stream::Tls(Box::new(stream.into()));
                let session = stream.tls();
                self.tls = session.map(tls::summary);
                let shown = session.filter(|_| asks).and_then(tls::peer_key);
                self.shows(shown);
                if let Some(summary) = &self.tls {
                    maillog::tls_from(&self.name, self.pinned.as_deref(), summary);
                }
                self.stream = Some(stream);
                true
            }
            Ok(Err(error)) => {
                maillog::tls_failed(&self.name, &tls::explain(&error));
                false
            }
            Err(_) => {
                maillog::tls_failed(&self.name, "timed out");
                false
            }
        }
    }
}
