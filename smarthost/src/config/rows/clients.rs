//! Who may send, and how much.

use settings::{
    form::Word as _,
    rows::{array, list, path, quote, span},
};

use super::super::{
    budget::{NODES, ON_OUTAGE},
    forms::{GREET_WAIT, TLS_MINIMUM},
};
use super::written::{Row, listener, node};

pub(super) const CLIENTS: &[Row] = &[
    Row::new(
        "hostname",
        "name",
        "FQDN of this machine, in greeting, EHLO, Received and bounces.",
        |c| Some(quote(&c.hostname)),
    )
    .otherwise("the machine's own, completed from /etc/hosts")
    .basis(),
    Row::new(
        "banner",
        "text",
        "The greeting after \"220 \"; begins with the host name.",
        |c| c.banner.as_ref().map(quote),
    )
    .otherwise("\"HOSTNAME ESMTP\""),
    Row::new(
        "listen",
        "list of addresses with ports",
        "Where clients connect: \"address:port\", or { address = \"address:port\", tls = \"wrapped\" } for TLS from the first byte, or tls = \"none\" for none; submission = true or false says whether logins and keys of clients are taken there, which is so on all ports but 25. Under systemd smarthost.socket holds the ports, and those below 1024 must stand there.",
        |c| Some(array(c.listen.iter().map(listener))),
    )
    .otherwise("ports 25, 587 and, wrapped, 465 of all addresses")
    .at_restart(),
    Row::new(
        "tls.certificate",
        "path",
        "PEM file with the certificate chain that clients see.",
        |c| Some(path(&c.tls.certificate)),
    )
    .otherwise("a self-signed one, made at the first start"),
    Row::new(
        "tls.key",
        "path",
        "PEM file with its key.",
        |c| Some(path(&c.tls.key)),
    )
    .otherwise("made with it"),
    Row::form(
        &TLS_MINIMUM,
        "The oldest version of TLS that clients may speak. Whoever has none that is spoken here sends in clear text over port 25, and cannot log in.",
        |c| Some(quote(c.tls_minimum.as_str())),
    ),
    Row::new(
        "networks",
        "list of networks",
        "Who may send mail to anywhere through this machine: addresses and networks. Loopback, the machine itself, is among them unless an address of it is named.",
        |c| Some(list(&c.networks.0)),
    )
    .otherwise("the machine itself"),
    Row::new(
        "auth.users",
        "path",
        "File of those who may log in, on all ports but 25 and only under TLS, and then may send mail to anywhere: a line \"name:verifier\" each, as smarthost passwd writes it. SCRAM-SHA-256 and PLAIN are taken. Names and passwords are the same composed or not (SASLprep). After ten failures nobody is listened to from an address for ten minutes: smarthost limits list shows it, smarthost limits reset ADDRESS ends it. A changed file is taken once it was left alone for two seconds, and a faulty line costs itself alone. Where it is gone or suddenly empty, that is told, and what was read before stays in force, over a restart too; the line `# empty` says that nobody may log in, which smarthost passwd writes with the last --delete. As long as nobody knows who may, clients hear 454 and nothing counts as a failure.",
        |c| c.auth.as_deref().map(path),
    )
    .otherwise("nobody"),
    Row::each(
        "client_pins.PIN",
        "name",
        "The name under which a client is known whose certificate has this key (\"sha256:…\"), on all ports but 25; it may send mail to anywhere. Issuer, names and dates of the certificate do not matter. Clients without a key, or with another one, are treated as without this setting. Machines with sendmail-shim need no setting: `smarthost enroll NAME`.",
        |c| {
            let pins = c.client_pins.iter();
            pins.map(|(pin, name)| (format!("client_pins.{}", quote(pin)), quote(name)))
                .collect()
        },
    ),
    Row::new(
        "proxy",
        "list of networks",
        "Addresses and networks of proxies (HAProxy, nginx, load balancers) in front of this machine. A connection from there must begin with a PROXY header, version 1 or 2, within five seconds, on every port and before TLS; it is closed otherwise. The client is then whom the header names: for networks, limits, restrictions, log and Received. Whom the proxy cannot name (LOCAL, UNKNOWN: its health checks) has its own address, and networks gives it no permission.",
        |c| Some(list(&c.proxy.0)),
    )
    .otherwise("none"),
    Row::new(
        "xclient",
        "list of networks",
        "Addresses and networks of front ends (Postfix, nginx, filters) that may say XCLIENT, and so whose session they hand on: NAME, ADDR, PORT, PROTO, HELO, LOGIN, DESTADDR, DESTPORT. The client is then whom they name, as with proxy; who is named with LOGIN may send mail to anywhere, as after a login.",
        |c| Some(list(&c.xclient.0)),
    )
    .otherwise("none"),
    Row::new(
        "drain_from",
        "list of networks",
        "Addresses and networks of servers whose queue may be emptied into this one, by their `smarthost drain`. What they say of a message is believed: its age, whose it is, whom it is for, and that it was taken already; over TLS only, and not over a proxy.",
        |c| Some(list(&c.drain_from.0)),
    )
    .otherwise("none"),
    Row::form(
        &GREET_WAIT,
        "How long the greeting waits for clients that are not in networks; one that talks meanwhile, as only programs that send spam do, hears 521. Not where TLS comes first, and not behind a proxy. \"0s\": not at all.",
        |c| Some(span(c.greet_wait)),
    ),
    Row::new(
        "limits.per_client",
        "list of limits",
        "How many messages a client may send that is in networks, has logged in or is known by its key, over all ports and in any such time: \"100/day\", or several as [\"100/day\", \"500 recipients/day\"]. A client is the name of its key, else its login, else its address. What was answered 250 counts; recipients count as RCPT named them; what `sendmail-shim test` sends over TLS counts beyond a tenth of the limit. Over the limit mail is deferred with 450. Messages that were begun and not taken have a limit of their own, within the hour or a shorter time of the limit: ten times as many, and at least 100; over it the client hears 450 and \"too many attempts\" until they are older. smarthost limits show tells it, smarthost limits reset ends it. At a reload a limit of another time counts from zero, which the log tells; where the time is the same, what was counted stays.",
        |c| Some(list(&c.limits.per_client)),
    )
    .otherwise("no limit")
    .basis(),
    Row::new(
        "limits.per_prefix6",
        "list of limits",
        "The same for each whole IPv6 /64 in networks.",
        |c| Some(list(&c.limits.per_prefix6())),
    )
    .otherwise("ten times limits.per_client"),
    Row::new(
        "limits.per_stranger",
        "list of limits",
        "The same for each client that is not in networks: an IPv4 address or an IPv6 /64.",
        |c| Some(list(&c.limits.per_stranger)),
    )
    .otherwise("no limit"),
    Row::new(
        "limits.exempt",
        "list of networks",
        "Addresses and networks that are not counted.",
        |c| Some(list(&c.limits.exempt.0)),
    ),
    Row::new(
        "limits.notify",
        "list of mail addresses",
        "Who is told when a client comes near its limit or reaches it.",
        |c| Some(list(&c.limits_notify)),
    )
    .otherwise("admins"),
    Row::new(
        "budget.store",
        "text",
        "A Valkey or Redis in which several smarthosts meet, so that a client's limit is one for all of them: \"redis://127.0.0.1:6379/0\", \"rediss://store.example.org\" (TLS), or \"unix:/run/redis/redis.sock\". It may forget everything: each smarthost keeps its own counts. It must not drop keys when its memory is full (maxmemory-policy noeviction). Takes effect at the next restart. See ONE BUDGET FOR SEVERAL SERVERS.",
        |c| Some(quote(&c.budget.as_ref()?.store)),
    )
    .otherwise("none")
    .at_restart(),
    Row::new(
        "budget.password_file",
        "path",
        "Holds the store's password in its first line; of root or the daemon's user, who alone may read it.",
        |c| Some(path(c.budget.as_ref()?.password_file.as_deref()?)),
    )
    .otherwise("no password")
    .at_restart(),
    Row::new(
        "budget.pins",
        "list of pins",
        "The store's keys under TLS, as openssl and smarthost pin print them: sha256:HEX of a public key, cert-sha256:HEX of a certificate. It must show one of them; its name and dates do not matter then.",
        |c| Some(list(&c.budget.as_ref()?.pins.0)),
    )
    .otherwise("none, an authority of the web must know its name")
    .at_restart(),
    Row::new(
        "budget.node",
        "name",
        "This smarthost's name among those that share the budget: another one on each.",
        |c| Some(node(c, c.budget.as_ref()?)),
    )
    .otherwise("hostname")
    .at_restart(),
    Row::form(
        &NODES,
        "How many smarthosts share the budget.",
        |c| Some(c.budget.as_ref()?.nodes.0.to_string()),
    )
    .at_restart(),
    Row::form(
        &ON_OUTAGE,
        "What happens while the store does not answer: \"share\" lets each smarthost take its part of a limit (limit / nodes), so that with n of them at most 2 - 1/n times the limit passes; \"defer\" lets mail of clients with a limit wait, so that no limit is ever passed; \"open\" lets each take the whole limit for itself.",
        |c| Some(quote(c.budget.as_ref()?.on_outage.as_str())),
    )
    .at_restart(),
];
