//! The delivery threads as they tell of themselves: who is free, and how many are at work.
//!
//! Contract: whoever said that it is free, before the queue heard how its delivery ended, is found
//! free by whatever the queue wants then. A thread in its place would open one connection more than
//! there may be, beside the one that the free thread keeps.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender},
    time::Duration,
};

use crate::agent::dispatch::Signal;

/// What came of listening.
#[derive(Debug)]
pub(super) enum Heard {
    Something,
    Nothing,
    /// Somebody wants the end, and to be told of it.
    Stop(Sender<()>),
    /// Nobody is left who could say anything.
    Gone,
}

pub(super) struct Crew {
    signals: Receiver<Signal>,
    idle: Vec<usize>,
    /// Deliveries of which the queue does not know yet what became of them.
    underway: usize,
    /// Whoever wants the end.
    stop: Option<Sender<()>>,
}

impl Crew {
    pub(super) const fn new(signals: Receiver<Signal>) -> Self {
        Self {
            signals,
            idle: Vec::new(),
            underway: 0,
            stop: None,
        }
    }

    /// Waits for one thing that is said.
    pub(super) fn hear(&mut self, within: Duration) -> Heard {
        let heard = match self.stop {
            Some(_) => Heard::Something,
            None => match self.signals.recv_timeout(within) {
                Ok(signal) => {
                    self.take(signal);
                    Heard::Something
                }
                Err(RecvTimeoutError::Timeout) => Heard::Nothing,
                Err(RecvTimeoutError::Disconnected) => Heard::Gone,
            },
        };
        self.stop.take().map_or(heard, Heard::Stop)
    }

    /// The free thread that worked last, of all that have said by now that they are free.
    pub(super) fn next_idle(&mut self) -> Option<usize> {
        while let Ok(signal) = self.signals.try_recv() {
            self.take(signal);
        }
        self.idle.pop()
    }

    /// A delivery was given to a thread.
    pub(super) const fn begins(&mut self) {
        self.underway = self.underway.saturating_add(1);
    }

    pub(super) const fn is_at_work(&self) -> bool {
        self.underway > 0
    }

    fn take(&mut self, signal: Signal) {
        match signal {
            Signal::Idle(worker) => self.idle.push(worker),
            Signal::Ended => self.underway = self.underway.saturating_sub(1),
            Signal::Alive(asked) => {
                // Whoever asked may have stopped waiting.
                let _ = asked.send(());
            }
            Signal::Stop(stopped) => self.stop = Some(stopped),
            Signal::Wake => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// New mail wakes the driver while a thread ends: what it said lies behind that.
    #[test]
    fn a_thread_that_has_ended_is_used_again_and_no_second_one_opens_a_connection_beside_its_own() {
        let (said, signals) = mpsc::channel();
        let mut crew = Crew::new(signals);
        crew.begins();
        for signal in [Signal::Wake, Signal::Wake, Signal::Idle(0), Signal::Ended] {
            said.send(signal).unwrap();
        }
        assert!(matches!(crew.hear(Duration::ZERO), Heard::Something));
        assert_eq!(crew.next_idle(), Some(0));
        assert_eq!(crew.next_idle(), None);
        assert!(!crew.is_at_work());
    }

    #[test]
    fn an_end_that_is_wanted_meanwhile_is_not_forgotten() {
        let (said, signals) = mpsc::channel();
        let mut crew = Crew::new(signals);
        let (stopped, is_over) = mpsc::channel();
        for signal in [Signal::Stop(stopped), Signal::Idle(3)] {
            said.send(signal).unwrap();
        }
        assert_eq!(crew.next_idle(), Some(3));
        let Heard::Stop(stopped) = crew.hear(Duration::ZERO) else {
            panic!("it is forgotten")
        };
        stopped.send(()).unwrap();
        assert!(is_over.try_recv().is_ok());
        drop(said);
        assert!(matches!(crew.hear(Duration::ZERO), Heard::Gone));
    }
}
