//! A disk for tests: `disk FOLDER MEBIBYTES` mounts a file system on FOLDER whose one file,
//! `image`, is for a loop device, and does what it is told on standard input. It lies in memory.
//! `disk FOLDER away` mounts one that is away: whoever looks for a file in it waits until the
//! program ends, and cannot be killed.
//!
//! | order | what |
//! |---|---|
//! | `flush MILLISECONDS` | each flush takes so long from now on |
//! | `fail writes`, `fail flushes` | they fail with `EIO` |
//! | `hang` | what is to be written or flushed is not answered |
//! | `work` | none of these |
//! | `cut SEED` | the power fails: all fails, and what was not flushed is lost in part or torn; answers how many sectors were `kept` and `lost` |
//! | `power` | it is back, and all works |
//! | `flushes` | how many there were |
//!
//! Contract: `ready PID`, then one line for each order, `ok …` or `error …`; the end of its input
//! ends it, and what was mounted. Needs root.
//!
//! The mount namespace is that of process PID, which only holds it; all that is to be mounted on
//! the disk belongs there. It ends behind the disk, however that ends: a process that were in it
//! and answered for what is unmounted at its end would wait for itself.
//!
//! | layer | modules |
//! |---|---|
//! | 1 | `platter` |
//! | 2 | `device` |
//! | 3 | `fuse` |

mod device;
mod fuse;
mod platter;

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, Write as _},
    process::{self, Child, Command, ExitCode, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use device::{Device, Failing};

/// Requests that are answered at a time.
const THREADS: usize = 6;
const USAGE: &str =
    "usage: disk FOLDER MEBIBYTES, or disk FOLDER away, as root; orders on standard input";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "disk: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, size] = arguments.as_slice() else {
        return Err(io::Error::other(USAGE));
    };
    let is_away = size == "away";
    let size = if is_away { Some(1) } else { size.parse().ok() };
    let size = size.filter(|size| (1..=65_536).contains(size));
    let size: usize = size.ok_or_else(|| io::Error::other(USAGE))?;
    let device = Arc::new(Device::new(size * 1024 * 1024));
    let mut options = OpenOptions::new();
    let connection = options.read(true).write(true).open("/dev/fuse")?;
    let mut holder = mount(folder, &connection)?;
    let connection = Arc::new(connection);
    let mut answers = io::stdout();
    until_mounted(&mut holder, folder)?;
    for _ in 0..THREADS {
        let (connection, device) = (Arc::clone(&connection), Arc::clone(&device));
        thread::spawn(move || {
            let device = (!is_away).then_some(&*device);
            if let Err(error) = fuse::serve(&connection, device) {
                let _ = writeln!(io::stderr(), "disk: {error}");
                // Who asks would wait for ever.
                process::abort();
            }
        });
    }
    writeln!(answers, "ready {}", holder.id())?;
    for order in io::stdin().lock().lines() {
        match carry_out(&order?, &device) {
            Some(answer) => writeln!(answers, "{}", format!("ok {answer}").trim_end())?,
            None => writeln!(answers, "error: no such order")?,
        }
    }
    Ok(())
}

/// Starts the holder of the namespace, which has the connection as its standard output for as long
/// as it mounts, and ends with its standard input.
fn mount(folder: &str, connection: &File) -> io::Result<Child> {
    let script = "mount -i -t fuse -o fd=1,rootmode=40000,user_id=0,group_id=0,allow_other disk \"$0\" && \
                  exec cat > /dev/null";
    Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            folder,
        ])
        .stdin(Stdio::piped())
        .stdout(connection.try_clone()?)
        .spawn()
}

/// Waits until it is mounted in the holder's namespace: only then can the connection be read.
#[expect(
    clippy::disallowed_methods,
    reason = "the pause between two looks; nothing depends on its length"
)]
fn until_mounted(holder: &mut Child, folder: &str) -> io::Result<()> {
    let mounts = format!("/proc/{}/mountinfo", holder.id());
    while !fs::read_to_string(&mounts)?.contains(&format!(" {folder} ")) {
        if holder.try_wait()?.is_some() {
            return Err(io::Error::other(format!("cannot mount {folder}")));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// What there is to answer; `None` if there is no such order.
fn carry_out(order: &str, device: &Device) -> Option<String> {
    let words: Vec<&str> = order.split_whitespace().collect();
    match words.as_slice() {
        ["flush", time] => {
            device.take_for_each_flush(Duration::from_millis(time.parse().ok()?));
            Some(String::new())
        }
        ["fail", what @ ("writes" | "flushes")] => {
            device.fail(Failing {
                writes: *what == "writes",
                flushes: *what == "flushes",
                ..Failing::default()
            });
            Some(String::new())
        }
        ["hang"] => {
            device.fail(Failing {
                hangs: true,
                ..Failing::default()
            });
            Some(String::new())
        }
        ["work"] => {
            device.fail(Failing::default());
            Some(String::new())
        }
        ["cut", seed] => {
            let cut = device.cut(seed.parse().ok()?);
            Some(format!("kept {} lost {}", cut.kept, cut.lost))
        }
        ["power"] => {
            device.power();
            Some(String::new())
        }
        ["flushes"] => Some(device.flushes().to_string()),
        _ => None,
    }
}
