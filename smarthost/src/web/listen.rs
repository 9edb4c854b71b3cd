//! The page's listener: one request a connection, everything bounded, so that nobody who comes here
//! harms mail.
//!
//! Contract: at most [`CONNECTIONS`]; more wait in the system's queue. Those on which no request
//! has come in [`GRACE`] give way to them, the oldest first. A request is waited for ten seconds; a
//! connection ends after [`LIFE`], whatever it does.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::SocketAddr,
    path::Path,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use hyper::{Method, Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use system::log::{Level, line};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
    task::spawn_blocking,
    time,
};

use super::{
    io::Io,
    request::{Asked, Refused},
    respond,
    site::{Daemon, Site},
};
use crate::link::{Stream, Waiting};

/// Connections at once.
const CONNECTIONS: usize = 64;
/// A request comes with the connection, or so soon after it; who is slower may be dismissed.
const GRACE: Duration = Duration::from_millis(250);
/// How often is looked for one to dismiss, at least.
const LOOK: Duration = Duration::from_secs(1);
/// The least pause between two looks.
const LEAST: Duration = Duration::from_millis(5);
/// Requests that are worked on at once.
const WORKERS: usize = 2;
/// Longest wait for a request, and longest life of a connection.
const PATIENCE: Duration = Duration::from_secs(10);
const LIFE: Duration = Duration::from_secs(30);
/// Bytes and fields of a request's header.
const HEADER: usize = 16 * 1024;
const FIELDS: usize = 64;
/// Pause after the system refused to accept.
const PAUSE: Duration = Duration::from_millis(500);

/// Where the page listens.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub(crate) async fn tcp(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self::Tcp)
    }

    async fn accept(&self) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp(listener) => Stream::Tcp(listener.accept().await?.0),
            Self::Unix(listener) => Stream::Unix(listener.accept().await?.0),
        })
    }
}

/// Answers until the daemon ends. The token's file is there when this returns: whoever hears that
/// the daemon is ready can read it.
pub(crate) fn serve(
    listener: Listener,
    daemon: Arc<dyn Daemon>,
    state: &Path,
    ending: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + use<> {
    let site = Arc::new(Site::new(daemon, state));
    let workers = Semaphore::new(WORKERS);
    accept(listener, Arc::new(Work { site, workers }), ending)
}

async fn accept(listener: Listener, site: Arc<Work>, mut ending: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut waiting = Waiting::new(CONNECTIONS);
    loop {
        let place = tokio::select! {
            place = free(&places, &mut waiting) => place,
            _ = ending.wait_for(|ending| *ending) => return,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ending.wait_for(|ending| *ending) => return,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                line(Level::Error, &format_args!("status page: {error}"));
                time::sleep(PAUSE).await;
                continue;
            }
        };
        let gone = waiting.enter(());
        let (site, mut ending) = (Arc::clone(&site), ending.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = attend(stream, site, gone) => {}
                _ = ending.wait_for(|ending| *ending) => {}
            }
            drop(place);
        });
    }
}

/// A place for one more connection, of one that says nothing if need be.
async fn free(places: &Arc<Semaphore>, waiting: &mut Waiting<()>) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        return Some(place);
    }
    loop {
        let pause = waiting.dismiss(&(), GRACE).unwrap_or(LOOK).max(LEAST);
        // One that is dismissed goes when its task is next looked at.
        if let Ok(place) = time::timeout(pause, Arc::clone(places).acquire_owned()).await {
            return place.ok();
        }
    }
}

/// Who works on requests.
struct Work {
    site: Arc<Site>,
    workers: Semaphore,
}

impl Work {
    /// Answers one request; whoever asks waits for a worker as long as the connection lives.
    async fn answer(&self, request: Request<Incoming>) -> Response<String> {
        let (head, body) = request.into_parts();
        // Tells that the runtime turns, and asks nothing else.
        if head.method == Method::GET && head.uri.path() == "/health/live" {
            return respond::live();
        }
        let asked = match Asked::read(head, body).await {
            Ok(asked) => asked,
            Err(refused) => return respond::refused(refused),
        };
        let Ok(_worker) = self.workers.acquire().await else {
            return respond::refused(Refused::Ending);
        };
        let site = Arc::clone(&self.site);
        let answered = spawn_blocking(move || respond::to(&site, &asked)).await;
        answered.unwrap_or_else(|_| respond::refused(Refused::Ending))
    }
}

/// Resolves while no request has come and this connection has to go.
type Gone = Arc<Mutex<Option<oneshot::Receiver<()>>>>;

fn locked(gone: &Gone) -> MutexGuard<'_, Option<oneshot::Receiver<()>>> {
    gone.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn attend(stream: Stream, site: Arc<Work>, gone: oneshot::Receiver<()>) {
    let gone = Arc::new(Mutex::new(Some(gone)));
    let asked = Arc::clone(&gone);
    let service = service_fn(move |request| {
        locked(&asked).take();
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false)
        .header_read_timeout(None)
        .max_buf_size(HEADER)
        .max_headers(FIELDS);
    let connection = http.serve_connection(Io(stream), service);
    tokio::select! {
        // What is wrong with a request its sender knows.
        _ = time::timeout(LIFE, connection) => {}
        () = dismissed(&gone) => {}
    }
}

/// Others want the place, or it took too long; never once a request has come.
async fn dismissed(gone: &Gone) {
    let mut late = pin!(time::sleep(PATIENCE));
    poll_fn(|context| {
        let mut gone = locked(gone);
        let Some(receiver) = gone.as_mut() else {
            return Poll::Pending;
        };
        if Pin::new(receiver).poll(context).is_ready() || late.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}
