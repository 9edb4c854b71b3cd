//! Durable messages a second: the spool, and one file a message as Postfix keeps it, in the same
//! run on the same disk.
//!
//! `cargo run --release -p spool --example spool_bench [-- DIRECTORY [SECONDS]]`: accepts 4 KiB
//! messages from 1, 8 and 64 writers, empty and with 50,000 queued; then how long a restart with
//! those takes.
#![expect(clippy::print_stdout, reason = "a program whose result is its output")]

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use mail::{
    address::{Address, Sender},
    envelope::{Envelope, Recipient},
};
use spool::{Event, Options, Settlement, Spool};

type Failure = Box<dyn std::error::Error>;

const SIZE: usize = 4096;
const QUEUED: u64 = 50_000;
const WRITERS: [usize; 3] = [1, 8, 64];

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args_os().skip(1);
    let directory = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = arguments
        .next()
        .and_then(|text| text.to_str()?.parse().ok())
        .unwrap_or(3.0);
    let duration = Duration::try_from_secs_f64(seconds)?;
    let scratch = tempfile::tempdir_in(directory)?;
    println!(
        "durable 4 KiB messages a second, {seconds} s each, in {}",
        scratch.path().display()
    );
    println!(
        "{:>8} {:>14} {:>10} {:>8} {:>14} {:>16} {:>12}",
        "writers", "file/message", "spool", "ratio", "spool p50 µs", "accept+settle", "50k queued"
    );
    let full = scratch.path().join("full");
    let queued = fill(&full)?;
    for writers in WRITERS {
        let files = files(
            &scratch.path().join(format!("files{writers}")),
            writers,
            duration,
        )?;
        let empty = Spool::open(
            &scratch.path().join(format!("spool{writers}")),
            Options::default(),
        )?
        .0;
        let plain = run(&empty, writers, duration, false)?;
        let settling = run(&empty, writers, duration, true)?;
        let with_queue = run(&queued, writers, duration, true)?;
        println!(
            "{writers:>8} {files:>14.0} {:>10.0} {:>7.1}x {:>14} {:>16.0} {:>12.0}",
            plain.rate,
            plain.rate / files,
            plain.median.as_micros(),
            settling.rate,
            with_queue.rate
        );
    }
    queued.close();
    drop(queued);
    let before = resident();
    let start = Instant::now();
    let (spool, recovery) = Spool::open(&full, Options::default())?;
    let opened = start.elapsed();
    println!(
        "restart with {} messages queued: {} ms",
        recovery.messages,
        opened.as_millis()
    );
    println!("resident before {} KiB, after {} KiB", before, resident());
    spool.close();
    Ok(())
}

fn envelope() -> Result<Envelope, Failure> {
    let recipient = Recipient::from(Address::parse("somebody@example.net")?);
    let sender = Sender::Address(Address::parse("cron@example.org")?);
    Ok(Envelope {
        sender,
        recipients: vec![recipient],
        ..Envelope::default()
    })
}

/// A spool with 50,000 messages that stay.
fn fill(directory: &Path) -> Result<Spool, Failure> {
    let (spool, _) = Spool::open(directory, Options::default())?;
    let left = AtomicU64::new(QUEUED);
    let envelope = envelope()?;
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok()
                {
                    let Some(()) = accept(&spool, &envelope, false) else {
                        break;
                    };
                }
            });
        }
    });
    Ok(spool)
}

fn accept(spool: &Spool, envelope: &Envelope, settle: bool) -> Option<()> {
    let mut draft = spool.draft().ok()?;
    draft.write(&[b'x'; SIZE]).ok()?;
    let id = spool
        .accept(
            draft,
            envelope,
            b"Subject: benchmark\r\nFrom: cron@example.org\r\n",
        )
        .ok()?;
    if settle {
        spool.record(
            id,
            Event::Settled {
                recipient: 0,
                settlement: Settlement::Delivered,
            },
        );
    }
    Some(())
}

struct Measured {
    rate: f64,
    median: Duration,
}

fn run(
    spool: &Spool,
    writers: usize,
    duration: Duration,
    settle: bool,
) -> Result<Measured, Failure> {
    let envelope = envelope()?;
    measure(writers, duration, |_, _| accept(spool, &envelope, settle))
}

/// As Postfix keeps a message: create, write, fsync.
fn files(directory: &Path, writers: usize, duration: Duration) -> Result<f64, Failure> {
    fs::create_dir_all(directory)?;
    let measured = measure(writers, duration, |writer, number| {
        let mut file = File::create_new(directory.join(format!("{writer}.{number}"))).ok()?;
        file.write_all(&[b'x'; SIZE]).ok()?;
        file.sync_all().ok()
    })?;
    fs::remove_dir_all(directory)?;
    Ok(measured.rate)
}

fn measure(
    writers: usize,
    duration: Duration,
    work: impl Fn(usize, usize) -> Option<()> + Sync,
) -> Result<Measured, Failure> {
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let (stop, work) = (&stop, &work);
        let writer = |writer: usize| {
            move || {
                let mut times = Vec::new();
                while !stop.load(Ordering::Relaxed) && start.elapsed() < duration {
                    let begin = Instant::now();
                    if work(writer, times.len()).is_none() {
                        stop.store(true, Ordering::Relaxed);
                        return Err("a message was not taken");
                    }
                    times.push(begin.elapsed());
                }
                Ok(times)
            }
        };
        let writers: Vec<_> = (0..writers)
            .map(|number| scope.spawn(writer(number)))
            .collect();
        writers
            .into_iter()
            .flat_map(std::thread::ScopedJoinHandle::join)
            .collect::<Result<Vec<_>, _>>()
    })?
    .concat();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    Ok(Measured { rate, median })
}

/// KiB of memory in use.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok())
        .unwrap_or_default()
        * 4
}
