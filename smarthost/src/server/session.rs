//! The tokio driver of [`smtp::session`]: moves bytes, keeps deadlines, makes handshakes; decides nothing.
//!
//! Contract: what the machine sends between two waits goes out together; the read buffer is small until a message comes. The first and the
//! last line of each session are in the log.
//! Failures: each becomes an event of the machine; the message that was being received is dropped.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use mail::limits;
use relay::tls;
use smtp::session::{Action, Event, Session, Settings};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time,
};
use tokio_rustls::TlsAcceptor;

use super::{Reception, transaction::Transaction};
use crate::{config::ListenTls, link::Stream, maillog, setup::Setup, state};

/// Read buffer while commands are exchanged, bytes.
const COMMANDS: usize = 4 * 1024;
/// Read buffer while a message comes, bytes: a TLS record.
const MESSAGE: usize = 16 * 1024;
/// Longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_mins(1);
/// Errors and idle commands after which a session ends (Postfix `smtpd_hard_error_limit`, `smtpd_junk_command_limit`).
const MAX_ERRORS: u32 = 20;
const MAX_JUNK: u32 = 100;

/// A session and what belongs to it.
pub(super) struct Visit {
    pub(super) machine: Session,
    stream: Option<Stream>,
    pub(super) client: IpAddr,
    /// `unknown[192.0.2.1]`, as the log and Received name the client.
    pub(super) name: String,
    pub(super) setup: Arc<Setup>,
    pub(super) reception: Arc<Reception>,
    pub(super) transaction: Option<Transaction>,
    /// The last MAIL that was accepted, as the client's limit counted it.
    pub(super) counted: Option<state::Changed>,
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
    client: IpAddr,
    tls: ListenTls,
    setup: Arc<Setup>,
    reception: Arc<Reception>,
) {
    // Without it replies wait for the client's acknowledgements; nothing else depends on it.
    let _ = stream.set_nodelay(true);
    let settings = settings(&setup, tls);
    let mut visit = Visit {
        machine: Session::new(settings, Instant::now()),
        stream: Some(Stream::Tcp(stream)),
        client,
        name: format!("unknown[{client}]"),
        setup,
        reception,
        transaction: None,
        counted: None,
        tls: None,
        outgoing: Vec::new(),
        buffer: vec![0; COMMANDS],
        told: false,
        messages: 0,
        refused: 0,
    };
    maillog::connect(&visit.name);
    if tls != ListenTls::Wrapped || visit.handshake().await {
        visit.machine.handle(Event::Connected, Instant::now());
        visit.run().await;
    }
    maillog::disconnect(&visit.name, visit.messages, visit.refused);
}

fn settings(setup: &Setup, tls: ListenTls) -> Settings {
    Settings {
        hostname: setup.config.hostname.to_string(),
        banner: setup.config.banner.clone(),
        starttls: tls == ListenTls::StartTls && setup.identity.is_some(),
        encrypted: tls == ListenTls::Wrapped,
        max_size: setup.config.message_size,
        max_recipients: limits::RECIPIENTS,
        local: false,
        command_timeout: limits::COMMAND_TIMEOUT,
        max_errors: MAX_ERRORS,
        max_junk: MAX_JUNK,
    }
}

impl Visit {
    async fn run(&mut self) {
        let mut ending = self.reception.ending.clone();
        while self.stream.is_some() {
            match self.machine.next_action() {
                Some(Action::Send(bytes)) => self.outgoing.extend_from_slice(&bytes),
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
                Some(Action::Abort) => self.end_transaction(),
                Some(Action::Close) => {
                    self.flush().await;
                    if let Some(mut stream) = self.stream.take() {
                        let _ = time::timeout(HANDSHAKE, stream.shutdown()).await;
                    }
                }
                None => {
                    if self.flush().await {
                        self.receive(&mut ending).await;
                    }
                }
            }
        }
        self.end_transaction();
    }

    pub(super) fn end_transaction(&mut self) {
        self.transaction = None;
        if self.buffer.len() > COMMANDS {
            self.buffer = vec![0; COMMANDS];
        }
    }

    /// Writes what is held; false if the session is over.
    async fn flush(&mut self) -> bool {
        let Some(stream) = self.stream.as_mut() else {
            return false;
        };
        if self.outgoing.is_empty() {
            return true;
        }
        let written = time::timeout(limits::COMMAND_TIMEOUT, async {
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

    async fn receive(&mut self, ending: &mut watch::Receiver<bool>) {
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
        let deadline = self
            .machine
            .deadline()
            .unwrap_or_else(|| Instant::now() + limits::COMMAND_TIMEOUT);
        let read = tokio::select! {
            read = time::timeout_at(deadline.into(), stream.read(&mut self.buffer)) => read,
            _ = ending.wait_for(|ending| *ending), if !self.told => {
                self.told = true;
                self.machine.handle(Event::Shutdown, Instant::now());
                return;
            }
        };
        let now = Instant::now();
        match read {
            Ok(Ok(length)) if length > 0 => self.machine.handle(
                Event::Received(self.buffer.get(..length).unwrap_or_default()),
                now,
            ),
            Ok(_) => {
                if self.machine.last_verb() != "QUIT" {
                    maillog::broken("lost connection", self.machine.last_verb(), &self.name);
                }
                self.machine.handle(Event::Closed, now);
            }
            Err(_) => {
                maillog::broken("timeout", self.machine.last_verb(), &self.name);
                self.machine.handle(Event::TimedOut, now);
            }
        }
    }

    /// TLS as server; false if the session is over.
    async fn handshake(&mut self) -> bool {
        let (Some(stream), Some(identity)) = (self.stream.take(), &self.setup.identity) else {
            return false;
        };
        let Ok(tcp) = stream.into_tcp() else {
            return false;
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&identity.tls));
        match time::timeout(HANDSHAKE, acceptor.accept(tcp)).await {
            Ok(Ok(stream)) => {
                let stream = Stream::Tls(Box::new(stream.into()));
                self.tls = stream.tls().map(tls::summary);
                if let Some(summary) = &self.tls {
                    maillog::tls_from(&self.name, summary);
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
