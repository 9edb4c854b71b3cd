//! Whoever waits long for an answer hears now and then that it is worked on.

use std::{io, pin::pin, time::Duration};

use control::order;
use tokio::{runtime::Handle, time};

use crate::admin::Answer;

/// How often; less than he waits for.
const ALIVE: Duration = Duration::from_secs(3);

/// Waits for the work. Blocks. Failures: he is gone, and nobody needs it any more.
pub(super) fn wait<T>(
    work: impl Future<Output = T>,
    say: &mut dyn FnMut(&Answer) -> io::Result<()>,
) -> io::Result<T> {
    Handle::current().block_on(async {
        let mut work = pin!(work);
        loop {
            match time::timeout(ALIVE, &mut work).await {
                Ok(done) => return Ok(done),
                Err(_) => say(&Answer::Queue(order::Answer::Working))?,
            }
        }
    })
}
