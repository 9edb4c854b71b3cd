//! What `smarthost check` finds of machines that are enrolled, and of lines for them.

use control::findings::Findings;
use mail::clock;

use crate::{
    config::Config,
    enroll::{Row, State},
    enrolling::Enrolled,
    notices::counted,
};

/// What was looked at.
const SUBJECT: &str = "enrolment";
/// Names that are told.
const TOLD: usize = 5;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let enrolled = Enrolled::open(&config.state);
    if let Some(fault) = enrolled.fault() {
        findings.fail(
            SUBJECT,
            fault,
            "smarthost enroll list shows the enrolled machines",
        );
    }
    for alarm in enrolled.doubled() {
        findings.warn(
            SUBJECT,
            alarm,
            "smarthost enroll revoke NAME, then a new line",
        );
    }
    let users = config.read_users().ok();
    let logins = users.and_then(|(users, _)| users.verifiers());
    let is_login = |name: &str| logins.as_ref().is_some_and(|it| it.contains_key(name));
    for clash in enrolled.namesakes(config, is_login) {
        findings.warn(
            SUBJECT,
            clash,
            "each machine, login and key needs a name of its own",
        );
    }
    let Ok(rows) = enrolled.read(|book| book.list(clock::now())) else {
        return;
    };
    let of = |state: State| -> Vec<&Row> { rows.iter().filter(|row| row.state == state).collect() };
    let [machines, open, expired] = [State::Enrolled, State::Open, State::Expired].map(of);
    if machines.is_empty() && open.is_empty() && expired.is_empty() {
        return;
    }
    if !config.listen.iter().any(|it| it.offer.asks_for_keys()) {
        findings.fail(
            SUBJECT,
            "machines are enrolled, or are to be, but no port accepts their keys",
            "add one with TLS to listen, such as 465 or 587 (submission = true)",
        );
    }
    if !expired.is_empty() {
        findings.warn(
            SUBJECT,
            format!("lines that expired unused: {}", names(&expired)),
            "smarthost enroll NAME makes a new one, smarthost enroll forget NAME drops it",
        );
    }
    let lines = counted(number(&open), "line");
    let machines = counted(number(&machines), "machine");
    let text = format!("{machines} known by a key, {lines} not used yet");
    findings.ok(SUBJECT, text);
}

fn number(rows: &[&Row]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}

fn names(rows: &[&Row]) -> String {
    let told: Vec<_> = rows
        .iter()
        .take(TOLD)
        .map(|row| row.name.as_str())
        .collect();
    let more = rows.len().saturating_sub(TOLD);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    told.join(", ") + &more
}
