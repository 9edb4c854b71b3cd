//! Damage to the files of a spool: each three bytes of input are a place and what is done there.
use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::Path,
    time::Duration,
};

use mail::{
    address::{Address, Sender},
    envelope::Envelope,
};
use spool::{Options, QueueId, Spool};

const OPTIONS: Options = Options {
    segment: 4096,
    minimum_free: 0,
    linger: Duration::from_hours(1),
};

/// Holds the promises for one input.
pub(crate) fn run(damage: &[u8]) {
    // Where there is no disk to wait for.
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let directory = directory.expect("a directory");
    fill(directory.path());
    for entry in fs::read_dir(directory.path().join("segments"))
        .expect("segments")
        .flatten()
    {
        damage_file(&entry.path(), damage);
    }
    let first = open(directory.path());
    assert_eq!(
        open(directory.path()),
        first,
        "recovery is done once and for all"
    );
}

fn fill(directory: &Path) {
    let (spool, _) = Spool::open(directory, OPTIONS).expect("an empty spool");
    let address = |text| Address::parse(text).expect("an address");
    for body in [&b"one\r\n"[..], b"two\r\n", &[b'x'; 2000], b"four\r\n"] {
        let envelope = Envelope {
            sender: Sender::Address(address("a@example.org")),
            recipients: vec![address("b@example.net").into()],
            ..Envelope::default()
        };
        let mut draft = spool.draft().expect("a draft");
        draft.write(body).expect("room");
        spool
            .accept(draft, &envelope, b"Subject: x\r\n")
            .expect("accepted");
    }
    spool.close();
}

fn damage_file(path: &Path, damage: &[u8]) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("a segment");
    for change in damage.chunks_exact(3) {
        let place = u64::from(u16::from_le_bytes([change[0], change[1]])) % 8192;
        match change[2] {
            0 => file.set_len(place).expect("cut"),
            byte => drop(file.write_at(&[byte], place).expect("written")),
        }
    }
}

fn open(directory: &Path) -> Vec<QueueId> {
    let (spool, _) =
        Spool::open(directory, OPTIONS).expect("damage never keeps a spool from opening");
    let mut ids: Vec<QueueId> = spool.entries().into_iter().map(|entry| entry.id).collect();
    ids.sort();
    for id in &ids {
        let loaded = spool.load(*id);
        assert!(
            matches!(loaded, Ok(Some(_))) || loaded.is_err() && spool.is_damaged(*id),
            "{id} is listed, and can be loaded or is known as damaged"
        );
    }
    spool.close();
    ids
}
