//! Delivery into a Maildir: mail that ends on this machine.
//!
//! Contract: the file is written under `tmp`, synced, given its name under `new` without ever
//! replacing another, and the directory synced, before the recipient counts as delivered. Lines end
//! in LF, as mail programs expect of files. `Return-Path` and `Delivered-To` stand first.
//! Failures: all temporary, except a message that was here before (loop).
//! RFC 5321 §4.4 (Return-Path).

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read as _, Write as _},
    path::Path,
};

use mail::{
    envelope::Recipient,
    limits,
    outcome::{Delivery, Failure, Handover, Outcome},
    status::EnhancedStatus,
};
use spool::Stored;
use system::fs::{create_directory, sync_directory};

use super::{
    blocking::Known,
    job::{Job, all, was_here_before},
};
use crate::destination::Kind;

/// One message, once for each recipient. Blocks.
pub(super) fn deliver(job: &Job, known: &Known) {
    let Kind::Maildir(directory) = &job.destination.kind else {
        let failure = Failure::ours("no maildir");
        return known.add(job, all(job.envelope.recipients.len(), failure));
    };
    let hostname = &job.setup.config.hostname;
    for recipient in &job.envelope.recipients {
        if job.halt.is_reached() {
            return;
        }
        known.add(job, [one(directory, &job.stored, recipient, hostname)]);
    }
}

fn one(directory: &Path, stored: &Stored, recipient: &Recipient, hostname: &str) -> Outcome {
    let address = recipient.address.as_str();
    if let Some(failure) = was_here_before(&stored.header, address) {
        return failure.outcome();
    }
    match write(directory, stored, address, hostname) {
        Ok(name) => Outcome::Delivered(Delivery {
            relay: directory.display().to_string(),
            reply: format!("delivered to maildir as {name}"),
            handover: Handover::Final,
        }),
        Err(error) => {
            let text = format!("cannot deliver to maildir {}: {error}", directory.display());
            Failure::local(EnhancedStatus::new(4, 2, 0), &text).outcome()
        }
    }
}

fn write(directory: &Path, stored: &Stored, address: &str, hostname: &str) -> io::Result<String> {
    let (temporary, new) = (directory.join("tmp"), directory.join("new"));
    for part in [&temporary, &new, &directory.join("cur")] {
        if !part.is_dir() {
            create_directory(part, 0o700)?;
        }
    }
    // Unique for each delivery, a repeated one included: queue id, and a random number.
    let random = getrandom::u64().map_err(io::Error::other)?;
    let name = format!(
        "{}.{}{random:016x}.{}",
        stored.arrival.as_secs(),
        stored.id,
        file_part(hostname)
    );
    let path = temporary.join(&name);
    let written = copy(&path, stored, address)
        .and_then(|()| fs::hard_link(&path, new.join(&name)))
        .and_then(|()| sync_directory(&new));
    // Whatever happened, the name under tmp has done its work; one that stays there repeats no
    // delivery, and mail programs sweep it away.
    let _ = fs::remove_file(&path);
    written.map(|()| name)
}

fn copy(path: &Path, stored: &Stored, address: &str) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = BufWriter::with_capacity(limits::PIECE, options.open(path)?);
    write!(
        file,
        "Return-Path: <{}>\nDelivered-To: {address}\n",
        stored.envelope.sender
    )?;
    let mut content = stored.reader()?;
    let mut piece = vec![0; limits::PIECE];
    loop {
        let length = content.read(&mut piece)?;
        if length == 0 {
            break;
        }
        // Canonical lines: each CR stands before an LF.
        for line in piece
            .get(..length)
            .unwrap_or_default()
            .split(|&byte| byte == b'\r')
        {
            file.write_all(line)?;
        }
    }
    file.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()
}

/// A host name as part of a file name (Maildir: no slash, no colon).
fn file_part(hostname: &str) -> String {
    hostname
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || ".-_".contains(*c))
        .collect()
}

#[cfg(test)]
mod tests {
    use mail::{
        address::{Address, Sender},
        envelope::Envelope,
    };
    use spool::{Options, Spool};

    use super::*;

    /// Through a real spool, as the daemon does it.
    fn stored(spool: &Spool, header: &str, body: &str) -> Stored {
        let envelope = Envelope {
            sender: Sender::Address(Address::parse("from@example.org").unwrap()),
            recipients: vec![recipient()],
            ..Envelope::default()
        };
        let mut draft = spool.draft().unwrap();
        draft.write(body.as_bytes()).unwrap();
        let id = spool.accept(draft, &envelope, header.as_bytes()).unwrap();
        spool.load(id).unwrap().unwrap()
    }

    fn recipient() -> Recipient {
        Address::parse("root@example.org").unwrap().into()
    }

    fn files(directory: &Path) -> Vec<String> {
        let names = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        names
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    }

    #[test]
    fn a_message_is_a_file_of_its_own_in_new_with_its_envelope_on_top() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(&directory.path().join("spool"), Options::default())
            .unwrap()
            .0;
        let maildir = directory.path().join("deep/Maildir");
        let stored = stored(&spool, "Subject: x\r\n", "line\r\n.\r\n");
        for _ in 0..2 {
            let outcome = one(&maildir, &stored, &recipient(), "mail.example.org");
            assert!(
                matches!(&outcome, Outcome::Delivered(delivery) if delivery.reply.contains(&stored.id.to_string())),
                "{outcome:?}"
            );
        }
        let expected = "Return-Path: <from@example.org>\nDelivered-To: root@example.org\nSubject: x\n\nline\n.\n";
        assert_eq!(
            files(&maildir.join("new")),
            [expected, expected],
            "a repeated delivery replaces nothing"
        );
        assert!(files(&maildir.join("tmp")).is_empty());
    }

    #[test]
    fn a_message_that_comes_back_is_bounced_and_a_directory_that_cannot_be_written_waits() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(&directory.path().join("spool"), Options::default())
            .unwrap()
            .0;
        let looping = stored(&spool, "Delivered-To: ROOT@example.org\r\n", "");
        let outcome = one(
            &directory.path().join("Maildir"),
            &looping,
            &recipient(),
            "mail.example.org",
        );
        assert!(
            matches!(&outcome, Outcome::Failed(failure) if failure.status.to_string() == "5.4.6"),
            "{outcome:?}"
        );

        let file = directory.path().join("file");
        File::create(&file).unwrap();
        let stored = stored(&spool, "Subject: x\r\n", "");
        let outcome = one(&file, &stored, &recipient(), "mail.example.org");
        assert!(
            matches!(&outcome, Outcome::Deferred(failure) if failure.text.contains("cannot deliver to maildir")),
            "{outcome:?}"
        );
    }
}
