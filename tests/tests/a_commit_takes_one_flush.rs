//! How often the queue has the disk flushed, on ext4 and xfs of a disk of ours that counts: what an
//! accept takes on a disk is its flushes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{thread, time::Duration};

use mail::{
    address::{Address, Sender},
    envelope::{Envelope, Recipient},
};
use spool::{Options, Spool};
use tests::disk::{Disk, Filesystem};

/// Nothing is written but mail.
fn options(segment: u64) -> Options {
    Options {
        segment,
        minimum_free: 0,
        linger: Duration::from_hours(1),
    }
}

fn accept(spool: &Spool) {
    let address = |text: &str| Address::parse(text).unwrap();
    let envelope = Envelope {
        sender: Sender::Address(address("a@example.org")),
        recipients: vec![Recipient::from(address("b@example.net"))],
        ..Envelope::default()
    };
    let mut draft = spool.draft().unwrap();
    draft.write(&[b'x'; 4096]).unwrap();
    spool.accept(draft, &envelope, b"Subject: x\r\n").unwrap();
}

/// Flushes of the disk while something is done.
fn flushes(disk: &mut Disk, doing: impl FnOnce()) -> u64 {
    let mut count = || disk.order("flushes").parse::<u64>().unwrap();
    let before = count();
    doing();
    count() - before
}

fn one_after_the_other(kind: Filesystem) {
    let Some(mut disk) = Disk::with(kind) else {
        return;
    };
    // In one segment; and in several, of which each holds sixty.
    for (messages, segment) in [(60, 16 << 20), (240, 256 << 10)] {
        let (spool, _) = Spool::open(&disk.file("spool"), options(segment)).unwrap();
        let first = flushes(&mut disk, || accept(&spool));
        assert!(first < 20, "{first} for the first");
        let taken = flushes(&mut disk, || (0..messages).for_each(|_| accept(&spool)));
        // Some more: space that is written ahead, and the file system's journal every few seconds.
        let most = messages + messages * 2 / 5;
        assert!(
            (messages..most).contains(&taken),
            "{taken} for {messages} messages"
        );
        spool.close();
    }
}

#[test]
fn each_message_takes_one_flush_on_ext4() {
    one_after_the_other(Filesystem::Ext4);
}

#[test]
fn each_message_takes_one_flush_on_xfs() {
    one_after_the_other(Filesystem::Xfs);
}

#[test]
fn a_flush_serves_more_than_half_of_those_who_send_one_message_after_the_other() {
    let Some(mut disk) = Disk::with(Filesystem::Ext4) else {
        return;
    };
    let (spool, _) = Spool::open(&disk.file("spool"), options(16 << 20)).unwrap();
    accept(&spool);
    disk.order("flush 40");
    let taken = flushes(&mut disk, || {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10).for_each(|_| accept(&spool)));
            }
        });
    });
    // Ten if nobody comes late, twenty if half of them do.
    assert!((10..17).contains(&taken), "{taken} for 10 messages of 8");
}
