//! Orders as forms send them: the question before one, and the request that the command line would
//! send, too. Pure but for the asking.
//!
//! Contract: an order names a message, a destination or a client; nothing here means the whole
//! queue.

use std::time::Duration;

use control::order::{self, Order, Selection};
use mail::{clock::Timestamp, outcome::escape};

use super::{page::confirm::Question, request::Fields, site::Daemon};
use crate::{
    admin::{Answer, Request},
    limits::ClientId,
};

/// An order, as far as it is given.
#[derive(Debug)]
pub(super) enum Wanted {
    Queue { order: Order, about: About },
    Raise { client: ClientId },
}

/// Which messages.
#[derive(Clone, Debug)]
pub(super) enum About {
    Message(String),
    Destination(String),
}

impl Wanted {
    /// What a form says; the error is for who sent it.
    pub(super) fn read(fields: &Fields) -> Result<Self, String> {
        let said = |name| fields.get(name).filter(|value| !value.is_empty());
        let word = said("order").unwrap_or_default();
        if word == "raise" {
            let client = said("client").ok_or("It names no client.")?;
            let client = client.parse();
            let client = client.map_err(|why| format!("This is not a client: {why}"))?;
            return Ok(Self::Raise { client });
        }
        let order = Order::ALL.into_iter().find(|order| order.word() == word);
        let order = order.ok_or("There is no such order.")?;
        let about = match (said("id"), said("destination")) {
            (Some(id), None) => About::Message(id.to_owned()),
            (None, Some(destination)) => About::Destination(destination.to_owned()),
            _ => return Err("It names no messages.".to_owned()),
        };
        Ok(Self::Queue { order, about })
    }

    /// The question before it.
    /// `counts`: what the limit counts that an order changes, as [`counts`] knows it.
    pub(super) fn question(&self, counts: Option<String>) -> Question {
        let (title, about, button, fields) = match self {
            Self::Queue { order, about } => {
                let (key, value, what) = match about {
                    About::Message(id) => ("id", id, format!("message {id}")),
                    About::Destination(domain) => {
                        ("destination", domain, format!("all that wait for {domain}"))
                    }
                };
                let fields = vec![(key.to_owned(), value.clone())];
                let word = match order {
                    Order::Flush => "Try now",
                    Order::Hold => "Hold",
                    Order::Release => "Release",
                    Order::Delete => "Delete",
                    Order::Bounce => "Return to sender",
                };
                let title = format!("{word}: {what}?");
                (title, format!("{}.", order.about()), word, fields)
            }
            Self::Raise { client } => {
                let fields = vec![("client".to_owned(), client.to_string())];
                let about = "For a while another limit stands in place of the longest one; others, and what was counted, stay.";
                let title = format!("Another limit for {client}?");
                (title, about.to_owned(), "Set the limit", fields)
            }
        };
        let order = ("order".to_owned(), self.word().to_owned());
        Question {
            title,
            about,
            button: button.to_owned(),
            grave: matches!(
                self,
                Self::Queue {
                    order: Order::Delete | Order::Bounce,
                    ..
                }
            ),
            fields: [order].into_iter().chain(fields).collect(),
            limit: counts,
            back: self.back(),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Queue { order, .. } => order.word(),
            Self::Raise { .. } => "raise",
        }
    }

    /// The page that it was given on.
    pub(super) fn back(&self) -> String {
        match self {
            Self::Queue {
                about: About::Message(id),
                ..
            } => {
                format!("/message/{}", super::page::encoded(id))
            }
            Self::Queue {
                about: About::Destination(domain),
                ..
            } => {
                format!("/queue?destination={}", super::page::encoded(domain))
            }
            Self::Raise { .. } => "/clients".to_owned(),
        }
    }

    /// As the command line would ask.
    pub(super) fn request(&self, fields: &Fields, now: Timestamp) -> Result<Request, String> {
        Ok(match self {
            Self::Queue { order, about } => Request::Queue(order::Request::Change {
                order: *order,
                selection: about.selection(),
            }),
            Self::Raise { client } => {
                let whole = |name, most| {
                    let value = fields.get(name).and_then(|value| value.parse::<u32>().ok());
                    let value = value.filter(|value| *value <= most);
                    value.ok_or_else(|| format!("{name}: write a number up to {most}."))
                };
                let hours = whole("hours", 8760)?.max(1);
                Request::LimitsRaise {
                    client: client.clone(),
                    limit: whole("limit", 1_000_000)?,
                    until: now.after(Duration::from_hours(hours.into())),
                }
            }
        })
    }

    /// For the log.
    pub(super) fn told(&self) -> String {
        let about = match self {
            Self::Queue {
                about: About::Message(text) | About::Destination(text),
                ..
            } => text.clone(),
            Self::Raise { client } => client.to_string(),
        };
        format!("{} {}", self.word(), escape(about.as_bytes(), 200))
    }
}

impl About {
    fn selection(&self) -> Selection {
        match self {
            Self::Message(id) => Selection::ids(vec![id.clone()]),
            Self::Destination(domain) => Selection {
                destination: Some(domain.clone()),
                ..Selection::default()
            },
        }
    }
}

/// What the limit counts that an order would change; the error: there can be no such order.
pub(super) fn counts(daemon: &dyn Daemon, wanted: &Wanted) -> Result<Option<String>, String> {
    let Wanted::Raise { client } = wanted else {
        return Ok(None);
    };
    let client = client.clone();
    let mut found = Err(format!("{client}: nothing is known of it"));
    let asked = daemon.ask(Request::LimitsShow { client }, &mut |answer| {
        match answer {
            Answer::Report(report) => found = Ok(Some(report.changes())),
            Answer::Queue(order::Answer::Refused(why)) => found = Err(why.clone()),
            _ => {}
        }
        Ok(())
    });
    asked.map_err(|error| error.to_string()).and(found)
}

/// Has it carried out; whether it was done as it was wanted, and what is to be said of it.
pub(super) fn carry_out(daemon: &dyn Daemon, request: Request) -> (bool, Vec<String>) {
    let (mut done, mut lines) = (true, Vec::new());
    let asked = daemon.ask(request, &mut |answer| {
        match answer {
            Answer::Queue(order::Answer::Changed(count)) => {
                let plural = if *count == 1 { "" } else { "s" };
                lines.push(format!("{count} message{plural}."));
            }
            Answer::Queue(order::Answer::Noted(what)) => lines.push(what.clone()),
            Answer::Queue(order::Answer::Refused(why)) => {
                done = false;
                lines.push(why.clone());
            }
            Answer::Report(report) => {
                let ordered = report.ordered().unwrap_or_default();
                lines.push(format!("{}: {}; {ordered}.", report.client, report.usage()));
            }
            _ => {}
        }
        Ok(())
    });
    if let Err(error) = asked {
        done = false;
        lines.push(error.to_string());
    }
    (done, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Wanted, String> {
        Wanted::read(&Fields::read(text.as_bytes()))
    }

    #[test]
    fn an_order_names_what_it_is_about_and_never_the_whole_queue() {
        let now = Timestamp::from_secs(0);
        for order in Order::ALL {
            let text = format!("order={}&id=0000000000001", order.word());
            let wanted = read(&text).unwrap();
            let fields = Fields::read(text.as_bytes());
            let Ok(Request::Queue(order::Request::Change {
                order: same,
                selection,
            })) = wanted.request(&fields, now)
            else {
                panic!("{text}")
            };
            assert_eq!(
                (same, selection.ids.len(), selection.all),
                (order, 1, false)
            );
        }
        for wrong in [
            "",
            "order=delete",
            "order=delete&id=",
            "order=delete&all=true",
            "order=delete&id=1&destination=x",
            "order=nonsense&id=1",
            "order=raise",
            "order=raise&client=not%20a%20client%0a",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let fields = "order=raise&client=10.0.0.7&limit=-1&hours=24";
        let raise = read(fields).unwrap();
        assert!(
            raise
                .request(&Fields::read(fields.as_bytes()), now)
                .is_err()
        );
        assert!(
            read("order=delete&destination=x.example")
                .unwrap()
                .question(None)
                .grave
        );
    }
}
