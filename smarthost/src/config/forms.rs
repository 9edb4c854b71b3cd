//! Settings of one value: default and range of each. [`super::check`] reads the configuration by
//! them, [`super::rows`] tells them. Those of transports and of the budget stand beside these.

use std::time::Duration;

use queue::retry::Schedule;
use relay::tls::TlsVersion;
use settings::{
    Span,
    form::{Form, Number},
};

use super::{
    file::{Level, Only},
    settings::LogFormat,
    tls_level::TlsLevel,
};
use crate::policy::verify::OutageMode;

const NONE: Span = Span(Duration::ZERO);
const SECOND: Span = Span(Duration::from_secs(1));

/// Enough for those that talk at once, and no burden to others.
pub(super) const GREET_WAIT: Form<Span> = Form::new("greet_wait", SECOND).within(
    NONE,
    Span(Duration::from_secs(30)),
    "other mail servers hang up if the greeting comes later",
);

pub(super) const RELAY_LEVEL: Form<Level> = Form::open("relay_tls.level");
pub(super) const TLS_MINIMUM: Form<TlsVersion> = Form::new("tls.minimum", TlsVersion::V1_2);
pub(super) const TLS_LEVEL: Form<TlsLevel> = Form::new("tls_out.level", TlsLevel::Opportunistic);
pub(super) const MTA_STS: Form<bool> = Form::new("mta_sts", false);
pub(super) const PROVIDER_PRESETS: Form<bool> = Form::new("provider_presets", true);

pub(super) const THRESHOLD: Form<Number> = Form::new("dnsbl.threshold", Number(1)).some();
/// RFC 6647 §5: from a minute to a day.
pub(super) const GREYLIST_DELAY: Form<Span> =
    Form::new("greylist.delay", Span(Duration::from_mins(5))).within(
        NONE,
        Span(Duration::from_hours(24)),
        "other mail servers give up if they must wait longer",
    );
pub(super) const GREYLIST_ONLY: Form<Only> = Form::new("greylist.only", Only::Listed);
pub(super) const OUTAGE: Form<OutageMode> = Form::new("verify.outage", OutageMode::AcceptKnown);
pub(super) const POSITIVE: Form<Span> =
    Form::new("verify.positive", Span(Duration::from_hours(31 * 24)));
pub(super) const NEGATIVE: Form<Span> = Form::new("verify.negative", Span(Duration::from_hours(3)));
pub(super) const TROUBLE: Form<Span> = Form::new("verify.trouble", Span(Duration::from_mins(1)))
    .within(
        NONE,
        Span(Duration::from_mins(1)),
        "a client that comes back must not be refused for a failure that is over",
    );

pub(super) const MINIMAL: Form<Span> = Form::new("retry.minimal", Span(Schedule::USUAL.minimal))
    .at_least(SECOND, "retries without a pause would flood the next hop");
pub(super) const MAXIMAL: Form<Span> = Form::new("retry.maximal", Span(Schedule::USUAL.maximal));
pub(super) const LIFETIME: Form<Span> = Form::new("retry.lifetime", Span(Schedule::USUAL.lifetime));
pub(super) const BOUNCE_LIFETIME: Form<Span> = Form::open("retry.bounce_lifetime");
pub(super) const RELAY_LIFETIME: Form<Span> = Form::open("retry.relay_lifetime");
pub(super) const WARNING: Form<Span> = Form::new("retry.warning", Span(Duration::from_hours(4)));

pub(super) const DESTINATION: Form<Number> =
    Form::new("concurrency.destination", Number(10)).some();
pub(super) const DELIVERIES: Form<Number> = Form::new("concurrency.deliveries", Number(100)).some();
pub(super) const SESSIONS: Form<Number> = Form::new("concurrency.sessions", Number(1000)).some();
pub(super) const CLIENT: Form<Number> = Form::new("concurrency.client", Number(50)).some();

pub(super) const FORBID_PIPELINING: Form<bool> = Form::new("forbid_unauth_pipelining", true);
pub(super) const LOG_FORMAT: Form<LogFormat> = Form::new("log.format", LogFormat::Plain);
