//! Whoever waits long for an answer hears now and then that it is worked on.

use std::{io, pin::pin, time::Duration};

use control::order;
use tokio::{runtime::Handle, sync::watch, time};

use crate::admin::Answer;

/// How often; much less than he waits for, for only so it is seen that he has gone.
const ALIVE: Duration = Duration::from_secs(1);

/// Waits for the work. Blocks. Failures: he is gone, and nobody needs it any more; the daemon ends.
pub(super) fn wait<T>(
    ending: &watch::Receiver<bool>,
    work: impl Future<Output = T>,
    say: &mut dyn FnMut(&Answer) -> io::Result<()>,
) -> io::Result<T> {
    let mut ending = ending.clone();
    Handle::current().block_on(async {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                _ = ending.wait_for(|ending| *ending) => {
                    return Err(io::Error::other("the daemon ends"));
                }
                () = time::sleep(ALIVE) => say(&Answer::Queue(order::Answer::Working))?,
            }
        }
    })
}
