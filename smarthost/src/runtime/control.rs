//! The administrators' socket: accepts, asks the kernel who it is, and lets [`crate::admin`] answer.
//!
//! Contract: only root and the daemon's own user are answered. Each connection is one request on one line; it is answered on a thread of its own, so that a
//! long listing holds nothing up. At most [`DESKS`] at a time.
//! See also: `shared::control`, the asking side.

use std::{
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    os::unix::net::UnixStream as StdStream,
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use anyhow::Context as _;
use shared::{
    clock::{self, Timestamp},
    control::MAX_LINE,
    fs,
    log::{Level, line},
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
    task::spawn_blocking,
};

use crate::{
    admin::{Answer, Office, Request, Status, answer},
    server::Reception,
};

/// Requests answered at the same time.
const DESKS: usize = 4;
/// How long a request may take to arrive, and an answer line to be taken.
const PATIENCE: Duration = Duration::from_secs(30);

/// What requests are answered from.
pub(super) struct Desk {
    pub(super) reception: Arc<Reception>,
    pub(super) started: Timestamp,
    pub(super) listen: Vec<String>,
}

/// Makes the socket; one that a dead daemon left behind is replaced.
pub(super) fn bind(path: &Path) -> anyhow::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        fs::create_directory(directory, 0o755)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    if StdStream::connect(path).is_ok() {
        anyhow::bail!(
            "{} is in use: another smarthost runs with this configuration",
            path.display()
        );
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", path.display()));
        }
        _ => {}
    }
    UnixListener::bind(path)
        .with_context(|| format!("cannot make the control socket {}", path.display()))
}

/// Answers administrators until the daemon ends.
pub(super) async fn serve(
    socket: UnixListener,
    desk: Arc<Desk>,
    mut ending: watch::Receiver<bool>,
) {
    let free = Arc::new(Semaphore::new(DESKS));
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = ending.wait_for(|ending| *ending) => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let Ok(place) = Arc::clone(&free).acquire_owned().await else {
            return;
        };
        let desk = Arc::downgrade(&desk);
        spawn_blocking(move || {
            if let Err(error) = attend(stream, &desk) {
                line(Level::Debug, &format_args!("control socket: {error}"));
            }
            drop(place);
        });
    }
}

/// One connection.
fn attend(stream: UnixStream, desk: &Weak<Desk>) -> io::Result<()> {
    let Some(desk) = desk.upgrade() else {
        return Ok(());
    };
    let caller = stream.peer_cred()?.uid();
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut writer = BufWriter::new(stream.try_clone()?);
    let own = rustix::process::geteuid().as_raw();
    if caller != 0 && caller != own {
        return say(
            &mut writer,
            &Answer::Error("only root and the user that smarthost runs as may ask".to_owned()),
        );
    }
    let mut request = String::new();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    BufReader::new(stream.take(limit)).read_line(&mut request)?;
    match serde_json::from_str::<Request>(&request) {
        Ok(request) => desk.answer(request, &mut writer),
        Err(error) => say(
            &mut writer,
            &Answer::Error(format!("the request is not understood: {error}")),
        ),
    }
}

impl Desk {
    fn answer(&self, request: Request, writer: &mut BufWriter<StdStream>) -> io::Result<()> {
        let reception = &self.reception;
        let dispatch = &reception.dispatch;
        let office = Office {
            spool: dispatch.spool(),
            queue: dispatch.queue(),
            wake: &|| dispatch.wake(),
            limits: &reception.limits,
            state: &reception.state,
            status: &|| self.status(),
        };
        let mut written = Ok(());
        answer(request, &office, clock::now(), &mut |answer| {
            if written.is_ok() {
                written = write_line(writer, &answer);
            }
        });
        written?;
        writer.flush()
    }

    fn status(&self) -> Status {
        let setup = self.reception.current.get();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hostname: setup.config.hostname.clone(),
            pid: std::process::id(),
            started: self.started,
            listen: self.listen.clone(),
            sessions: u64::try_from(self.reception.gate.sessions()).unwrap_or(u64::MAX),
            pin: setup
                .identity
                .as_ref()
                .map_or_else(String::new, |identity| identity.pin.to_string()),
            ..Status::default()
        }
    }
}

fn say(writer: &mut BufWriter<StdStream>, answer: &Answer) -> io::Result<()> {
    write_line(writer, answer)?;
    writer.flush()
}

fn write_line(writer: &mut BufWriter<StdStream>, answer: &Answer) -> io::Result<()> {
    serde_json::to_writer(&mut *writer, answer).map_err(io::Error::other)?;
    writer.write_all(b"\n")
}
