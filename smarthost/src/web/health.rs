//! `/health`: whether the daemon takes mail, as JSON for whoever watches over it. Pure.
//!
//! Contract: not ready means that mail is not taken, or not sent at all; everything else that is
//! wrong is a warning, so that no monitor takes a relay away that does its work.

use control::{status::Status, troubles::What};
use serde::Serialize;

/// How it does.
#[derive(Serialize, Debug)]
pub(super) struct Health {
    status: &'static str,
    /// Why it is not ready.
    causes: Vec<Cause>,
    /// What wants an administrator all the same.
    warnings: Vec<Cause>,
}

#[derive(Serialize, Debug)]
struct Cause {
    what: String,
    text: String,
}

impl Cause {
    fn new(what: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            text: text.into(),
        }
    }
}

impl Health {
    pub(super) fn of(status: &Status) -> Self {
        let mut causes = Vec::new();
        let mut warnings = Vec::new();
        for trouble in status.troubles() {
            let cause = match trouble.what {
                What::Spool => Cause::new("spool", trouble.text),
                What::Refuses => Cause::new("drain", trouble.text),
                What::Configuration => Cause::new("configuration", trouble.text),
                What::Certificate => Cause::new("certificate", trouble.text),
                What::Alarm => Cause::new("alarm", trouble.text),
                What::Service(it) => Cause::new(format!("{} {}", it.kind, it.name), &it.text),
            };
            let list = if trouble.stops {
                &mut causes
            } else {
                &mut warnings
            };
            list.push(cause);
        }
        let status = if causes.is_empty() {
            "ready"
        } else {
            "not ready"
        };
        Self {
            status,
            causes,
            warnings,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.causes.is_empty()
    }

    pub(super) fn json(&self) -> String {
        // Texts always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use control::status::{Service, Spool};

    use super::*;

    #[test]
    fn only_what_stops_mail_makes_it_unready() {
        let status = Status {
            fault: Some("x.toml: 3".to_owned()),
            alarms: vec!["list off".to_owned()],
            services: vec![Service::new("resolver", "DNS", false, "timed out")],
            ..Status::default()
        };
        let health = Health::of(&status);
        assert!(
            health.is_ready() && health.warnings.len() == 3,
            "{health:?}"
        );
        let drained = Health::of(&Status {
            refuses: Some("its queue moves to b".to_owned()),
            ..Status::default()
        });
        assert!(!drained.is_ready(), "{drained:?}");
        assert!(drained.json().contains("its queue moves to b"));
        for (queues_only, fault) in [(true, None), (false, Some("disk full".to_owned()))] {
            let spool = Spool {
                fault,
                ..Spool::default()
            };
            let health = Health::of(&Status {
                queues_only,
                spool,
                ..status.clone()
            });
            assert!(!health.is_ready(), "{health:?}");
            assert!(
                health
                    .json()
                    .starts_with("{\"status\":\"not ready\",\"causes\":[{\"what\":")
            );
        }
        assert_eq!(
            Health::of(&Status::default()).json(),
            "{\"status\":\"ready\",\"causes\":[],\"warnings\":[]}"
        );
    }
}
