//! `sendmail -bs`: SMTP on standard input and output, spoken by the agent.
//!
//! Contract: bytes pass through unchanged in both directions; the agent decides all. Where no agent answers, the greeting is a
//! 421 and the exit status 69.

use std::{
    io::{self, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::Duration,
};

use system::sysexits::Exit;

use super::report::Report;
use crate::config::{places, settings::SOCKET};

/// An agent that stands still is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Joins standard input and output to the agent's socket, until it closes.
pub fn relay() -> Report {
    let stream = match connect() {
        Ok(stream) => stream,
        Err(report) => {
            // A caller that is gone does not read it.
            let _ = io::stdout().write_all(b"421 4.3.2 the mail queue is not available\r\n");
            return report;
        }
    };
    let broken = |error: io::Error| {
        Report::fault(Exit::TempFail, format!("connection to the agent: {error}"))
    };
    let mut upward = match stream.try_clone() {
        Ok(upward) => upward,
        Err(error) => return broken(error),
    };
    // Ends with the process: standard input may stay open for ever.
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut upward);
        let _ = upward.shutdown(Shutdown::Write);
    });
    match io::copy(&mut &stream, &mut Unbuffered(io::stdout())) {
        Ok(_) => Report {
            exit: Exit::Ok,
            lines: Vec::new(),
        },
        Err(error) => broken(error),
    }
}

fn connect() -> Result<UnixStream, Report> {
    let default = Path::new(SOCKET);
    let socket = if places::named().is_none() && default.exists() {
        default.to_owned()
    } else {
        places::load(None)
            .map_err(|error| Report::fault(Exit::Config, error.to_string()))?
            .socket
    };
    system::socket::connect(&socket, PATIENCE).map_err(|error| {
        Report::fault(
            Exit::Unavailable,
            format!("no agent at {}: {error}", socket.display()),
        )
    })
}

/// Standard output without its line buffer: a reply must reach the caller at once.
struct Unbuffered(io::Stdout);

impl io::Write for Unbuffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.0.write(bytes)?;
        self.0.flush()?;
        Ok(count)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
