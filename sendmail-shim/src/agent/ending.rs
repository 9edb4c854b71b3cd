//! SIGTERM and SIGINT: whoever runs the agent wants it to end.
//!
//! Contract: none is lost, from the first moment on. While nothing is served, at the start and
//! before a start anew, the process ends at once: nobody was promised anything that is not on disk,
//! and a start may take long. The first process of a container has no other end, since the kernel
//! keeps from it what it does not wait for. While the agent serves, a signal is a message, and the
//! end has its order.

use std::{
    io, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
};

/// Hears of it.
pub(super) struct Ending {
    serves: Arc<AtomicBool>,
    told: Receiver<()>,
}

impl Ending {
    /// From now on.
    pub(super) fn watch() -> Result<Self, String> {
        let failed = |error: io::Error| format!("signals: {error}");
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(failed)?;
        // A limit of file sizes is an error of the write, and no end.
        flag::register(SIGXFSZ, Arc::default()).map_err(failed)?;
        let serves = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        let is_served = Arc::clone(&serves);
        thread::spawn(move || {
            for _ in signals.forever() {
                if !is_served.load(Ordering::SeqCst) {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "the main thread may wait for a file, a pipe or a disk"
                    )]
                    process::exit(0);
                }
                if tell.send(()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { serves, told })
    }

    /// The agent serves from now on; a message each, if the end is wanted.
    pub(super) fn serving(&self) -> &Receiver<()> {
        self.serves.store(true, Ordering::SeqCst);
        &self.told
    }

    /// It does not any more. Whether the end was wanted.
    pub(super) fn was_wanted(&self) -> bool {
        self.serves.store(false, Ordering::SeqCst);
        self.told.try_recv().is_ok()
    }
}
