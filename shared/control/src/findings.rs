//! What `check` found: a table for people, JSON for programs, a level for monitoring. Pure.

use mail::{masked, text::printable};
use serde::Serialize;

use crate::listing::Row;

/// How bad it is; the worst decides the exit status.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    Warning,
    Critical,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    pub level: Level,
    /// What was looked at, in a word or two.
    pub subject: &'static str,
    pub text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// All of them, in the order in which mail meets them.
#[derive(Debug, Default, Serialize)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// In order.
    pub fn ok(&mut self, subject: &'static str, text: impl Into<String>) {
        self.add(Level::Ok, subject, text, None);
    }

    /// Works, and wants attention.
    pub fn warn(&mut self, subject: &'static str, text: impl Into<String>, remedy: &str) {
        self.add(Level::Warning, subject, text, Some(remedy.to_owned()));
    }

    /// Does not work.
    pub fn fail(&mut self, subject: &'static str, text: impl Into<String>, remedy: &str) {
        self.add(Level::Critical, subject, text, Some(remedy.to_owned()));
    }

    /// With its level, and with a remedy or without.
    pub fn add(
        &mut self,
        level: Level,
        subject: &'static str,
        text: impl Into<String>,
        remedy: Option<String>,
    ) {
        self.0.push(Finding {
            level,
            subject,
            text: text.into(),
            remedy,
        });
    }

    /// The worst of them.
    pub fn level(&self) -> Level {
        let levels = self.0.iter().map(|finding| finding.level);
        levels.max().unwrap_or(Level::Ok)
    }

    /// What is critical for one way is a warning if there is another.
    pub fn soften(&mut self) {
        for finding in &mut self.0 {
            finding.level = finding.level.min(Level::Warning);
        }
    }

    /// `{"status": …, "findings": […]}`.
    pub fn json(&self) -> String {
        serde_json::json!({ "status": self.level(), "findings": self }).to_string()
    }

    /// A line each, remedies below.
    pub fn table(&self) -> String {
        let mut lines = Vec::new();
        for finding in &self.0 {
            let level = match finding.level {
                Level::Ok => "ok",
                Level::Warning => "WARN",
                Level::Critical => "FAIL",
            };
            lines.push(format!(
                "{level:<5} {:<13} {}",
                finding.subject, finding.text
            ));
            if let Some(remedy) = &finding.remedy {
                lines.push(format!("{:19} -> {remedy}", ""));
            }
        }
        lines.join("\n")
    }
}

/// Bounces and notices that nobody took, on hold until an administrator looks: what they tell has
/// reached nobody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Untold {
    count: u64,
    oldest: Option<Row>,
}

impl Untold {
    /// Looks at a message of the queue.
    pub fn see(&mut self, row: &Row) {
        if row.queue_name != "hold" || !row.sender.is_empty() {
            return;
        }
        self.count = self.count.saturating_add(1);
        let is_older = |known: &Row| row.arrival < known.arrival;
        if self.oldest.as_ref().is_none_or(is_older) {
            self.oldest = Some(row.clone());
        }
    }

    /// Tells of them, if there are any; `program`: whose queue it is.
    pub fn tell(self, program: &str, findings: &mut Findings) {
        let Some(oldest) = self.oldest else { return };
        let to = oldest.recipients.first();
        let to = to.map_or("", |to| to.address.as_str());
        let text = format!(
            "bounces or notices that nobody takes: {}, the first of {} for <{}>",
            self.count,
            oldest.arrival.mailq(),
            printable(to)
        );
        let remedy = format!(
            "{program} queue show {}; when their recipients can be reached: {program} queue \
             release --held --sender '<>'",
            oldest.queue_id
        );
        findings.warn("held", text, &remedy);
    }
}

/// Settings of a daemon that are not those of the files: key, what it has, what the files say.
pub fn differing(settings: &[(String, String, String)]) -> String {
    /// Settings that are told of.
    const TOLD: usize = 4;
    /// Characters of a value.
    const VALUE: usize = 200;
    let told = settings.iter().take(TOLD).map(|(key, has, says)| {
        let shown = |value: &str| match value {
            "" => "not set".to_owned(),
            value => value.chars().take(VALUE).collect(),
        };
        match masked::values(key, has, says) {
            Some([has, says]) => format!(
                "{key} is {} there, {} in the files",
                shown(&has),
                shown(&says)
            ),
            None => format!("{key} is another one there than in the files"),
        }
    });
    let text = told.collect::<Vec<_>>().join("; ");
    match settings.len().checked_sub(TOLD) {
        Some(more @ 1..) => format!("{text}; and {more} more"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_stands_in_a_line_with_its_remedy_below_and_the_worst_decides() {
        let mut findings = Findings::default();
        findings.ok("name", "vm1.example.org");
        assert_eq!(findings.level(), Level::Ok);
        findings.warn(
            "certificate",
            "ends in 3 days",
            "the relayhost must renew it",
        );
        findings.fail("agent", "does not answer", "systemctl start x");
        assert_eq!(findings.level(), Level::Critical);
        assert_eq!(
            findings.table(),
            "ok    name          vm1.example.org\n\
             WARN  certificate   ends in 3 days\n\
             \x20                   -> the relayhost must renew it\n\
             FAIL  agent         does not answer\n\
             \x20                   -> systemctl start x"
        );
        findings.soften();
        assert_eq!(findings.level(), Level::Warning);
    }
}
