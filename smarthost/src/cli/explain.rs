//! `smarthost explain`: what would be decided about a recipient, or where mail for an address goes,
//! as text or JSON.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use relay::enroll::Name;

use super::{
    ask,
    failed::Failed,
    typed::{address, bare, key, login},
};
use crate::explain::{self, Asked, Client, What};

/// A client that would come, or an address.
#[derive(clap::Args, Debug)]
#[command(
    long_about = "Show what would be decided about a recipient, rule by rule and why, and the reply that the client would get. \
    With only an address, show where its mail goes: aliases, transport, next hop, hosts, TLS.\n\n\
    The running daemon is asked, so its current settings, tables, logins and limits decide. If it is not running, a message says so, \
    and the files decide as they are now. Each rule is shown with its place in the configuration. \
    Nothing is counted, remembered or sent. DNS, block lists and policy servers are asked as for a real client (postgrey takes this \
    for a first attempt). Milters are only named. A next hop is asked whether the recipient exists only with --probe. \
    Run it as root or as the daemon's user: others may not read its keys and counters.",
    after_help = "Examples:\n  \
        smarthost explain --client 192.0.2.7 --from ann@example.com --to bob@example.org\n  \
        smarthost explain --client 10.0.0.7 --helo vm7 --to bob@example.net --json\n  \
        smarthost explain --client 10.0.0.7 --login printer --to bob@example.net\n  \
        smarthost explain root                     who gets root's mail, and how"
)]
pub(super) struct Arguments {
    /// Show where mail for this address goes
    #[arg(value_name = "ADDRESS", required_unless_present = "client", conflicts_with_all = ["client", "to"], value_parser = address)]
    address: Option<String>,
    /// The client's address, or the name of a machine that is known by its key
    #[arg(long, value_name = "IP|NAME", requires = "to", value_parser = who)]
    client: Option<Who>,
    /// The client's name in EHLO; by default [IP]
    #[arg(long, value_name = "NAME", requires = "client")]
    helo: Option<String>,
    /// The envelope sender; by default <>
    #[arg(long, value_name = "ADDRESS", requires = "client")]
    from: Option<String>,
    /// The recipient
    #[arg(long, value_name = "ADDRESS", requires = "client")]
    to: Option<String>,
    /// As if the client used SMTPUTF8: addresses may have non-ASCII characters before the @
    #[arg(long, requires = "client")]
    utf8: bool,
    /// As if the client had logged in as this user
    #[arg(long, value_name = "USER", requires = "client", value_parser = login)]
    login: Option<String>,
    /// As if the client were known by its key under this name
    #[arg(long, value_name = "NAME", requires = "client", value_parser = key)]
    pin: Option<String>,
    /// As if the session were encrypted
    #[arg(long, requires = "client")]
    tls: bool,
    /// Ask the next hop whether the recipient exists, if `reject_unverified_recipient` would
    #[arg(long, requires = "client")]
    probe: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A client.
#[derive(Clone, Debug)]
enum Who {
    Address(IpAddr),
    Machine(Name),
}

impl Who {
    fn address(&self) -> IpAddr {
        match self {
            Self::Address(address) => *address,
            Self::Machine(_) => Ipv4Addr::UNSPECIFIED.into(),
        }
    }

    fn name(&self) -> Option<String> {
        match self {
            Self::Address(_) => None,
            Self::Machine(name) => Some(name.to_string()),
        }
    }
}

fn who(text: &str) -> Result<Who, String> {
    match text.parse() {
        Ok(address) => Ok(Who::Address(address)),
        Err(_) => Name::parse(text)
            .map(Who::Machine)
            .map_err(|why| format!("no address, and {why}")),
    }
}

/// What would end a command, or be obeyed by a terminal.
fn examine(arguments: &Arguments) -> Result<(), Failed> {
    let Arguments {
        address,
        helo,
        from,
        to,
        login,
        pin,
        ..
    } = arguments;
    let mut texts = [address, helo, from, to, login, pin].into_iter().flatten();
    match texts.find(|text| text.contains(char::is_control)) {
        Some(text) => Err(Failed::arguments(format!(
            "control characters cannot be sent: {}",
            text.escape_debug()
        ))),
        None => Ok(()),
    }
}

pub(super) fn run(config: &Path, arguments: &Arguments) -> Result<String, Failed> {
    examine(arguments)?;
    let what = match (&arguments.address, &arguments.client, &arguments.to) {
        (Some(address), ..) => What::Address(address.clone()),
        (None, Some(who), Some(recipient)) => What::Client(Client {
            address: who.address(),
            helo: arguments.helo.clone(),
            sender: arguments.from.as_deref().map(bare).map(str::to_owned),
            recipient: bare(recipient).to_owned(),
            utf8: arguments.utf8,
            login: arguments.login.clone(),
            pin: arguments.pin.clone().or_else(|| who.name()),
            encrypted: arguments.tls,
            probe: arguments.probe,
        }),
        _ => return Err(Failed::new("name --client and --to".to_owned())),
    };
    let asked = Asked {
        what,
        json: arguments.json,
    };
    match ask::explain(config, &asked)? {
        Some(told) => Ok(told),
        None => Ok(explain::of_files(config, &asked)?),
    }
}
