//! SIGTERM and SIGINT: whoever runs the agent wants it to end. SIGHUP: its files are to be read
//! anew. Others that would end it mean nothing to it.
//!
//! Contract: none is lost, from the first moment on. While nothing is served, at the start and
//! before a start anew, the process ends in the very moment: nobody was promised anything that is
//! not on disk, and a start may take long. No thread has to get its turn for that, so that a start
//! anew overtakes no signal; what comes while the program is exchanged waits for the next one. The
//! first process of a container has no other end, since the kernel keeps from it what it does not
//! wait for. While the agent serves, a signal is a message, and the end has its order.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use nix::sys::signal::{SigSet, Signal};
use signal_hook::{
    consts::{SIGALRM, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ},
    flag,
    iterator::Signals,
};

use super::sockets::Own;

/// What a signal says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    End,
    ReadAnew,
}

/// Signals that mean nothing here, and are no end: a limit of file sizes (SIGXFSZ) is an error of
/// the write.
const IGNORED: [i32; 4] = [SIGXFSZ, SIGUSR1, SIGUSR2, SIGALRM];

/// What came while the agent serves.
pub(super) struct Heard {
    told: Receiver<Told>,
    /// A SIGHUP came since the files were read.
    anew: Arc<AtomicBool>,
}

impl Heard {
    /// What came next, within so long. Of several that want the files to be read anew, those before
    /// the last have what they want with it.
    pub(super) fn next(&self, within: Duration) -> Option<Told> {
        match self.told.recv_timeout(within) {
            Ok(Told::ReadAnew) => self
                .anew
                .swap(false, Ordering::SeqCst)
                .then_some(Told::ReadAnew),
            Ok(Told::End) | Err(RecvTimeoutError::Disconnected) => Some(Told::End),
            Err(RecvTimeoutError::Timeout) => None,
        }
    }
}

/// Hears of it.
pub(super) struct Ending {
    /// Nothing is served.
    idle: Arc<AtomicBool>,
    /// A signal came.
    wanted: Arc<AtomicBool>,
    heard: Heard,
}

impl Ending {
    /// From now on.
    pub(super) fn watch() -> Result<Self, String> {
        let failed = |error: io::Error| format!("signals: {error}");
        let (idle, wanted) = (Arc::new(AtomicBool::new(true)), Arc::default());
        for signal in [SIGTERM, SIGINT] {
            flag::register(signal, Arc::clone(&wanted)).map_err(failed)?;
            flag::register_conditional_shutdown(signal, 0, Arc::clone(&idle)).map_err(failed)?;
        }
        let anew = Arc::<AtomicBool>::default();
        flag::register(SIGHUP, Arc::clone(&anew)).map_err(failed)?;
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(failed)?;
        for ignored in IGNORED {
            flag::register(ignored, Arc::default()).map_err(failed)?;
        }
        // Those that came while the program that was here before started anew.
        let _ = all().thread_unblock();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            for signal in signals.forever() {
                let told = match signal {
                    SIGHUP => Told::ReadAnew,
                    _ => Told::End,
                };
                if tell.send(told).is_err() {
                    return;
                }
            }
        });
        let heard = Heard { told, anew };
        Ok(Self {
            idle,
            wanted,
            heard,
        })
    }

    /// The files are read now, as all wanted who said so before.
    pub(super) fn reads_anew(&self) {
        self.heard.anew.store(false, Ordering::SeqCst);
    }

    /// The agent serves from now on; a message for each signal.
    pub(super) fn serving(&self) -> &Heard {
        self.idle.store(false, Ordering::SeqCst);
        &self.heard
    }

    /// It does not any more. Whether the end was wanted.
    pub(super) fn was_wanted(&self) -> bool {
        self.idle.store(true, Ordering::SeqCst);
        self.wanted.load(Ordering::SeqCst)
    }
}

/// Starts anew, or tells why not. Until the next one watches, nobody handles a signal, which would
/// be the end: a blocked one stays pending over execve(2).
pub(super) fn start_anew(handed: usize, own: &Own) -> String {
    let blocked = all();
    // Signals are delivered as before if that fails.
    let _ = blocked.thread_block();
    let why = system::again::start(handed, &own.in_place());
    let _ = blocked.thread_unblock();
    why
}

/// All signals that are handled here.
fn all() -> SigSet {
    let handled = [SIGTERM, SIGINT, SIGHUP].into_iter().chain(IGNORED);
    handled.filter_map(|it| Signal::try_from(it).ok()).collect()
}
