//! Settings of one value: default and range of each. [`super::settings`] reads the configuration by
//! them, [`super::rows`] tells them.

use std::time::Duration;

use mail::limits;
use settings::{
    Size, Span,
    form::{Form, Number},
};

use super::file::Tls;

/// Table of senders unless the configuration says otherwise.
pub(super) const REVALIASES: &str = "/etc/sendmail-shim/revaliases";
/// Table of recipients unless the configuration says otherwise.
pub(super) const ALIASES: &str = "/etc/aliases";

pub(super) const TLS: Form<Tls> = Form::new("tls", Tls::StartTls);
pub(super) const FROM_OVERRIDE: Form<bool> = Form::new("from_override", false);
pub(super) const MINIMUM_FREE: Form<Size> = Form::new("minimum_free", Size(limits::MINIMUM_FREE));
pub(super) const CONNECTIONS: Form<Number> = Form::new("connections", Number(4)).within(
    Number(1),
    Number(255),
    "0 would send nothing, and the relayhost has other clients to serve",
);

/// Shortest wait between two attempts.
pub const MINIMAL: Form<Span> = Form::new("retry.minimal", Span(Duration::from_mins(1))).at_least(
    Span(Duration::from_secs(1)),
    "retries without a pause would flood the next hop",
);
/// Longest wait between two attempts.
pub const MAXIMAL: Form<Span> = Form::new("retry.maximal", Span(Duration::from_hours(1)));
pub(super) const LIFETIME: Form<Span> =
    Form::new("retry.lifetime", Span(Duration::from_hours(5 * 24)));
pub(super) const WARNING: Form<Span> = Form::new("retry.warning", Span(Duration::from_hours(4)));

pub(super) const WINDOW: Form<Span> = Form::new("collapse.window", Span(Duration::ZERO));
/// Whoever reads the digest still knows what the report before said.
pub(super) const DIGEST: Form<Span> = Form::new("unchanged.digest", Span(Duration::from_hours(24)))
    .within(
        Span(Duration::from_secs(1)),
        Span(Duration::from_hours(31 * 24)),
        "nobody would remember what a later digest reports on; to get each report at once, leave \
         out unchanged.senders",
    );
pub(super) const SHARE_SIZE: Form<Size> = Form::open("share.size").at_least(
    Size(64 * 1024),
    "nobody but root could send mail; leave it out for a quarter of what is free",
);
/// With all that is kept of each in memory, some megabytes.
pub(super) const SHARE_RECIPIENTS: Form<Number> = Form::new("share.recipients", Number(20_000))
    .at_least(Number(1), "nobody but root could send mail");
