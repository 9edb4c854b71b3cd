//! How the daemon is run.

use settings::{
    form::{MESSAGE_SIZE, Word as _},
    rows::{list, quote, span},
};

use super::super::forms::{
    BOUNCE_LIFETIME, CLIENT, DELIVERIES, DESTINATION, FORBID_PIPELINING, LIFETIME, LOG_FORMAT,
    MAXIMAL, MINIMAL, RELAY_LIFETIME, SESSIONS, WARNING,
};
use super::written::Row;

pub(super) const OPERATION: &[Row] = &[
    Row::new(
        "admins",
        "list of mail addresses",
        "Who gets mail about limits and faults. They also get postmaster's mail if no alias catches it.",
        |c| Some(list(&c.admins)),
    )
    .basis(),
    Row::form(
        &MESSAGE_SIZE,
        "Largest message: bytes, or \"25MiB\".",
        |c| Some(c.message_size.to_string()),
    ),
    Row::form(
        &MINIMAL,
        "Shortest wait between two attempts: \"5m\", \"1h\", \"1d12h\".",
        |c| Some(span(c.retry.schedule.minimal)),
    )
    .at_restart(),
    Row::form(
        &MAXIMAL,
        "Longest wait between two attempts, give or take a fifth.",
        |c| Some(span(c.retry.schedule.maximal)),
    )
    .at_restart(),
    Row::form(
        &LIFETIME,
        "Age at which mail is returned to its sender.",
        |c| Some(span(c.retry.schedule.lifetime)),
    )
    .basis()
    .at_restart(),
    Row::form(
        &BOUNCE_LIFETIME,
        "Age after which bounces, and other mail without a sender, are no longer tried. Since they cannot be returned to anybody, they stay on hold with the reason and administrators are told; decide with `smarthost queue release` or `smarthost queue delete`. Bounces that strangers cause are given up instead, and counted in the log and the digest.",
        |c| Some(span(c.retry.bounce_lifetime)),
    )
    .otherwise("retry.lifetime")
    .at_restart(),
    Row::form(
        &RELAY_LIFETIME,
        "Age at which mail for domains.relay is returned to its sender.",
        |c| Some(span(c.retry.relay_lifetime)),
    )
    .otherwise("retry.lifetime")
    .at_restart(),
    Row::form(
        &WARNING,
        "Age at which the sender is warned, once, that a message still waits; \"0s\": never.",
        |c| Some(span(c.retry.warning.unwrap_or_default())),
    )
    .at_restart(),
    Row::form(
        &DESTINATION,
        "Simultaneous connections to one destination. If you set it, there are never more; otherwise connections whose peer is silent do not count where you named the next hop, up to three times as many.",
        |c| {
            let it = c.concurrency;
            it.limits_destination.then(|| it.destination.to_string())
        },
    )
    .implied()
    .at_restart(),
    Row::form(
        &DELIVERIES,
        "Simultaneous deliveries, to all destinations together.",
        |c| Some(c.concurrency.deliveries.to_string()),
    )
    .at_restart(),
    Row::form(
        &SESSIONS,
        "Simultaneous clients. A quarter of them is reserved for clients in networks.",
        |c| Some(c.concurrency.sessions.to_string()),
    ),
    Row::form(
        &CLIENT,
        "Simultaneous connections from one client.",
        |c| Some(c.concurrency.client.to_string()),
    ),
    Row::form(
        &FORBID_PIPELINING,
        "Whether a session ends with 554 when a client sends commands ahead where RFC 2920 forbids it (after HELO, EHLO and DATA). With false, sessions of clients in networks go on.",
        |c| Some(c.forbid_unauth_pipelining.to_string()),
    ),
    Row::form(
        &LOG_FORMAT,
        "How log lines begin: \"plain\", or \"postfix\" for the names of Postfix's daemons, which pflogsumm, logwatch and fail2ban read. A change takes effect at the next restart.",
        |c| Some(quote(c.log_format.as_str())),
    )
    .at_restart(),
];
