//! SMTP and LMTP deliveries: the driver of [`Delivery`] over tokio, and where a destination's mail can go.
//!
//! Contract: what is tried and in which order is [`relay::delivery`]'s. What the setup in force when a delivery begins says holds to its end.
//! RFC 5321 §5.1; RFC 2033 (LMTP).

use std::{
    io::Read,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use mail::{
    clock,
    envelope::Envelope,
    outcome::{Failure, Outcome},
};
use relay::{
    delivery::{Action, Delivery, Dial, Event, Host, Patience, Place, Reach, Way, fit},
    tls::ClientTls,
};
use smtp::{
    client::{Protocol, Security, Settings, Timeouts},
    sasl::Credentials,
};
use spool::Stored;
use system::secret;

use super::{
    Carrier,
    attempt::{all, local},
    pool::Line,
};
use crate::{
    config::Config,
    destination::{Destination, LmtpTarget},
    dispatch::Delivery as Job,
    dns::exchange,
    link::Connection,
    maillog,
    setup::Setup,
};

/// The name of the relayhost's password among systemd's credentials.
const CREDENTIAL: &str = "relay-password";

/// How long a connection may take to come about where others wait for its place; replies have twice that.
const HURRIED: Duration = Duration::from_secs(10);

/// One delivery under way.
struct Road<'a> {
    destination: &'a Arc<Destination>,
    setup: Arc<Setup>,
    envelope: &'a Envelope,
    stored: &'a Stored,
    /// Others wait for the place.
    hurried: bool,
}

impl Carrier {
    /// Delivers to a next hop.
    pub(super) async fn relay(
        &self,
        job: &Job,
        envelope: Envelope,
        stored: &Stored,
    ) -> Option<Vec<Outcome>> {
        let destination = &job.destination;
        let road = Road {
            destination,
            setup: self.current.get(),
            envelope: &envelope,
            stored,
            hurried: job.patience == queue::Patience::Short,
        };
        let mut asked = false;
        let sender = envelope.sender.to_string();
        let mut delivery = Delivery::new(envelope.recipients.len(), sender, Patience::default());
        let mut line: Option<Line> = None;
        while let Some(action) = delivery.next_action() {
            let event = match action {
                Action::Reuse => {
                    line = self.pool.take(destination, &road.setup);
                    Event::Kept(line.is_some())
                }
                Action::Find => Event::Way(road.way().await),
                Action::Lookup(host) => {
                    let found = road.places(&host).await;
                    // Before anything was tried, the delivery can still have its turn later.
                    let first = !std::mem::replace(&mut asked, true);
                    if first && !self.is_admitted(destination, &host, &found) {
                        return None;
                    }
                    Event::Found(found)
                }
                Action::Open(dial) => Event::Opened(road.open(dial).await.map(|connection| {
                    line = Some(Line {
                        connection,
                        used: 0,
                        setup: Arc::clone(&road.setup),
                    });
                })),
                Action::Send(recipients) => road.send(line.as_mut(), &recipients).await,
                Action::Leave => {
                    if let Some(line) = line.take() {
                        tokio::spawn(line.connection.quit());
                    }
                    continue;
                }
            };
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            delivery.handle(event, &mut memory, Instant::now());
        }
        if let Some(line) = line.filter(|line| line.connection.is_ready()) {
            self.pool.put(destination, line, &self.current.get());
        }
        Some(delivery.finish().0)
    }

    /// Whether there are not too many deliveries to this host or one of its addresses already, whatever the domains are called.
    fn is_admitted(
        &self,
        destination: &Arc<Destination>,
        host: &Host,
        found: &Result<Vec<(Place, Reach)>, Failure>,
    ) -> bool {
        let mut hosts: Vec<Arc<str>> = vec![host.name.to_ascii_lowercase().into()];
        for (place, _) in found.iter().flatten() {
            if let Place::Tcp(address) = place {
                hosts.push(address.ip().to_canonical().to_string().into());
            }
        }
        let mut queue = self.dispatch.lock();
        queue.admits(destination, &hosts, clock::now())
    }
}

impl Road<'_> {
    async fn way(&self) -> Result<Way, Failure> {
        let config = &self.setup.config;
        match &**self.destination {
            Destination::Smtp {
                nexthop,
                relayhost,
                named,
            } => {
                let security = if *relayhost {
                    config.relay_tls.security
                } else {
                    Security::Opportunistic
                };
                let port = nexthop.port.unwrap_or(if security == Security::Wrapped {
                    465
                } else {
                    25
                });
                let resolver = &self.setup.resolver;
                let found = exchange::hosts(resolver, nexthop, &config.hostname).await;
                // A next hop of the administrator's that cannot be found is a fault of ours, never the sender's.
                let names =
                    found.map_err(|failure| if *named { failure.for_now() } else { failure })?;
                let hosts = names.into_iter().map(|name| Host {
                    name,
                    port,
                    named: *named,
                });
                Ok(Way {
                    hosts: hosts.collect(),
                    security,
                    clear_text_is_as_good: self.tls().is_none_or(|tls| tls.clear_text_is_as_good),
                })
            }
            Destination::Lmtp(target) => Ok(Way {
                hosts: vec![match target {
                    LmtpTarget::Unix(path) => Host {
                        name: path.display().to_string(),
                        port: 0,
                        named: true,
                    },
                    LmtpTarget::Tcp(nexthop) => Host {
                        name: nexthop.host.clone(),
                        port: nexthop.port.unwrap_or(24),
                        named: true,
                    },
                }],
                security: Security::None,
                clear_text_is_as_good: true,
            }),
            Destination::Maildir(_) | Destination::Aliases => {
                Err(local("it is not reached over a connection"))
            }
        }
    }

    async fn places(&self, host: &Host) -> Result<Vec<(Place, Reach)>, Failure> {
        if let Destination::Lmtp(LmtpTarget::Unix(path)) = &**self.destination {
            return Ok(vec![(Place::Unix(path.clone()), Reach::Elsewhere)]);
        }
        let own = &self.setup.config.hostname;
        exchange::places(&self.setup.resolver, host, own).await
    }

    /// Towards the relayhost its own trust, towards everybody else opportunistic TLS.
    fn tls(&self) -> Option<&ClientTls> {
        match &**self.destination {
            Destination::Smtp {
                relayhost: true, ..
            } => Some(&self.setup.relay_tls),
            Destination::Smtp { .. } => Some(&self.setup.world_tls),
            Destination::Lmtp(_) | Destination::Maildir(_) | Destination::Aliases => None,
        }
    }

    async fn open(&self, dial: Dial) -> Result<Connection, Failure> {
        let config = &self.setup.config;
        let to_relayhost = matches!(
            &**self.destination,
            Destination::Smtp {
                relayhost: true,
                ..
            }
        );
        let mut timeouts = Timeouts::default();
        if let Some(opening) = dial.opening {
            timeouts.opening = timeouts.opening.min(opening);
        }
        let mut connect = dial.connect;
        if self.hurried {
            connect = connect.min(HURRIED);
            timeouts.opening = timeouts.opening.min(HURRIED);
            timeouts.reply = timeouts.reply.min(2 * HURRIED);
            timeouts.data = timeouts.data.min(3 * HURRIED);
        }
        let settings = Settings {
            helo: config.hostname.to_string(),
            protocol: match &**self.destination {
                Destination::Lmtp(_) => Protocol::Lmtp,
                Destination::Smtp { .. } | Destination::Maildir(_) | Destination::Aliases => {
                    Protocol::Smtp
                }
            },
            security: dial.security,
            timeouts,
            known: None,
            credentials: if to_relayhost {
                credentials(&self.setup.config)?
            } else {
                None
            },
        };
        let host = &dial.host.name;
        let connection = Connection::open(host, dial.place, self.tls(), settings, connect).await?;
        if let Some(summary) = connection.tls_summary() {
            let pinned = to_relayhost && !config.relay_tls.pins.is_empty();
            maillog::tls_to(connection.relay(), summary, pinned);
        }
        Ok(connection)
    }

    async fn send(&self, line: Option<&mut Line>, recipients: &[usize]) -> Event {
        let Some(Line { connection, .. }) = line else {
            return Event::Sent {
                outcomes: Vec::new(),
                open: false,
            };
        };
        let envelope = self.envelope.with_only(recipients);
        let read = || -> std::io::Result<Box<dyn Read + Send>> { self.stored.reader() };
        let size = self.stored.size();
        let fitting = || fit(connection.capabilities(), envelope, size, &read);
        let outcomes = match tokio::task::block_in_place(fitting) {
            Ok(mut fitted) => {
                if fitted.eight_bit_all_the_same {
                    maillog::eight_bit(self.stored.id, connection.relay());
                }
                connection
                    .send(fitted.transaction, &mut *fitted.content)
                    .await
            }
            Err(error) => {
                let text = format!("cannot read the queued message: {error}");
                all(recipients.len(), local(&text))
            }
        };
        Event::Sent {
            outcomes,
            open: connection.is_ready(),
        }
    }
}

/// For the relayhost; the password is read anew, so that it can be changed at any time.
pub(crate) fn credentials(config: &Config) -> Result<Option<Credentials>, Failure> {
    let Some(auth) = &config.relay_auth else {
        return Ok(None);
    };
    let password = match &auth.password_file {
        Some(file) => secret::password(file),
        None => secret::credential(CREDENTIAL),
    };
    let password = password.map_err(|why| local(&format!("relay_auth: {why}")))?;
    Ok(Some(Credentials {
        user: auth.user.clone(),
        password,
    }))
}
