//! What `sendmail` tells its caller: an exit status and, if anything is wrong, a line on standard
//! error.
//!
//! Contract: 0 only when every recipient was taken. Of several faults the one that a retry can mend
//! wins (75).
//! `sysexits.h`.

use mail::outcome::{Failure, Outcome};
use system::sysexits::Exit;

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    pub exit: Exit,
    /// For standard error, one each.
    pub lines: Vec<String>,
}

impl Report {
    /// One fault.
    pub fn fault(exit: Exit, line: impl Into<String>) -> Self {
        Self {
            exit,
            lines: vec![line.into()],
        }
    }

    /// From the outcomes of all recipients, in order; `verbose` tells of success too.
    pub fn of(recipients: &[String], outcomes: &[Outcome], verbose: bool) -> Self {
        let mut report = Self {
            exit: Exit::Ok,
            lines: Vec::new(),
        };
        let mut deferred = outcomes.is_empty();
        for (recipient, outcome) in recipients.iter().zip(outcomes) {
            match outcome {
                Outcome::Delivered(delivery) if verbose => report
                    .lines
                    .push(format!("{recipient}: {}", delivery.reply)),
                Outcome::Delivered(_) => {}
                Outcome::Deferred(failure) => {
                    deferred = true;
                    report
                        .lines
                        .push(format!("{recipient}: not taken: {}", failure.log_text()));
                }
                Outcome::Failed(failure) => {
                    report.exit = refused(failure);
                    report
                        .lines
                        .push(format!("{recipient}: refused: {}", failure.log_text()));
                }
            }
        }
        if deferred {
            report.exit = Exit::TempFail;
        }
        report.lines.dedup();
        report
    }

    /// Adds what was taken for others alone: whose mail aliases refuse, and why.
    #[must_use]
    pub fn with_refused(mut self, refused: Option<String>) -> Self {
        if let Some(refused) = refused {
            if self.exit == Exit::Ok {
                self.exit = Exit::NoUser;
            }
            self.lines.push(format!("refused by an alias: {refused}"));
        }
        self
    }

    /// Adds malformed recipients, which were not tried.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<String>) -> Self {
        if !problems.is_empty() && self.exit == Exit::Ok {
            self.exit = Exit::DataErr;
        }
        self.lines.extend(problems);
        self
    }
}

fn refused(failure: &Failure) -> Exit {
    let status = failure.status.to_string();
    match failure.stage {
        _ if status == "5.1.1" => Exit::NoUser,
        _ if status == "5.3.4" || status == "5.2.3" || status.starts_with("5.1.") => Exit::DataErr,
        _ => Exit::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use mail::{
        outcome::{Blame, Delivery, Handover, Stage},
        status::{EnhancedStatus, ReplyCode},
    };

    use super::*;

    fn delivered() -> Outcome {
        Outcome::Delivered(Delivery {
            relay: "r".into(),
            reply: "250 2.0.0 Ok: queued as X".into(),
            handover: Handover::Promised,
        })
    }
    fn refused(stage: Stage, code: u16, text: &str) -> Outcome {
        let status = EnhancedStatus::parse(text.split(' ').nth(1).unwrap());
        Failure::replied(stage, ReplyCode::new(code).unwrap(), status, text).outcome()
    }

    #[test]
    fn the_exit_status_is_0_only_if_every_recipient_was_taken_and_75_if_trying_again_can_help() {
        let unknown = || refused(Stage::Recipient, 550, "550 5.1.1 unknown");
        let later = || refused(Stage::Recipient, 450, "450 4.2.0 later");
        let policy = || refused(Stage::Mail, 554, "554 5.7.1 no");
        let big = || refused(Stage::Mail, 552, "552 5.3.4 too big");
        for (outcomes, exit) in [
            (vec![delivered(), delivered()], Exit::Ok),
            (vec![delivered(), unknown()], Exit::NoUser),
            (vec![delivered(), later()], Exit::TempFail),
            (vec![unknown(), later()], Exit::TempFail),
            (vec![policy(), policy()], Exit::Unavailable),
            (vec![big(), big()], Exit::DataErr),
            (vec![], Exit::TempFail),
        ] {
            let recipients = ["a@x.example".to_owned(), "b@x.example".to_owned()];
            assert_eq!(
                Report::of(&recipients, &outcomes, false).exit,
                exit,
                "{outcomes:?}"
            );
        }
    }

    #[test]
    fn a_line_names_the_recipient_and_what_was_said_and_success_is_silent_unless_asked() {
        let recipients = ["a@x.example".to_owned()];
        assert!(
            Report::of(&recipients, &[delivered()], false)
                .lines
                .is_empty()
        );
        assert_eq!(
            Report::of(&recipients, &[delivered()], true).lines,
            ["a@x.example: 250 2.0.0 Ok: queued as X"]
        );
        let lost = Failure::new(
            Blame::Network,
            Stage::Message,
            EnhancedStatus::new(4, 4, 2),
            "lost connection",
        )
        .at("r:25");
        let report = Report::of(&recipients, &[lost.outcome()], false)
            .with_problems(vec!["bad address \"x@@y\"".into()]);
        assert_eq!(report.exit, Exit::TempFail);
        assert!(
            report.lines[0].starts_with("a@x.example: not taken: lost connection with r:25"),
            "{report:?}"
        );
        assert_eq!(report.lines.len(), 2);
    }
}
