//! What each setting means: one table for `smarthost config --all` and for the manual.

/// Key and sentence, in the order of the manual.
#[rustfmt::skip]
const MEANINGS: &[(&str, &str)] = &[
    ("hostname", "FQDN of this machine, in greeting, EHLO, Received and bounces. Default: the machine's own name, completed from /etc/hosts."),
    ("banner", "The greeting after \"220 \"; begins with the host name. Default: \"HOSTNAME ESMTP\"."),
    ("listen", "Where clients connect: \"address:port\", or { address = \"address:port\", tls = \"wrapped\" } for TLS from the first byte, or tls = \"none\" for none; submission = true or false says whether logins and keys of clients are taken there, which is so on all ports but 25. Default: ports 25, 587 and, wrapped, 465 of all addresses. Under systemd smarthost.socket holds the ports, and those below 1024 must stand there."),
    ("tls.certificate", "PEM file with the certificate chain that clients see. Default: a self-signed one, made at the first start."),
    ("tls.key", "PEM file with its key."),
    ("networks", "Who may send mail to anywhere through this machine: addresses and networks. Loopback, the machine itself, is among them unless an address of it is named. Default: the machine itself."),
    ("auth.users", "File of those who may log in, on all ports but 25 and only under TLS, and then may send mail to anywhere: a line \"name:verifier\" each, as smarthost passwd writes it. SCRAM-SHA-256 and PLAIN are taken. Names and passwords are the same composed or not (SASLprep). After ten failures nobody is listened to from an address for ten minutes: smarthost limits list shows it, smarthost limits reset ADDRESS ends it. A changed file is taken once it was left alone for two seconds, and as it is: where it is gone or empty nobody logs in, and a faulty line costs itself alone. Default: nobody."),
    ("client_pins.PIN", "The name under which a client is known whose certificate has this key (\"sha256:…\"), on all ports but 25; it may send mail to anywhere. Issuer, names and dates of the certificate do not matter. Clients without a key, or with another one, are treated as without this setting."),
    ("proxy", "Addresses and networks of proxies (HAProxy, nginx, load balancers) in front of this machine. A connection from there must begin with a PROXY header, version 1 or 2, within five seconds, on every port and before TLS; it is closed otherwise. The client is then whom the header names: for networks, limits, restrictions, log and Received. Whom the proxy cannot name (LOCAL, UNKNOWN: its health checks) has its own address, and networks gives it no permission. Default: none."),
    ("xclient", "Addresses and networks of front ends (Postfix, nginx, filters) that may say XCLIENT, and so whose session they hand on: NAME, ADDR, PORT, PROTO, HELO, LOGIN, DESTADDR, DESTPORT. The client is then whom they name, as with proxy; who is named with LOGIN may send mail to anywhere, as after a login. Default: none."),
    ("drain_from", "Addresses and networks of servers whose queue may be emptied into this one, by their `smarthost drain`. What they say of a message is believed: its age, whose it is, whom it is for, and that it was taken already; over TLS only, and not over a proxy. Default: none."),
    ("greet_wait", "How long the greeting waits for clients that are not in networks; one that talks meanwhile, as only programs that send spam do, hears 521. Not where TLS comes first, and not behind a proxy. \"0s\": not at all."),
    ("limits.per_client", "How many messages a client may send that is in networks, has logged in or is known by its key, over all ports and in any such time: \"100/day\", or several as [\"100/day\", \"500 recipients/day\"]. A client is the name of its key, else its login, else its address. What was answered 250 counts; recipients count as RCPT named them. Over the limit mail is deferred with 450. Messages that were begun and not taken have a limit of their own, within the hour or a shorter time of the limit: ten times as many, and at least 100; over it the client hears 450 and \"too many attempts\" until they are older. smarthost limits show tells it, smarthost limits reset ends it."),
    ("limits.per_prefix6", "The same for each whole IPv6 /64 in networks. Default: ten times limits.per_client."),
    ("limits.per_stranger", "The same for each client that is not in networks: an IPv4 address or an IPv6 /64. Default: no limit."),
    ("limits.exempt", "Addresses and networks that are not counted."),
    ("limits.notify", "Who is told when a client comes near its limit or reaches it. Default: admins."),
    ("budget.store", "A Valkey or Redis in which several smarthosts meet, so that a client's limit is one for all of them: \"redis://127.0.0.1:6379/0\", \"rediss://store.example.org\" (TLS, by the web's authorities), or \"unix:/run/redis/redis.sock\". It may forget everything: each smarthost keeps its own counts. It must not drop keys when its memory is full (maxmemory-policy noeviction). Takes effect at the next restart. See ONE BUDGET FOR SEVERAL SERVERS. Default: none."),
    ("budget.password_file", "Holds the store's password in its first line; of root or the daemon's user, who alone may read it. Default: no password."),
    ("budget.node", "This smarthost's name among those that share the budget: another one on each. Default: hostname."),
    ("budget.nodes", "How many smarthosts share the budget."),
    ("budget.on_outage", "What happens while the store does not answer: \"share\" lets each smarthost take its part of a limit (limit / nodes), so that with n of them at most 2 - 1/n times the limit passes; \"defer\" lets mail of clients with a limit wait, so that no limit is ever passed; \"open\" lets each take the whole limit for itself."),
    ("spool", "The queue's directory."),
    ("state", "Directory of counters, generated key and default Maildir."),
    ("control", "Where the daemon answers administrators. Default: control.sock in state."),
    ("web", "Where the status page, /metrics and /health are: \"127.0.0.1:8025\", another address of loopback, or \"unix:/run/smarthost/web.sock\". Metrics and health are open to whoever reaches it; all else wants the token that `smarthost web token` prints. Takes effect at the next restart. See STATUS PAGE in smarthost(8). Default: none."),
    ("aliases", "Alias tables; an earlier one wins: \"FILE\", or { file = \"FILE\", programs = \"TRANSPORT\" } for one whose programs are run by that pipe transport. Without it only those of a file are run that nobody but root and the daemon can write. See smarthost-tables(5)."),
    ("virtual", "Tables that map recipients of every domain to others: one address, several, or those of another domain. An earlier one wins. See smarthost-tables(5)."),
    ("relay_recipients", "Tables of the recipients that there are in domains.relay: addresses, or @domain for all of a domain. Default: the next hop decides."),
    ("recipient_delimiter", "Separates user and extension in a local part, as in user+extension; \"\" for none."),
    ("domains.local", "Domains whose mail is taken from anybody and ends here; the host name and localhost always are. In each of these lists \".example.org\" means all subdomains; the nearest name counts."),
    ("domains.relay", "Domains whose mail is taken from anybody and is passed on."),
    ("domains.virtual", "Domains whose addresses only stand for others, by the tables of virtual; an address without an entry is refused."),
    ("maildir", "Where mail for local domains ends that no alias sends elsewhere; \"none\": only aliases receive. Default: Maildir in state, or \"none\" with a relayhost."),
    ("lmtp", "Instead of a Maildir, an LMTP server: \"unix:/run/dovecot/lmtp\", or \"host:port\"."),
    ("relayhost", "Where all mail for elsewhere goes: \"domain\" by its MX, \"[host]\" or \"[host]:port\" that host itself. Default: by the MX of each recipient's domain."),
    ("resolver", "The name server that is asked, as \"127.0.0.1\" or \"127.0.0.1:5353\". Default: those of /etc/resolv.conf."),
    ("relay_tls.level", "Towards the relayhost: \"opportunistic\", \"starttls\", \"wrapped\" or \"none\". Default: \"starttls\" with pins, else \"opportunistic\"."),
    ("relay_tls.pins", "Keys that the relayhost may have, as `smarthost pin` prints them there. Another key defers the mail."),
    ("relay_tls.certificate", "Certificate in PEM with which this machine shows itself to the relayhost."),
    ("relay_tls.key", "Its key. Default: in the same file."),
    ("tls_out.level", "Towards all other hosts: \"opportunistic\", TLS where it is offered, whoever answers; \"none\"; \"starttls\", no mail without TLS; \"verify\", a certificate of an authority for the name of the host; \"dane\", what the TLSA records of the host say, and opportunistic where DNSSEC says that there are none; \"dane-only\", nothing without them. DANE needs a name server on loopback that validates DNSSEC, such as unbound."),
    ("tls_out.ca_file", "Authorities in PEM that are believed. Default: the web's for \"verify\"; otherwise none are asked."),
    ("tls_policy", "Tables with other levels for some next hops, as smtp_tls_policy_maps of Postfix has them: lines \"example.org secure\", \".example.org encrypt\", \"[host]:587 fingerprint match=DIGEST\". An earlier one wins. See smarthost-tables(5)."),
    ("mta_sts", "Whether domains without a line in tls_policy are kept to their MTA-STS policies (RFC 8461): nothing goes to a host that an enforced policy does not name, or that has no certificate of an authority for its name. TLSA records that DNSSEC proves, domain and host, count more. Policies are fetched over HTTPS and remembered in the state directory. The web's authorities are believed, or those of tls_out.ca_file."),
    ("relay_auth.user", "User at the relayhost, if it wants one. Only under TLS, and only with what it offers: SCRAM-SHA-256, PLAIN or LOGIN."),
    ("relay_auth.password_file", "Holds the password in its first line; of root or the daemon's user, who alone may read it. Default: systemd's credential relay-password."),
    ("relay_auth.token", "Instead of a password an access token of OAuth 2.0, for XOAUTH2 or OAUTHBEARER: { command = [\"/usr/local/bin/token\", \"argument\"] } or { file = \"token\" }. The program runs as the daemon's user, without a shell, for 30 seconds at most, and prints the token, or JSON with access_token and expires_in, until whose end it is kept; after a refusal it is asked once more. A file is as that of a password, and read each time."),
    ("routes", "Other ways for some recipients: { \"example.org\" = \"[host]:25\", \".example.net\" = \"lmtp:unix:/run/x\", \"/@yahoo\\\\./\" = \"slow\" }. Left stands an address, a domain, a dot and the domain whose subdomains are meant, a regular expression between slashes, or *; they are asked in this order. Right stands the name of a transport, alone or with a next hop as name:nexthop; [host]:port; a domain, whose MX is meant; lmtp:, maildir: or smtp: with where; error:5.1.1 text, with which mail is refused at RCPT (error:4.2.0 text: for now); retry:text, which keeps it in the queue; or : for what would be without the route. In domains.local single addresses alone can have one, and receive then."),
    ("transport", "The same in files: lines \"key value\" as transport(5) of Postfix has them, /regexp/ lines among them; routes is asked before. Of several files each key is looked for in all of them before the next one: the address (and patterns of files that hold nothing else), the address without its extension, the domain, those above it, other patterns, *. A changed file is taken once it was left alone for two seconds."),
    ("default_routes", "The same for mail of which neither routes nor transport say a way, or say : only, before relayhost and MX. Not in domains.local and domains.virtual. As default_transport and relay_transport of Postfix: { \"*\" = \"error:5.7.1 no mail for outside\", \"example.org\" = \":\" }."),
    ("transports.NAME.type", "A transport of that name: \"smtp\", \"lmtp\", \"maildir\" or \"pipe\". Default: as its other settings tell."),
    ("transports.NAME.connections", "Deliveries at once to one destination; domains with the same hosts are one. Default: concurrency.destination."),
    ("transports.NAME.initial_connections", "How many of them at first; each that works allows one more. Default: 5."),
    ("transports.NAME.recipients", "Recipients of one delivery. Default: 100, with a pipe 1."),
    ("transports.NAME.delay", "Pause of a destination after each delivery, which are one at a time then: \"2s\"."),
    ("transports.NAME.processes", "Deliveries at once to all destinations of the transport. Default: no limit, with a pipe 4."),
    ("transports.NAME.nexthop", "smtp, lmtp: where it goes if the route names nothing. Default: the recipient's domain, with lmtp nowhere."),
    ("transports.NAME.directory", "maildir: where mail goes if the route names nothing. pipe: where the program starts, \"/\" by default."),
    ("transports.NAME.command", "pipe: the program's whole path, then its arguments, in which ${recipient}, ${user}, ${extension}, ${domain}, ${mailbox}, ${original_recipient}, ${sender}, ${nexthop}, ${queue_id}, ${size}, ${envid}, ${client_address} and ${client_hostname} stand for what they say, and $$ for a dollar. No shell reads them. See PROGRAMS."),
    ("transports.NAME.flags", "pipe: what is changed of message and arguments, by the letters of Postfix's pipe(8): D O R F put Delivered-To, X-Original-To, Return-Path or a From line in front, B an empty line behind; . and > escape the beginnings of lines; h and u fold domains and names, q quotes them; X tells senders of success. D also stops loops. Default: \"DR\", with several recipients none."),
    ("transports.NAME.size", "pipe: larger messages are returned: bytes, or \"25MiB\". Default: message_size alone."),
    ("transports.NAME.timeout", "pipe: how long a run may take; then it is killed with all that it has started, and the mail waits. Default: \"16m40s\"."),
    ("transports.NAME.socket", "pipe: the program is run by a unit with a user of its own, where `smarthost pipe NAME` takes the mail by LMTP on this unix socket. See PROGRAMS."),
    ("provider_presets", "Whether mail for Orange, SFR, Free, La Poste, Yahoo and Outlook goes in few connections and with few recipients at once, by transports of the names orange, sfr, free, laposte, yahoo and outlook, which settings of these names replace."),
    ("dkim", "Keys that sign mail with DKIM: [{ domain = \"example.org\", selector = \"s1\", key = \"s1.pem\" }], several for one domain too; `smarthost dkim new example.org` makes one. Signed is mail of clients in networks, and of the relay itself, whose one From address is in that very domain, when it goes to another server by SMTP. The key's file is of root or the daemon's user, who alone may read it. Default: nothing is signed."),
    ("srs.domain", "Rewrites senders of forwarded mail (SRS), so that SPF holds at the next hop: mail that an alias leads to a domain that is not in domains leaves by SMTP with a sender of this domain, unless the sender is in domains, in this one or below it. What comes back to such an address within 21 days goes to the sender as he was; a forged or older one is refused with 550. A sender whose rewritten form would have more than 64 bytes before the @ stays. The domain's MX is this machine; it need not be in domains. Default: no sender is rewritten."),
    ("srs.secrets", "File of the secrets that sign these addresses: one a line, of at least 8 characters, lines that begin with # aside; the first signs, all are believed, so that a new one goes in front of the old. Of root or the daemon's user, who alone may read it; read at start and reload. Secrets of postsrsd and libsrs2 make the same addresses as there. Default: srs.secrets in state, which is made at the first start."),
    ("restrictions", "What is decided at each RCPT, in this order, until one decides: Postfix's restrictions, one a text; \"warn_if_reject\" in front of one only logs what it would refuse. Permission to relay is decided before them and by nothing else; limits and unknown recipients are decided behind them, whatever they say. Default: permit_mynetworks, permit_sasl_authenticated, permit_tls_clientcerts, reject_unauth_destination, reject_unlisted_recipient. See RESTRICTIONS."),
    ("milters", "Filters that see each session and message, in this order, each what the one before made of it: \"unix:/run/rspamd/milter.sock\", \"inet:127.0.0.1:11332\", or { address = \"inet:127.0.0.1:11332\", on_failure = \"tempfail\", timeout = \"30s\" }. Without an answer of one mail is deferred (\"tempfail\"), taken as it is (\"accept\"), refused (\"reject\") or kept on hold (\"quarantine\"). An answer is waited for 30 seconds, about a message's content five minutes, or as long as timeout says. They are asked behind the restrictions. Default: none. See MILTERS."),
    ("dnsbl.threshold", "The sum of weights from which on reject_dnsbl_score refuses. Default: 1."),
    ("dnsbl.lists", "DNS block lists with their weights, as \"list.example=127.0.0.[2..11]*2\", for reject_dnsbl_score. Without codes 127.0.0.2 to 127.0.255.254 count."),
    ("dnsbl.keys", "File with a line NAME = key for each ${NAME} in a list; of root or the daemon's user, who alone may read it. Keys are in no reply and no log."),
    ("greylist.delay", "How long a network that nobody knows waits for the restriction greylist."),
    ("greylist.only", "Whom greylist is for: \"listed\" for clients with a score above 0 in dnsbl.lists or without a name that is confirmed, \"all\" for everybody."),
    ("verify.from", "Sender of the question whether a recipient exists (reject_unverified_recipient): \"<>\", or an address."),
    ("verify.outage", "What is done while the next hop does not answer. \"accept-known\": who is known gets mail, others are told to come again, and after a day everybody gets mail up to 1 MiB; \"accept-all\": that from the beginning; \"defer\": never that. Where the next hop refuses this machine it stays at what is known."),
    ("verify.positive", "How long a recipient that exists is believed to."),
    ("verify.negative", "How long a recipient that does not exist is refused without a new question."),
    ("verify.trouble", "How long trouble of the next hop is remembered; 1m at most."),
    ("expected", "Mail that must come: [{ client = \"vm7\", sender = \"root@*\", subject = \"backup*\", every = \"1d\", grace = \"3h\" }]. admins are told when it does not come in that time and grace, and when it comes again. A client is the name of its key, its login, its host name, its address or a network; in sender and subject * stands for anything, \\* for a star; what is left out may be anything, but only mail of clients that may relay counts. Whole days are those of the calendar. Default of grace: an eighth of the time. More are declared by `smarthost expected add`. Default: none."),
    ("admins", "Who is told of limits and faults; also gets postmaster's mail that no alias catches."),
    ("message_size", "Largest message: bytes, or \"25MiB\"."),
    ("retry.minimal", "Shortest wait between two attempts: \"5m\", \"1h\", \"1d12h\"."),
    ("retry.maximal", "Longest wait between two attempts."),
    ("retry.lifetime", "Age at which mail is returned to its sender."),
    ("retry.bounce_lifetime", "Age at which bounces, and other mail without a sender, are not tried any more. As nobody would hear of their end, they stay on hold with the reason, administrators are told, and queue release or queue delete decides; those that strangers cause end, counted in the log and the digest. Default: retry.lifetime."),
    ("retry.relay_lifetime", "Age at which mail for domains.relay is returned to its sender. Default: retry.lifetime."),
    (
        "retry.warning",
        "Age at which the sender is warned, once, that a message still waits; \"0s\": never.",
    ),
    ("concurrency.destination", "Connections to one destination at once."),
    ("concurrency.deliveries", "Deliveries at once, to all destinations."),
    ("concurrency.sessions", "Clients at once; a quarter of them is kept for clients in networks."),
    ("concurrency.client", "Connections of one client at once."),
    ("forbid_unauth_pipelining", "Whether commands sent ahead where RFC 2920 forbids it (behind HELO, EHLO and DATA) end the session with 554. false: not for clients in networks."),
    ("log.format", "How lines of the log begin: \"plain\", or \"postfix\" for the names of Postfix's daemons, which pflogsumm, logwatch and fail2ban read. Takes effect at the next restart."),
];

/// All of them.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    MEANINGS.iter().copied()
}

/// The sentence for a setting as [`crate::config::Setting`] names it (`routes."example.org"` is one
/// of `routes`); empty for one that is none.
pub fn of(key: &str) -> &'static str {
    let key = sort(key);
    all()
        .find(|(known, _)| *known == key)
        .map_or("", |(_, sentence)| sentence)
}

/// What a setting is one of.
fn sort(key: &str) -> String {
    let transport = key.strip_prefix("transports.");
    match transport.and_then(|rest| rest.rsplit_once('.')) {
        Some((_, setting)) => format!("transports.NAME.{setting}"),
        None if key.starts_with("routes.") => "routes".to_owned(),
        None if key.starts_with("default_routes.") => "default_routes".to_owned(),
        None if key.starts_with("client_pins.") => "client_pins.PIN".to_owned(),
        None => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, meaning};

    #[test]
    fn every_setting_has_its_sentence_and_every_sentence_its_setting() {
        let texts = [
            "banner = \"vm1.example.org\"\nrelayhost = \"a.example\"\nresolver = \"127.0.0.1\"\ndnsbl = { keys = \"k\" }\ndefault_routes = { \"*\" = \":\" }\nroutes = { \"b.example\" = \"[c.example]\" }",
            "lmtp = \"unix:/run/lmtp\"\nweb = \"127.0.0.1:8025\"\nbudget = { store = \"redis://127.0.0.1\", password_file = \"p\", nodes = 2 }",
            "auth = { users = \"users\" }\n[client_pins]\n\"sha256:9f2cd1a0b14f5c8e7d6a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e\" = \"vm7\"",
            "[transports]\na = { nexthop = \"x.example\", connections = 1, processes = 1 }\n\
             p = { command = \"/bin/cat\", size = 1, socket = \"s\" }",
            "relay_auth = { user = \"u\", token = { file = \"t\" } }\nsrs = { domain = \"example.org\" }",
            "relay_tls = { certificate = \"c.pem\" }\ntls_out = { ca_file = \"ca.pem\" }\nrelay_auth = { user = \"u\", password_file = \"p\" }",
        ];
        let keys: Vec<String> = texts
            .iter()
            .flat_map(|text| {
                let config = Config::parse(Path::new("x"), text, "vm1.example.org").unwrap();
                config.settings().into_iter().map(|setting| setting.key)
            })
            .collect();
        for key in &keys {
            assert!(!meaning::of(key).is_empty(), "{key}");
        }
        for (key, _) in meaning::all() {
            assert!(
                keys.iter()
                    .any(|k| meaning::sort(k) == key || k.starts_with(&format!("{key}."))),
                "{key}"
            );
        }
    }
}
