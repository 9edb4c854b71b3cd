//! How a connection begins: dialled, encrypted, greeted.
//!
//! Contract: a peer whose handshake fails gets clear text only with [`Security::Opportunistic`]; a pin that does not match never does.
//! Failures: all temporary; those of TLS name the key that was seen.
//! RFC 3207 (STARTTLS), RFC 8314 (wrapped TLS), RFC 7435 (opportunistic).

use std::time::{Duration, Instant};

use mail::{
    limits,
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};
use relay::tls;
use rustls::pki_types::ServerName;
use smtp::client::{Client, Event, Security, Settings};
use tokio::{net::UnixStream, time};
use tokio_rustls::TlsConnector;

use super::{Connection, Peer, Progress, lost};
use crate::link::{Stream, dial};

impl Connection {
    /// Connects, greets, and makes TLS as the settings ask. With [`Security::Opportunistic`] a peer whose handshake fails is tried once more in
    /// clear text.
    pub(crate) async fn open(
        peer: &Peer,
        settings: &Settings,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        match Self::attempt(peer, settings.clone(), timeout).await {
            Err(failure)
                if failure.stage == Stage::Tls
                    && settings.security == Security::Opportunistic
                    && peer.takes_clear_text() =>
            {
                Self::attempt(
                    peer,
                    Settings {
                        security: Security::None,
                        ..settings.clone()
                    },
                    timeout,
                )
                .await
            }
            other => other,
        }
    }

    async fn attempt(peer: &Peer, settings: Settings, timeout: Duration) -> Result<Self, Failure> {
        let (stream, relay, host, tls) = match peer {
            Peer::Tcp { host, port, tls } => {
                let (stream, address) = dial::connect(host, *port, timeout).await?;
                (
                    Stream::Tcp(stream),
                    dial::relay_name(host, address),
                    host.clone(),
                    tls.clone(),
                )
            }
            Peer::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| {
                    let status = EnhancedStatus::new(4, 4, 1);
                    Failure::new(Blame::Local, Stage::Connect, status, &dial::reason(&error))
                        .at(&path.display().to_string())
                })?;
                (
                    Stream::Unix(stream),
                    path.display().to_string(),
                    String::new(),
                    None,
                )
            }
        };
        let wrapped = settings.security == Security::Wrapped;
        let machine = Client::new(settings);
        let mut connection = Self {
            machine,
            stream: Some(stream),
            relay,
            host,
            tls,
            outgoing: Vec::new(),
            ready: false,
            summary: None,
        };
        if wrapped && let Err(failure) = connection.handshake(timeout).await {
            return Err(failure.at(&connection.relay));
        }
        connection.machine.handle(Event::Connected, Instant::now());
        match connection.advance(&mut std::io::empty()).await {
            Progress::Ready => Ok(connection),
            Progress::Failed(failure) => Err(failure.at(&connection.relay)),
            Progress::Finished(_) | Progress::Closed => {
                Err(lost("closed the connection").at(&connection.relay))
            }
        }
    }

    /// The handshake that the machine asks for.
    pub(super) async fn start_tls(&mut self) {
        if !self.flush().await {
            return;
        }
        let patience = self.machine.deadline().map_or(limits::REPLY_TIMEOUT, |at| {
            at.saturating_duration_since(Instant::now())
        });
        match self.handshake(patience).await {
            Ok(()) => self.machine.handle(Event::TlsStarted, Instant::now()),
            Err(failure) => self.machine.handle(Event::Lost(failure), Instant::now()),
        }
    }

    async fn handshake(&mut self, patience: Duration) -> Result<(), Failure> {
        let refused = |text: &str| {
            Failure::new(
                Blame::Policy,
                Stage::Tls,
                EnhancedStatus::new(4, 7, 5),
                text,
            )
        };
        let tls = self
            .tls
            .as_ref()
            .ok_or_else(|| refused("TLS is not configured for this next hop"))?;
        let stream = self
            .stream
            .take()
            .ok_or_else(|| refused("lost connection"))?;
        let tcp = stream
            .into_tcp()
            .map_err(|error| refused(&error.to_string()))?;
        let name = ServerName::try_from(self.host.clone())
            .or_else(|_| {
                tcp.peer_addr()
                    .map(|address| ServerName::from(address.ip().to_canonical()))
            })
            .map_err(|error| refused(&error.to_string()))?;
        let handshake = TlsConnector::from(tls.config.clone()).connect(name, tcp);
        let stream = match time::timeout(patience, handshake).await {
            Ok(Ok(stream)) => Stream::Tls(Box::new(stream.into())),
            Ok(Err(error)) => return Err(refused(&tls::explain(&error))),
            Err(_) => {
                return Err(Failure::new(
                    Blame::Network,
                    Stage::Tls,
                    EnhancedStatus::new(4, 4, 2),
                    "Connection timed out",
                ));
            }
        };
        self.summary = stream.tls().map(tls::summary);
        self.stream = Some(stream);
        Ok(())
    }
}
