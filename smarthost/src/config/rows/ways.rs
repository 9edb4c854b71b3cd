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
        "Where all mail for elsewhere goes: \"domain\", through its MX; \"[host]\" or \"[host]:port\", that host itself; \"srv:domain\", the submission servers in the domain's SRV records. If you list several, one that fails is passed over within seconds, and used again by itself.",
        |c| (!c.relayhost.is_empty()).then(|| one_or_list(&c.relayhost)),
    )
    .otherwise("by the MX of each recipient's domain")
    .basis(),
    Row::form(
        &relayhost::ORDER,
        "The order of several relayhosts. \"listed\": the first takes all mail while it can. \"spread\": each server has an order of its own and keeps to it.",
        |c| Some(quote(c.relay_order.as_str())),
    ),
    Row::new(
        "resolver",
        "address",
        "The name server to ask, such as \"127.0.0.1\" or \"127.0.0.1:5353\". A question that nobody answers is not asked again for half a minute; a client that comes back in that time is told so at once.",
        |c| c.resolver.as_ref().map(quote),
    )
    .otherwise("those of /etc/resolv.conf"),
    Row::form(
        &RELAY_LEVEL,
        "TLS towards the relayhost: \"opportunistic\", \"starttls\", \"wrapped\" or \"none\".",
        |c| Some(quote(Level(c.relay_tls.security).as_str())),
    )
    .otherwise("\"starttls\" with pins, else \"opportunistic\""),
    Row::new(
        "relay_tls.pins",
        "list of pins",
        "Keys that the relayhost may have, as `smarthost pin` prints them there. If it shows another key, mail waits.",
        |c| Some(list(&c.relay_tls.pins)),
    )
    .basis(),
    Row::new(
        "relay_tls.certificate",
        "path",
        "PEM file with the certificate that this machine shows the relayhost.",
        |c| Some(path(&c.relay_tls.identity.as_ref()?.0)),
    ),
    Row::new(
        "relay_tls.key",
        "path",
        "PEM file with the certificate's key.",
        |c| Some(path(&c.relay_tls.identity.as_ref()?.1)),
    )
    .otherwise("in the same file"),
    Row::form(
        &TLS_LEVEL,
        "TLS towards all other hosts. \"opportunistic\": TLS where it is offered, whoever answers. \"none\": clear text. \"starttls\": no mail without TLS, whoever answers. \"verify\": no mail unless a certificate authority confirms the host's name. \"dane\": what the host's TLSA records say; opportunistic if DNSSEC proves that there are none. \"dane-only\": no mail without TLSA records. DANE needs a name server on loopback that validates DNSSEC, such as unbound.",
        |c| Some(quote(c.tls_out.level.as_str())),
    ),
    Row::new(
        "tls_out.ca_file",
        "path",
        "PEM file with the certificate authorities that are trusted.",
        |c| c.tls_out.ca_file.as_deref().map(path),
    )
    .otherwise("the public ones for \"verify\"; otherwise none are asked"),
    Row::new(
        "tls_policy",
        "list of tables",
        "Tables with other levels for some next hops, in the syntax of Postfix's smtp_tls_policy_maps: lines \"example.org secure\", \".example.org encrypt\", \"[host]:587 fingerprint match=DIGEST\". If several tables have an entry, the earlier one counts. See smarthost-tables(5).",
        |c| Some(list(&c.tls_policy)),
    ),
    Row::form(
        &MTA_STS,
        "Whether to enforce the MTA-STS policies (RFC 8461) of domains without a line in tls_policy: nothing goes to a host that an enforced policy does not name, or that has no certificate from an authority for its name. TLSA records count more if DNSSEC proves both the domain and the host. Policies are fetched over HTTPS and remembered in the state directory. The public authorities are trusted, or those of tls_out.ca_file.",
        |c| Some(c.mta_sts.to_string()),
    ),
    Row::new(
        "relay_auth.user",
        "text",
        "User name at the relayhost, if it wants a login. smarthost logs in only under TLS, and only with what the relayhost offers: SCRAM-SHA-256, PLAIN or LOGIN.",
        |c| Some(quote(&c.relay_auth.as_ref()?.user)),
    ),
    Row::new(
        "relay_auth.password_file",
        "path",
        "File with the password in its first line. It must belong to root or the daemon's user, and nobody else may read it.",
        |c| Some(path(c.relay_auth.as_ref()?.password_file.as_deref()?)),
    )
    .otherwise("systemd's credential relay-password"),
    Row::new(
        "relay_auth.token",
        "table",
        "An OAuth 2.0 access token instead of a password, for XOAUTH2 or OAUTHBEARER: { command = [\"/usr/local/bin/token\", \"argument\"] } or { file = \"token\" }. The program runs as the daemon's user, without a shell, for 30 seconds at most. It prints the token, or JSON with access_token and expires_in. A token is kept until shortly before it expires, or for five minutes if the program does not say when. If the relayhost refuses it, the program is asked once more. A token file needs the same owner and mode as a password file, and is read each time.",
        |c| Some(c.relay_auth.as_ref()?.token.as_ref()?.to_string()),
    ),
    Row::each(
        "routes",
        "table",
        "Other paths for some recipients: { \"example.org\" = \"[host]:25\", \".example.net\" = \"lmtp:unix:/run/x\", \"/@yahoo\\\\./\" = \"slow\" }. On the left is an address, a domain, a dot and a domain for its subdomains, a regular expression between slashes, or *. They are tried in this order. On the right is the name of a transport, alone or with a next hop as name:nexthop; [host]:port; a domain, for its MX; lmtp:, maildir: or smtp: and where; error:5.1.1 text, to refuse mail at RCPT (error:4.2.0 text: for now); retry:text, to keep it in the queue; or : for the path without this route. In domains.local, only single addresses can have a route; they then receive mail.",
        |c| family("routes", &c.routes),
    ),
    Row::new(
        "transport",
        "list of tables",
        "The same in files, in the syntax of Postfix's transport(5): lines \"key value\", and /regexp/ lines. routes is asked first. Each key is looked up in all files before the next key: the address (and patterns of files that hold nothing else), the address without its extension, the domain, those above it, other patterns, *. A changed file is read again once it has been left alone for two seconds.",
        |c| Some(list(&c.transport)),
    ),
    Row::each(
        "default_routes",
        "table",
        "The same for mail that has no entry in routes or transport, or only : there. They come before relayhost and MX, and do not apply in domains.local and domains.virtual. They correspond to Postfix's default_transport and relay_transport: { \"*\" = \"error:5.7.1 no mail for outside\", \"example.org\" = \":\" }.",
        |c| family("default_routes", &c.default_routes),
    ),
    Row::each_form(
        &TYPE,
        "How the transport of that name delivers: \"smtp\", \"lmtp\", \"maildir\" or \"pipe\".",
        |c| transports(c, "type", |t| Some(quote(WrittenType::of(&t.kind).as_str()))),
    )
    .otherwise("derived from its other settings"),
    Row::each_form(
        &CONNECTIONS,
        "Simultaneous deliveries to one destination, and connections to it, silent ones and those of reject_unverified_recipient (half at most) included. Domains with the same hosts are one destination.",
        |c| transports(c, "connections", |t| Some(t.connections?.to_string())),
    )
    .otherwise("concurrency.destination"),
    Row::each_form(
        &INITIAL_CONNECTIONS,
        "How many simultaneous deliveries to start with. Each that works allows one more.",
        |c| transports(c, "initial_connections", |t| Some(t.initial_connections.to_string())),
    ),
    Row::each_form(
        &RECIPIENTS,
        "Most recipients in one delivery.",
        |c| transports(c, "recipients", |t| Some(t.recipients.to_string())),
    )
    .otherwise("100, for a pipe 1"),
    Row::each_form(
        &DELAY,
        "Pause after each delivery to a destination, such as \"2s\". Deliveries to it then go one at a time.",
        |c| transports(c, "delay", |t| Some(span(t.delay))),
    ),
    Row::each_form(
        &PROCESSES,
        "Simultaneous deliveries to all destinations of the transport.",
        |c| transports(c, "processes", |t| (t.processes < usize::MAX).then(|| t.processes.to_string())),
    )
    .otherwise("no limit, for a pipe 4"),
    Row::each(
        "transports.NAME.nexthop",
        "text",
        "smtp, lmtp: where mail goes if the route names no next hop.",
        |c| transports(c, "nexthop", nexthop),
    )
    .otherwise("the recipient's domain, for lmtp none"),
    Row::each(
        "transports.NAME.directory",
        "path",
        "maildir: where mail goes if the route names no directory. pipe: the program's working directory, \"/\" by default.",
        |c| transports(c, "directory", directory),
    ),
    Row::each(
        "transports.NAME.command",
        "list of texts",
        "pipe: the program's full path, then its arguments. In the arguments, ${recipient}, ${user}, ${extension}, ${domain}, ${mailbox}, ${original_recipient}, ${sender}, ${nexthop}, ${queue_id}, ${size}, ${envid}, ${client_address} and ${client_hostname} are replaced by their values, and $$ by a dollar. No shell reads them. See PROGRAMS.",
        |c| transports(c, "command", |t| t.pipe().map(|it| &it.command).filter(|it| !it.is_empty()).map(|it| list(it))),
    ),
    Row::each(
        "transports.NAME.flags",
        "text",
        "pipe: how message and arguments are changed, by the letters of Postfix's pipe(8). D, O, R and F put Delivered-To, X-Original-To, Return-Path or a From line in front; B adds an empty line at the end. . and > escape the beginnings of lines. h and u put domains and users in lower case, q quotes them. X tells senders of success. D also stops loops.",
        |c| transports(c, "flags", |t| Some(quote(t.pipe()?.flags.as_str()))),
    )
    .otherwise("\"DR\", for several recipients none"),
    Row::each_form(
        &SIZE,
        "pipe: the largest message, in bytes or as \"25MiB\". A larger one is returned.",
        |c| transports(c, "size", |t| Some(t.pipe()?.size?.to_string())),
    )
    .otherwise("only message_size applies"),
    Row::each_form(
        &TIMEOUT,
        "pipe: how long a run may take. After that, the program is killed with everything it has started, and the mail waits.",
        |c| transports(c, "timeout", |t| Some(span(t.pipe()?.timeout))),
    ),
    Row::each(
        "transports.NAME.socket",
        "path",
        "pipe: a unix socket where `smarthost pipe NAME` takes the mail by LMTP. The program then runs in a unit with a user of its own. See PROGRAMS.",
        |c| transports(c, "socket", |t| Some(path(t.pipe()?.socket.as_deref()?))),
    ),
    Row::form(
        &PROVIDER_PRESETS,
        "Whether mail for Orange, SFR, Free, La Poste, Yahoo and Outlook goes over few connections and to few recipients at once. The transports orange, sfr, free, laposte, yahoo and outlook do this; your own transports of these names replace them.",
        |c| Some(c.provider_presets.to_string()),
    ),
    Row::new(
        "dkim",
        "list of tables",
        "Keys that sign mail with DKIM: [{ domain = \"example.org\", selector = \"s1\", key = \"s1.pem\" }]. A domain may have several; `smarthost dkim new example.org` makes one. Mail from clients in networks, and from the relay itself, is signed if its one From address is in exactly that domain and it goes to another server by SMTP. The key file must belong to root or the daemon's user, and nobody else may read it.",
        |c| Some(array(c.dkim.iter().map(dkim))),
    )
    .otherwise("nothing is signed"),
    Row::new(
        "srs.domain",
        "name",
        "Domain for rewritten senders of forwarded mail (SRS), so that SPF passes at the next hop. If an alias sends mail to a domain that is not in domains, it leaves by SMTP with a sender in this domain. Senders that are in domains, in this domain or below it are not rewritten. Mail that comes back to a rewritten sender within 21 days goes to the original one; a forged or older address is refused with 550. If the rewritten form would have more than 64 bytes before the @, a token that this server remembers stands for the sender. The domain's MX must be this machine. The domain need not be in domains.",
        |c| Some(quote(&c.srs.as_ref()?.domain.0)),
    )
    .otherwise("no sender is rewritten"),
    Row::new(
        "srs.secrets",
        "path",
        "File of the secrets that sign these addresses, one per line, of at least 8 characters each. Lines that begin with # are comments. The first secret signs and all are accepted, so put a new one in front of the old. The file must belong to root or the daemon's user, and nobody else may read it. It is read at start and reload. With a secret of postsrsd or libsrs2, the addresses are the same as theirs.",
        |c| Some(path(&c.srs_secrets(c.srs.as_ref()?))),
    )
    .otherwise("srs.secrets in state, which is made at the first start"),
];
