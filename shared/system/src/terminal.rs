//! Words to standard output and standard error.
//!
//! Contract: a reader that has gone away (`| head`) is no failure. Another output that cannot be
//! written (a full disk) is one, which [`end`] tells: whoever redirects an answer into a file must
//! not take a cut one for a whole.

use std::{
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
    sync::OnceLock,
};

use super::sysexits::Exit;

/// Why something that was said is lost.
static LOST: OnceLock<String> = OnceLock::new();

/// A line on standard output.
pub fn say(text: impl Display) {
    let _ = try_say(text);
}

/// The same for what must not be lost.
pub fn try_say(text: impl Display) -> io::Result<()> {
    heard(writeln!(io::stdout().lock(), "{text}"))
}

/// Text as it is, without a line's end.
pub fn write(text: &str) {
    let _ = heard(io::stdout().lock().write_all(text.as_bytes()));
}

/// A line on standard error, with the program's name.
pub fn complain(program: &str, text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{program}: {text}");
}

fn heard(written: io::Result<()>) -> io::Result<()> {
    match written.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = LOST.set(error.to_string());
            Err(error)
        }
        _ => Ok(()),
    }
}

/// How a program ends that has said what it had to say.
pub fn end(program: &str, exit: ExitCode) -> ExitCode {
    let Some(why) = LOST.get() else {
        return exit;
    };
    complain(program, format_args!("standard output: {why}"));
    if exit == ExitCode::SUCCESS {
        Exit::IoErr.into()
    } else {
        exit
    }
}
