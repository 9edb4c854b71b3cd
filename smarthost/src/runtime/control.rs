//! The administrators' socket: accepts, asks the kernel who it is, and lets [`crate::admin`] answer.
//!
//! Contract: only root and the daemon's own user are answered. Each connection is one request on one line; it is answered on a thread of its own, so that a
//! long listing holds nothing up. At most [`REQUESTS`] at a time for root, and for all others. Who has not sent his request yet
//! holds up nobody: he is waited for at most ten seconds, and the oldest of [`WAITING`] of one user goes for the next one.
//! See also: `control`, the asking side.

use std::{
    collections::{HashMap, VecDeque},
    fs::Permissions,
    io,
    os::unix::{fs::PermissionsExt as _, net::UnixStream as StdStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use control::{
    MAX_LINE, order,
    serve::{self, PATIENCE},
    status::Status,
};
use mail::clock::{self, Timestamp};
use system::{
    fs,
    log::{Level, line},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, oneshot, watch},
    task::spawn_blocking,
    time,
};

use super::reload::Reload;
use crate::{
    admin::{Answer, Controlled, Request, answer},
    server::Server,
};

/// Requests answered at the same time.
const REQUESTS: usize = 4;
/// Connections of one user on which no request has come yet.
const WAITING: usize = 32;
/// Pause after the system refused to accept.
const PAUSE: Duration = Duration::from_millis(500);

/// What requests are answered from.
pub(super) struct Control {
    pub(super) server: Arc<Server>,
    pub(super) reload: Arc<Reload>,
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
    let socket = UnixListener::bind(path)
        .with_context(|| format!("cannot make the control socket {}", path.display()))?;
    // Whoever is not answered has no business here: he could keep all places busy.
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
        .with_context(|| format!("cannot close {} to other users", path.display()))?;
    Ok(socket)
}

/// Answers administrators until the daemon ends.
pub(super) async fn serve(
    socket: UnixListener,
    control: Arc<Control>,
    mut ending: watch::Receiver<bool>,
) {
    let [root, others] = [0; 2].map(|_| Arc::new(Semaphore::new(REQUESTS)));
    let mut waiting = Waiting::default();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = ending.wait_for(|ending| *ending) => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                line(Level::Error, &format_args!("control socket: {error}"));
                time::sleep(PAUSE).await;
                continue;
            }
        };
        let uid = stream.peer_cred().map_or(u32::MAX, |peer| peer.uid());
        let gone = waiting.enter(uid);
        let free = Arc::clone(if uid == 0 { &root } else { &others });
        let control = Arc::clone(&control);
        tokio::spawn(async move {
            let mut stream = stream;
            let request = tokio::select! {
                Ok(Some(request)) = time::timeout(PATIENCE, request(&mut stream)) => request,
                _ = gone => return,
                else => return,
            };
            let Ok(place) = free.acquire_owned().await else {
                return;
            };
            spawn_blocking(move || {
                if let Err(error) = attend(stream, &request, &control) {
                    line(Level::Debug, &format_args!("control socket: {error}"));
                }
                drop(place);
            });
        });
    }
}

/// Connections on which no request has come yet, by user, the oldest first.
#[derive(Default)]
struct Waiting(HashMap<u32, VecDeque<oneshot::Sender<()>>>);

impl Waiting {
    /// One more; resolves when it has to go for others.
    fn enter(&mut self, uid: u32) -> oneshot::Receiver<()> {
        self.0.retain(|_, all| {
            all.retain(|one| !one.is_closed());
            !all.is_empty()
        });
        let (one, gone) = oneshot::channel();
        let all = self.0.entry(uid).or_default();
        all.push_back(one);
        if all.len() > WAITING {
            all.pop_front();
        }
        gone
    }
}

/// The line that an asker sends, without its end.
async fn request(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    let mut from = BufReader::new(stream).take(limit);
    from.read_until(b'\n', &mut line).await.ok()?;
    (line.pop() == Some(b'\n')).then_some(line)
}

/// One request, on a thread that may wait.
fn attend(stream: UnixStream, request: &[u8], control: &Control) -> io::Result<()> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    serve::serve_request(&stream, request, |request, asker, say| {
        let own = rustix::process::geteuid().as_raw();
        if asker.uid != 0 && asker.uid != own {
            let text = "only root and the user that smarthost runs as may ask";
            return say(&Answer::Queue(order::Answer::Refused(text.to_owned())));
        }
        control.answer(request, say)
    })
}

impl Control {
    /// Answers line by line, until the asker has gone.
    fn answer(
        &self,
        request: Request,
        say: &mut dyn FnMut(&Answer) -> io::Result<()>,
    ) -> io::Result<()> {
        let server = &self.server;
        if request == Request::Reload {
            return say(&match self.reload.run() {
                Ok(restart) => Answer::Reloaded {
                    restart: restart.into_iter().map(str::to_owned).collect(),
                },
                Err(fault) => Answer::Queue(order::Answer::Refused(fault.text)),
            });
        }
        let dispatch = &server.dispatch;
        let fault = server.current.fault();
        let fault = fault.filter(|fault| !fault.remembered);
        let fault = fault.map(|fault| fault.reason());
        let controlled = Controlled {
            fault: fault.as_deref(),
            spool: dispatch.spool(),
            queue: dispatch.queue(),
            wake: &|| dispatch.wake(),
            limits: &server.limits,
            state: &server.state,
            status: &|| self.status(),
        };
        answer(request, &controlled, clock::now(), say)
    }

    fn status(&self) -> Status {
        let setup = self.server.current.get();
        Status {
            program: "smarthost".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hostname: setup.config.hostname.to_string(),
            pid: std::process::id(),
            started: self.started,
            configured: self.server.current.configured(),
            listen: self.listen.clone(),
            sessions: u64::try_from(self.server.places.sessions()).unwrap_or(u64::MAX),
            pin: setup
                .identity
                .as_ref()
                .map_or_else(String::new, |identity| identity.pin.to_string()),
            refused: self.server.refused(),
            services: self.server.world.services(&setup),
            spool: serve::spool(&setup.config.spool, self.server.dispatch.spool()),
            alarms: self.server.world.alarms(&setup),
            fault: self.server.current.fault().map(|fault| {
                let consequence = fault.consequence();
                format!("{consequence}: {}", fault.text)
            }),
            ..Status::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn other_users_cannot_even_connect() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/control.sock");
        let _socket = bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(bind(&path).is_err(), "a daemon that lives is not replaced");
    }
}
