//! The administrators' socket: accepts, asks the kernel who it is, and lets [`crate::admin`]
//! answer.
//!
//! Contract: only root and the daemon's own user are answered. Each connection is one request on
//! one line; it is answered on a thread of its own, so that a long listing holds nothing up. At
//! most [`REQUESTS`] at a time for root, and for all others. Who has not sent his request yet holds
//! up nobody: he is waited for at most ten seconds, and the oldest of [`WAITING`] of one user goes
//! for the next one.
//! See also: `control`, the asking side.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use control::{
    MAX_LINE, order,
    serve::{self, PATIENCE},
    status::{Service, Status},
};
use mail::clock::{self, Timestamp};
use relay::{delivery::Memory, trust::Validity};
use system::{
    log::{Level, line},
    socket::Name,
    within,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc, watch},
    task::spawn_blocking,
    time,
};

use super::{
    alive, drain, enroll,
    explain::explain,
    reload::{Reload, Reloaded},
    test,
};
use crate::{
    activity::Slot,
    admin::{Answer, Controlled, Request, answer},
    link::Waiting,
    policy::refusals::Refusal,
    server::{Server, listen::Deaf},
    state::damaged,
    trail::Trail,
    web,
};

/// Requests answered at the same time.
const REQUESTS: usize = 4;
/// Connections of one user on which no request has come yet.
const WAITING: usize = 32;
/// How old a snapshot may be that is shown to who looks again and again, and how many times as old
/// as it took to gather.
const RECENT: Duration = Duration::from_secs(1);
const COSTLY: u32 = 10;
const LONGEST: Duration = Duration::from_secs(30);
/// How often it is looked whether the socket still has its name.
const LOOK: Duration = Duration::from_secs(5);
/// Pause after the system refused to accept.
const PAUSE: Duration = Duration::from_millis(500);

/// What requests are answered from.
pub(super) struct Control {
    pub(super) server: Arc<Server>,
    pub(super) reload: Arc<Reload>,
    pub(super) started: Timestamp,
    pub(super) listen: Vec<String>,
    /// Addresses where nothing could listen at the start.
    pub(super) deaf: Arc<Deaf>,
    /// What deliveries have learned of next hops.
    pub(super) next_hops: Arc<Mutex<Memory>>,
    /// What happened to messages, for the status page.
    pub(super) trail: Arc<Trail>,
    /// What is wrong with the status page.
    pub(super) web_fault: Mutex<Option<String>>,
    /// The newest snapshot for the page, and how long it took.
    pub(super) kept: Mutex<Option<(Instant, Duration, Arc<Status>)>>,
}

/// Of the control socket: whoever is not answered has no business there, and could keep all places
/// busy.
pub(super) const MODE: u32 = 0o600;

/// Makes a socket; one that a dead daemon left behind is replaced.
pub(super) async fn bind(path: &Path, mode: u32) -> anyhow::Result<UnixListener> {
    let path = path.to_owned();
    let listening = spawn_blocking(move || system::socket::listen(&path, mode)).await?;
    let socket = listening.map_err(anyhow::Error::msg)?;
    socket.set_nonblocking(true)?;
    Ok(UnixListener::from_std(socket)?)
}

/// Answers administrators until the daemon ends, if there is a socket. One whose name is gone is
/// made again, where its directory is there. Its name goes at the end, unless another process has
/// a socket of its own there.
pub(super) async fn serve(
    socket: Option<UnixListener>,
    control: Arc<Control>,
    mut ending: watch::Receiver<bool>,
) {
    let Some(mut socket) = socket else { return };
    let path = control.server.current.get().config.control.clone();
    let (anew, mut again) = mpsc::channel(1);
    let naming = tokio::spawn(keep_named(path, anew, ending.clone()));
    let [root, others] = [0; 2].map(|_| Arc::new(Semaphore::new(REQUESTS)));
    let mut waiting = Waiting::new(WAITING);
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            Some(anew) = again.recv() => {
                socket = anew;
                continue;
            }
            _ = ending.wait_for(|ending| *ending) => break,
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
    let _ = naming.await;
}

/// Makes the socket again whenever its name is gone; takes the name away at the end. Apart from who
/// answers, for its disk may not answer.
async fn keep_named(
    path: PathBuf,
    anew: mpsc::Sender<UnixListener>,
    mut ending: watch::Receiver<bool>,
) {
    let mut name = at(&path, Name::of).await;
    let mut look = time::interval(LOOK);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            _ = ending.wait_for(|ending| *ending) => break,
        }
        let gone = at(&path, |path| Ok(is_gone(path))).await;
        if gone.is_ok_and(|gone| gone)
            && let Ok(socket) = bind(&path, MODE).await
        {
            let text = format!("made the control socket again: {}", path.display());
            line(Level::Warning, &text);
            name = at(&path, Name::of).await;
            let _ = anew.send(socket).await;
        }
    }
    if let Ok(name) = name {
        // The name may be gone already.
        let _ = at(&path, move |_| name.remove()).await;
    }
}

/// Works on a path on a thread that may wait.
async fn at<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.to_owned();
    let done = spawn_blocking(move || within::ask(&path, work)).await;
    done.map_err(io::Error::other)?
}

/// Whether nothing lies there any more, and something could.
fn is_gone(path: &Path) -> bool {
    let found = path.symlink_metadata();
    found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        && path.parent().is_some_and(Path::is_dir)
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
            let text = "only root and the daemon's user may ask";
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
        if request == Request::Reload {
            return self.reload(say);
        }
        if let Request::Drain { to, pin } = request {
            return drain::begin(&self.server, to, pin, say);
        }
        if let Request::Test { to } = request {
            return test::begin(&self.server, to.as_deref(), say);
        }
        if let Request::Enroll(order) = request {
            return enroll::answer(&self.server, order, say);
        }
        if request == Request::Settings {
            return say(&Answer::Settings(self.reload.in_force()));
        }
        if let Request::Explain(asked) = request {
            return explain(&self.server, asked, say);
        }
        if request == Request::Status {
            let status = self.with(|controlled| controlled.snapshot(clock::now()));
            return say(&Answer::Status(status.into()));
        }
        if request == Request::Recent {
            return say(&Answer::Status(Box::new(Status::clone(&self.recent()))));
        }
        self.with(|controlled| answer(request, controlled, clock::now(), say))
    }

    /// Reloads; files that do not answer take their time, and whoever asks hears meanwhile that it
    /// is worked on. It goes on, if he is gone.
    fn reload(&self, say: &mut dyn FnMut(&Answer) -> io::Result<()>) -> io::Result<()> {
        let reload = Arc::clone(&self.reload);
        let done = spawn_blocking(move || reload.run());
        let done = alive::wait(&self.server.ending, done, say)?;
        say(&match done.map_err(io::Error::other)? {
            Ok(Reloaded { changed, restart }) => Answer::Reloaded { changed, restart },
            Err(fault) => Answer::Queue(order::Answer::Refused(fault.text)),
        })
    }

    fn with<T>(&self, act: impl FnOnce(&Controlled<'_>) -> T) -> T {
        let server = &self.server;
        let dispatch = &server.dispatch;
        let fault = server.current.fault();
        let fault = fault.filter(|fault| !fault.remembered);
        let fault = fault.map(|fault| fault.reason());
        act(&Controlled {
            attempts: dispatch.attempts(),
            draining: dispatch.draining(),
            fault: fault.as_deref(),
            spool: dispatch.spool(),
            queue: dispatch.queue(),
            wake: &|| dispatch.wake(),
            limits: &server.limits,
            budget: &server.budget,
            failures: server.attempts.shared(),
            state: &server.state,
            expected: &server.expected,
            look: &|| dispatch.news().wake(),
            status: &|| self.status(),
        })
    }

    /// How it stood a moment ago; what was costly to gather serves for longer.
    fn recent(&self) -> Arc<Status> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, took, status)) = &*kept
            && at.elapsed() < RECENT.max((*took * COSTLY).min(LONGEST))
        {
            return Arc::clone(status);
        }
        let before = Instant::now();
        let status = Arc::new(self.with(|controlled| controlled.snapshot(clock::now())));
        *kept = Some((Instant::now(), before.elapsed(), Arc::clone(&status)));
        status
    }

    pub(super) fn set_web_fault(&self, fault: Option<String>) {
        *self
            .web_fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Where clients can connect.
    fn listening(&self) -> Vec<String> {
        let late = self.deaf.late().into_iter().map(|it| it.to_string());
        self.listen.iter().cloned().chain(late).collect()
    }

    /// Mail that must come and does not.
    fn missing(&self) -> Vec<String> {
        let expected = self.server.expected.lock();
        expected.unwrap_or_else(PoisonError::into_inner).alarms()
    }

    fn status(&self) -> Status {
        let setup = self.server.current.get();
        let identity = setup.identity.as_ref();
        let validity = identity.and_then(|identity| identity.validity);
        let mut services = self.server.world.services(&setup);
        services.extend(self.next_hops(&setup.config));
        let unwritten = self.server.state.fault();
        let unwritten =
            unwritten.map(|(since, why)| format!("not written since {}: {why}", since.mailq()));
        let state = setup.config.state.display();
        services.extend(
            unwritten
                .iter()
                .map(|text| Service::new("counters", &state, false, text)),
        );
        // Each is unlocked before the next is asked: sessions need them all.
        let counted = self.server.dispatch.activity().counted().clone();
        let web_fault = self.web_fault.lock();
        let web_fault = web_fault.unwrap_or_else(PoisonError::into_inner).clone();
        Status {
            program: "smarthost".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hostname: setup.config.hostname.to_string(),
            pid: std::process::id(),
            started: self.started,
            configured: self.server.current.configured(),
            listen: self.listening(),
            sessions: u64::try_from(self.server.places.sessions()).unwrap_or(u64::MAX),
            pin: identity.map_or_else(String::new, |identity| identity.pin.to_string()),
            certificate_ends: validity.map(|validity| validity.until),
            refused: self.server.refused(),
            services,
            spool: serve::spool(self.server.dispatch.spool()),
            counted,
            queues_only: self.server.current.only_queues(),
            alarms: web_fault
                .into_iter()
                .chain(self.deaf.alarms())
                .chain(self.server.dispatch.spool().alarms())
                .chain(relay::token::complaint())
                .chain(self.server.dispatch.spool().quarantined())
                .chain(unwritten.map(|text| {
                    format!("counters {text}: limits are held from memory, until the daemon ends")
                }))
                .chain(within::found(&setup.config.state, damaged))
                .chain(validity.and_then(ends_soon))
                .chain(self.server.world.alarms(&setup))
                .chain(self.missing())
                .chain(setup.enrolled.alarms())
                .chain(setup.namesakes())
                .chain((!setup.knows_logins()).then(|| {
                    "nobody can log in, because it is not known who may: run smarthost passwd \
                     NAME, or write the line \"# empty\" into the file of auth.users"
                        .to_owned()
                }))
                .collect(),
            fault: self.server.current.fault().map(|fault| {
                let consequence = fault.consequence();
                format!("{consequence}: {}", fault.summary())
            }),
            ..Status::default()
        }
    }
}

/// About the certificate of the listeners.
fn ends_soon(validity: Validity) -> Option<String> {
    // One that has ended is told as that.
    let now = clock::now();
    let soon = validity.ends_soon(now) && validity.until > now;
    let ends = validity.until.rfc3339();
    soon.then(|| {
        format!(
            "the certificate of the listeners expires at {ends}: renew it, then run smarthost \
             reload; if tls.certificate is not set, the reload makes a new one"
        )
    })
}

/// For whoever looks at the page or scrapes it, so that it costs no more for many of them.
impl web::Daemon for Control {
    fn hostname(&self) -> String {
        self.server.current.get().config.hostname.to_string()
    }

    fn status(&self) -> Arc<Status> {
        self.recent()
    }

    fn day(&self) -> Vec<(u64, Slot)> {
        self.server.dispatch.activity().day(clock::now())
    }

    fn trail(&self) -> &Trail {
        &self.trail
    }

    fn refusals(&self, words: &str, most: usize) -> Vec<Refusal> {
        let words = words.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&words);
        let refusals = self.server.refusals();
        let found = refusals.list().into_iter().filter(|row| {
            let texts = [&row.sender, &row.recipient];
            has(&row.client) || texts.iter().any(|text| text.as_deref().is_some_and(has))
        });
        found.take(most).cloned().collect()
    }

    fn ask(
        &self,
        request: Request,
        each: &mut dyn FnMut(&Answer) -> io::Result<()>,
    ) -> io::Result<()> {
        self.answer(request, each)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn other_users_cannot_even_connect() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/control.sock");
        let _socket = bind(&path, MODE).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(
            bind(&path, MODE).await.is_err(),
            "a daemon that lives is not replaced"
        );
    }
}
