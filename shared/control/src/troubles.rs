//! What is wrong with a daemon now: one list, from what it says of itself. Pure.
//!
//! Contract: `status`, `check`, `/health`, the status page, `top` and the metrics all read this
//! list, so that none of them calls well what another one complains of. What [`Status`] learns to
//! tell of faults belongs here.

use crate::status::{Service, Status};

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What<'a> {
    Spool,
    /// No mail is taken, by an order.
    Refuses,
    /// The configuration's files.
    Configuration,
    /// The listeners show a certificate that is out of time.
    Certificate,
    /// Any other thing that wants an administrator.
    Alarm,
    /// Something that the daemon asks.
    Service(&'a Service),
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble<'a> {
    pub what: What<'a>,
    /// Mail is not taken, or not sent at all, until that is over.
    pub stops: bool,
    pub text: String,
}

impl Status {
    /// All that is wrong, the worst first.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble<'_>> {
        let trouble = |what, stops, text: &String| Trouble {
            what,
            stops,
            text: text.clone(),
        };
        let spool = self.spool.fault.iter();
        let spool = spool.map(|text| trouble(What::Spool, true, text));
        let refuses = self.refuses.iter();
        let refuses = refuses.map(|text| trouble(What::Refuses, true, text));
        let fault = self.fault.iter();
        let fault = fault.map(|text| trouble(What::Configuration, self.queues_only, text));
        let expired = self
            .expired()
            .map(|text| trouble(What::Certificate, false, &text));
        let failing = self.services.iter().filter(|service| !service.works);
        let is_service = |alarm: &str| {
            let mut failing = failing.clone();
            failing.any(|it| alarm.starts_with(&it.kind) && alarm.contains(&it.text))
        };
        // What is an alarm and a service, too, is told once.
        let alarms = self.alarms.iter().filter(|alarm| !is_service(alarm));
        let alarms = alarms.map(|text| trouble(What::Alarm, false, text));
        let failing = failing.clone().map(|it| Trouble {
            what: What::Service(it),
            stops: it.stops,
            text: format!("{} {}: {}", it.kind, it.name, it.text),
        });
        let own = spool.chain(refuses).chain(fault).chain(expired);
        let mut all: Vec<_> = own.chain(alarms).chain(failing).collect();
        all.sort_by_key(|trouble| !trouble.stops);
        all
    }

    /// Since when the listeners' certificate is out of time, if it is.
    fn expired(&self) -> Option<String> {
        let ends = self.certificate_ends.filter(|ends| *ends <= self.as_of)?;
        Some(format!(
            "the certificate of the listeners has expired, since {}: renew it, then run {} reload",
            ends.rfc3339(),
            self.program
        ))
    }
}

#[cfg(test)]
mod tests {
    use mail::clock::Timestamp;

    use super::*;
    use crate::status::Spool;

    #[test]
    fn whatever_a_status_complains_of_is_in_the_list_and_what_stops_mail_comes_first() {
        let text = || Some("x".to_owned());
        let status = Status {
            as_of: Timestamp::from_secs(10),
            certificate_ends: Some(Timestamp::from_secs(9)),
            alarms: vec!["list off".to_owned(), "resolver DNS: timed out".to_owned()],
            fault: text(),
            refuses: text(),
            services: vec![
                Service::new("resolver", "DNS", false, "timed out"),
                Service::new("milter", "m", true, "answers"),
                Service::new("budget", "b", false, "cut off").stopping(true),
            ],
            spool: Spool {
                fault: text(),
                ..Spool::default()
            },
            ..Status::default()
        };
        let all = status.troubles();
        let stops: Vec<bool> = all.iter().map(|it| it.stops).collect();
        assert_eq!(stops, [true, true, true, false, false, false, false]);
        let queues_only = Status {
            queues_only: true,
            ..status.clone()
        };
        let stops = queues_only.troubles().into_iter().filter(|it| it.stops);
        assert_eq!(stops.count(), 4);
        assert!(Status::default().troubles().is_empty());
        let later = Status {
            certificate_ends: Some(Timestamp::from_secs(11)),
            ..status.clone()
        };
        assert_eq!(later.troubles().len(), all.len() - 1);
    }
}
