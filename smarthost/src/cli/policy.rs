//! What `check` says of restrictions: those that nobody reaches, those that lack what they need,
//! and tables whose keys never match.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, TcpStream, ToSocketAddrs as _},
    time::{Duration, Instant},
};

use control::findings::Findings;

use crate::{
    config::Config,
    destination::Kind,
    milter::{Action, Dialog, Event, Milter},
    policy::{access_table::Tables, endpoint::Endpoint, rule::Rule},
};

/// A server that runs takes connections at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// Name servers for everybody: block lists refuse what comes over them.
const PUBLIC: [&str; 10] = [
    "8.8.8.8",
    "8.8.4.4",
    "1.1.1.1",
    "1.0.0.1",
    "9.9.9.9",
    "149.112.112.112",
    "2001:4860:4860::8888",
    "2001:4860:4860::8844",
    "2606:4700:4700::1111",
    "2620:fe::fe",
];

pub(super) fn restrictions(config: &Config, findings: &mut Findings) {
    order(config, findings);
    lists(config, findings);
    tables(config, findings);
    services(config, findings);
    milters(config, findings);
    unknown_recipients(config, findings);
}

/// What stands behind a rule that decides for everybody.
fn order(config: &Config, findings: &mut Findings) {
    let mut rules = config.restrictions.iter();
    let Some(last) = rules.find(|rule| rule.is_final()) else {
        return;
    };
    let dead: Vec<_> = rules.map(ToString::to_string).collect();
    if !dead.is_empty() {
        let text = format!(
            "nothing after `{last}` is ever reached: {}",
            dead.join(", ")
        );
        let error = config.wrong("restrictions", &text);
        findings.warn("restrictions", error.text, "put it at the end");
    }
}

fn lists(config: &Config, findings: &mut Findings) {
    let rules = &config.restrictions;
    let scores = &config.dnsbl.scores;
    let by_score = rules.iter().any(Rule::is_score);
    let in_use = by_score || config.greylist.listed_only && rules.iter().any(Rule::greylists);
    if by_score && scores.lists.is_empty() {
        findings.fail(
            "restrictions",
            "reject_dnsbl_score has nothing to add up: dnsbl.lists is empty",
            "dnsbl = { threshold = 3, lists = [\"zen.example=127.0.0.[2..11]*3\"] }",
        );
    }
    if !in_use && !scores.lists.is_empty() {
        findings.warn(
            "restrictions",
            "dnsbl.lists is not used: restrictions has no reject_dnsbl_score",
            "add it, or remove the lists",
        );
    }
    let asks_lists = rules.iter().any(|rule| rule.list().is_some()) || in_use;
    if config.resolver.is_some() || !(asks_lists || rules.iter().any(Rule::needs_dns)) {
        return;
    }
    let servers = name_servers();
    let remedy = "run a resolver on this machine, and write resolver = \"127.0.0.1\"";
    if servers.is_empty() {
        let text = "restrictions ask DNS, and /etc/resolv.conf names no server";
        findings.fail("resolver", text, remedy);
    } else if let Some(public) = servers
        .iter()
        .find(|server| is_public(server))
        .filter(|_| asks_lists)
    {
        let text =
            format!("block lists refuse questions from a public name server such as {public}");
        findings.warn("resolver", text, remedy);
    }
}

fn is_public(server: &IpAddr) -> bool {
    PUBLIC.iter().any(|public| public.parse() == Ok(*server))
}

fn name_servers() -> Vec<IpAddr> {
    let text = system::read::text("/etc/resolv.conf".as_ref(), 64 * 1024).unwrap_or_default();
    let servers = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"));
    servers
        .filter_map(|server| server.trim().parse().ok())
        .collect()
}

fn tables(config: &Config, findings: &mut Findings) {
    // What cannot be read at all is told with the configuration.
    let Ok((files, problems)) = config.read_access() else {
        return;
    };
    for problem in &problems {
        if problem.fault {
            findings.fail("table", problem.to_string(), "correct the line");
        } else {
            findings.warn("table", problem.to_string(), "look at the line");
        }
    }
    let tables: Tables = files.tables().collect();
    for (subject, name) in config.restrictions.iter().filter_map(Rule::table) {
        let Some(table) = tables.get(name) else {
            continue;
        };
        for hint in table.hints(subject) {
            findings.warn("table", hint.to_string(), "look at the line");
        }
    }
}

fn services(config: &Config, findings: &mut Findings) {
    for endpoint in config.restrictions.iter().filter_map(Rule::service) {
        match reached(endpoint) {
            Ok(_) => findings.ok("policy server", format!("{endpoint} takes connections")),
            Err(why) => findings.fail(
                "policy server",
                format!("{endpoint}: {why}"),
                "start it: until then mail is deferred with 451",
            ),
        }
    }
}

fn milters(config: &Config, findings: &mut Findings) {
    for milter in &config.milters {
        let (endpoint, without) = (&milter.endpoint, milter.on_failure.word());
        let spoken = reached(endpoint).and_then(|socket| speaks(socket, milter));
        match spoken.map_err(silent) {
            Ok(()) => findings.ok("milter", format!("{endpoint} speaks the milter protocol")),
            Err(why) => findings.fail(
                "milter",
                format!("{endpoint}: {why}"),
                &format!(
                    "start it, and let this user connect: until then on_failure = \
                     \"{without}\" applies"
                ),
            ),
        }
    }
}

/// What both sides agree on at first; nothing of a session is told.
fn speaks(mut socket: Box<dyn Socket>, milter: &Milter) -> io::Result<()> {
    let now = Instant::now();
    let mut dialog = Dialog::new(milter, now);
    dialog.handle(Event::Opened, now);
    loop {
        match dialog.next_action() {
            Some(Action::Send(bytes)) => socket.write_all(&bytes)?,
            Some(Action::Failed(why)) => return Err(io::Error::other(why)),
            Some(Action::Done(_)) => break,
            Some(Action::Edit(_) | Action::Hold(_)) => {}
            None => {
                let mut buffer = [0; 1024];
                let count = socket.read(&mut buffer)?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let said = buffer.get(..count).unwrap_or_default();
                dialog.handle(Event::Received(said), now);
            }
        }
    }
    dialog.handle(Event::Quit, now);
    if let Some(Action::Send(bytes)) = dialog.next_action() {
        socket.write_all(&bytes)?;
    }
    Ok(())
}

/// What the end of the time for an answer is called.
fn silent(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::WouldBlock {
        return error;
    }
    let text = format!("no answer in {} s", PATIENCE.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// Both kinds of sockets.
trait Socket: Read + Write {}
impl<T: Read + Write> Socket for T {}

fn reached(endpoint: &Endpoint) -> io::Result<Box<dyn Socket>> {
    match endpoint {
        Endpoint::Unix(path) => {
            let socket = system::socket::connect(path, PATIENCE)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(Box::new(socket))
        }
        Endpoint::Inet(place) => {
            let mut last = Err(io::Error::other("the name has no address"));
            for address in place.to_socket_addrs()? {
                last = TcpStream::connect_timeout(&address, PATIENCE);
                if last.is_ok() {
                    break;
                }
            }
            let socket = last?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(Box::new(socket))
        }
    }
}

/// Mail for names that nobody has is taken and comes back to strangers.
fn unknown_recipients(config: &Config, findings: &mut Findings) {
    if config.restrictions.iter().any(Rule::verifies) {
        return;
    }
    let remedy =
        "add \"reject_unverified_recipient\" behind \"reject_unauth_destination\" in restrictions";
    // A table of recipients says who is known in all of them.
    if !config.domains.relay.is_empty() && config.relay_recipients.is_empty() {
        let domains: Vec<_> = config
            .domains
            .relay
            .iter()
            .map(ToString::to_string)
            .collect();
        let text = format!(
            "every recipient is accepted in {}: what the next hop refuses is returned to strangers",
            domains.join(", ")
        );
        findings.warn("recipients", text, remedy);
    }
    let local = config.local.as_ref().map(|local| &local.kind);
    if let Some(Kind::Lmtp(target)) = local {
        let text = format!(
            "every recipient is accepted in local domains: what {target} refuses is returned to \
             strangers"
        );
        findings.warn("recipients", text, remedy);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_socket_that_says_nothing_gave_no_answer_and_no_number_of_an_error() {
        let (mut socket, _peer) = UnixStream::pair().unwrap();
        let soon = Duration::from_millis(1);
        socket.set_read_timeout(Some(soon)).unwrap();
        let error = silent(socket.read(&mut [0]).unwrap_err()).to_string();
        assert!(
            error.starts_with("no answer in ") && !error.contains("os error"),
            "{error}"
        );
    }
}
