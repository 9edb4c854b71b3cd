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
        "This machine's FQDN, as shown in the greeting, EHLO, Received and bounces.",
        |c| Some(quote(&c.hostname)),
    )
    .otherwise("the machine's own, completed from /etc/hosts")
    .basis(),
    Row::new(
        "banner",
        "text",
        "The greeting after \"220 \". It must begin with the host name.",
        |c| c.banner.as_ref().map(quote),
    )
    .otherwise("\"HOSTNAME ESMTP\""),
    Row::new(
        "listen",
        "list of addresses with ports",
        "Where clients connect: \"address:port\", or a table: { address = \"address:port\", tls = \"wrapped\" } for TLS from the first byte, tls = \"none\" for no TLS. submission = true or false says whether clients may log in, or show a key, on this port; without it they may on every port but 25. Under systemd, smarthost.socket holds the ports, and ports below 1024 must be listed there.",
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
        "PEM file with the certificate's key.",
        |c| Some(path(&c.tls.key)),
    )
    .otherwise("made with it"),
    Row::form(
        &TLS_MINIMUM,
        "The oldest version of TLS that clients may use. A client that supports only older ones sends in clear text over port 25, and cannot log in.",
        |c| Some(quote(c.tls_minimum.as_str())),
    ),
    Row::new(
        "networks",
        "list of networks",
        "Addresses and networks of clients that may send mail anywhere through this machine. Loopback, the machine itself, is always among them unless you list a loopback address.",
        |c| Some(list(&c.networks.0)),
    )
    .otherwise("the machine itself"),
    Row::new(
        "auth.users",
        "path",
        "File of users who may log in, and then send mail anywhere: on all ports but 25, and only under TLS. Each line is \"name:verifier\", as `smarthost passwd` writes it. SCRAM-SHA-256 and PLAIN are accepted. Composed and decomposed characters are the same in names and passwords (SASLprep). After ten failures from an address, nobody can log in from there for ten minutes: `smarthost limits list` shows it, `smarthost limits reset ADDRESS` ends it. A changed file is read again once it has been left alone for two seconds. A faulty line does not affect the others. If the file is missing or suddenly empty, this is reported, and what was read before stays in force, even after a restart. The line `# empty` says that nobody may log in; `smarthost passwd` writes it with the last --delete. While it is not known who may log in, clients get 454, and nothing counts as a failure.",
        |c| c.auth.as_deref().map(path),
    )
    .otherwise("nobody"),
    Row::each(
        "client_pins.PIN",
        "name",
        "Lets a client whose certificate has this key (\"sha256:…\") send mail anywhere, on all ports but 25. The value is the name under which the client is known. The certificate's issuer, names and dates do not matter. Clients without a key, or with another one, are treated as without this setting. Machines with sendmail-shim need no setting: use `smarthost enroll NAME`.",
        |c| {
            let pins = c.client_pins.iter();
            pins.map(|(pin, name)| (format!("client_pins.{}", quote(pin)), quote(name)))
                .collect()
        },
    ),
    Row::new(
        "proxy",
        "list of networks",
        "Addresses and networks of proxies (HAProxy, nginx, load balancers) in front of this machine. A connection from there must begin with a PROXY header, version 1 or 2, within five seconds, on every port and before TLS; otherwise it is closed. The client named in the header then counts as the client, for networks, limits, restrictions, log and Received. If the header names no client (LOCAL, UNKNOWN: the proxy's own health checks), the proxy's address counts, and networks gives it no permission.",
        |c| Some(list(&c.proxy.0)),
    )
    .otherwise("none"),
    Row::new(
        "xclient",
        "list of networks",
        "Addresses and networks of front ends (Postfix, nginx, filters) that may pass on a client's session with XCLIENT: NAME, ADDR, PORT, PROTO, HELO, LOGIN, DESTADDR, DESTPORT. The client that they name then counts as the client, as with proxy. A client named with LOGIN may send mail anywhere, as after a login.",
        |c| Some(list(&c.xclient.0)),
    )
    .otherwise("none"),
    Row::new(
        "drain_from",
        "list of networks",
        "Addresses and networks of servers that may move their queue to this one with `smarthost drain`. What they say about a message is believed: its age, its client, its sender and recipients, and that it was already accepted. They must use TLS, and must not come through a proxy.",
        |c| Some(list(&c.drain_from.0)),
    )
    .otherwise("none"),
    Row::form(
        &GREET_WAIT,
        "How long the greeting is delayed for clients that are not in networks. A client that talks before the greeting, as only spam programs do, gets 521. There is no delay where TLS comes first, nor behind a proxy. \"0s\": no delay.",
        |c| Some(span(c.greet_wait)),
    ),
    Row::new(
        "limits.per_client",
        "list of limits",
        "How many messages a client may send in any such time: \"100/day\", or several limits, as in [\"100/day\", \"500 recipients/day\"]. This applies to each client that is in networks, has logged in or is known by its key, over all ports together. A client is the name of its key, else its login, else its address. A message counts when it is answered 250; recipients count as RCPT named them. What `sendmail-shim test` sends over TLS counts only beyond a tenth of the limit. Over the limit, mail is deferred with 450. Messages that are begun and not accepted have a limit of their own: ten times as many, and at least 100, within an hour, or within the limit's time if that is shorter. Over it, the client gets 450 and \"too many attempts\" until the old ones no longer count. `smarthost limits show` shows this, `smarthost limits reset` ends it. At a reload, a limit for another time starts from zero, and the log says so; a limit for the same time keeps its count.",
        |c| Some(list(&c.limits.per_client)),
    )
    .otherwise("no limit")
    .basis(),
    Row::new(
        "limits.per_prefix6",
        "list of limits",
        "The same for each IPv6 /64 in networks as a whole.",
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
        "Who gets mail when a client comes near its limit or reaches it.",
        |c| Some(list(&c.limits_notify)),
    )
    .otherwise("admins"),
    Row::new(
        "budget.store",
        "text",
        "A Valkey or Redis server through which several smarthosts share each client's limit: \"redis://127.0.0.1:6379/0\", \"rediss://store.example.org\" (TLS), or \"unix:/run/redis/redis.sock\". It may forget everything: each smarthost keeps its own counts. It must not drop keys when its memory is full (maxmemory-policy noeviction). A change takes effect at the next restart. See ONE BUDGET FOR SEVERAL SERVERS in smarthost(8).",
        |c| Some(quote(&c.budget.as_ref()?.store)),
    )
    .otherwise("none")
    .at_restart(),
    Row::new(
        "budget.password_file",
        "path",
        "File with the store's password in its first line. It must belong to root or the daemon's user, and nobody else may read it.",
        |c| Some(path(c.budget.as_ref()?.password_file.as_deref()?)),
    )
    .otherwise("no password")
    .at_restart(),
    Row::new(
        "budget.pins",
        "list of pins",
        "The store's keys under TLS, as openssl and `smarthost pin` print them: sha256:HEX of a public key, cert-sha256:HEX of a certificate. The store must show one of them; its name and dates then do not matter.",
        |c| Some(list(&c.budget.as_ref()?.pins.0)),
    )
    .otherwise("none; a public certificate authority must then confirm its name")
    .at_restart(),
    Row::new(
        "budget.node",
        "name",
        "The name of this smarthost among those that share the budget. Each must have a different one.",
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
        "What happens while the store does not answer. \"share\": each smarthost uses its part of a limit (limit / nodes), so that with n of them at most 2 - 1/n times the limit passes. \"defer\": mail from clients with a limit waits, so that no limit is ever exceeded. \"open\": each smarthost applies the whole limit on its own.",
        |c| Some(quote(c.budget.as_ref()?.on_outage.as_str())),
    )
    .at_restart(),
];
