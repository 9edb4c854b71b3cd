//! Tests of the spool as a whole.

mod adopt;
mod basics;
mod beginning;
mod bodies;
mod closed;
mod crash;
mod displaced;
mod failing;
mod faults;
mod framing;
mod ledger;
mod locked;
mod model;
mod older;
mod remains;
mod silent;
mod unread;
mod walk;

use std::{path::Path, time::Duration};

use super::{
    Event, Hold, Options, QueueId, Recovery, Settlement, Spool, SpoolError, Waiting, lock,
    simulation,
};
use mail::{
    address::{Address, Sender},
    clock::Timestamp,
    envelope::{Envelope, Recipient},
};

/// Small segments, so that little mail fills many; nothing happens by itself, so that runs can be
/// repeated.
const QUIET: Options = Options {
    segment: 16 * 1024,
    minimum_free: 0,
    linger: Duration::from_hours(1),
};

fn envelope(recipients: u32) -> Envelope {
    let address = |local: String| Address::parse(&format!("{local}@example.org")).unwrap();
    let recipients: Vec<_> = (0..recipients)
        .map(|number| Recipient::from(address(format!("r{number}"))))
        .collect();
    Envelope {
        sender: Sender::Address(address("sender".to_owned())),
        uid: Some(u32::try_from(recipients.len()).unwrap()),
        recipients,
        ..Envelope::default()
    }
}

fn open(directory: &Path) -> (Spool, Recovery) {
    Spool::open(directory, QUIET).unwrap()
}

/// Accepts a message whose body repeats its number, so that any mix-up shows.
fn accept(spool: &Spool, recipients: u32, size: usize) -> Result<QueueId, SpoolError> {
    let mut draft = spool.draft()?;
    let body = body_of(draft.id(), size);
    for piece in body.chunks(64 * 1024) {
        draft.write(piece)?;
    }
    match size % 10 {
        3 => draft.hold(Hold::OverBudget),
        8 => draft.hold(Hold::Unchanged),
        _ => {}
    }
    let header = header_of(draft.id());
    spool.accept(draft, &envelope(recipients), &header)
}

/// How a message of another server comes.
const ARRIVING: Hold = Hold::Arriving { held: false };
const LATER: Timestamp = Timestamp::from_secs(2_000_000_000);

/// The same with a message that was queued elsewhere, where its recipients wait.
fn arrive(spool: &Spool, recipients: u32, size: usize) -> Result<QueueId, SpoolError> {
    let id = spool.draft()?.id();
    let waiting = (0..recipients).map(|recipient| Waiting {
        recipient,
        until: Some(LATER),
        reason: Some("450 there".into()),
    });
    let arrival = Timestamp::from_secs(1_700_000_000);
    let mut draft = spool.draft_moved(id, arrival, ARRIVING, true, waiting.collect(), "mx0");
    for piece in body_of(id, size).chunks(64 * 1024) {
        draft.write(piece)?;
    }
    spool.accept(draft, &envelope(recipients), &header_of(id))
}

fn header_of(id: QueueId) -> Vec<u8> {
    format!("Subject: {id}\r\n").into_bytes()
}

fn body_of(id: QueueId, size: usize) -> Vec<u8> {
    format!("{id}\r\n")
        .into_bytes()
        .into_iter()
        .cycle()
        .take(size)
        .collect()
}

fn settled(recipient: u32) -> Event {
    Event::Settled {
        recipient,
        settlement: Settlement::Delivered,
    }
}

/// That the content is what was accepted.
fn check_content(spool: &Spool, id: QueueId) {
    let stored = spool
        .load(id)
        .unwrap()
        .unwrap_or_else(|| panic!("{id} is not queued"));
    assert_eq!(stored.header, header_of(id));
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut stored.reader().unwrap(), &mut content).unwrap();
    let head = stored.header.len() + 2;
    assert_eq!(content[head..], body_of(id, content.len() - head));
    assert_eq!(stored.size(), content.len() as u64);
    assert_eq!(spool.entry(id).unwrap().size, stored.size());
    let highest = spool.entry(id).unwrap().waiting.last().unwrap().recipient;
    assert!(stored.envelope.recipients.len() > highest as usize);
    assert_eq!(spool.envelope(id).unwrap(), Some(stored.envelope));
}

/// Names in one of the spool's directories.
fn names(directory: &Path, inside: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory.join(inside)).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A directory as it is, under another name.
fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    let copy = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(copy.unwrap().success());
}
