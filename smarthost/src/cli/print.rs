//! Answers as text. Pure.

use std::fmt::Write as _;

use mail::clock::Timestamp;

use crate::{admin::Answer, limits::Report};

/// Clients and what they sent, a line each.
pub(super) fn reports(answers: &[Answer]) -> String {
    let reports: Vec<&Report> = answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::Report(report) => Some(report),
            _ => None,
        })
        .collect();
    if reports.is_empty() {
        return "no client has sent anything".to_owned();
    }
    let width = reports
        .iter()
        .map(|report| report.client.len())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for report in reports {
        let _ = write!(text, "{:width$}  {}", report.client, report.usage());
        for more in [report.ordered(), report.logins.map(|it| it.words())]
            .iter()
            .flatten()
        {
            let _ = write!(text, "; {more}");
        }
        let blocked = report.raised.is_some_and(|(limit, _)| limit == 0);
        if let Some(slot) = report.next_slot.filter(|_| !blocked) {
            let over = match report.attempts {
                Some(_) => "too many attempts",
                None => "over the limit",
            };
            let _ = write!(text, "; {over}, next message at {}", slot.rfc3339());
        }
        text.push('\n');
    }
    text
}

pub(super) fn status(answers: &[Answer], now: Timestamp) -> String {
    let mut answers = answers.iter();
    let status = answers.find_map(|answer| match answer {
        Answer::Status(status) => Some(console::status::text(status, now)),
        _ => None,
    });
    status.unwrap_or_default()
}

/// One JSON value a line.
pub(super) fn json(answers: &[Answer]) -> String {
    let mut text = String::new();
    for answer in answers {
        let value = match answer {
            Answer::Report(report) => serde_json::to_string(report),
            Answer::Status(status) => serde_json::to_string(status),
            _ => continue,
        };
        // Plain structs of texts and numbers: nothing in them can fail to be written.
        text.push_str(&value.unwrap_or_default());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use queue::rate::Window;

    use super::*;

    #[test]
    fn a_client_over_its_limit_is_one_line_that_says_when_it_may_send_again() {
        let window = Window {
            limit: 100,
            span: Duration::from_hours(24),
        };
        let report = Report {
            client: "10.0.0.7".to_owned(),
            windows: vec![(100, window.into())],
            next_slot: Some(Timestamp::from_secs(1_795_333_912)),
            ..Report::default()
        };
        let other = Report {
            client: "2001:db8::/64".to_owned(),
            next_slot: None,
            exempt: true,
            ..report.clone()
        };
        let order = |limit, until| Report {
            raised: Some((limit, until)),
            usual: Some(100),
            ..report.clone()
        };
        let until = Timestamp::from_secs(1_795_333_912);
        for (limit, told) in [
            (0, "blocked"),
            (5, "lowered to 5 messages in a day"),
            (500, "raised to 500 messages in a day"),
        ] {
            let line = reports(&[Answer::Report(order(limit, until))]);
            assert!(
                line.contains(&format!("; {told} until 2026-11-22T")),
                "{line}"
            );
            assert_eq!(line.contains("next message"), limit != 0, "{line}");
        }
        let text = reports(&[Answer::Report(report), Answer::Report(other)]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with(
                "10.0.0.7       100 of 100 in a day; over the limit, next message at 2026-11-22T"
            ),
            "{text}"
        );
        assert_eq!(lines[1], "2001:db8::/64  exempt, not counted");
        assert_eq!(reports(&[]), "no client has sent anything");
    }
}
