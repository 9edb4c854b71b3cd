//! `/health`: whether the daemon takes mail, as JSON for whoever watches over it. Pure.
//!
//! Contract: not ready means that mail is not taken, or not sent at all; everything else that is
//! wrong is a warning, so that no monitor takes a relay away that does its work.

use control::status::Status;
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
        if let Some(fault) = &status.spool.fault {
            causes.push(Cause::new("spool", fault));
        }
        if let Some(fault) = &status.fault {
            let list = if status.queues_only {
                &mut causes
            } else {
                &mut warnings
            };
            list.push(Cause::new("configuration", fault));
        }
        for alarm in &status.alarms {
            warnings.push(Cause::new("alarm", alarm));
        }
        for service in status.services.iter().filter(|service| !service.works) {
            let what = format!("{} {}", service.kind, service.name);
            warnings.push(Cause::new(what, &service.text));
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
