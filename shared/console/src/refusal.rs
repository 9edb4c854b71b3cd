//! What clap says of a command line.

use std::io::Write as _;

use mail::{masked::Typed, text::is_unseen};
use system::sysexits::Exit;

/// Says it, and gives the exit status: help and version on standard output, what is wrong with the
/// words on standard error. A word that was typed is shown without what a terminal would obey, and
/// without a secret; a reader that has gone is no error.
pub fn tell(error: &clap::Error) -> Exit {
    let text = typed().masked(&error.render().to_string());
    let shown = |c: char| {
        if is_unseen(c) && c != '\n' {
            '\u{fffd}'
        } else {
            c
        }
    };
    let text: String = text.chars().map(shown).collect();
    if error.use_stderr() {
        let _ = std::io::stderr().write_all(text.as_bytes());
        Exit::Arguments
    } else {
        let _ = std::io::stdout().write_all(text.as_bytes());
        Exit::Ok
    }
}

/// The secrets among the words with which this program was called.
pub fn typed() -> Typed {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    Typed::of(words.iter().map(AsRef::as_ref))
}
