//! An address through virtual aliases and aliases, then by the routes to its transport, its hosts
//! and how they are spoken to.

use mail::{address::Address, envelope::Recipient, outcome::Failure};
use relay::delivery::{Found, Way as Dialled};
use serde::Serialize;
use smtp::client::Security;

use super::told::{Entry, Place};
use crate::{
    config::{Config, Transport},
    destination::{Destination, Kind},
    dns::exchange,
    route::{Fate, Router},
    setup::Setup,
    tls_policy::Demand,
    transport::{self, Demands},
};

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Way {
    pub address: String,
    /// `local`, `relay` or `virtual`, if its domain is ours.
    pub class: Option<&'static str>,
    /// Where the class is written.
    pub place: Option<Place>,
    /// The table in which it would have to stand: it is refused at RCPT.
    pub unlisted: Option<&'static str>,
    pub steps: Vec<Step>,
    /// Why aliases cannot be followed; then there is no end.
    pub failure: Option<String>,
    pub ends: Vec<End>,
    /// What is wrong in a table.
    pub warnings: Vec<String>,
}

/// An address that stands for others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Step {
    pub address: String,
    pub entries: Vec<Entry>,
    pub becomes: Vec<String>,
}

/// Where a recipient's mail goes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct End {
    pub address: String,
    /// As the routes have it: `smtp:[host]`, `lmtp:…`
    pub destination: String,
    /// `routes`, `relayhost`, `MX` …, and where that is written.
    pub because: &'static str,
    pub entry: Option<Entry>,
    pub place: Option<Place>,
    /// How the transport of the settings goes about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    pub hosts: Vec<Host>,
    pub tls: String,
    /// It is tried so long, if not as all mail.
    pub lifetime: String,
    /// Why it does not go.
    pub failure: Option<String>,
    /// What becomes of it then: `refused` or `deferred` at RCPT by a route, or taken, and it
    /// `waits` or `bounces`; `left out`, where others get it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
}

impl End {
    /// It does not go.
    fn fails(&mut self, why: &Failure, at_rcpt: bool) {
        self.outcome = Some(match (at_rcpt, why.status.class()) {
            (true, 4) => "deferred",
            (true, _) => "refused",
            (false, 4) => "waits",
            (false, _) => "bounces",
        });
        self.failure = Some(format!("{} {}", why.status, why.text));
    }
}

/// A host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Host {
    pub name: String,
    pub port: u16,
    pub addresses: Vec<String>,
    /// What it must show beyond what all must, or why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    pub failure: Option<String>,
}

pub(super) async fn find(
    setup: &Setup,
    written: &str,
    warnings: Vec<String>,
) -> anyhow::Result<Way> {
    let config = &setup.config;
    let address = match mail::address::Mailbox::parse(written) {
        Ok(mail::address::Mailbox::Address(address)) => address,
        Ok(mail::address::Mailbox::Local(name)) => Address::new(name.as_str(), &config.hostname)?,
        Err(error) => anyhow::bail!("{}: {error}", written.escape_debug()),
    };
    let named = config.domains.nearest(address.domain());
    let (steps, ends) = setup.router.way(&address);
    let (mut found, mut failure) = (Vec::new(), None);
    match ends {
        Ok(ends) => {
            for (at, end) in ends.iter().enumerate() {
                let before = ends.iter().take(at);
                let nth = before.filter(|it| it.key() == end.key()).count();
                found.push(goes(setup, end, nth).await);
            }
        }
        Err(why) => failure = Some(why.text),
    }
    let unlisted = setup.router.unlisted(&address);
    let fate = unlisted.is_none().then(|| setup.router.fate(&address));
    if let Some(Fate::Broken(why)) = &fate {
        failure = Some(why.text.clone());
    }
    leave_out(&setup.router, &mut found);
    let at_once = match fate {
        Some(Fate::Refused(_)) => Some("refused"),
        _ => failure.is_some().then_some("deferred"),
    };
    let returned = |end: &&mut End| end.outcome == Some("bounces");
    for end in found.iter_mut().filter(returned) {
        end.outcome = at_once.or(end.outcome);
    }
    let shown = |step: crate::route::Step| Step {
        address: step.address.to_string(),
        entries: step.entries.into_iter().map(Entry::from).collect(),
        becomes: step
            .becomes
            .iter()
            .map(ToString::to_string)
            .chain(step.programs.iter().map(ToString::to_string))
            .collect(),
    };
    Ok(Way {
        class: named.map(|(class, _)| class.word()),
        place: named.and_then(|(class, index)| {
            let key = ["domains", class.word()];
            config.place_of(&key, Some(index)).map(Place::from)
        }),
        unlisted,
        address: address.to_string(),
        steps: steps.into_iter().map(shown).collect(),
        failure,
        ends: found,
        warnings,
    })
}

/// Tells of those whom nobody is, beside others.
fn leave_out(router: &Router, ends: &mut [End]) {
    let addresses = ends
        .iter()
        .filter_map(|end| Address::parse(&end.address).ok());
    let mut recipients = addresses.map(Recipient::from).collect();
    let out = router.leave_out(&mut recipients);
    for end in ends {
        let is_end = |it: &Address| it.to_string() == end.address;
        if out.iter().any(is_end) {
            end.outcome = Some("left out");
        }
    }
}

/// One recipient; `nth`: which of those with the same address it is.
async fn goes(setup: &Setup, address: &Address, nth: usize) -> End {
    let end = End {
        address: address.to_string(),
        ..End::default()
    };
    let destination = match setup.router.nth_destination(address, || nth) {
        Ok(destination) => destination,
        Err(why) => {
            let (because, entry, place) = written(setup, address).unwrap_or_default();
            let mut end = End {
                because,
                entry,
                place,
                ..end
            };
            end.fails(&why, setup.router.refuses(address));
            return end;
        }
    };
    let config = &setup.config;
    let (because, entry, place) = because(setup, address, &destination);
    let named = destination.transport.as_deref();
    let settings = named.and_then(|name| config.transports.get(name));
    let mut end = End {
        destination: destination.to_string(),
        because,
        entry,
        place,
        transport: settings.map(pace),
        lifetime: lifetime(setup, address),
        ..end
    };
    let pipe = settings.and_then(Transport::pipe);
    if let Kind::Smtp { .. } | Kind::Lmtp(_) = destination.kind {
        match transport::hosts(setup, &destination).await {
            Ok((way, mut demands)) => {
                end.tls = match &demands {
                    Some(demands) => demands.to_string(),
                    None => tls(config, &destination, &way),
                };
                end.hosts = hosts(setup, &destination, &way, demands.as_mut()).await;
            }
            Err(why) => end.fails(&why, false),
        }
    } else if let Some(socket) = pipe.and_then(|pipe| pipe.socket.as_ref()) {
        end.tls = format!("LMTP over {}", socket.display());
    }
    end
}

/// Why it goes there, with the entry or the place of the setting.
fn because(
    setup: &Setup,
    address: &Address,
    destination: &Destination,
) -> (&'static str, Option<Entry>, Option<Place>) {
    let config = &setup.config;
    let setting = |key: &[&str]| config.place_of(key, None).map(Place::from);
    match (&destination.kind, written(setup, address)) {
        (Kind::Program(_), _) => ("alias", None, None),
        (Kind::Aliases, _) => ("aliases", None, None),
        (_, Some(found)) => found,
        (
            Kind::Smtp {
                relayhost: true, ..
            },
            None,
        ) => ("relayhost", None, setting(&["relayhost"])),
        (Kind::Smtp { .. }, None) => ("MX of the domain", None, None),
        (Kind::Lmtp(_), None) => ("lmtp", None, setting(&["lmtp"])),
        (Kind::Maildir(_), None) => ("maildir", None, setting(&["maildir"])),
        (Kind::Pipe(_), None) => ("transport", None, None),
    }
}

/// The route that says where mail for an address goes, and where it is written.
fn written(
    setup: &Setup,
    address: &Address,
) -> Option<(&'static str, Option<Entry>, Option<Place>)> {
    let config = &setup.config;
    let found = setup.router.route(address)?;
    let settings = [
        ("routes", &config.routes),
        ("default_routes", &config.default_routes),
    ];
    let path = found.place.path.as_os_str();
    let of_settings = settings.into_iter().find(|(name, _)| path == *name);
    let line = usize::try_from(found.place.line).unwrap_or_default();
    Some(match of_settings {
        Some((name, routes)) => {
            let key = routes.get(line.saturating_sub(1));
            let place = key.and_then(|(key, _)| config.place_of(&[name, key], None));
            (name, None, place.map(Place::from))
        }
        None => (
            "transport",
            Some(Entry::from((found.place, found.value.into_owned()))),
            None,
        ),
    })
}

/// How a transport goes about it.
fn pace(transport: &Transport) -> String {
    let mut words = Vec::new();
    if let Some(count) = transport.connections {
        words.push(format!("{count} connections"));
    }
    if transport.recipients < usize::MAX {
        words.push(format!("{} recipients a delivery", transport.recipients));
    }
    if !transport.delay.is_zero() {
        words.push(format!(
            "{} between deliveries",
            settings::Span(transport.delay)
        ));
    }
    if transport.processes < usize::MAX {
        words.push(format!("{} deliveries at once", transport.processes));
    }
    if let Some(pipe) = transport.pipe() {
        words.push(format!("at most {} a run", settings::Span(pipe.timeout)));
    }
    if transport.shipped {
        words.push("comes with the program".to_owned());
    }
    words.join(", ")
}

fn lifetime(setup: &Setup, address: &Address) -> String {
    let own = setup.router.lifetime(address, false);
    settings::Span(own.unwrap_or(setup.config.retry.schedule.lifetime)).to_string()
}

async fn hosts(
    setup: &Setup,
    to: &Destination,
    way: &Dialled,
    mut demands: Option<&mut Demands>,
) -> Vec<Host> {
    let mut all = Vec::new();
    for host in &way.hosts {
        let mut told = Host {
            name: host.name.clone(),
            port: host.port,
            addresses: Vec::new(),
            tls: None,
            failure: None,
        };
        let is_path = matches!(
            &to.kind,
            Kind::Lmtp(crate::destination::LmtpTarget::Unix(_))
        );
        if !is_path {
            let found = match (&to.kind, &mut demands) {
                (Kind::Smtp { .. }, Some(demands)) => {
                    let found = demands.find(setup, host).await;
                    told.tls = demands.at(&host.name);
                    found
                }
                _ => exchange::places(&setup.resolver, host, &setup.config.hostname)
                    .await
                    .map(Found::from),
            };
            match found {
                Ok(mut found) => {
                    exchange::mark_own_listeners(&mut found, host, &setup.config);
                    told.addresses = found
                        .places
                        .iter()
                        .map(|(place, locality)| address(place, *locality, host.named))
                        .collect();
                }
                Err(Failure { text, .. }) => told.failure = Some(text),
            }
        }
        all.push(told);
    }
    all
}

/// As [`relay::delivery::Delivery`] goes about it; `named`: the administrator named the host.
fn address(
    place: &relay::delivery::Place,
    locality: relay::delivery::Locality,
    named: bool,
) -> String {
    use relay::delivery::{Locality, Place};
    let address = match place {
        Place::Tcp(address) => address.ip().to_string(),
        Place::Unix(path) => path.display().to_string(),
    };
    match locality {
        Locality::Itself => format!("{address} (this daemon itself, is not tried)"),
        _ if named => address,
        Locality::Elsewhere => address,
        Locality::Nowhere => format!("{address} (leads nowhere, is not tried)"),
        Locality::Own => format!("{address} (this host itself, is not tried)"),
        Locality::Collision => format!("{address} (a name collision, is not tried)"),
    }
}

/// How it is encrypted, and whom is believed.
fn tls(config: &Config, to: &Destination, way: &Dialled) -> String {
    if matches!(to.kind, Kind::Lmtp(_)) {
        return "none (LMTP)".to_owned();
    }
    let how = match way.security {
        Security::None => return Demand::None.to_string(),
        Security::Opportunistic => return Demand::Opportunistic.to_string(),
        Security::StartTls => "STARTTLS or nothing",
        Security::Wrapped => "TLS from the first byte",
    };
    let pins: Vec<_> = config
        .relay_tls
        .pins
        .iter()
        .map(ToString::to_string)
        .collect();
    if to.is_relayhost() && !pins.is_empty() {
        return format!("{how}; the key must be {}", pins.join(" or "));
    }
    format!("{how}; nobody is verified")
}
