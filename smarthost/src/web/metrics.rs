//! `/metrics`: the daemon's status as `OpenMetrics` text, or in the older form of Prometheus where
//! only that is understood. Pure.
//!
//! Contract: every family stands in [`FAMILIES`], which the manual is made from; what is open
//! (destinations, clients, rules) is bounded: the largest of each. Counters begin anew with the
//! daemon. `OpenMetrics` 1.0 §5, §6.

use std::fmt::Write as _;

use control::status::{BOUNDS, GROUPS, NAMED, Status};
use mail::clock::Timestamp;

/// A family of metrics: its name, type and unit, and what it tells.
pub struct Family {
    pub name: &'static str,
    pub kind: &'static str,
    pub unit: &'static str,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

const fn family(
    name: &'static str,
    kind: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family {
        name,
        kind,
        unit,
        labels,
        help,
    }
}

/// All of them, in their order.
#[rustfmt::skip]
pub const FAMILIES: &[Family] = &[
    family("smarthost_build", "info", "", &["version"], "The version that runs."),
    family("smarthost_start_time_seconds", "gauge", "seconds", &[], "When the daemon started, in seconds since 1970."),
    family("smarthost_ready", "gauge", "", &[], "1 while mail is accepted and sent, as /health/ready reports."),
    family("smarthost_configuration_ok", "gauge", "", &[], "0 while the configuration's files are wrong and older settings are in force."),
    family("smarthost_alarms", "gauge", "", &[], "Problems that need an administrator, as smarthost status and /health list them."),
    family("smarthost_sessions", "gauge", "", &[], "SMTP sessions of clients now."),
    family("smarthost_queue_messages", "gauge", "", &[], "Messages in the queue."),
    family("smarthost_queue_recipients", "gauge", "", &["destination"], "Recipients that wait, by their domain; the ten largest, of the 20000 oldest messages."),
    family("smarthost_queue_held_recipients", "gauge", "", &[], "Recipients of messages on hold."),
    family("smarthost_queue_age_seconds", "gauge", "seconds", &["destination"], "Age of the oldest message for a domain; the ten that have most."),
    family("smarthost_queue_oldest_age_seconds", "gauge", "seconds", &[], "Age of the oldest message in the queue; 0 if it is empty."),
    family("smarthost_deliveries_active", "gauge", "", &[], "Deliveries under way."),
    family("smarthost_received_messages", "counter", "", &[], "Messages of clients that were accepted (250)."),
    family("smarthost_received_bytes", "counter", "bytes", &[], "Their size."),
    family("smarthost_rejected", "counter", "", &["rule"], "MAIL, RCPT and messages that were refused, also for now, by the rule as written in restrictions."),
    family("smarthost_deferred", "counter", "", &["class"], "Deferred attempts, one per recipient, by what they failed at."),
    family("smarthost_delivery_seconds", "histogram", "seconds", &["outcome"], "Age of a message when a recipient of it was delivered to or given up; each recipient once, at the end."),
    family("smarthost_deleted_recipients", "counter", "", &[], "Recipients whose mail an administrator deleted."),
    family("smarthost_clients", "gauge", "", &[], "Clients that are counted for limits."),
    family("smarthost_client_messages", "gauge", "", &["client"], "Messages of a client within its longest limit's time; the 50 that sent most."),
    family("smarthost_client_limit_ratio", "gauge", "ratio", &["client"], "Part of a limit that a client has used, 1 for all of it; the ten nearest to one."),
    family("smarthost_service_up", "gauge", "", &["kind", "name"], "1 while what the daemon asks works: resolver, DNSSEC, block lists, policy servers, milters, verification, and where it keeps its counters."),
    family("smarthost_learned_connections", "gauge", "", &["transport", "hosts"], "Simultaneous connections to hosts that have said how many they accept; the ten that said so last."),
    family("smarthost_certificate_end_time_seconds", "gauge", "seconds", &[], "When the certificate of the listeners expires, in seconds since 1970."),
    family("smarthost_spool_ok", "gauge", "", &[], "1 while the spool accepts mail."),
    family("smarthost_spool_free_bytes", "gauge", "bytes", &[], "Free space of the spool's disk."),
    family("smarthost_spool_sync_seconds", "gauge", "seconds", &[], "How long the spool's last commit took to be on disk."),
];

/// Which text is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Open,
    /// Prometheus's own of before, version 0.0.4.
    Plain,
}

impl Form {
    /// By the request's Accept field: the older one for who names it and not the other.
    pub(super) fn accepted(accept: &str) -> Self {
        if accept.contains("text/plain") && !accept.contains("openmetrics") {
            Self::Plain
        } else {
            Self::Open
        }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

struct Text {
    form: Form,
    out: String,
    family: &'static Family,
}

type Labels<'a> = &'a [&'a str];

impl Text {
    /// The samples of a family follow.
    fn begin(&mut self, name: &str) {
        let Some(family) = FAMILIES.iter().find(|family| family.name == name) else {
            return;
        };
        self.family = family;
        let (named, kind) = match (self.form, family.kind) {
            (Form::Plain, "counter") => (format!("{name}_total"), "counter"),
            (Form::Plain, "info") => (format!("{name}_info"), "gauge"),
            (_, kind) => (name.to_owned(), kind),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "# TYPE {named} {kind}");
        if self.form == Form::Open && !family.unit.is_empty() {
            let _ = writeln!(self.out, "# UNIT {named} {}", family.unit);
        }
        let _ = writeln!(self.out, "# HELP {named} {}", family.help);
    }

    /// One sample of the family that began last, with the values of its labels.
    fn sample(&mut self, labels: Labels<'_>, value: f64) {
        let suffix = match self.family.kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        self.line(suffix, labels, None, value);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, le: Option<&str>, value: f64) {
        let _ = write!(self.out, "{}{suffix}", self.family.name);
        let named = self
            .family
            .labels
            .iter()
            .copied()
            .zip(labels.iter().copied());
        let mut before = '{';
        for (name, value) in named.chain(le.map(|le| ("le", le))) {
            let _ = write!(self.out, "{before}{name}=\"{}\"", escaped(value));
            before = ',';
        }
        if before == ',' {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }

    fn one(&mut self, name: &str, value: f64) {
        self.begin(name);
        self.sample(&[], value);
    }

    fn counts(&mut self, name: &str, all: &[(String, u64)]) {
        let all = all.iter();
        self.each(
            name,
            all.map(|(label, count)| (label.as_str(), number(*count))),
        );
    }

    fn each<'a>(&mut self, name: &str, all: impl Iterator<Item = (&'a str, f64)>) {
        self.begin(name);
        for (label, value) in all {
            self.sample(&[label], value);
        }
    }
}

/// A label's value; what is too long is cut.
fn escaped(value: &str) -> String {
    let mut out = String::new();
    for c in value.chars().take(200) {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

#[expect(
    clippy::cast_precision_loss,
    reason = "samples are floating-point numbers; counts stay far below 2^53"
)]
fn number(count: u64) -> f64 {
    count as f64
}

fn flag(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

fn millis(count: u64) -> f64 {
    number(count) / 1000.0
}

/// The whole text.
pub(super) fn text(status: &Status, ready: bool, form: Form, now: Timestamp) -> String {
    let [family, ..] = FAMILIES else {
        return String::new();
    };
    let out = String::new();
    let mut text = Text { form, out, family };
    daemon(&mut text, status, ready);
    queue(&mut text, status, now);
    traffic(&mut text, status);
    clients(&mut text, status);
    world(&mut text, status);
    if form == Form::Open {
        text.out.push_str("# EOF\n");
    }
    text.out
}

fn daemon(text: &mut Text, status: &Status, ready: bool) {
    text.begin("smarthost_build");
    text.sample(&[&status.version], 1.0);
    let started = millis(status.started.as_millis());
    text.one("smarthost_start_time_seconds", started);
    text.one("smarthost_ready", flag(ready));
    text.one("smarthost_configuration_ok", flag(status.fault.is_none()));
    let alarms = u64::try_from(status.troubles().len()).unwrap_or(u64::MAX);
    text.one("smarthost_alarms", number(alarms));
    text.one("smarthost_sessions", number(status.sessions));
}

fn queue(text: &mut Text, status: &Status, now: Timestamp) {
    let age = |oldest: Timestamp| millis(u64::try_from(now.since(oldest).as_millis()).unwrap_or(0));
    let (groups, _) = status.destinations.largest(GROUPS);
    let total = &status.destinations.total;
    text.one("smarthost_queue_messages", number(status.queued));
    let waiting = groups.iter();
    text.each(
        "smarthost_queue_recipients",
        waiting.map(|group| (group.name.as_str(), number(group.count))),
    );
    text.one("smarthost_queue_held_recipients", number(total.held));
    let waiting = groups.iter();
    text.each(
        "smarthost_queue_age_seconds",
        waiting.map(|group| (group.name.as_str(), age(group.oldest))),
    );
    let oldest = if total.count > 0 {
        age(total.oldest)
    } else {
        0.0
    };
    text.one("smarthost_queue_oldest_age_seconds", oldest);
    text.one("smarthost_deliveries_active", number(status.in_flight));
}

fn traffic(text: &mut Text, status: &Status) {
    let counted = &status.counted;
    text.one("smarthost_received_messages", number(counted.received));
    text.one("smarthost_received_bytes", number(counted.received_bytes));
    let rules = status.refused.get(..NAMED).unwrap_or(&status.refused);
    text.counts("smarthost_rejected", rules);
    text.counts("smarthost_deferred", &counted.deferred);
    text.begin("smarthost_delivery_seconds");
    for (outcome, times) in [
        ("delivered", &counted.delivered),
        ("failed", &counted.failed),
    ] {
        let mut sum = 0u64;
        for (bound, part) in BOUNDS.iter().zip(times.parts) {
            sum = sum.saturating_add(part);
            let le = format!("{bound}.0");
            text.line("_bucket", &[outcome], Some(&le), number(sum));
        }
        let all = number(times.count());
        text.line("_bucket", &[outcome], Some("+Inf"), all);
        text.line("_count", &[outcome], None, all);
        text.line("_sum", &[outcome], None, millis(times.sum_millis));
    }
    text.one("smarthost_deleted_recipients", number(counted.removed));
}

fn clients(text: &mut Text, status: &Status) {
    text.one("smarthost_clients", number(status.clients));
    text.counts("smarthost_client_messages", &status.client_messages);
    let used = status.limits.iter().take(GROUPS);
    text.each(
        "smarthost_client_limit_ratio",
        used.map(|(client, percent, _)| (client.as_str(), number(*percent) / 100.0)),
    );
}

fn world(text: &mut Text, status: &Status) {
    text.begin("smarthost_service_up");
    for service in &status.services {
        text.sample(&[&service.kind, &service.name], flag(service.works));
    }
    text.begin("smarthost_learned_connections");
    for learned in status.learned.iter().take(GROUPS) {
        let hosts = learned.hosts.join(" ");
        let labels = [learned.transport.as_deref().unwrap_or_default(), &hosts];
        text.sample(&labels, number(learned.connections));
    }
    text.begin("smarthost_certificate_end_time_seconds");
    if let Some(ends) = status.certificate_ends {
        text.sample(&[], number(ends.as_secs()));
    }
    let spool = &status.spool;
    text.one("smarthost_spool_ok", flag(spool.fault.is_none()));
    text.begin("smarthost_spool_free_bytes");
    if let Some(free) = spool.free_bytes {
        text.sample(&[], number(free));
    }
    text.begin("smarthost_spool_sync_seconds");
    if let Some((_, micros)) = spool.last_sync {
        text.sample(&[], number(micros) / 1_000_000.0);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use control::status::Service;

    use super::*;

    fn status() -> Status {
        let mut status = Status {
            version: "0.1.0".to_owned(),
            refused: vec![("check_sender_access \"a\\b\"\nx".to_owned(), 3)],
            services: vec![Service::new("resolver", "DNS", true, "")],
            ..Status::default()
        };
        let delivered = &mut status.counted.delivered;
        delivered.add(Duration::from_secs(2));
        delivered.add(Duration::from_millis(1500));
        status.counted.deferred("dns");
        status
    }

    #[test]
    fn every_family_is_told_once_with_type_and_help_and_the_text_ends_as_it_must() {
        let text = text(&status(), true, Form::Open, Timestamp::from_secs(9));
        assert!(text.ends_with("\n# EOF\n") && !text.contains("\n\n"));
        let mut begun = HashSet::new();
        for line in text.lines().filter(|line| line.starts_with("# TYPE")) {
            assert!(begun.insert(line), "{line} twice");
        }
        assert_eq!(begun.len(), FAMILIES.len());
        for family in FAMILIES {
            let Family { name, unit, .. } = family;
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
            assert!(
                unit.is_empty() || name.ends_with(&format!("_{unit}")),
                "{name}"
            );
            assert_eq!(
                text.contains(&format!("# UNIT {name} {unit}\n")),
                !unit.is_empty()
            );
            assert!(
                !name.ends_with("_total") && !name.ends_with("_info"),
                "{name}"
            );
        }
    }

    #[test]
    fn labels_are_escaped_and_histograms_add_up() {
        let text = text(&status(), true, Form::Open, Timestamp::from_secs(9));
        for line in [
            "smarthost_build_info{version=\"0.1.0\"} 1",
            "smarthost_rejected_total{rule=\"check_sender_access \\\"a\\\\b\\\"\\nx\"} 3",
            "smarthost_deferred_total{class=\"dns\"} 1",
            "smarthost_delivery_seconds_bucket{outcome=\"delivered\",le=\"1.0\"} 0",
            "smarthost_delivery_seconds_bucket{outcome=\"delivered\",le=\"5.0\"} 2",
            "smarthost_delivery_seconds_bucket{outcome=\"delivered\",le=\"+Inf\"} 2",
            "smarthost_delivery_seconds_sum{outcome=\"delivered\"} 3.5",
            "smarthost_delivery_seconds_count{outcome=\"failed\"} 0",
            "smarthost_service_up{kind=\"resolver\",name=\"DNS\"} 1",
            "smarthost_received_messages_total 0",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
        let plain = super::text(&status(), true, Form::Plain, Timestamp::from_secs(9));
        assert!(plain.contains("# TYPE smarthost_received_messages_total counter\n"));
        assert!(!plain.contains("# UNIT") && !plain.contains("# EOF"));
    }

    #[test]
    fn who_knows_only_the_older_form_gets_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for (accept, form) in [
            ("", Form::Open),
            ("*/*", Form::Open),
            (prometheus, Form::Open),
            ("text/plain", Form::Plain),
        ] {
            assert_eq!(Form::accepted(accept), form, "{accept}");
        }
    }
}
