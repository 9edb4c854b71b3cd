//! Explains by what the running daemon holds.

use std::{io, sync::Arc, thread};

use control::order;
use mail::clock;
use tokio::{runtime::Handle, sync::oneshot};

use super::alive;
use crate::{
    admin::{Answer, refuses},
    explain::{self, Asked},
    server::Server,
};

/// Bytes of an explanation in a line.
const PIECE: usize = 64 * 1024;

/// What this daemon would do; the world may take minutes to answer, and whoever asks hears
/// meanwhile that somebody is there.
pub(super) fn explain(
    server: &Arc<Server>,
    asked: Asked,
    say: &mut dyn FnMut(&Answer) -> io::Result<()>,
) -> io::Result<()> {
    // What was counted so far is read back from there.
    server.state.flush();
    let setup = server.current.get();
    let fault = server.current.fault();
    let warnings = fault.map(|fault| format!("{}: {}", fault.consequence(), fault.summary()));
    let emptied = server.dispatch.draining().to();
    let warnings = warnings.into_iter().chain(emptied.as_deref().map(refuses));
    let warnings: Vec<String> = warnings.collect();
    let client = asked.what.client();
    let known = explain::Known {
        failed: client.and_then(|at| server.attempts.failures().of(at, clock::now())),
        everywhere: server.world.everywhere_now(),
        budget: Some(Arc::clone(&server.budget)),
        memory: server.state.unwritten(),
        emptied,
        off: server.world.lists_off(&setup.policy),
    };
    let (done, told) = oneshot::channel();
    let (runtime, mut ending) = (Handle::current(), server.ending.clone());
    // On a thread of its own: what tables cost holds up no session.
    thread::spawn(move || {
        let told = runtime.block_on(async {
            tokio::select! {
                told = explain::of_daemon(&setup, known, &asked, warnings) => told,
                _ = ending.wait_for(|ending| *ending) => Err(anyhow::anyhow!("the daemon ends")),
            }
        });
        // Whoever asked may be gone.
        let _ = done.send(told);
    });
    let told = alive::wait(&server.ending, told, say)?;
    match told.unwrap_or_else(|_| Err(anyhow::anyhow!("it failed"))) {
        Ok(told) => {
            let mut rest = told.as_str();
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(rest.floor_char_boundary(PIECE));
                say(&Answer::Explained(piece.to_owned()))?;
                rest = more;
            }
            Ok(())
        }
        Err(why) => say(&Answer::Queue(order::Answer::Refused(format!("{why:#}")))),
    }
}
