//! A platter with its electronics: how long a flush takes, what fails, whether there is power.
//!
//! Contract: without power everything fails with `EIO` and changes nothing, so that what is lost is
//! decided at the moment of the cut. A flush that fails makes nothing stable.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rustix::io::Errno;

use crate::platter::{Cut, Platter};

pub(crate) struct Device {
    inner: Mutex<Inner>,
    /// It may hang no more.
    answers: Condvar,
}

struct Inner {
    platter: Platter,
    powered: bool,
    failing: Failing,
    flush_takes: Duration,
    flushes: u64,
}

/// What fails.
#[derive(Clone, Copy, Default)]
pub(crate) struct Failing {
    pub(crate) writes: bool,
    pub(crate) flushes: bool,
    /// Neither works nor fails.
    pub(crate) hangs: bool,
}

impl Device {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                platter: Platter::new(size),
                powered: true,
                failing: Failing::default(),
                flush_takes: Duration::ZERO,
                flushes: 0,
            }),
            answers: Condvar::new(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_power(&self) -> Result<MutexGuard<'_, Inner>, Errno> {
        Some(self.inner())
            .filter(|inner| inner.powered)
            .ok_or(Errno::IO)
    }

    /// The same once it does not hang.
    fn answering(&self) -> Result<MutexGuard<'_, Inner>, Errno> {
        let hangs = |inner: &mut Inner| inner.powered && inner.failing.hangs;
        let inner = self.answers.wait_while(self.inner(), hangs);
        Some(inner.unwrap_or_else(PoisonError::into_inner))
            .filter(|inner| inner.powered)
            .ok_or(Errno::IO)
    }

    pub(crate) fn size(&self) -> u64 {
        self.inner().platter.size()
    }

    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        Ok(self.with_power()?.platter.read(offset, length).to_vec())
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let mut inner = self.answering()?;
        if inner.failing.writes {
            return Err(Errno::IO);
        }
        inner.platter.write(offset, bytes).ok_or(Errno::NOSPC)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a slow disk is what this is there for"
    )]
    pub(crate) fn flush(&self) -> Result<(), Errno> {
        let (mark, takes) = {
            let inner = self.answering()?;
            (inner.platter.mark(), inner.flush_takes)
        };
        thread::sleep(takes);
        let mut inner = self.with_power()?;
        if inner.failing.flushes {
            return Err(Errno::IO);
        }
        inner.platter.flush(mark);
        inner.flushes += 1;
        Ok(())
    }

    pub(crate) fn take_for_each_flush(&self, time: Duration) {
        self.inner().flush_takes = time;
    }

    pub(crate) fn fail(&self, failing: Failing) {
        self.inner().failing = failing;
        self.answers.notify_all();
    }

    /// The power is off until [`Device::power`].
    pub(crate) fn cut(&self, seed: u64) -> Cut {
        let mut inner = self.inner();
        inner.powered = false;
        self.answers.notify_all();
        inner.platter.cut(seed)
    }

    /// The power is back, and nothing fails.
    pub(crate) fn power(&self) {
        let mut inner = self.inner();
        inner.powered = true;
        inner.failing = Failing::default();
    }

    /// Flushes that succeeded so far.
    pub(crate) fn flushes(&self) -> u64 {
        self.inner().flushes
    }
}
