//! What SMTP and LMTP share: who the peer is, its hosts, and the connections to them.
//!
//! Contract: what the setup in force when a delivery begins says holds to its end.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use mail::{
    clock,
    outcome::{Failure, Outcome},
};
use relay::{
    delivery::{
        Batch, Dial, Found, Host, Locality, Patience, Place, Sent, Way, clear_text_goes_on, fit,
    },
    tls::ClientTls,
    token,
};
use smtp::client::{Protocol, Settings, Timeouts, Transaction};
use spool::Stored;
use tokio::task::block_in_place;

use super::{
    demands::Demands,
    forwarding,
    job::{Errand, Marked, all},
    lmtp,
    pool::{Kept, Site},
    signing::outgoing,
    smtp as to_smtp,
    transports::Transports,
};
use crate::{
    destination::{Kind, LmtpTarget},
    dispatch::{Dispatch, Event},
    dns::exchange,
    link::{Connection, Silence, Told},
    loops, maillog,
};

/// How long a connection may take to come about where others wait for its place; replies have twice
/// that.
const HURRIED: Duration = Duration::from_secs(10);

/// Whom a delivery is made to.
pub(super) enum Peer<'a> {
    Smtp {
        nexthop: &'a mail::nexthop::Nexthop,
        relayhost: bool,
        named: bool,
    },
    Lmtp(LmtpTarget),
}

/// One delivery under way.
pub(super) struct Session<'a> {
    pub(super) transports: &'a Transports,
    pub(super) errand: &'a Errand,
    /// `None`: a question, and no message.
    pub(super) stored: Option<&'a Stored>,
    pub(super) peer: Peer<'a>,
}

/// A program that runs elsewhere is spoken to by LMTP.
pub(super) fn peer(job: &Errand) -> Peer<'_> {
    match &job.destination.kind {
        Kind::Smtp {
            nexthop,
            relayhost,
            named,
        } => Peer::Smtp {
            nexthop,
            relayhost: *relayhost,
            named: *named,
        },
        Kind::Lmtp(target) => Peer::Lmtp(target.clone()),
        Kind::Maildir(_) | Kind::Pipe(_) | Kind::Program(_) | Kind::Aliases => {
            let pipe = job.pipe();
            Peer::Lmtp(LmtpTarget::Unix(pipe.socket.unwrap_or_default()))
        }
    }
}

pub(super) fn counted(host: &Host) -> Arc<str> {
    format!("{}:{}", host.name.to_ascii_lowercase(), host.port).into()
}

impl Session<'_> {
    /// Whether others with the same hosts leave it one.
    pub(super) fn has_a_place(&self, hosts: &[Arc<str>]) -> bool {
        let (Some(dispatch), Some(ticket)) = (&self.transports.dispatch, self.errand.ticket) else {
            return true;
        };
        let mut queue = dispatch.lock();
        queue.shares(ticket, &self.errand.destination, hosts, clock::now())
    }

    /// Whether there are not too many deliveries to this host or one of its addresses already,
    /// whatever the domains are called. Another port is another service, and strangers have but
    /// one.
    pub(super) fn is_admitted(&self, host: &Host, found: &Result<Found, Failure>) -> bool {
        let (Some(dispatch), Some(_)) = (&self.transports.dispatch, self.stored) else {
            return true;
        };
        let mut hosts = vec![counted(host)];
        for (place, _) in found.iter().flat_map(|found| &found.places) {
            if let Place::Tcp(address) = place {
                let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
                hosts.push(canonical.to_string().into());
            }
        }
        let mut queue = dispatch.lock();
        queue.admits(&self.errand.destination, &hosts, clock::now())
    }

    fn is_program(&self) -> bool {
        let kind = &self.errand.destination.kind;
        matches!(kind, Kind::Pipe(_) | Kind::Program(_))
    }

    /// Gives up its places while it waits for what is no connection; whether it had one.
    pub(super) fn stalls(&self) -> bool {
        let waits = self.stored.and(self.errand.ticket);
        if let (Some(dispatch), Some(ticket)) = (&self.transports.dispatch, waits) {
            dispatch.tell(Event::Stalls { ticket });
            return true;
        }
        false
    }

    /// That the peer is silent, or goes on. A next hop that the administrator `named` takes all
    /// mail of some domains, or of all. Programs keep their places among those of their own sort.
    fn tell(&self, told: Told, named: bool) {
        let (Some(dispatch), Some(ticket)) = (&self.transports.dispatch, self.errand.ticket) else {
            return;
        };
        dispatch.tell(match told {
            Told::Silent { in_doubt } => {
                let silence = queue::Silence { in_doubt, named };
                Event::Silent { ticket, silence }
            }
            Told::Speaks => Event::Speaks { ticket },
            Told::Arrived(..) => return,
        });
    }

    pub(super) fn patience(&self) -> Patience {
        if self.errand.destination.is_relayhost() {
            Patience::AMONG_RELAYHOSTS
        } else {
            Patience::default()
        }
    }

    /// What others than the relayhost and servers of ours must show.
    pub(super) async fn demands(&self) -> Result<Option<Demands>, Failure> {
        match &self.peer {
            Peer::Smtp {
                nexthop,
                relayhost: false,
                ..
            } => Demands::new(&self.errand.setup, nexthop).await.map(Some),
            Peer::Smtp { .. } | Peer::Lmtp(_) => Ok(None),
        }
    }

    pub(super) async fn way(&self, demands: Option<&mut Demands>) -> Result<Way, Failure> {
        match &self.peer {
            Peer::Smtp {
                nexthop,
                relayhost,
                named,
            } => {
                let setup = &self.errand.setup;
                let way = to_smtp::way(setup, nexthop, *relayhost, *named, demands).await?;
                if *relayhost {
                    self.transports.memory().found(&way.hosts);
                }
                Ok(way)
            }
            Peer::Lmtp(target) => Ok(lmtp::way(target)),
        }
    }

    pub(super) async fn find(
        &self,
        host: &Host,
        demands: Option<&mut Demands>,
    ) -> Result<Found, Failure> {
        let setup = &self.errand.setup;
        let mut found = match (&self.peer, demands) {
            (Peer::Smtp { .. }, Some(demands)) => demands.find(setup, host).await?,
            (Peer::Lmtp(LmtpTarget::Unix(path)), _) => {
                vec![(Place::Unix(path.clone()), Locality::Elsewhere)].into()
            }
            _ => exchange::places(&setup.resolver, host, &setup.config.hostname)
                .await?
                .into(),
        };
        exchange::mark_own_listeners(&mut found, host, &setup.config);
        Ok(found)
    }

    fn tls(&self) -> Option<&ClientTls> {
        match self.peer {
            Peer::Smtp { relayhost, .. } => Some(to_smtp::tls(&self.errand.setup, relayhost)),
            Peer::Lmtp(_) => None,
        }
    }

    /// A connection that another destination with the same hosts has kept.
    pub(super) fn others(
        &self,
        site: &Site,
        dial: &Dial,
        demands: Option<&Demands>,
    ) -> Option<Kept> {
        let fits = asks_what_anybody_asks(dial, demands);
        let pool = &self.transports.pool;
        fits.then(|| pool.take_anybodys(site, dial, &self.errand.setup))?
    }

    /// How many idle connections there may be to the hosts beside this delivery's own.
    fn spare(&self) -> usize {
        let dispatch = self.transports.dispatch.as_ref();
        let spare = |it: &Arc<Dispatch>| it.lock().spare(&self.errand.destination, clock::now());
        dispatch.map_or(usize::MAX, spare)
    }

    /// Opens a connection of its own, after those that would be too many beside it were ended; all
    /// that wait for others, where the host says so.
    pub(super) async fn connect(
        &self,
        site: &Site,
        dial: Dial,
        demands: Option<&Demands>,
    ) -> Result<Kept, Failure> {
        let pool = &self.transports.pool;
        pool.make_room(site, self.spare()).await;
        let mut opened = self.open(&dial, demands).await;
        let refused = |failure: &Failure| failure.means_too_many_connections();
        if opened.as_ref().is_err_and(refused) && pool.make_room(site, 0).await {
            opened = self.open(&dial, demands).await;
        }
        Ok(Kept {
            connection: opened?,
            is_anybodys: asks_what_anybody_asks(&dial, demands),
            dial,
            site: site.clone(),
            used: 0,
            opened: Instant::now(),
            setup: Arc::clone(&self.errand.setup),
            policy: demands.and_then(Demands::enforced).cloned(),
        })
    }

    async fn open(&self, dial: &Dial, demands: Option<&Demands>) -> Result<Connection, Failure> {
        let config = &self.errand.setup.config;
        let mut timeouts = Timeouts::default();
        if let Some(opening) = dial.opening {
            timeouts.opening = timeouts.opening.min(opening);
        }
        if self.is_program() {
            // A program may take its time, and a little more.
            let program = self.errand.pipe().timeout.saturating_add(HURRIED);
            timeouts.message = timeouts.message.max(program);
        }
        let mut connect = dial.connect;
        if self.errand.hurried {
            connect = connect.min(HURRIED);
            timeouts.opening = timeouts.opening.min(HURRIED);
            timeouts.reply = timeouts.reply.min(2 * HURRIED);
            timeouts.data = timeouts.data.min(3 * HURRIED);
        }
        let settings = Settings {
            helo: config.hostname.to_string(),
            protocol: match self.peer {
                Peer::Lmtp(_) => Protocol::Lmtp,
                Peer::Smtp { .. } => Protocol::Smtp,
            },
            security: dial.security,
            timeouts,
            known: None,
            credentials: None,
            enroll: None,
        };
        let (tls, note) = demands.map_or((None, None), |it| it.of(&dial.host.name));
        let tls = tls.or_else(|| self.tls());
        let opened = self.login(dial, tls, settings, connect).await;
        if let Err(failure) = &opened
            && clear_text_goes_on(
                failure,
                dial.security,
                tls.is_some_and(|tls| tls.clear_text_is_as_good),
            )
        {
            maillog::clear_text_goes_on(&failure.log_text());
        }
        let connection = opened.map_err(|failure| match demands {
            Some(demands) => demands.own(failure, &dial.host.name, dial.security),
            None => failure,
        })?;
        if let (Some(summary), Some(standing)) = (connection.tls_summary(), connection.standing()) {
            maillog::tls_to(connection.relay(), summary, standing, note);
        }
        Ok(connection)
    }

    /// Connects as whom the relayhost knows; a token that is refused is fetched once more.
    async fn login(
        &self,
        dial: &Dial,
        tls: Option<&ClientTls>,
        settings: Settings,
        connect: Duration,
    ) -> Result<Connection, Failure> {
        let mut again = true;
        loop {
            let mut settings = settings.clone();
            if self.errand.destination.is_relayhost() {
                let config = &self.errand.setup.config;
                let credentials = block_in_place(|| to_smtp::credentials(config));
                let halt = &self.errand.halt;
                settings.credentials = credentials.map_err(|failure| {
                    // The program was ended with the delivery.
                    if halt.is_reached() {
                        halt.failure()
                    } else {
                        failure
                    }
                })?;
            }
            let shown = settings.credentials.clone();
            let (host, place) = (&dial.host.name, dial.place.clone());
            match Connection::open(host, place, tls, settings, connect).await {
                Err(failure) if again && token::is_stale(shown.as_ref(), &failure) => again = false,
                opened => return opened,
            }
        }
    }

    pub(super) async fn send(&self, kept: Option<&mut Kept>, batch: &Batch) -> Sent {
        let Some(Kept {
            connection, dial, ..
        }) = kept
        else {
            return Sent::default();
        };
        let named = dial.host.named && !self.is_program();
        connection.obey(self.errand.halt.clone());
        let mut envelope = self.errand.envelope.with_only(&batch.recipients);
        if let Peer::Smtp { .. } = self.peer {
            let dispatch = self.transports.dispatch.as_deref();
            forwarding::forward(&self.errand.setup, dispatch, &mut envelope).await;
        }
        let Some(stored) = self.stored else {
            let mut question = Transaction::of(&envelope, 0);
            question.patience = batch.patience;
            question.kept = batch.kept;
            let outcomes = connection.probe(question).await;
            return ended(connection, outcomes);
        };
        let first = self.errand.envelope.recipients.first();
        let list = first.and_then(|it| loops::list_of(&stored.envelope, it));
        let marked = Marked::new(stored, list);
        let read = || marked.reader();
        let peer = connection.capabilities();
        let fitting = || match self.peer {
            Peer::Smtp { .. } => outgoing(&self.errand.setup, &marked, peer, envelope, &read),
            Peer::Lmtp(_) => fit(peer, envelope, marked.size(), &read),
        };
        let outcomes = match block_in_place(fitting) {
            Ok(mut fitted) => {
                let hurried = self.errand.hurried.then_some(2 * HURRIED);
                fitted.transaction.patience = batch.patience_within(hurried);
                fitted.transaction.kept = batch.kept;
                for what in &fitted.all_the_same {
                    maillog::all_the_same(stored.id, connection.relay(), what);
                }
                let tell = |told| match told {
                    Told::Arrived(index, outcome) => {
                        if let Some(&index) = batch.recipients.get(index) {
                            self.errand.arrived(index, &outcome);
                        }
                    }
                    told => self.tell(told, named),
                };
                let silence = Silence::new(&tell, self.errand.cut.clone());
                connection
                    .send(fitted.transaction, &mut *fitted.content, Some(silence))
                    .await
            }
            Err(error) => {
                let text = format!("cannot read the queued message: {error}");
                all(batch.recipients.len(), Failure::ours(&text))
            }
        };
        ended(connection, outcomes)
    }
}

fn ended(connection: &Connection, outcomes: Vec<Outcome>) -> Sent {
    Sent {
        outcomes,
        open: connection.is_ready(),
        accepted: connection.accepted(),
    }
}

/// Whether the host must show no more than it must show anybody. A relayhost is asked for what is
/// its own, and no demands are known of it.
fn asks_what_anybody_asks(dial: &Dial, demands: Option<&Demands>) -> bool {
    demands.is_some_and(|it| it.enforced().is_none() && it.of(&dial.host.name).0.is_none())
}
