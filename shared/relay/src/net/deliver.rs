//! The driver of [`Delivery`] over blocking sockets.

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use mail::{
    envelope::Envelope,
    outcome::{Failure, Outcome},
};
use smtp::client::Settings;

use super::{
    Connection, Target,
    connection::Watch,
    dial::addresses,
    silence::{Others, Told},
};
use crate::{
    delivery::{
        Action, Batch, Delivery, Dial, Event, Found, Locality, Memory, Place, Reading, Sent, Way,
        fit, is_listener,
    },
    tls::ClientTls,
    token,
};

/// The way to a next hop, as a program knows it.
pub struct Road<'a> {
    /// In the order in which they are to be tried.
    pub way: &'a dyn Fn() -> Result<Way, Failure>,
    pub settings: &'a dyn Fn() -> Result<Settings, Failure>,
    pub tls: Option<&'a ClientTls>,
    /// Where the program that sends listens itself: nothing is sent there.
    pub own: &'a [SocketAddr],
    pub memory: &'a Mutex<Memory>,
    /// Told of each new connection.
    pub opened: &'a dyn Fn(&Connection),
    /// Others who may wait for the connection.
    pub others: Option<&'a dyn Others>,
    /// Whether nobody here waits any longer, and why: the delivery ends with what recipients were
    /// answered by then.
    pub halted: Option<&'a dyn Fn() -> Option<Failure>>,
    /// Told what is sent as it is though the peer may not take it
    /// ([`Fitted::all_the_same`](crate::delivery::Fitted)).
    pub all_the_same: &'a dyn Fn(&Connection, &str),
}

/// One message.
pub struct Outgoing<'a> {
    pub envelope: &'a Envelope,
    pub text: Text<'a>,
    /// For relayhosts that do not offer XWRITER, where it is another one: who wrote it is none of
    /// their business.
    pub for_others: Option<Text<'a>>,
}

/// Header, empty line and body.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    /// Bytes.
    pub size: u64,
    pub read: &'a Reading<'a>,
}

/// A connection that may serve another delivery.
pub struct Kept {
    connection: Connection,
    /// How it was opened.
    dial: Dial,
    opened: Instant,
}

/// How long a connection serves, so that a busy program hears of hosts that DNS names by now
/// (Postfix `smtp_connection_reuse_time_limit`).
pub const REUSED: Duration = Duration::from_mins(5);

impl Kept {
    fn is_usable(&mut self) -> bool {
        self.opened.elapsed() < REUSED && self.connection.is_usable()
    }

    /// QUIT, without waiting for the answer.
    pub fn quit(self) {
        self.connection.quit();
    }
}

/// Makes one delivery, over `kept` if that is still good; what is good afterwards is left there.
pub fn deliver(
    mut delivery: Delivery,
    kept: &mut Option<Kept>,
    road: &Road<'_>,
    outgoing: &Outgoing<'_>,
) -> (Vec<Outcome>, Option<Failure>) {
    while let Some(action) = delivery.next_action() {
        let halted = || road.halted.and_then(|halted| halted());
        if let Some(why) = halted() {
            delivery.halt(&why);
            break;
        }
        if kept.as_ref().is_some_and(|it| it.connection.is_cut()) {
            delivery.cut();
            break;
        }
        let event = match action {
            Action::Reuse => {
                if let Some(stale) = kept.take_if(|kept| !kept.is_usable()) {
                    stale.connection.quit_for(road.others);
                }
                Event::Kept(kept.as_ref().map(|kept| kept.dial.clone().into()))
            }
            Action::Find => Event::Way((road.way)()),
            Action::Lookup(host) => {
                let found = addresses(&host.name, host.port);
                let leading = |found: Vec<SocketAddr>| -> Vec<(Place, Locality)> {
                    let led = found.into_iter().map(|address| {
                        let locality = if is_listener(road.own, address) {
                            Locality::Itself
                        } else {
                            Locality::Elsewhere
                        };
                        (Place::Tcp(address), locality)
                    });
                    led.collect()
                };
                Event::Found(found.map(leading).map(Found::from))
            }
            Action::Open(dial) => Event::Opened(open(&dial, road).map(|connection| {
                (road.opened)(&connection);
                *kept = Some(Kept {
                    connection,
                    dial,
                    opened: Instant::now(),
                });
            })),
            Action::Send(batch) => Event::Sent(send(kept.as_mut(), &batch, road, outgoing)),
            Action::Leave => {
                if let Some(left) = kept.take() {
                    left.connection.quit_for(road.others);
                }
                continue;
            }
        };
        let mut memory = road.memory.lock().unwrap_or_else(PoisonError::into_inner);
        delivery.handle(event, &mut memory, Instant::now());
    }
    if let Some(closed) = kept.take_if(|kept| !kept.connection.is_ready()) {
        closed.quit();
    }
    delivery.finish()
}

fn open(dial: &Dial, road: &Road<'_>) -> Result<Connection, Failure> {
    open_with(dial, road, true)
}

/// A token that is refused is fetched once more.
fn open_with(dial: &Dial, road: &Road<'_>, again: bool) -> Result<Connection, Failure> {
    // A program that tells a token was ended with the delivery.
    let halted = |failure| road.halted.and_then(|halted| halted()).unwrap_or(failure);
    let mut settings = (road.settings)().map_err(halted)?;
    settings.security = dial.security;
    if let Some(opening) = dial.opening {
        settings.timeouts.opening = settings.timeouts.opening.min(opening);
    }
    let tls = road
        .tls
        .map(|tls| tls.showing(dial.host.certified.as_deref()));
    let target = Target {
        host: &dial.host.name,
        place: dial.place.clone(),
        tls: tls.as_ref(),
    };
    match Connection::open(&target, &settings, dial.connect) {
        Err(failure) if again && token::is_stale(settings.credentials.as_ref(), &failure) => {
            open_with(dial, road, false)
        }
        opened => opened,
    }
}

fn send(kept: Option<&mut Kept>, batch: &Batch, road: &Road<'_>, outgoing: &Outgoing<'_>) -> Sent {
    let Some(Kept {
        connection, dial, ..
    }) = kept
    else {
        return Sent::default();
    };
    let outcomes = fitted(connection, dial, batch, road, outgoing).unwrap_or_else(|error| {
        let text = format!("the message cannot be read: {error}");
        vec![Failure::ours(&text).outcome(); batch.recipients.len()]
    });
    Sent {
        outcomes,
        open: connection.is_ready(),
        accepted: connection.accepted(),
    }
}

fn fitted(
    connection: &mut Connection,
    dial: &Dial,
    batch: &Batch,
    road: &Road<'_>,
    outgoing: &Outgoing<'_>,
) -> io::Result<Vec<Outcome>> {
    let envelope = outgoing.envelope.with_only(&batch.recipients);
    let peer = connection.capabilities();
    let others = outgoing.for_others.filter(|_| !peer.xwriter);
    let text = others.unwrap_or(outgoing.text);
    let mut fitted = fit(peer, envelope, text.size, text.read)?;
    fitted.transaction.patience = batch.patience;
    fitted.transaction.kept = batch.kept;
    for what in &fitted.all_the_same {
        (road.all_the_same)(connection, what);
    }
    let told = |told| match (told, road.others) {
        (Told::Silent { in_doubt }, Some(others)) => others.silent(in_doubt, dial.host.named),
        (Told::Speaks, Some(others)) => others.speaks(),
        // Where another one may be there, it is tried last from now on.
        (Told::Stalled, _) if batch.patience.is_some() => {
            let mut memory = road.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.stalls(dial, Instant::now());
        }
        _ => {}
    };
    let watch = Watch {
        told: Some(&told),
        others: road.others,
        halted: road.halted,
    };
    Ok(connection.send_watched(fitted.transaction, &mut fitted.content, watch))
}
