//! Where mail goes, and how.

use settings::rows::{array, list, one_or_list, path, quote, span};

use super::written::{Row, directory, dkim, family, kind, level, nexthop, transports};

pub(super) const WAYS: &[Row] = &[
    Row::new(
        "relayhost",
        "Where all mail for elsewhere goes: \"domain\" by its MX, \"[host]\" or \"[host]:port\" that host itself, \"srv:domain\" the submission servers in the domain's SRV records. Of several, one that fails is left within seconds, and used again by itself. Default: by the MX of each recipient's domain.",
        |c| (!c.relayhost.is_empty()).then(|| one_or_list(&c.relayhost)),
    )
    .basis(),
    Row::new(
        "relay_order",
        "Of several relayhosts: \"listed\", the first takes all mail while it can; or \"spread\", each server has an order of its own and keeps to it.",
        |c| Some(quote(c.relay_order)),
    ),
    Row::new(
        "resolver",
        "The name server that is asked, as \"127.0.0.1\" or \"127.0.0.1:5353\". A question that nobody answers is not asked again for half a minute: whoever comes back meanwhile is told so at once. Default: those of /etc/resolv.conf.",
        |c| c.resolver.as_ref().map(quote),
    ),
    Row::new(
        "relay_tls.level",
        "Towards the relayhost: \"opportunistic\", \"starttls\", \"wrapped\" or \"none\". Default: \"starttls\" with pins, else \"opportunistic\".",
        |c| Some(quote(level(c.relay_tls.security))),
    ),
    Row::new(
        "relay_tls.pins",
        "Keys that the relayhost may have, as `smarthost pin` prints them there. Another key defers the mail.",
        |c| Some(list(&c.relay_tls.pins)),
    )
    .basis(),
    Row::new(
        "relay_tls.certificate",
        "Certificate in PEM with which this machine shows itself to the relayhost.",
        |c| Some(path(&c.relay_tls.identity.as_ref()?.0)),
    ),
    Row::new(
        "relay_tls.key",
        "Its key. Default: in the same file.",
        |c| Some(path(&c.relay_tls.identity.as_ref()?.1)),
    ),
    Row::new(
        "tls_out.level",
        "Towards all other hosts: \"opportunistic\", TLS where it is offered, whoever answers; \"none\"; \"starttls\", no mail without TLS; \"verify\", a certificate of an authority for the name of the host; \"dane\", what the TLSA records of the host say, and opportunistic where DNSSEC says that there are none; \"dane-only\", nothing without them. DANE needs a name server on loopback that validates DNSSEC, such as unbound.",
        |c| Some(quote(c.tls_out.level.as_str())),
    ),
    Row::new(
        "tls_out.ca_file",
        "Authorities in PEM that are believed. Default: the web's for \"verify\"; otherwise none are asked.",
        |c| c.tls_out.ca_file.as_deref().map(path),
    ),
    Row::new(
        "tls_policy",
        "Tables with other levels for some next hops, as smtp_tls_policy_maps of Postfix has them: lines \"example.org secure\", \".example.org encrypt\", \"[host]:587 fingerprint match=DIGEST\". An earlier one wins. See smarthost-tables(5).",
        |c| Some(list(&c.tls_policy)),
    ),
    Row::new(
        "mta_sts",
        "Whether domains without a line in tls_policy are kept to their MTA-STS policies (RFC 8461): nothing goes to a host that an enforced policy does not name, or that has no certificate of an authority for its name. TLSA records that DNSSEC proves, domain and host, count more. Policies are fetched over HTTPS and remembered in the state directory. The web's authorities are believed, or those of tls_out.ca_file.",
        |c| Some(c.mta_sts.to_string()),
    ),
    Row::new(
        "relay_auth.user",
        "User at the relayhost, if it wants one. Only under TLS, and only with what it offers: SCRAM-SHA-256, PLAIN or LOGIN.",
        |c| Some(quote(&c.relay_auth.as_ref()?.user)),
    ),
    Row::new(
        "relay_auth.password_file",
        "Holds the password in its first line; of root or the daemon's user, who alone may read it. Default: systemd's credential relay-password.",
        |c| Some(path(c.relay_auth.as_ref()?.password_file.as_deref()?)),
    ),
    Row::new(
        "relay_auth.token",
        "Instead of a password an access token of OAuth 2.0, for XOAUTH2 or OAUTHBEARER: { command = [\"/usr/local/bin/token\", \"argument\"] } or { file = \"token\" }. The program runs as the daemon's user, without a shell, for 30 seconds at most, and prints the token, or JSON with access_token and expires_in, until whose end it is kept; after a refusal it is asked once more. A file is as that of a password, and read each time.",
        |c| Some(c.relay_auth.as_ref()?.token.as_ref()?.to_string()),
    ),
    Row::each(
        "routes",
        "Other ways for some recipients: { \"example.org\" = \"[host]:25\", \".example.net\" = \"lmtp:unix:/run/x\", \"/@yahoo\\\\./\" = \"slow\" }. Left stands an address, a domain, a dot and the domain whose subdomains are meant, a regular expression between slashes, or *; they are asked in this order. Right stands the name of a transport, alone or with a next hop as name:nexthop; [host]:port; a domain, whose MX is meant; lmtp:, maildir: or smtp: with where; error:5.1.1 text, with which mail is refused at RCPT (error:4.2.0 text: for now); retry:text, which keeps it in the queue; or : for what would be without the route. In domains.local single addresses alone can have one, and receive then.",
        |c| family("routes", &c.routes),
    ),
    Row::new(
        "transport",
        "The same in files: lines \"key value\" as transport(5) of Postfix has them, /regexp/ lines among them; routes is asked before. Of several files each key is looked for in all of them before the next one: the address (and patterns of files that hold nothing else), the address without its extension, the domain, those above it, other patterns, *. A changed file is taken once it was left alone for two seconds.",
        |c| Some(list(&c.transport)),
    ),
    Row::each(
        "default_routes",
        "The same for mail of which neither routes nor transport say a way, or say : only, before relayhost and MX. Not in domains.local and domains.virtual. As default_transport and relay_transport of Postfix: { \"*\" = \"error:5.7.1 no mail for outside\", \"example.org\" = \":\" }.",
        |c| family("default_routes", &c.default_routes),
    ),
    Row::each(
        "transports.NAME.type",
        "A transport of that name: \"smtp\", \"lmtp\", \"maildir\" or \"pipe\". Default: as its other settings tell.",
        |c| transports(c, "type", |t| Some(quote(kind(t)))),
    ),
    Row::each(
        "transports.NAME.connections",
        "Deliveries at once to one destination; domains with the same hosts are one. Default: concurrency.destination.",
        |c| transports(c, "connections", |t| Some(t.connections?.to_string())),
    ),
    Row::each(
        "transports.NAME.initial_connections",
        "How many of them at first; each that works allows one more. Default: 5.",
        |c| transports(c, "initial_connections", |t| Some(t.initial_connections.to_string())),
    ),
    Row::each(
        "transports.NAME.recipients",
        "Recipients of one delivery. Default: 100, with a pipe 1.",
        |c| transports(c, "recipients", |t| Some(t.recipients.to_string())),
    ),
    Row::each(
        "transports.NAME.delay",
        "Pause of a destination after each delivery, which are one at a time then: \"2s\".",
        |c| transports(c, "delay", |t| Some(span(t.delay))),
    ),
    Row::each(
        "transports.NAME.processes",
        "Deliveries at once to all destinations of the transport. Default: no limit, with a pipe 4.",
        |c| transports(c, "processes", |t| (t.processes < usize::MAX).then(|| t.processes.to_string())),
    ),
    Row::each(
        "transports.NAME.nexthop",
        "smtp, lmtp: where it goes if the route names nothing. Default: the recipient's domain, with lmtp nowhere.",
        |c| transports(c, "nexthop", nexthop),
    ),
    Row::each(
        "transports.NAME.directory",
        "maildir: where mail goes if the route names nothing. pipe: where the program starts, \"/\" by default.",
        |c| transports(c, "directory", directory),
    ),
    Row::each(
        "transports.NAME.command",
        "pipe: the program's whole path, then its arguments, in which ${recipient}, ${user}, ${extension}, ${domain}, ${mailbox}, ${original_recipient}, ${sender}, ${nexthop}, ${queue_id}, ${size}, ${envid}, ${client_address} and ${client_hostname} stand for what they say, and $$ for a dollar. No shell reads them. See PROGRAMS.",
        |c| transports(c, "command", |t| t.pipe().map(|it| &it.command).filter(|it| !it.is_empty()).map(|it| list(it))),
    ),
    Row::each(
        "transports.NAME.flags",
        "pipe: what is changed of message and arguments, by the letters of Postfix's pipe(8): D O R F put Delivered-To, X-Original-To, Return-Path or a From line in front, B an empty line behind; . and > escape the beginnings of lines; h and u fold domains and names, q quotes them; X tells senders of success. D also stops loops. Default: \"DR\", with several recipients none.",
        |c| transports(c, "flags", |t| Some(quote(t.pipe()?.flags.as_str()))),
    ),
    Row::each(
        "transports.NAME.size",
        "pipe: larger messages are returned: bytes, or \"25MiB\". Default: message_size alone.",
        |c| transports(c, "size", |t| Some(t.pipe()?.size?.to_string())),
    ),
    Row::each(
        "transports.NAME.timeout",
        "pipe: how long a run may take; then it is killed with all that it has started, and the mail waits. Default: \"16m40s\".",
        |c| transports(c, "timeout", |t| Some(span(t.pipe()?.timeout))),
    ),
    Row::each(
        "transports.NAME.socket",
        "pipe: the program is run by a unit with a user of its own, where `smarthost pipe NAME` takes the mail by LMTP on this unix socket. See PROGRAMS.",
        |c| transports(c, "socket", |t| Some(path(t.pipe()?.socket.as_deref()?))),
    ),
    Row::new(
        "provider_presets",
        "Whether mail for Orange, SFR, Free, La Poste, Yahoo and Outlook goes in few connections and with few recipients at once, by transports of the names orange, sfr, free, laposte, yahoo and outlook, which settings of these names replace.",
        |c| Some(c.provider_presets.to_string()),
    ),
    Row::new(
        "dkim",
        "Keys that sign mail with DKIM: [{ domain = \"example.org\", selector = \"s1\", key = \"s1.pem\" }], several for one domain too; `smarthost dkim new example.org` makes one. Signed is mail of clients in networks, and of the relay itself, whose one From address is in that very domain, when it goes to another server by SMTP. The key's file is of root or the daemon's user, who alone may read it. Default: nothing is signed.",
        |c| Some(array(c.dkim.iter().map(dkim))),
    ),
    Row::new(
        "srs.domain",
        "Rewrites senders of forwarded mail (SRS), so that SPF holds at the next hop: mail that an alias leads to a domain that is not in domains leaves by SMTP with a sender of this domain, unless the sender is in domains, in this one or below it. What comes back to such an address within 21 days goes to the sender as he was; a forged or older one is refused with 550. A sender whose rewritten form would have more than 64 bytes before the @ stays. The domain's MX is this machine; it need not be in domains. Default: no sender is rewritten.",
        |c| Some(quote(&c.srs.as_ref()?.domain.0)),
    ),
    Row::new(
        "srs.secrets",
        "File of the secrets that sign these addresses: one a line, of at least 8 characters, lines that begin with # aside; the first signs, all are believed, so that a new one goes in front of the old. Of root or the daemon's user, who alone may read it; read at start and reload. Secrets of postsrsd and libsrs2 make the same addresses as there. Default: srs.secrets in state, which is made at the first start.",
        |c| Some(path(&c.srs_secrets(c.srs.as_ref()?))),
    ),
];
