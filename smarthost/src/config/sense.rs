//! Settings that are right by themselves and make no sense together, and where relative paths
//! start. Pure.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use mail::{
    address::{Domain, DomainPattern},
    nexthop::Nexthop,
};
use relay::{
    delivery::{Locality, locality},
    relayhost::{By, Relayhost},
    token::Source,
};
use settings::faults::Wrong;
use smtp::client::Security;
use system::socket::{overlap, takes};

use crate::{
    config::{Config, DkimKey, Domains, Transport},
    destination::{Kind, LmtpTarget},
};

/// The port of LMTP, where none is named.
const LMTP: u16 = 24;

impl Config {
    /// Relative paths start from the directory of the administrator's file.
    pub(super) fn place(&mut self) {
        let file = self.layers.first().map(|(path, _)| path.clone());
        let Some(directory) = file.as_deref().and_then(Path::parent) else {
            return;
        };
        for path in self.paths() {
            *path = directory.join(&*path);
        }
        if let Some(budget) = &mut self.budget {
            budget.place(directory);
        }
        if let Some(web) = &mut self.web {
            web.place(directory);
        }
        for rule in &mut self.restrictions {
            rule.place(directory);
        }
        for milter in &mut self.milters {
            milter.place(directory);
        }
    }

    /// All files and folders that settings name by their paths alone.
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = vec![
            &mut self.spool,
            &mut self.state,
            &mut self.control,
            &mut self.tls.certificate,
            &mut self.tls.key,
        ];
        paths.extend(self.aliases.iter_mut().map(|table| &mut table.path));
        paths.extend(&mut self.auth);
        paths.extend(&mut self.dnsbl.keys);
        if let Some(Kind::Maildir(path)) = self.local.as_mut().map(|local| &mut local.kind) {
            paths.push(path);
        }
        let tables = self.transport.iter_mut().chain(&mut self.virtual_aliases);
        let tables = tables.chain(&mut self.relay_recipients);
        let tables = tables.chain(&mut self.tls_policy);
        paths.extend(tables.map(|table| &mut table.path));
        let transports = self.transports.values_mut();
        paths.extend(transports.flat_map(Transport::paths));
        paths.extend(&mut self.tls_out.ca_file);
        if let Some((certificate, key)) = &mut self.relay_tls.identity {
            paths.extend([certificate, key]);
        }
        paths.extend(self.dkim.iter_mut().map(|entry| &mut entry.key));
        paths.extend(self.srs.as_mut().and_then(|srs| srs.secrets.as_mut()));
        if let Some(auth) = &mut self.relay_auth {
            paths.extend(&mut auth.password_file);
            if let Some(Source::File(path)) = &mut auth.token {
                paths.push(path);
            }
        }
        paths
    }

    /// The first setting that contradicts another one, and how.
    pub(super) fn contradiction(&self) -> Option<Wrong> {
        if self.listen.is_empty() {
            let what = "no client could connect; name an address such as \"0.0.0.0:25\", or leave `listen` out";
            return Some(Wrong::of(&["listen"], what));
        }
        if let Some(twice) = self.domain_in_two_lists() {
            return Some(twice);
        }
        let local = |pattern: &DomainPattern| self.domains.local.contains(pattern);
        let files = self.aliases.iter().enumerate();
        let mut programs = files.filter_map(|(index, it)| Some((index, it.programs.as_ref()?)));
        if let Some((index, name)) = programs.find(|(_, name)| self.pipe(name).is_none()) {
            let what =
                format!("programs = {name:?}: there is no [transports.{name}] of the type pipe");
            let wrong = Wrong::of(&["aliases"], what).item(index);
            return Some(wrong.with(&[&format!("transports.{name}")]));
        }
        let named = [
            ("routes", &self.routes),
            ("default_routes", &self.default_routes),
        ];
        let keys = named.into_iter().flat_map(|(name, routes)| {
            let keys = routes.iter().filter(|(_, value)| value != ":");
            keys.filter_map(move |(key, _)| {
                Some((name, key, DomainPattern::try_from(key.clone()).ok()?))
            })
        });
        if let Some((name, key, domain)) = keys.into_iter().find(|(.., domain)| local(domain)) {
            let what = format!(
                "{domain} is a local domain, so its mail ends here; remove it from domains.local \
                 to pass its mail on, or give routes to single addresses"
            );
            return Some(Wrong::of(&[name, key], what).with(&["hostname"]));
        }
        if let Some(twice) = self.listens_twice() {
            return Some(twice);
        }
        let nowhere = !self.listen.iter().any(|it| it.offer.asks_for_keys());
        let known = [
            ("auth", self.auth.is_some()),
            ("client_pins", !self.client_pins.is_empty()),
        ];
        if let Some((key, _)) = known.into_iter().find(|(_, is_set)| *is_set && nowhere) {
            let what = "no listener accepts logins or keys of clients, which need TLS and a port \
                 other than 25";
            let what = format!("{what}: add \"[::]:587\" to `listen`");
            return Some(Wrong::of(&[key], what).with(&["listen"]));
        }
        if let Some(what) = self.lmtp_is_this_host() {
            return Some(Wrong::of(&["lmtp"], what).with(&["hostname", "listen"]));
        }
        let others = self.key_twice().or_else(|| self.pins_without_tls());
        let others = others.or_else(|| self.user_without_password());
        others.or_else(|| self.contradiction_of_relay())
    }

    fn pins_without_tls(&self) -> Option<Wrong> {
        let budget = self.budget.as_ref()?;
        let in_vain = !budget.pins.0.is_empty() && !budget.store.is_with_tls();
        in_vain.then(|| {
            let what = "without TLS the store shows no key; write rediss:// in budget.store, or \
                 remove the pins";
            Wrong::of(&["budget", "pins"], what).with(&["budget.store"])
        })
    }

    fn user_without_password(&self) -> Option<Wrong> {
        let budget = self.budget.as_ref()?;
        let in_vain = budget.password_file.is_none() && budget.store.has_user();
        in_vain.then(|| {
            let what = "what stands before the @ is a user, who needs a password; if it is the password itself, write it into a file of its own, and its path to password_file";
            Wrong::of(&["budget", "store"], what).with(&["budget.password_file"])
        })
    }

    /// Two sockets cannot listen on one address, and one for all addresses is on each: the start
    /// would fail.
    fn listens_twice(&self) -> Option<Wrong> {
        let all = self.listen.iter().map(|listener| listener.address);
        let mut pairs = all.clone().enumerate().flat_map(|(index, address)| {
            let before = all.clone().take(index);
            before.map(move |other| (index, other, address))
        });
        let (index, one, other) = pairs.find(|(_, one, other)| overlap(*one, *other))?;
        let wrong = |what: String| Some(Wrong::of(&["listen"], what).item(index));
        if one.ip().to_canonical() == other.ip().to_canonical() {
            return wrong(format!("{other} is listed twice; keep one of them"));
        }
        let (whole, part) = if takes(one, other) {
            (one, other)
        } else {
            (other, one)
        };
        let families = if whole.is_ipv6() && part.ip().to_canonical().is_ipv4() {
            ", of IPv4 too"
        } else {
            ""
        };
        wrong(format!(
            "{whole} stands for all addresses of this machine{families}, including {part}; keep \
             one of the two"
        ))
    }

    fn key_twice(&self) -> Option<Wrong> {
        let place = |entry: &DkimKey| (entry.domain.clone(), entry.selector.clone());
        let twice = self.dkim.iter().enumerate().find(|(index, entry)| {
            let before = self.dkim.iter().take(*index);
            before.map(place).any(|other| other == place(entry))
        });
        twice.map(|(index, entry)| {
            let (selector, domain) = (&entry.selector.0, &entry.domain.0);
            let what = format!(
                "the selector {selector} of {domain} is listed twice; keep one of \
                 them, or give the other another name"
            );
            Wrong::of(&["dkim"], what).item(index)
        })
    }

    fn domain_in_two_lists(&self) -> Option<Wrong> {
        let Domains {
            local,
            relay,
            virtual_aliases,
        } = &self.domains;
        for (list, other, key, words) in [
            (relay, local, "relay", "local and passed on"),
            (virtual_aliases, local, "virtual", "local and virtual"),
            (virtual_aliases, relay, "virtual", "passed on and virtual"),
        ] {
            let mut items = list.iter().enumerate();
            if let Some((index, domain)) = items.find(|(_, domain)| other.contains(domain)) {
                let what = format!("{domain} is both {words}; keep it in only one of the lists");
                let wrong = Wrong::of(&["domains", key], what).item(index);
                return Some(wrong.with(&["hostname"]));
            }
        }
        None
    }

    fn lmtp_is_this_host(&self) -> Option<String> {
        let local = self.local.as_ref().map(|local| &local.kind);
        let Some(Kind::Lmtp(LmtpTarget::Tcp(nexthop))) = local else {
            return None;
        };
        let ours = self.is_this_host(nexthop, LMTP);
        ours.then(|| {
            format!("{nexthop} is this machine itself: local mail would go in circles; name the socket or port of the mailbox server")
        })
    }

    fn contradiction_of_relay(&self) -> Option<Wrong> {
        if self.relayhost.is_empty() {
            let set = [
                (
                    &["relay_tls", "pins"][..],
                    !self.relay_tls.pins.is_empty(),
                    "pins are",
                ),
                (&["relay_auth"], self.relay_auth.is_some(), "this login is"),
                (
                    &["relay_tls", "certificate"],
                    self.relay_tls.identity.is_some(),
                    "this certificate is",
                ),
            ];
            let found = set.into_iter().find(|(_, is_set, _)| *is_set);
            return found.map(|(key, _, these)| {
                let what = format!(
                    "{these} for the relayhost, but none is set; set relayhost, or remove this"
                );
                Wrong::of(key, what).with(&["relayhost"])
            });
        }
        let wrapped = self.relay_tls.security == Security::Wrapped;
        let port = if wrapped { 465 } else { 25 };
        let mut hosts = self.relayhost.iter().enumerate();
        let ours = |it: &Relayhost| it.by == By::Text && self.is_this_host(&it.nexthop, port);
        if let Some((index, relayhost)) = hosts.find(|(_, it)| ours(it)) {
            let what = format!(
                "{relayhost} is this machine itself: mail would go in circles; name another host"
            );
            let wrong = Wrong::of(&["relayhost"], what).item(index);
            return Some(wrong.with(&["hostname", "listen", "relay_tls.level"]));
        }
        let clear = self.relay_tls.security == Security::None && self.relay_auth.is_some();
        clear.then(|| {
            let what = "without TLS no password is sent, so no mail could be sent; write \
                 \"starttls\" or \"wrapped\"";
            Wrong::of(&["relay_tls", "level"], what)
        })
    }

    /// Whether a host to which mail is passed is one of our own listeners, as its text tells.
    fn is_this_host(&self, nexthop: &Nexthop, port: u16) -> bool {
        let port = nexthop.port.unwrap_or(port);
        let host: &str = nexthop.host.as_ref();
        let plain = host.trim_start_matches('[').trim_end_matches(']');
        match plain.parse::<IpAddr>() {
            Ok(address) => {
                let address = SocketAddr::new(address, port);
                self.listens_at(address, locality(address.ip(), |_| false))
            }
            Err(_) => self.listens_as(host, port),
        }
    }

    /// Whether this is a name of ours, with a port of ours.
    pub fn listens_as(&self, host: &str, port: u16) -> bool {
        let name = Domain::name(host).ok();
        let own = [Some(self.hostname.clone()), Some(Domain::localhost())];
        let mut ours = self.listen.iter().map(|own| own.address.port());
        name.is_some() && own.contains(&name) && ours.any(|own| own == port)
    }

    /// Whether who connects to this address comes to one of our listeners; `reach`: where it leads.
    pub fn listens_at(&self, address: SocketAddr, locality: Locality) -> bool {
        // Connecting to no address is connecting to this machine.
        let port = address.port();
        if address.ip().to_canonical().is_unspecified() {
            return self.listen.iter().any(|own| own.address.port() == port);
        }
        let ip = address.ip().to_canonical();
        let address = SocketAddr::new(ip, port);
        let mut ours = self.listen.iter().map(|own| own.address);
        ours.any(|own| {
            let here = locality != Locality::Elsewhere || own.ip().to_canonical() == ip;
            here && takes(own, address)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_passes_mail_to_his_own_listener_is_told_so_whatever_he_calls_it() {
        for (setting, is_own) in [
            ("relayhost = \"[127.0.0.9]:2525\"", true),
            ("relayhost = \"[0.0.0.0]:2525\"", true),
            ("relayhost = \"[::]:2525\"", true),
            ("relayhost = \"[::ffff:0.0.0.0]:2525\"", true),
            ("relayhost = \"[0.0.0.0]:2526\"", false),
            ("relayhost = \"[127.0.0.8]:2525\"", false),
            ("lmtp = \"127.0.0.9:2525\"", true),
            ("lmtp = \"[0.0.0.0]:2525\"", true),
            ("lmtp = \"127.0.0.9:24\"", false),
        ] {
            let text = format!("listen = \"127.0.0.9:2525\"\n{setting}");
            let read = Config::parse(Path::new("c"), &text, "vm1.example.org");
            let told = read.err().map(|error| error.text).unwrap_or_default();
            assert_eq!(told.contains("in circles"), is_own, "{setting}: {told}");
        }
    }
}
