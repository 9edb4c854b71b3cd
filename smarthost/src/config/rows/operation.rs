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
        "Who is told of limits and faults; also gets postmaster's mail that no alias catches.",
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
        "Longest wait between two attempts.",
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
        "Age at which bounces, and other mail without a sender, are not tried any more. As nobody would hear of their end, they stay on hold with the reason, administrators are told, and queue release or queue delete decides; those that strangers cause end, counted in the log and the digest.",
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
        "Connections to one destination at once.",
        |c| Some(c.concurrency.destination.to_string()),
    )
    .at_restart(),
    Row::form(
        &DELIVERIES,
        "Deliveries at once, to all destinations.",
        |c| Some(c.concurrency.deliveries.to_string()),
    )
    .at_restart(),
    Row::form(
        &SESSIONS,
        "Clients at once; a quarter of them is kept for clients in networks.",
        |c| Some(c.concurrency.sessions.to_string()),
    ),
    Row::form(
        &CLIENT,
        "Connections of one client at once.",
        |c| Some(c.concurrency.client.to_string()),
    ),
    Row::form(
        &FORBID_PIPELINING,
        "Whether commands sent ahead where RFC 2920 forbids it (behind HELO, EHLO and DATA) end the session with 554. false: not for clients in networks.",
        |c| Some(c.forbid_unauth_pipelining.to_string()),
    ),
    Row::form(
        &LOG_FORMAT,
        "How lines of the log begin: \"plain\", or \"postfix\" for the names of Postfix's daemons, which pflogsumm, logwatch and fail2ban read. Takes effect at the next restart.",
        |c| Some(quote(c.log_format.as_str())),
    )
    .at_restart(),
];
