//! Lines that let machines in: made, listed, revoked.
//!
//! Contract: what is answered is on disk. The secret of a line is told once, and not kept.

use std::io;

use control::order;
use mail::{clock, nexthop::Nexthop};
use relay::enroll::{Line, Secret};

use crate::{
    admin::{Answer, EnrollOrder, Invitation},
    config::{Config, ListenTls, Offer},
    enroll::Book,
    server::Server,
    setup::Setup,
};

/// Answers one order.
pub(super) fn answer(
    server: &Server,
    order: EnrollOrder,
    say: &mut dyn FnMut(&Answer) -> io::Result<()>,
) -> io::Result<()> {
    let setup = server.current.get();
    let answers = match order {
        EnrollOrder::Invite(invitation) => invite(&setup, &invitation).map(|answer| vec![answer]),
        EnrollOrder::List => listed(&setup),
        EnrollOrder::Revoke { name } => {
            let act = |book: &mut Book| book.revoke(&name, clock::now());
            let revoked = setup.enrolled.change(act);
            revoked.and_then(|done| done.map(|()| Vec::new()))
        }
        EnrollOrder::Forget { name } => {
            let forgotten = setup.enrolled.change(|book| book.forget(&name));
            forgotten.and_then(|done| done.map(|()| Vec::new()))
        }
    };
    match answers {
        Ok(answers) => answers.iter().try_for_each(say),
        Err(why) => say(&Answer::Queue(order::Answer::Refused(why))),
    }
}

fn listed(setup: &Setup) -> Result<Vec<Answer>, String> {
    let rows = setup.enrolled.read(|book| book.list(clock::now()))?;
    Ok(rows.into_iter().map(Answer::Enrolled).collect())
}

fn invite(setup: &Setup, invitation: &Invitation) -> Result<Answer, String> {
    let identity = setup.identity.as_ref();
    let identity = identity.ok_or("no port offers TLS: see listen")?;
    let (host, offer, port) = door(&setup.config, invitation.relay.as_deref())?;
    let secret = Secret::made()?;
    let (name, now) = (&invitation.name, clock::now());
    if let Some(who) = setup.namesake(name.as_str()) {
        return Err(format!(
            "{name} is {who}, too: the mail of both would be counted together; use another name"
        ));
    }
    let digest = secret.digest(name);
    let line = Line {
        name: name.clone(),
        host,
        port,
        wrapped: offer.tls == ListenTls::Wrapped,
        pin: identity.pin.clone(),
        secret,
    };
    let line = line.to_string();
    Line::parse(&line).map_err(|why| format!("no line can be made for this relay: {why}"))?;
    let good_for = invitation.good_for;
    let act = |book: &mut Book| book.invite(name, digest, good_for, now);
    let replaces = setup.enrolled.change(act)??;
    Ok(Answer::Line {
        line,
        until: now.after(good_for),
        replaces,
    })
}

/// Where machines find a port that asks for their keys: as named, else one from the first byte.
fn door(config: &Config, relay: Option<&str>) -> Result<(String, Offer, u16), String> {
    let relay = relay.map(Nexthop::parse).transpose();
    let relay = relay.map_err(|error| error.to_string())?;
    let host = relay.as_ref().map(|relay| relay.host.clone());
    let host = host.unwrap_or_else(|| config.hostname.to_string());
    let named = relay.and_then(|relay| relay.port);
    if let Some(port) = named {
        let mut all = config.listen.iter();
        let door = all.find(|door| door.address.port() == port);
        // One that is forwarded from elsewhere.
        let offer = door.map_or_else(|| Offer::usual(port), |door| door.offer);
        if !offer.asks_for_keys() {
            return Err(format!("machines cannot show a key at port {port}"));
        }
        return Ok((host, offer, port));
    }
    let door = config.door(Offer::asks_for_keys).ok_or(
        "no port accepts keys of machines: add one such as 465 or 587 to listen (submission = \
         true)",
    )?;
    Ok((host, door.offer, door.address.port()))
}
