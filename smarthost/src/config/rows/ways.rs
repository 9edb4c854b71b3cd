//! Where mail goes, and how.

use relay::relayhost;
use settings::{
    form::Word as _,
    rows::{array, list, one_or_list, path, quote, span},
};

use super::super::{
    file::Level,
    forms::{MTA_STS, PROVIDER_PRESETS, RELAY_LEVEL, TLS_LEVEL},
    transports::{
        CONNECTIONS, DELAY, INITIAL_CONNECTIONS, PROCESSES, RECIPIENTS, SIZE, TIMEOUT, TYPE,
        WrittenType,
    },
};
use super::written::{Row, directory, dkim, family, nexthop, transports};

pub(super) const WAYS: &[Row] = &[
    Row::new(
        "relayhost",
        "host, or list of them",
        "Where all mail for elsewhere goes: \"domain\" by its MX, \"[host]\" or \"[host]:port\" that host itself, \"srv:domain\" the submission servers in the domain's SRV records. Of several, one that fails is left within seconds, and used again by itself.",
        |c| (!c.relayhost.is_empty()).then(|| one_or_list(&c.relayhost)),
    )
    .otherwise("by the MX of each recipient's domain")
    .basis(),
    Row::form(
        &relayhost::ORDER,
        "Of several relayhosts: \"listed\", the first takes all mail while it can; or \"spread\", each server has an order of its own and keeps to it.",
        |c| Some(quote(c.relay_order.as_str())),
    ),
    Row::new(
        "resolver",
        "address",
        "The name server that is asked, as \"127.0.0.1\" or \"127.0.0.1:5353\". A question that nobody answers is not asked again for half a minute: whoever comes back meanwhile is told so at once.",
        |c| c.resolver.as_ref().map(quote),
    )
    .otherwise("those of /etc/resolv.conf"),
    Row::form(
        &RELAY_LEVEL,
        "Towards the relayhost: \"opportunistic\", \"starttls\", \"wrapped\" or \"none\".",
        |c| Some(quote(Level(c.relay_tls.security).as_str())),
    )
    .otherwise("\"starttls\" with pins, else \"opportunistic\""),
    Row::new(
        "relay_tls.pins",
        "list of pins",
        "Keys that the relayhost may have, as `smarthost pin` prints them there. Another key defers the mail.",
        |c| Some(list(&c.relay_tls.pins)),
    )
    .basis(),
    Row::new(
        "relay_tls.certificate",
        "path",
        "Certificate in PEM with which this machine shows itself to the relayhost.",
        |c| Some(path(&c.relay_tls.identity.as_ref()?.0)),
    ),
    Row::new(
        "relay_tls.key",
        "path",
        "Its key.",
        |c| Some(path(&c.relay_tls.identity.as_ref()?.1)),
    )
    .otherwise("in the same file"),
    Row::form(
        &TLS_LEVEL,
        "Towards all other hosts: \"opportunistic\", TLS where it is offered, whoever answers; \"none\"; \"starttls\", no mail without TLS; \"verify\", a certificate of an authority for the name of the host; \"dane\", what the TLSA records of the host say, and opportunistic where DNSSEC says that there are none; \"dane-only\", nothing without them. DANE needs a name server on loopback that validates DNSSEC, such as unbound.",
        |c| Some(quote(c.tls_out.level.as_str())),
    ),
    Row::new(
        "tls_out.ca_file",
        "path",
        "Authorities in PEM that are believed.",
        |c| c.tls_out.ca_file.as_deref().map(path),
    )
    .otherwise("the web's for \"verify\"; otherwise none are asked"),
    Row::new(
        "tls_policy",
        "list of tables",
        "Tables with other levels for some next hops, as smtp_tls_policy_maps of Postfix has them: lines \"example.org secure\", \".example.org encrypt\", \"[host]:587 fingerprint match=DIGEST\". An earlier one wins. See smarthost-tables(5).",
        |c| Some(list(&c.tls_policy)),
    ),
    Row::form(
        &MTA_STS,
        "Whether domains without a line in tls_policy are kept to their MTA-STS policies (RFC 8461): nothing goes to a host that an enforced policy does not name, or that has no certificate of an authority for its name. TLSA records that DNSSEC proves, domain and host, count more. Policies are fetched over HTTPS and remembered in the state directory. The web's authorities are believed, or those of tls_out.ca_file.",
        |c| Some(c.mta_sts.to_string()),
    ),
    Row::new(
        "relay_auth.user",
        "text",
        "User at the relayhost, if it wants one. Only under TLS, and only with what it offers: SCRAM-SHA-256, PLAIN or LOGIN.",
        |c| Some(quote(&c.relay_auth.as_ref()?.user)),
    ),
    Row::new(
        "relay_auth.password_file",
        "path",
        "Holds the password in its first line; of root or the daemon's user, who alone may read it.",
        |c| Some(path(c.relay_auth.as_ref()?.password_file.as_deref()?)),
    )
    .otherwise("systemd's credential relay-password"),
    Row::new(
        "relay_auth.token",
        "table",
        "Instead of a password an access token of OAuth 2.0, for XOAUTH2 or OAUTHBEARER: { command = [\"/usr/local/bin/token\", \"argument\"] } or { file = \"token\" }. The program runs as the daemon's user, without a shell, for 30 seconds at most, and prints the token, or JSON with access_token and expires_in, until whose end it is kept; after a refusal it is asked once more. A file is as that of a password, and read each time.",
        |c| Some(c.relay_auth.as_ref()?.token.as_ref()?.to_string()),
    ),
    Row::each(
        "routes",
        "table",
        "Other ways for some recipients: { \"example.org\" = \"[host]:25\", \".example.net\" = \"lmtp:unix:/run/x\", \"/@yahoo\\\\./\" = \"slow\" }. Left stands an address, a domain, a dot and the domain whose subdomains are meant, a regular expression between slashes, or *; they are asked in this order. Right stands the name of a transport, alone or with a next hop as name:nexthop; [host]:port; a domain, whose MX is meant; lmtp:, maildir: or smtp: with where; error:5.1.1 text, with which mail is refused at RCPT (error:4.2.0 text: for now); retry:text, which keeps it in the queue; or : for what would be without the route. In domains.local single addresses alone can have one, and receive then.",
        |c| family("routes", &c.routes),
    ),
    Row::new(
        "transport",
        "list of tables",
        "The same in files: lines \"key value\" as transport(5) of Postfix has them, /regexp/ lines among them; routes is asked before. Of several files each key is looked for in all of them before the next one: the address (and patterns of files that hold nothing else), the address without its extension, the domain, those above it, other patterns, *. A changed file is taken once it was left alone for two seconds.",
        |c| Some(list(&c.transport)),
    ),
    Row::each(
        "default_routes",
        "table",
        "The same for mail of which neither routes nor transport say a way, or say : only, before relayhost and MX. Not in domains.local and domains.virtual. As default_transport and relay_transport of Postfix: { \"*\" = \"error:5.7.1 no mail for outside\", \"example.org\" = \":\" }.",
        |c| family("default_routes", &c.default_routes),
    ),
    Row::each_form(
        &TYPE,
        "A transport of that name: \"smtp\", \"lmtp\", \"maildir\" or \"pipe\".",
        |c| transports(c, "type", |t| Some(quote(WrittenType::of(&t.kind).as_str()))),
    )
    .otherwise("as its other settings tell"),
    Row::each_form(
        &CONNECTIONS,
        "Deliveries at once to one destination; domains with the same hosts are one.",
        |c| transports(c, "connections", |t| Some(t.connections?.to_string())),
    )
    .otherwise("concurrency.destination"),
    Row::each_form(
        &INITIAL_CONNECTIONS,
        "How many of them at first; each that works allows one more.",
        |c| transports(c, "initial_connections", |t| Some(t.initial_connections.to_string())),
    ),
    Row::each_form(
        &RECIPIENTS,
        "Recipients of one delivery.",
        |c| transports(c, "recipients", |t| Some(t.recipients.to_string())),
    )
    .otherwise("100, with a pipe 1"),
    Row::each_form(
        &DELAY,
        "Pause of a destination after each delivery, which are one at a time then: \"2s\".",
        |c| transports(c, "delay", |t| Some(span(t.delay))),
    ),
    Row::each_form(
        &PROCESSES,
        "Deliveries at once to all destinations of the transport.",
        |c| transports(c, "processes", |t| (t.processes < usize::MAX).then(|| t.processes.to_string())),
    )
    .otherwise("no limit, with a pipe 4"),
    Row::each(
        "transports.NAME.nexthop",
        "text",
        "smtp, lmtp: where it goes if the route names nothing.",
        |c| transports(c, "nexthop", nexthop),
    )
    .otherwise("the recipient's domain, with lmtp nowhere"),
    Row::each(
        "transports.NAME.directory",
        "path",
        "maildir: where mail goes if the route names nothing. pipe: where the program starts, \"/\" by default.",
        |c| transports(c, "directory", directory),
    ),
    Row::each(
        "transports.NAME.command",
        "list of texts",
        "pipe: the program's whole path, then its arguments, in which ${recipient}, ${user}, ${extension}, ${domain}, ${mailbox}, ${original_recipient}, ${sender}, ${nexthop}, ${queue_id}, ${size}, ${envid}, ${client_address} and ${client_hostname} stand for what they say, and $$ for a dollar. No shell reads them. See PROGRAMS.",
        |c| transports(c, "command", |t| t.pipe().map(|it| &it.command).filter(|it| !it.is_empty()).map(|it| list(it))),
    ),
    Row::each(
        "transports.NAME.flags",
        "text",
        "pipe: what is changed of message and arguments, by the letters of Postfix's pipe(8): D O R F put Delivered-To, X-Original-To, Return-Path or a From line in front, B an empty line behind; . and > escape the beginnings of lines; h and u fold domains and names, q quotes them; X tells senders of success. D also stops loops.",
        |c| transports(c, "flags", |t| Some(quote(t.pipe()?.flags.as_str()))),
    )
    .otherwise("\"DR\", with several recipients none"),
    Row::each_form(
        &SIZE,
        "pipe: larger messages are returned: bytes, or \"25MiB\".",
        |c| transports(c, "size", |t| Some(t.pipe()?.size?.to_string())),
    )
    .otherwise("message_size alone"),
    Row::each_form(
        &TIMEOUT,
        "pipe: how long a run may take; then it is killed with all that it has started, and the mail waits.",
        |c| transports(c, "timeout", |t| Some(span(t.pipe()?.timeout))),
    ),
    Row::each(
        "transports.NAME.socket",
        "path",
        "pipe: the program is run by a unit with a user of its own, where `smarthost pipe NAME` takes the mail by LMTP on this unix socket. See PROGRAMS.",
        |c| transports(c, "socket", |t| Some(path(t.pipe()?.socket.as_deref()?))),
    ),
    Row::form(
        &PROVIDER_PRESETS,
        "Whether mail for Orange, SFR, Free, La Poste, Yahoo and Outlook goes in few connections and with few recipients at once, by transports of the names orange, sfr, free, laposte, yahoo and outlook, which settings of these names replace.",
        |c| Some(c.provider_presets.to_string()),
    ),
    Row::new(
        "dkim",
        "list of tables",
        "Keys that sign mail with DKIM: [{ domain = \"example.org\", selector = \"s1\", key = \"s1.pem\" }], several for one domain too; `smarthost dkim new example.org` makes one. Signed is mail of clients in networks, and of the relay itself, whose one From address is in that very domain, when it goes to another server by SMTP. The key's file is of root or the daemon's user, who alone may read it.",
        |c| Some(array(c.dkim.iter().map(dkim))),
    )
    .otherwise("nothing is signed"),
    Row::new(
        "srs.domain",
        "name",
        "Rewrites senders of forwarded mail (SRS), so that SPF holds at the next hop: mail that an alias leads to a domain that is not in domains leaves by SMTP with a sender of this domain, unless the sender is in domains, in this one or below it. What comes back to such an address within 21 days goes to the sender as he was; a forged or older one is refused with 550. A sender whose rewritten form would have more than 64 bytes before the @ stays. The domain's MX is this machine; it need not be in domains.",
        |c| Some(quote(&c.srs.as_ref()?.domain.0)),
    )
    .otherwise("no sender is rewritten"),
    Row::new(
        "srs.secrets",
        "path",
        "File of the secrets that sign these addresses: one a line, of at least 8 characters, lines that begin with # aside; the first signs, all are believed, so that a new one goes in front of the old. Of root or the daemon's user, who alone may read it; read at start and reload. Secrets of postsrsd and libsrs2 make the same addresses as there.",
        |c| Some(path(&c.srs_secrets(c.srs.as_ref()?))),
    )
    .otherwise("srs.secrets in state, which is made at the first start"),
];
