//! What a summary counts from memory is what it would count from each message's row.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{io, path::Path};

use control::{
    order::{Answer, Order, Request, Selection},
    serve::{Access, Queue, Standing},
    summary::{By, Summary},
};
use mail::{
    address::{Address, Sender},
    clock,
    envelope::{Envelope, Recipient},
};
use spool::{Entry, Event, Options, QueueId, Spool};

/// Every third message is being tried.
struct Daemon(Spool);

impl Queue for Daemon {
    fn spool(&self) -> &Spool {
        &self.0
    }

    fn standing(&self, entry: &Entry) -> Standing {
        Standing {
            active: entry.size.is_multiple_of(3),
            ..Standing::default()
        }
    }

    fn carry_out(&self, _: Order, _: QueueId) -> Result<(), String> {
        Err("not asked for here".to_owned())
    }

    fn is_under_way(&self, _: QueueId) -> bool {
        false
    }

    fn flush_all(&self) -> Result<(), String> {
        Ok(())
    }

    fn allows(&self, _: Order, _: u32) -> Result<usize, String> {
        Ok(0)
    }
}

/// Mail of several senders, from several machines, for several domains in any case; some of it
/// deferred, some on hold.
fn filled(directory: &Path) -> Daemon {
    let (spool, _) = Spool::open(directory, Options::default()).unwrap();
    let address = |text: String| Address::parse(&text).unwrap();
    for number in 0..60u32 {
        let to = |more: u32| {
            let domain =
                ["one.example", "ONE.example", "two.example"][(number + more) as usize % 3];
            Recipient::from(address(format!("r{more}@{domain}")))
        };
        let envelope = Envelope {
            sender: match number % 4 {
                0 => Sender::Null,
                some => Sender::Address(address(format!("s{some}@x.example"))),
            },
            recipients: (0..=number % 3).map(to).collect(),
            origin: ["", "vm1[10.0.0.1]", "vm2[10.0.0.2]"][number as usize % 3].to_owned(),
            uid: Some(number % 2),
            ..Envelope::default()
        };
        let mut draft = spool.draft().unwrap();
        draft.write(&vec![b'x'; number as usize]).unwrap();
        let id = spool.accept(draft, &envelope, b"A: b\r\n").unwrap();
        if number.is_multiple_of(5) {
            spool.record(id, Event::Held);
        }
        if number.is_multiple_of(2) {
            let deferred = Event::Deferred {
                recipients: vec![0],
                until: clock::now(),
                reason: format!("reason {}", number % 7).into(),
            };
            spool.record(id, deferred);
        }
    }
    Daemon(spool)
}

fn summary(access: &Access<'_, Daemon>, by: By, selection: Selection) -> Summary {
    let mut counted = None;
    let mut say = |answer: &Answer| -> io::Result<()> {
        if let Answer::Summary(summary) = answer {
            counted = Some(summary.clone());
        }
        Ok(())
    };
    let request = Request::Summary { by, selection };
    access.answer(&request, &mut say).unwrap();
    *counted.unwrap()
}

#[test]
fn the_whole_queue_is_counted_from_memory_as_its_rows_would_be() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = filled(directory.path());
    for owner in [None, Some(1)] {
        let access = Access {
            queue: &daemon,
            owner,
            now: clock::now(),
        };
        for by in By::ALL {
            let counted = summary(&access, by, Selection::all());
            // Everything is at least no seconds old: but for that each row is read.
            let older = Selection {
                older: Some(0),
                ..Selection::default()
            };
            assert_eq!(counted, summary(&access, by, older));
            assert!(!counted.groups.is_empty(), "{counted:?}");
        }
        let destinations = access.census().0;
        assert_eq!(
            destinations.total.count,
            if owner.is_none() { 120 } else { 60 }
        );
        assert_eq!(
            destinations.groups.len(),
            2,
            "the case of a domain is nothing"
        );
    }
}
