//! Connecting to a unix socket whose path a setting names.
//!
//! Contract: no thread of the runtime looks the path up, for its disk may not answer: everything
//! else would wait as well. Whoever waits for one path takes no threads from others.
//! Failures: those of [`socket::connect_at_once`].

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use system::socket;
use tokio::{net::UnixStream, sync::Semaphore, task::spawn_blocking};

/// Threads that look up one path at once.
const LOOKS: usize = 8;

/// Paths to which somebody connects now.
static PATHS: Mutex<BTreeMap<PathBuf, Arc<Semaphore>>> = Mutex::new(BTreeMap::new());

/// Connects to a socket that listens now.
pub(crate) async fn connect(path: &Path) -> io::Result<UnixStream> {
    let place = places(path).acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let path = path.to_owned();
    // It goes on, and keeps its place, where nobody waits for it any more.
    let connecting = spawn_blocking(move || {
        let connected = socket::connect_at_once(&path);
        drop(place);
        connected
    });
    UnixStream::from_std(connecting.await.map_err(io::Error::other)??)
}

fn places(path: &Path) -> Arc<Semaphore> {
    let mut paths = PATHS.lock().unwrap_or_else(PoisonError::into_inner);
    paths.retain(|_, places| Arc::strong_count(places) > 1);
    let places = paths.entry(path.to_owned());
    Arc::clone(places.or_insert_with(|| Arc::new(Semaphore::new(LOOKS))))
}
