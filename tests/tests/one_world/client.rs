//! Whoever submits mail: a program on a machine, to its agent, or another host, to the relay. It
//! tries once, and believes what it hears.

use std::{
    io::Cursor,
    net::IpAddr,
    time::{Duration, Instant},
};

use mail::{
    address::{Address, Mailbox},
    envelope::{Mail, Rcpt},
    outcome::Outcome,
};
use relay::conversation::End;
use smtp::client::{Protocol, Security, Settings, Timeouts, Transaction};

use crate::{
    model::Model,
    network::{Arrival, ConnId, Micros, Network, Owner, Sent, Side},
    story::Story,
    talk::Talk,
};

/// A message and where it is given to.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) token: u32,
    pub(crate) at: Micros,
    pub(crate) to: Owner,
    pub(crate) from: IpAddr,
    pub(crate) sender: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Client {
    submission: Submission,
    conn: ConnId,
    talk: Option<Talk>,
    until: Instant,
    pub(crate) over: bool,
}

impl Client {
    pub(crate) fn begin(
        submission: Submission,
        address: IpAddr,
        network: &mut Network,
        out: &mut Vec<Sent>,
        steady: Instant,
    ) -> Self {
        let conn = network.reserve();
        let from = Owner::Client(submission.token);
        out.push(Sent::Dial {
            conn,
            from,
            to: address,
        });
        Self {
            submission,
            conn,
            talk: None,
            until: steady + Duration::from_secs(30),
            over: false,
        }
    }

    pub(crate) fn from(&self) -> IpAddr {
        self.submission.from
    }

    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    pub(crate) fn take(
        &mut self,
        arrival: Option<Arrival>,
        now: (Micros, Instant),
        model: &mut Model,
        story: &mut Story,
        out: &mut Vec<Sent>,
    ) {
        let steady = now.1;
        match (&mut self.talk, arrival) {
            (None, Some(Arrival::Connected)) => {
                let settings = Settings {
                    helo: "client.example".to_owned(),
                    protocol: Protocol::Smtp,
                    security: Security::None,
                    timeouts: Timeouts::default(),
                    known: None,
                    credentials: None,
                    enroll: None,
                };
                self.talk = Some(Talk::begin(self.conn, settings, "it".to_owned(), steady));
            }
            (None, arrival) => {
                // Refused, or waited for in vain.
                if arrival.is_some() || self.until <= steady {
                    self.close(out);
                }
                return;
            }
            (Some(talk), Some(arrival)) => talk.arrived(arrival),
            (Some(_), None) => {}
        }
        while let Some(talk) = &mut self.talk {
            let end = talk.go_on(out, steady);
            self.until = talk.conversation.deadline(steady);
            match end {
                None => return,
                Some(End::Ready) => self.transact(now.0, model, steady),
                Some(End::Finished(outcomes)) => {
                    let token = self.submission.token;
                    story.tell(now.0, &"client", || {
                        format!("message {token}: {outcomes:?}")
                    });
                    let taken = |outcome: &Outcome| matches!(outcome, Outcome::Delivered(_));
                    if outcomes.iter().all(taken) {
                        model.promised(token);
                    }
                    if let Some(talk) = self.talk.take() {
                        talk.quit(out, steady);
                    }
                    self.over = true;
                }
                Some(End::Failed(_)) => self.close(out),
            }
        }
    }

    fn close(&mut self, out: &mut Vec<Sent>) {
        let (conn, by) = (self.conn, Side::Dialler);
        out.push(Sent::Close { conn, by });
        self.talk = None;
        self.over = true;
    }

    fn transact(&mut self, now: Micros, model: &mut Model, steady: Instant) {
        let Submission {
            token,
            sender,
            recipients,
            body,
            ..
        } = &self.submission;
        model.submitted(*token, recipients, body, now);
        let to = recipients
            .iter()
            .map(|it| Rcpt::from(Mailbox::Address(Address::parse(it).unwrap())));
        let sender =
            (!sender.is_empty()).then(|| Mailbox::Address(Address::parse(sender).unwrap()));
        let mut text =
            format!("Subject: token-{token}\r\nFrom: <sender@home.example>\r\nTo: all:;\r\n\r\n")
                .into_bytes();
        text.extend_from_slice(body);
        let transaction = Transaction {
            mail: Mail {
                sender,
                size: Some(text.len() as u64),
                ..Mail::default()
            },
            recipients: to.collect(),
            patience: None,
            kept: false,
        };
        if let Some(talk) = &mut self.talk {
            talk.transact(transaction, Box::new(Cursor::new(text)), steady);
        }
    }
}
