//! `status` of both programs, for people.

use std::{fmt::Write as _, time::Duration};

use control::{
    status::{Counted, GROUPS, LOOKED_AT, Status},
    summary::{Group, Summary, shown},
    troubles::What,
};
use mail::{clock::Timestamp, text::printable};
use settings::Span;

const MIB: u64 = 1024 * 1024;
/// Longest reason in a line, characters; of a service, when it is tried again stands before it.
const REASON: usize = 120;
const STANDING: usize = 240;

/// What a daemon said of itself; sections without anything to tell are left out.
pub fn text(status: &Status, now: Timestamp) -> String {
    let mut out = String::new();
    head(&mut out, status, now);
    queue(&mut out, "Waits, by destination", &status.destinations, now);
    queue(&mut out, "Waits, by who sent it", &status.senders, now);
    let taken = status.taken.iter().take(GROUPS).map(|taken| {
        let unit = match taken.unit.as_str() {
            "" => String::new(),
            unit => format!(", {}", shown(unit)),
        };
        let (user, kib) = (shown(&taken.user), taken.bytes.div_ceil(1024));
        format!("{:>6}  {user}{unit}: {kib} KiB", taken.messages)
    });
    section(&mut out, "Taken since the start, by user and unit", taken);
    let limits = status
        .limits
        .iter()
        .take(GROUPS)
        .map(|(client, percent, usage)| format!("{percent:>4} %  {}  {usage}", shown(client)));
    section(&mut out, "Nearest to a limit", limits);
    let refused = status.refused.iter();
    let refused = refused.map(|(rule, count)| format!("{count:>6}  {}", shown(rule)));
    section(&mut out, "Refused since the start, by rule", refused);
    let services = status.services.iter().map(|service| {
        let state = if service.works { "ok  " } else { "FAIL" };
        let (kind, name) = (&service.kind, shown(&service.name));
        format!(
            "{state}  {kind} {name}: {}",
            cut_at(STANDING, &service.text)
        )
    });
    section(&mut out, "Asked by it", services);
    let learned = status.learned.iter().take(GROUPS).map(|learned| {
        let by = learned.transport.as_ref();
        let by = by.map_or_else(String::new, |name| format!(" by {}", shown(name)));
        let hosts = cut(&learned.hosts.join(", "));
        let ago = Span::coarse(now.since(learned.learned));
        format!("{:>6}  {hosts}{by}, said {ago} ago", learned.connections)
    });
    section(&mut out, "Connections that hosts take at once", learned);
    out.truncate(out.trim_end().len());
    out
}

fn head(out: &mut String, status: &Status, now: Timestamp) {
    let up = Duration::from_secs(now.since(status.started).as_secs());
    let identity = format!(
        "{} on {}, process {}",
        status.version, status.hostname, status.pid
    );
    let counted = (status.clients > 0).then(|| format!("{} counted", status.clients));
    let closed = (status.closed > 0).then(|| match status.closed {
        1 => "refused from 1 address, after too many that failed".to_owned(),
        more => format!("refused from {more} addresses, after too many that failed"),
    });
    let rows = [
        (status.program.as_str(), identity),
        (
            "running for",
            format!("{}, since {}", Span(up), status.started.rfc3339()),
        ),
        ("settings of", status.configured.rfc3339()),
        ("listening on", status.listen.join(", ")),
        ("sessions", status.sessions.to_string()),
        ("queued", queued(status, now)),
        ("draining", status.draining.clone().unwrap_or_default()),
        ("taken", taken(&status.counted)),
        ("recipients", recipients(&status.counted)),
        ("spool", spool(status)),
        ("clients", counted.unwrap_or_default()),
        ("logins", closed.unwrap_or_default()),
        ("pin", status.pin.clone()),
        ("certificate", certificate(status, now)),
        ("configuration", status.fault.clone().unwrap_or_default()),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:13} {value}");
    }
    // The others stand in lines of their own.
    let told = |what| matches!(what, What::Refuses | What::Certificate | What::Alarm);
    let troubles = status.troubles().into_iter();
    for trouble in troubles.filter(|trouble| told(trouble.what)) {
        let _ = writeln!(out, "{:13} {}", "alarm", printable(&trouble.text));
    }
}

/// What waits, since when, and what of it is on hold.
pub fn queued(status: &Status, now: Timestamp) -> String {
    let (total, in_flight) = (&status.destinations.total, status.in_flight);
    let mut text = format!(
        "{} messages, {in_flight} deliveries in flight",
        status.queued
    );
    if total.count > 0 {
        let _ = write!(text, ", oldest {}", Span::coarse(now.since(total.oldest)));
    }
    if total.held > 0 {
        let _ = write!(text, ", {} recipients on hold", total.held);
    }
    text
}

/// What came since the start; empty where nothing is counted.
fn taken(counted: &Counted) -> String {
    if *counted == Counted::default() {
        return String::new();
    }
    let kib = counted.received_bytes.div_ceil(1024);
    format!("{} messages, {kib} KiB since the start", counted.received)
}

/// What became of it.
pub fn recipients(counted: &Counted) -> String {
    if *counted == Counted::default() {
        return String::new();
    }
    let (sent, bounced) = (counted.delivered.count(), counted.failed.count());
    let deferred: u64 = counted.deferred.iter().map(|(_, count)| count).sum();
    let classes = counted.deferred.iter().filter(|(_, count)| *count > 0);
    let classes: Vec<_> = classes
        .map(|(class, count)| format!("{count} {class}"))
        .collect();
    let mut text = format!("{sent} sent, {bounced} bounced, {deferred} deferrals");
    if !classes.is_empty() {
        let _ = write!(text, " ({})", classes.join(", "));
    }
    if counted.removed > 0 {
        let _ = write!(text, ", {} deleted", counted.removed);
    }
    text
}

fn certificate(status: &Status, now: Timestamp) -> String {
    status.certificate_ends.map_or_else(String::new, |ends| {
        let day: String = ends.rfc3339().chars().take(10).collect();
        if ends <= now {
            return format!("expired, since {day}");
        }
        let days = ends.since(now).as_secs() / 86_400;
        format!("ends in {days} days, {day}")
    })
}

fn spool(status: &Status) -> String {
    let spool = &status.spool;
    let free = spool
        .free_bytes
        .map(|bytes| format!("{} MiB free", bytes / MIB));
    let synced = spool.last_sync.map(|(then, took)| {
        let (whole, part) = (took / 1000, took % 1000 / 100);
        format!("last sync took {whole}.{part} ms, {}", then.rfc3339())
    });
    let fault = spool.fault.as_ref().map(|why| printable(why));
    let parts = [Some(spool.path.clone()), free, synced, fault];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

fn queue(out: &mut String, title: &str, summary: &Summary, now: Timestamp) {
    let (groups, more) = summary.largest(GROUPS);
    let lines = groups.iter().map(|group| line(group, now));
    let more = (more > 0).then(|| format!("and {more} more"));
    let most = u64::try_from(LOOKED_AT).unwrap_or(u64::MAX);
    let partly = (summary.total.count >= most).then(|| format!("of the {most} oldest messages"));
    section(out, title, lines.chain(more).chain(partly));
}

fn line(group: &Group, now: Timestamp) -> String {
    let age = Span(Duration::from_secs(now.since(group.oldest).as_secs()));
    let mut line = format!("{:>6}  {}, oldest {age}", group.count, shown(&group.name));
    if group.held > 0 {
        let _ = write!(line, ", {} on hold", group.held);
    }
    if let Some(next) = group.next_attempt {
        let _ = write!(line, ", next attempt {}", next.seen_from(now));
    }
    if !group.reason.is_empty() {
        let _ = write!(line, ": {}", cut(&group.reason));
    }
    line
}

fn section(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    for (index, line) in lines.enumerate() {
        if index == 0 {
            let _ = write!(out, "\n{title}\n");
        }
        let _ = writeln!(out, "  {line}");
    }
}

fn cut(text: &str) -> String {
    cut_at(REASON, text)
}

fn cut_at(most: usize, text: &str) -> String {
    let mut shown: String = printable(text).chars().take(most).collect();
    if text.chars().count() > most {
        shown.push('…');
    }
    shown
}
